"""Params and settings that name a model: those of a job are checked before it is accepted.

A step says so in the type of the param, where forms see it too:
`Annotated[str, Meta(extra_json_schema={"x-vtid-model": "text-detector"})]`; the value is then `model:NAME`, or whatever
else the step takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from vtid.domain.model import MODEL_PREFIX, Models
from vtid.errors import InvalidInput, NeedsAttention, Problem

KEY = "x-vtid-model"


def model_problems(params: type[Struct], values: Mapping[str, Any], models: Models) -> Iterator[Problem]:
    """Complaints about models that are named and cannot be used.

    Args:
        params: the type of a step's params, or of a plugin's settings.
        values: by name.
        models: that there are.
    """
    for field in msgspec.structs.fields(params):
        value, kind = values.get(field.encode_name), _kind(field.type)
        if kind and isinstance(value, str) and value.startswith(MODEL_PREFIX):
            try:
                models.get(value.removeprefix(MODEL_PREFIX), kind)
            except (InvalidInput, NeedsAttention) as error:
                yield Problem(field.encode_name, error.message, error.code)


def _kind(type_: Any) -> str | None:
    """The kind of model that a param of this type names."""
    if get_origin(type_) is Annotated:
        for note in get_args(type_)[1:]:
            if isinstance(note, Meta) and note.extra_json_schema and KEY in note.extra_json_schema:
                return str(note.extra_json_schema[KEY])
    return None
