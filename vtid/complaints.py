"""Everything that is wrong with a value of which a type is wanted, each complaint at its place.

msgspec stops at the first; whoever wrote a long document by hand wants to hear of all.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from vtid.errors import Problem, did_you_mean


def complaints(value: Any, type_: Any, place: str, *, strict: bool = False) -> Iterator[Problem]:
    """All that is wrong with a value.

    Args:
        value: builtins, as JSON or TOML make them.
        type_: that is wanted: Structs, lists and objects of them, and whatever else msgspec knows.
        place: of the value; those inside are named after it, as `clips[2].crop.width`.
        strict: a text is no number, as in JSON.
    """
    found = [*_inside(value, type_, place, strict=strict)]
    try:
        msgspec.convert(value, type=type_, strict=strict)
    except msgspec.ValidationError as error:
        found = found or [worded(error, type_, place)]
    yield from found


def worded(error: msgspec.ValidationError, type_: Any, place: str) -> Problem:
    """What msgspec found wrong, in words for whoever wrote the value.

    Args:
        error: it raised.
        type_: that was wanted.
        place: of the value.
    """
    message, _, path = str(error).partition(" - at `$")
    path = path.rstrip("`")
    if "enum" in message:
        choices = [one for option in _options(type_, path) for one in option.get("enum", ()) if one is not None]
        message += f"; one of: {', '.join(map(str, choices))}" if choices else ""
    elif said := _SAID.fullmatch(message):
        message = _in_words(**said.groupdict())
    elif "matching regex" in message:
        forms = [option for option in _options(type_, path) if {"pattern", "enum"} & option.keys()]
        examples = [one for option in forms for one in (*option.get("examples", ()), *option.get("enum", ()))]
        message = f"is not written as it must be; for example: {', '.join(examples)}" if examples else message
    return Problem(f"{place}{path}", message, "invalid")


_SAID = re.compile(
    r"Expected `(?P<kind>[^`]+)`"
    r"(?: of (?P<measured>length))?"
    r"(?: (?P<sign>[<>]=?|==) (?P<bound>\S+)|, got `(?P<got>\w+)`| that's a multiple of (?P<step>\S+))"
)
"""msgspec's own words, which name the types of Python and its signs."""

_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "nothing",
    "bytes": "bytes",
}
_BOUNDS = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than", "==": "exactly"}
_UNITS = {"array": ("entry", "entries"), "object": ("field", "fields"), "str": ("character", "characters")}


def _in_words(
    kind: str, measured: str | None, sign: str | None, bound: str | None, got: str | None, step: str | None
) -> str:
    """`must be at most 10`, `must have at most 50 entries`, `must be a whole number, not a text`."""
    if got:
        kinds = [one for one in kind.split(" | ") if one != "null"]
        wanted = [_KINDS.get(one, one) for one in kinds if one != "int" or "float" not in kinds]
        return f"must be {' or '.join(wanted)}, not {'one with a fraction' if got == 'float' else _KINDS.get(got, got)}"
    if step:
        return f"must be a multiple of {step}"
    assert sign is not None
    assert bound is not None
    shown = f"{_BOUNDS[sign]} {float(bound):.15g}"
    if measured:
        one, many = _UNITS.get(kind, ("entry", "entries"))
        return f"must have {shown} {one if float(bound) == 1 else many}"
    return f"must be {shown}"


def _inside(value: Any, type_: Any, place: str, *, strict: bool) -> Iterator[Problem]:
    """What is wrong with the parts of a value."""
    for one in _alternatives(type_):
        if isinstance(one, type) and issubclass(one, Struct) and isinstance(value, dict):
            yield from _of_struct(value, one, place, strict=strict)
        elif typing.get_origin(one) in (list, tuple) and isinstance(value, list):
            item = typing.get_args(one)[0]
            for number, each in enumerate(value):
                yield from complaints(each, item, f"{place}[{number}]", strict=strict)


def _of_struct(value: dict[str, Any], struct: type[Struct], place: str, *, strict: bool) -> Iterator[Problem]:
    fields = {one.encode_name: one for one in msgspec.structs.fields(struct)}
    for name, each in value.items():
        if name in fields:
            yield from complaints(each, fields[name].type, f"{place}.{name}", strict=strict)
        elif struct.__struct_config__.forbid_unknown_fields:
            hint = did_you_mean(str(name), fields) or f"; there are: {', '.join(sorted(fields))}"
            yield Problem(f"{place}.{name}", f"there is no such field{hint}", "unknown")
    for name, one in fields.items():
        if one.required and name not in value:
            yield Problem(f"{place}.{name}", "is missing", "missing")


def _alternatives(type_: Any) -> Iterator[Any]:
    """The members of a union, without what is said about them."""
    if typing.get_origin(type_) is typing.Annotated:
        yield from _alternatives(typing.get_args(type_)[0])
    elif typing.get_origin(type_) in (typing.Union, types.UnionType):
        for one in typing.get_args(type_):
            yield from _alternatives(one)
    else:
        yield type_


def _options(type_: Any, path: str) -> list[dict[str, Any]]:
    """What the value at a path inside a param (`[2].type`, as msgspec has it) may be, in JSON Schema."""
    try:
        schema, parts = msgspec.json.schema_components([type_])
    except TypeError:  # something in it is no JSON, such as a path
        return []

    def followed(node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            node = parts[node["$ref"].rpartition("/")[2]]
        return node

    nodes = [schema[0]]
    for name in ["", *re.findall(r"\[[^]]*\]|\w+", path)]:
        if name:
            nodes = [
                node.get("items", {}) if name.startswith("[") else node.get("properties", {}).get(name, {})
                for node in nodes
            ]
        nodes = [followed(each) for node in map(followed, nodes) for each in (node, *node.get("anyOf", ()))]
    return nodes
