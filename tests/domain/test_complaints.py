"""What is said of values that do not fit."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from vtid.domain.complaints import complaints

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


@pytest.mark.parametrize(
    ("value", "place", "message"),
    [
        ({"inner": [{"colour": "red"}]}, "o.inner[0].colour", "is not written as it must be; for example: #ff8800"),
        ({"inner": [{"other": "red"}]}, "o.inner[0].other", "is not written as it must be; for example: #ff8800"),
        ({"size": "big"}, "o.size", "is not written as it must be; for example: #ff8800, large, small"),
        ({"inner": [{}, {"kind": "c"}]}, "o.inner[1].kind", "Invalid enum value 'c'; one of: a, b"),
        ({"plain": "X"}, "o.plain", "Expected `str` matching regex '^[a-z]+$'"),
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
    assert found.message == "Expected `int`, got `str`"
