"""Merge fields: `{{name}}` in a document stands for a value that comes with it, or from a table.

The document's own `fields` say which there are and their defaults: `{"fields": {"name": "you", "seconds": 5}}`; null
has none. A text that is one field and nothing else takes over the value as it is, so that numbers can be filled in too.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import msgspec

from vtid.errors import InvalidInput, Problem, did_you_mean

FIELDS, VALUES = "fields", "values"
_DEEPEST = 32
"""Levels of a document; those of a film have six. What goes down level by level needs no more of Python's stack."""

_FIELD = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
Value = str | int | float | bool


def filled(document: Mapping[str, Any], values: Mapping[str, Any] | None = None, row: str = "") -> dict[str, Any]:
    """The document with its fields filled in, and without `fields`.

    Args:
        document: as JSON gives it.
        values: by field; where one is missing or empty, its default stands.
        row: what the values are of, for complaints.

    Raises:
        InvalidInput: with every field that is not known or has no value, at its place; or it is nested without end.
    """
    if is_deep(document, _DEEPEST):
        words = f"the document is nested more than {_DEEPEST} levels deep; no film is"
        raise InvalidInput(words, problems=[Problem("", words)])
    known = document.get(FIELDS) or {}
    problems: list[Problem] = []
    if values is not None and not _plain(values):
        words = 'is to be an object of names and values, as {"name": "Ann", "seconds": 3}'
        raise InvalidInput(f"{row}: {words}", problems=[Problem(row, words)])
    if not _plain(known):
        words = 'is to be an object of names and defaults, as {"name": "you", "seconds": 5}'
        raise InvalidInput(f"{FIELDS}: {words}", problems=[Problem(FIELDS, words)])
    for name in values or {}:
        if name not in known:
            there = f"; there are {', '.join(known)}" if known else "; it has none"
            words = f'"{name}" is no field of the document{did_you_mean(name, known) or there}'
            problems.append(Problem(row, words, "unknown"))
    given = {name: _value(name, default, values or {}, problems, row) for name, default in known.items()}
    body = _filled({name: each for name, each in document.items() if name != FIELDS}, "", given, problems, row)
    if problems:
        raise InvalidInput(str(problems[0]), problems=problems)
    return body  # type: ignore[no-any-return]


def is_deep(document: Any, most: int) -> bool:
    """Whether what JSON says is nested more than so many levels deep."""
    level: list[Any] = [document]
    for _ in range(most):
        if not level:
            return False
        level = [
            part
            for one in level
            if isinstance(one, Mapping | list)
            for part in (one.values() if isinstance(one, Mapping) else one)
        ]
    return bool(level)


def _plain(values: object) -> bool:
    """Whether these are values by their names."""
    return isinstance(values, Mapping) and all(one is None or isinstance(one, Value) for one in values.values())


def _value(
    name: str, default: Value | None, values: Mapping[str, Any], problems: list[Problem], row: str
) -> Value | None:
    """A field's value; text, which is all that a CSV has, becomes what the default is."""
    value = values.get(name)
    if value is None or value == "":
        return default
    found: Value | None = value
    if not isinstance(value, str) or isinstance(default, str | None):
        return found
    if isinstance(default, bool):
        found, kind = _TRUTH.get(value.strip().lower()), "true or false"
    else:
        found, kind = _number(value), "a number"
    if found is None:
        words = f'{name} is "{value}", and as its default ({_written(default)}) says it is to be {kind}'
        problems.append(Problem(row or f"{FIELDS}.{name}", words))
        return default
    return found


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _filled(value: Any, place: str, given: Mapping[str, Value | None], problems: list[Problem], row: str) -> Any:
    if isinstance(value, Mapping):
        return {
            name: _filled(each, f"{place}.{name}" if place else name, given, problems, row)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_filled(each, f"{place}[{number}]", given, problems, row) for number, each in enumerate(value)]
    if not isinstance(value, str):
        return value
    for name in _FIELD.findall(value):
        if name not in given:
            words = (
                f'"{name}" is no field{did_you_mean(name, given) or f"; name it in {FIELDS}, with a default or null"}'
            )
            problems.append(Problem(place, words, "unknown"))
        elif given[name] is None:
            where = f" in {row}" if row else ""
            problems.append(Problem(place, f'the field "{name}" has no value{where} and no default', "missing"))
    whole = _FIELD.fullmatch(value)
    if whole and given.get(whole[1]) is not None:
        return given[whole[1]]
    return _FIELD.sub(lambda found: _written(given.get(found[1])), value)


def _written(value: Value | None) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def read_json(raw: bytes, name: str) -> Any:
    """What JSON says, also with the mark that some editors put before it.

    Raises:
        InvalidInput: it is none.
    """
    try:
        return msgspec.json.decode(raw.removeprefix(codecs.BOM_UTF8))
    except msgspec.DecodeError as error:
        raise _wrong(name, f"is no valid JSON: {error}") from error
    except RecursionError as error:
        raise _wrong(name, "is no valid JSON: it is nested too deep") from error


def table(raw: bytes, name: str) -> Sequence[dict[str, Any]]:
    """The rows of a table: JSON, a list of objects; or CSV, the first line of which names the fields.

    Raises:
        InvalidInput: it is neither, or has no rows.
    """
    rows: Any
    if name.lower().endswith(".json"):
        rows = read_json(raw, name)
        if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
            raise _wrong(name, 'is to be a list of objects, as [{"name": "Ann"}, {"name": "Bob"}]')
    else:
        try:
            rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline=""), strict=True))
        except (UnicodeDecodeError, csv.Error) as error:
            raise _wrong(name, f"is no CSV in UTF-8: {error}") from error
        for number, one in enumerate(rows, start=2):
            if None in one or None in one.values():
                raise _wrong(name, f"line {number} has not as many values as the first line has names")
    if not rows:
        raise _wrong(name, "has no rows; the first line of a CSV names the fields, each further one is a film")
    return rows  # type: ignore[no-any-return]


def _wrong(name: str, words: str) -> InvalidInput:
    return InvalidInput(f"{name}: {words}", problems=[Problem(name, words)])
