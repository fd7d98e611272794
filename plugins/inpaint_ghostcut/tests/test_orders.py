"""Limits, checked before anything is paid, and the order as it goes out."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from vtid.errors import InvalidInput
from vtid.sdk import MediaInfo, VideoStream
from vtid.simulators.ghostcut.rules import read
from vtid_inpaint_ghostcut import Remove
from vtid_inpaint_ghostcut.orders import Params, plan

STREAM = VideoStream(0, "h264", 1920, 1080, "yuv420p", 8, "1/25")
FILM = MediaInfo("mp4", 10_000_000, 60.0, video=(STREAM,))


def params(**values: Any) -> Params:
    return msgspec.convert(values, Params)


def text(width: float = 0.2, kind: str = "text") -> dict[str, Any]:
    return {"type": kind, "coordinates": {"x": 0, "y": 0, "width": width, "height": 0.5}}


@pytest.mark.parametrize(
    ("values", "film", "field", "words"),
    [
        ({}, {"duration_s": 900.5}, "video", "15 minutes"),
        ({}, {"size": 1_000_000_000}, "video", "less than 1000 MB"),
        ({}, {"container": "webm"}, "video", "mp4, mov, avi, mkv, mpg, m4v, and this is webm"),
        ({"tier": "lite"}, {}, "regions", "one to 10 text regions, and there are 0"),
        ({"tier": "lite", "regions": [text()] * 11}, {}, "regions", "there are 11"),
        ({"tier": "lite", "regions": [text(), text(kind="erasure")]}, {}, "regions[1].type", "for erasure take"),
        ({"tier": "pro", "regions": [text(kind="protection")]}, {}, "regions[0].type", "for protection take"),
        ({"tier": "pro", "regions": [text()] * 2}, {}, "regions", "one text region, or none"),
        ({"tier": "pro", "regions": [text(0.8)]}, {}, "regions[0].coordinates", "covers 40% of the picture"),
        ({"tier": "pro", "language": "en"}, {}, "language", 'knows only "all"'),
        ({"regions": [text() | {"startTime": 61}]}, {}, "regions[0].startTime", "past the end"),
        (
            {"regions": [{"type": "text", "coordinates": {"x": 1900, "y": 0, "width": 100, "height": 9}}]},
            {},
            "regions[0].coordinates",
            "outside the picture",
        ),
    ],
)
def test_what_ghostcut_would_refuse_is_refused_here(
    values: dict[str, Any], film: dict[str, Any], field: str, words: str
) -> None:
    given, info = params(**values), msgspec.structs.replace(FILM, **film)
    problems = Remove().check(given, {"video": info})
    assert [problem.field for problem in problems] == [field]
    assert words in problems[0].message
    with pytest.raises(InvalidInput, match="GhostCut would not take this"):
        plan(given, info)


def test_what_is_wrong_with_the_params_is_told_before_the_video_is_there() -> None:
    assert len(Remove().check(params(tier="lite", language="en"), {})) == 2


def test_regions_lie_on_the_picture_as_shown() -> None:
    turned = msgspec.structs.replace(FILM, video=(msgspec.structs.replace(STREAM, rotation=90),))
    given = params(regions=[{"type": "text", "coordinates": {"x": 0, "y": 960, "width": 540, "height": 960}}])
    [mask] = plan(given, turned).masks
    assert mask["region"] == [[0, 0.5], [0.5, 0.5], [0.5, 1], [0, 1]]


def test_the_order_as_it_goes_out() -> None:
    region = text() | {"startTime": 1.5, "endTime": 4}
    body = plan(params(tier="lite", regions=[region], crf=20, resolution="720p"), FILM).body(
        "https://store/a.mp4", "vtid-1", "https://vtid.example/callbacks/x"
    )
    masks, extra = body.pop("videoInpaintMasks"), body.pop("extraOptions")
    assert body == {
        "urls": ["https://store/a.mp4"],
        "names": ["vtid-1"],
        "resolution": "720p",
        "needChineseOcclude": 2,
        "videoInpaintLang": "all",
        "callback": "https://vtid.example/callbacks/x",
    }
    corners = [[0.0, 0.0], [0.2, 0.0], [0.2, 0.5], [0.0, 0.5]]
    assert json.loads(masks) == [{"type": "remove_only_ocr", "start": 1.5, "end": 4.0, "region": corners}]
    assert json.loads(extra) == {"extra_inpaint_config": {"model": "advanced_lite"}, "write_options": {"crf": 20}}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"language": "ko", "regions": [text(kind="erasure"), text(kind="protection"), text()]},
        {"tier": "lite", "regions": [text(1.0)] * 10},
        {"tier": "pro", "regions": [text(0.39)]},
        {"tier": "pro", "regions": [text(0.79)]},
        {"tier": "pro"},
        {"regions": [{"type": "text", "coordinates": {"x": 1 / 3, "y": 2 / 3, "width": 2 / 3, "height": 1 / 3}}]},
    ],
)
def test_what_passes_here_passes_there(values: dict[str, Any]) -> None:
    given = params(**values)
    assert not Remove().check(given, {"video": FILM})
    assert read(plan(given, FILM).body("https://store/a.mp4", "vtid-1", None)).complaint == ""
