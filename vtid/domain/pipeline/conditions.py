"""Conditions: what `when` may say, and whether it holds."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

CONDITION = re.compile(r"^(?P<no>not\s+)?(?P<ref>[A-Za-z0-9_.-]+)(?:\s*(?P<op>==|!=)\s*(?P<value>.+))?$")
BAD = object()
"""What `literal` gives for text that is no value."""


def literal(text: str) -> Any:
    """A TOML value: `"text"`, `3`, `true`."""
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return BAD


def holds(when: str | None, values: Mapping[str, Any]) -> bool:
    """Whether a condition holds.

    Args:
        when: as in the pipeline; None holds always.
        values: reference to value, for every reference that exists. A missing one is false; an empty list or text too.
    """
    if when is None:
        return True
    found = CONDITION.match(when.strip())
    assert found, "check() let a bad condition through"
    value = values.get(found["ref"])
    truth = bool(value) if found["op"] is None else (value == literal(found["value"])) == (found["op"] == "==")
    return truth != bool(found["no"])
