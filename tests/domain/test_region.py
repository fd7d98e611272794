import msgspec
import pytest

from vtid.domain.region import Coordinates, Region, RegionType, normalise
from vtid.errors import InvalidInput


def region(x: float, y: float, width: float, height: float, start: float = 0.0, end: float | None = None) -> Region:
    return Region(RegionType.TEXT, Coordinates(x=x, y=y, width=width, height=height), start, end)


def normalised(*regions: Region) -> list[Region]:
    return normalise(list(regions), width=200, height=100, duration_s=10.0)


def test_pixels_become_fractions() -> None:
    assert normalised(region(20, 50, 100, 25))[0] == region(0.1, 0.5, 0.5, 0.25)


def test_fractions_stay() -> None:
    given = region(0.1, 0.5, 0.5, 0.25, 1, 2)
    assert normalised(given) == [given]


@pytest.mark.parametrize("box", [(100.4, 0, 100, 100), (0.502, 0, 0.5, 1)], ids=["pixels", "fractions"])
def test_half_a_pixel_over_the_edge_is_rounding(box: tuple[float, float, float, float]) -> None:
    out = normalised(region(*box))[0].coordinates
    assert out.x + out.width <= 1


def test_a_time_range_may_end_with_the_container() -> None:
    assert normalised(region(0, 0, 1, 1, end=10.09))[0].end_time == 10.09


PROBLEMS = [
    (
        region(150, 0, 100, 10),
        "coordinates",
        "reaches to (250, 10) pixels, outside the picture of 200×100",
        "outside_frame",
    ),
    (region(0.5, 0.5, 0.6, 0.5), "coordinates", "reaches to (1.1, 1) fractions", "outside_frame"),
    (region(0.5, 0.5, 0.001, 0.5), "coordinates", "the box has 0.2×50 pixels of the picture", "too_small"),
    (region(0, 0, 1, 1, 3, 3), "endTime", "must be after startTime (3 s)", "empty_range"),
    (region(0, 0, 1, 1, 10), "startTime", "past the end of the video (10.00 s)", "past_end"),
    (region(0, 0, 1, 1, 1, 10.2), "endTime", "past the end of the video (10.00 s)", "past_end"),
]


@pytest.mark.parametrize(("bad", "field", "message", "code"), PROBLEMS, ids=[m for _, _, m, _ in PROBLEMS])
def test_what_is_refused(bad: Region, field: str, message: str, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        normalised(region(0, 0, 1, 1), bad)
    [problem] = caught.value.problems
    assert problem.field == f"regions[1].{field}"
    assert message in problem.message
    assert problem.code == code


def test_all_problems_at_once_under_the_callers_name() -> None:
    with pytest.raises(InvalidInput, match=r"^2 problem\(s\) in areas: areas\[0\]") as caught:
        normalise([region(300, 0, 1, 1), region(0, 0, 1, 1, 5, 4)], width=200, height=100, duration_s=10, field="areas")
    assert [p.field for p in caught.value.problems] == ["areas[0].coordinates", "areas[1].endTime"]


def test_the_end_is_exclusive() -> None:
    assert [region(0, 0, 1, 1, 1, 2).covers(t) for t in (0.9, 1.0, 1.9, 2.0)] == [False, True, True, False]
    assert region(0, 0, 1, 1, 1).covers(99)


def test_the_names_on_the_wire() -> None:
    text = b'{"type":"erasure","coordinates":{"x":0,"y":0,"width":1,"height":1},"startTime":1,"endTime":2}'
    read = msgspec.json.decode(text, type=Region)
    assert (read.type, read.start_time, read.end_time) == (RegionType.ERASURE, 1, 2)
    with pytest.raises(msgspec.ValidationError, match="start_time"):
        msgspec.json.decode(
            b'{"type":"text","coordinates":{"x":0,"y":0,"width":1,"height":1},"start_time":1}', type=Region
        )
