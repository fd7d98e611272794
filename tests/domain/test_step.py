from typing import Any

import pytest
from msgspec import Struct

from vtid.domain.step import Port, StepSpec, check_params


class Inner(Struct):
    size: int


class Params(Struct, rename="camel"):
    needed: str
    max_width: int = 1
    boxes: list[Inner] = []

    def __post_init__(self) -> None:
        if self.max_width > 100:
            raise ValueError("maxWidth and needed do not go together")


SPEC = StepSpec("p.do", "p", "", Params, (Port("video", "video"),), (Port("audio", "audio"),))


def test_ports_by_name() -> None:
    assert SPEC.input("video") == Port("video", "video")
    assert SPEC.output("audio") == Port("audio", "audio")
    assert SPEC.input("audio") is SPEC.output("video") is None
    assert SPEC.param_names() == ["needed", "maxWidth", "boxes"]


def test_what_fits() -> None:
    assert check_params(SPEC, {"needed": "x", "maxWidth": "7"}, place="a.") == [], "the command line sends text"


@pytest.mark.parametrize(
    ("values", "place", "message"),
    [
        ({}, "a.needed", "p.do needs this param"),
        ({"needed": "x", "max_width": 1}, "a.max_width", 'no such param; did you mean "maxWidth"?'),
        ({"needed": "x", "qqq": 1}, "a.qqq", "it takes: boxes, maxWidth, needed"),
        ({"needed": 3}, "a.needed", "must be a text, not a whole number"),
        (
            {"needed": "x", "boxes": [{"size": 1}, {"size": "big"}]},
            "a.boxes[1].size",
            "must be a whole number, not a text",
        ),
        ({"needed": "x", "maxWidth": 101}, "a", "maxWidth and needed do not go together"),
    ],
)
def test_what_does_not(values: dict[str, Any], place: str, message: str) -> None:
    [problem] = check_params(SPEC, values, place="a.")
    assert problem.field == place
    assert message in problem.message


def test_everything_at_once() -> None:
    found = check_params(SPEC, {"qqq": 1, "maxWidth": []}, place="")
    assert [p.field for p in found] == ["qqq", "maxWidth", "needed"]
