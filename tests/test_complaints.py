"""What is said of values that do not fit."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from vtid.complaints import complaints

Colour = Annotated[str, Meta(pattern="^#[0-9a-f]{6}$", examples=["#ff8800"])]
Plain = Annotated[str, Meta(pattern="^[a-z]+$")]


class Inner(Struct, forbid_unknown_fields=True):
    colour: Colour = "#000000"
    other: Colour | None = None
    kind: Literal["a", "b"] = "a"


class Outer(Struct, forbid_unknown_fields=True):
    inner: list[Inner] = []
    size: Annotated[Colour | Literal["large", "small"] | None, Meta(description="Of it.")] = None
    plain: Plain = "x"
    number: int = 1
    even: Annotated[int, Meta(gt=0, le=10, multiple_of=2)] = 2
    part: Annotated[float, Meta(ge=0.5)] = 1
    few: Annotated[list[int], Meta(min_length=1, max_length=2)] | None = None
    short: Annotated[str, Meta(max_length=3)] = ""


@pytest.mark.parametrize(
    ("value", "place", "message"),
    [
        ({"inner": [{"colour": "red"}]}, "o.inner[0].colour", "is not written as it must be; for example: #ff8800"),
        ({"inner": [{"other": "red"}]}, "o.inner[0].other", "is not written as it must be; for example: #ff8800"),
        ({"size": "big"}, "o.size", "is not written as it must be; for example: #ff8800, large, small"),
        ({"inner": [{}, {"kind": "c"}]}, "o.inner[1].kind", "Invalid enum value 'c'; one of: a, b"),
        ({"plain": "X"}, "o.plain", "Expected `str` matching regex '^[a-z]+$'"),
        ({"number": 1.5}, "o.number", "must be a whole number, not one with a fraction"),
        ({"number": None}, "o.number", "must be a whole number, not nothing"),
        ({"even": 0}, "o.even", "must be at least 1"),
        ({"even": 12}, "o.even", "must be at most 10"),
        ({"even": 3}, "o.even", "must be a multiple of 2"),
        ({"part": 0.25}, "o.part", "must be at least 0.5"),
        ({"part": "x"}, "o.part", "must be a number, not a text"),
        ({"few": []}, "o.few", "must have at least 1 entry"),
        ({"few": [1, 2, 3]}, "o.few", "must have at most 2 entries"),
        ({"few": [1, "x"]}, "o.few[1]", "must be a whole number, not a text"),
        ({"few": True}, "o.few", "must be a list, not true or false"),
        ({"short": "four"}, "o.short", "must have at most 3 characters"),
        ({"nmber": 1}, "o.nmber", 'there is no such field; did you mean "number"?'),
    ],
)
def test_one_complaint(value: dict[str, Any], place: str, message: str) -> None:
    [found] = complaints(value, Outer, "o")
    assert (found.field, found.message) == (place, message)


def test_every_complaint_at_its_place() -> None:
    found = [*complaints({"inner": [{"colour": "x", "kind": 1}], "number": []}, Outer, "o")]
    assert [one.field for one in found] == ["o.inner[0].colour", "o.inner[0].kind", "o.number"]


def test_a_text_may_be_a_number_where_it_comes_from_a_command_line() -> None:
    assert [*complaints({"number": "5"}, Outer, "o")] == []
    [found] = complaints({"number": "5"}, Outer, "o", strict=True)
    assert found.message == "must be a whole number, not a text"
