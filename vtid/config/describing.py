"""Every setting, with what it does: for documentation, and to find defaults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, get_args, get_origin

import msgspec

from vtid.config.sections import SECTIONS


class Setting(NamedTuple):
    """One setting, for documentation."""

    section: str
    key: str
    default: Any
    description: str


def describe() -> Iterator[Setting]:
    """Every setting that vtid.toml may hold, in its order."""
    for section, type_ in SECTIONS.items():
        for known in msgspec.structs.fields(type_):
            if get_origin(known.type) is Annotated:
                yield Setting(section, known.name, known.default, get_args(known.type)[1].description)
