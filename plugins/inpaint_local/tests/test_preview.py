"""A look before removing, and the papers that go along with a result."""

from __future__ import annotations

import re

import cv2
import msgspec
import numpy as np
import pytest

import vtid_inpaint_local.remove as removal
from vtid.sdk import Coordinates, File, InvalidInput, Region, RegionType, StepError, Video
from vtid_inpaint_local.outside import Bystander
from vtid_inpaint_local.page import Pair, clock, page
from vtid_inpaint_local.params import Inputs, Params, PreviewParams
from vtid_inpaint_local.report import Outside, PreviewReport, Removed, Report, Spans, Stayed
from vtid_inpaint_local.step import Preview, Remove

from .conftest import ArrayFrame, ListMedia, burn, letters, pan
from .test_parts import Seer


class SeekingMedia(ListMedia):
    """Gives the part that is asked for, as the real one does."""

    def frames(self, path, *, start_s=None, end_s=None):
        self.asked = (start_s, end_s)
        for frame in super().frames(path):
            if (start_s or 0.0) <= frame.time_s and (end_s is None or frame.time_s < end_s):
                yield frame


@pytest.fixture
def seer(monkeypatch):
    one = Seer()
    monkeypatch.setattr(removal, "choose", lambda *_, **__: one)
    return one


def preview(context, film, tmp_path, params=None, mask=None, **more):
    path = tmp_path / "film.mp4"
    media = SeekingMedia({path: film}, **more)
    return Preview().run(context(media, threads=2), params or PreviewParams(), Inputs(Video(path), mask)), media


def test_it_tells_what_is_there_and_changes_nothing(seer, context, tmp_path):
    film = [burn(p) if 10 <= i < 40 else p for i, p in enumerate(pan(50, speed=2.0))]
    out, media = preview(context, film, tmp_path)
    (one,) = out.report.found
    assert (one.text, one.start_s, one.end_s, one.kind, one.goes) == ("Hello there", 0.4, 1.6, "subtitle", True)
    assert (out.report.width, out.report.height, out.still) == (320, 160, None)
    assert msgspec.json.decode(out.boxes.path.read_bytes(), type=PreviewReport) == out.report
    assert len(media.films) == 1


@pytest.mark.parametrize("turns", [0, 1])
def test_a_still_shows_the_picture_of_that_time_without_the_text(seer, context, tmp_path, turns):
    clean = pan(250, speed=2.0)
    film = [np.ascontiguousarray(np.rot90(burn(p) if 110 <= i < 140 else p, -turns)) for i, p in enumerate(clean)]
    out, media = preview(context, film, tmp_path, PreviewParams(at_s=5.01), rotation=90 * turns)
    assert out.report.at_s == 5.0
    picture = cv2.imread(str(out.still.path))
    wanted = cv2.cvtColor(clean[125], cv2.COLOR_YUV2BGR)
    assert picture.shape == wanted.shape
    apart = np.abs(picture.astype(int) - wanted)
    assert apart[letters()[1] > 0.05].mean() < 12
    assert apart[:70].max() == 0
    assert media.asked == (5.01 - 3, 5.01 + 3)
    (one,) = out.report.found
    assert (one.start_s, one.end_s) == pytest.approx((4.4, 5.6))


def test_a_still_at_either_end_of_the_film(seer, context, tmp_path):
    film = pan(30)
    for at, number in ((0.0, 0), (1.19, 29)):
        out, _ = preview(context, film, tmp_path, PreviewParams(at_s=at))
        assert np.array_equal(cv2.imread(str(out.still.path)), cv2.cvtColor(film[number], cv2.COLOR_YUV2BGR))


def test_what_the_policy_keeps_is_shown_as_staying(seer, context, tmp_path):
    film = [burn(p) if 10 <= i < 40 else p for i, p in enumerate(pan(50, speed=2.0))]
    out, _ = preview(context, film, tmp_path, PreviewParams(policy="static", at_s=1.0))
    assert [f.goes for f in out.report.found] == [False]
    assert np.array_equal(cv2.imread(str(out.still.path)), cv2.cvtColor(film[25], cv2.COLOR_YUV2BGR))


def test_a_mask_is_previewed_too(context, tmp_path):
    mask = np.zeros((160, 320), np.uint8)
    mask[20:60, 40:120] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    params = PreviewParams(policy="regions", at_s=0.5)
    out, _ = preview(context, pan(30, speed=2.0), tmp_path, params, File(tmp_path / "mask.png"))
    assert [(f.kind, f.at) for f in out.report.found] == [("erasure", Coordinates(0.125, 0.125, 0.25, 0.25))]
    assert out.report.detector == "none"


def test_a_wrong_time_or_region_is_refused_before_the_job(tmp_path):
    path = tmp_path / "film.mp4"
    info = ListMedia({path: pan(30)}).probe(path)
    beyond = Region(RegionType.TEXT, Coordinates(0, 0, 999, 9))
    found = Preview().check(PreviewParams(at_s=1.2, regions=[beyond]), {"video": info})
    assert [p.field for p in found] == ["regions[0].coordinates", "at_s"]
    assert not Preview().check(PreviewParams(at_s=1.19), {"video": info})


def test_nothing_to_see_is_said(context, tmp_path):
    path = tmp_path / "x.mp4"
    media = SeekingMedia({path: pan(1)})
    info = media.probe(path)
    with pytest.raises(StepError, match="no picture in"):
        Preview().run(context(media), PreviewParams(), Inputs(Video(path, info=type(info)("mp4", 1, 1.0))))
    with pytest.raises(InvalidInput, match="no text region"):
        Preview().run(context(media), PreviewParams(policy="regions"), Inputs(Video(path)))


# --- what goes along with a result ------------------------------------------------------------------------------------


def test_the_papers_of_a_result(seer, context, tmp_path):
    path = tmp_path / "film.mp4"
    film = [burn(p) if 10 <= i < 40 else p for i, p in enumerate(pan(50, speed=2.0))]
    media = SeekingMedia({path: film})
    out = Remove().run(context(media, threads=2), Params(page=True), Inputs(Video(path, name="<b>film</b>.mp4")))
    assert out.subtitles.path.read_text() == "1\n00:00:00,400 --> 00:00:01,600\nHello there\n\n"
    assert msgspec.json.decode(out.boxes.path.read_bytes())["captions"][0]["text"] == "Hello there"
    assert out.report.outside.frames == 15, "of the stretch that was rendered"
    assert out.report.outside.ppm == out.report.outside.most == 0
    text = out.page.path.read_text()
    assert "&lt;b&gt;film&lt;/b&gt;.mp4" in text
    assert len(re.findall(r'src="data:image/jpeg;base64,', text)) == 2


def test_where_nothing_was_found_there_is_nothing_to_write(seer, context, tmp_path):
    path = tmp_path / "film.mp4"
    out = Remove().run(context(SeekingMedia({path: pan(30)})), Params(page=True), Inputs(Video(path)))
    assert (out.subtitles, out.boxes) == (None, None)
    assert "Nothing was removed" in out.page.path.read_text()


def test_change_outside_is_seen_and_change_inside_is_not():
    film = pan(64)
    bystander = Bystander(64)
    mask = np.ones((30, 100), bool)
    for number, pixels in enumerate(film):
        bystander.see(number, ArrayFrame(pixels, number))
        bystander.painted(number, (40, 100, 140, 130), mask)
    inside = [p.copy() for p in film]
    for pixels in inside:
        pixels[100:130, 40:140, 0] = 0
    assert len(list(bystander.watch((i, ArrayFrame(p, i)) for i, p in enumerate(inside)))) == 64
    assert bystander.found == Outside(32, 0.0, 0.0)
    inside[21][0:16, 0:16, 0] += 20
    list(bystander.watch((i, ArrayFrame(p, i)) for i, p in enumerate(inside)))
    assert bystander.found.most == pytest.approx(20, abs=0.1)
    assert bystander.found.ppm > 0


def report(**more):
    at = Coordinates(0.1, 0.8, 0.8, 0.1)
    events = [
        Removed(at, 1.0, 3.5, "<script>alert(1)</script>", "subtitle", 2),
        Removed(at, 4.0, 5.0, None, "mark"),
        Removed(at, 0.0, 9.0, None, "erasure"),
    ]
    stayed = [Stayed(at, 2.0, 8.0, "BAKERY & SONS", "scene")]
    given = {"events": events, "stayed": stayed, "verified": True, "residual": 1, "moving": 2, "doubtful": 3} | more
    return Report(summary="1 of 3 <left>", unchanged=False, detector="rapidocr", **given)


def test_the_page_says_all_of_it_and_escapes_it():
    whole = report(outside=Outside(32, 17.5, 9.25), spans=Spans(3, 2, 300, 120), seconds={"detect": 1.25})
    text = page('a"b<c>.mp4', whole, whole.events, {0: Pair(b"before", b"after")})
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "a&quot;b&lt;c&gt;.mp4" in text
    for words in ("1 of 3 &lt;left&gt;", "17.5 in a million", "3, 300 frames; 2 encoded anew", "BAKERY &amp; SONS"):
        assert words in text
    for words in ("still sees text there", "seen in 2 places", "3 places looked like text", "2 more are in the table"):
        assert words in text
    assert not re.findall(r"(?:src|href)=\"(?!data:)", text)
    assert "http" not in text.replace("http-equiv", "")


def test_times_read_as_people_write_them():
    assert [clock(s) for s in (0, 59.96, 61.25, 3725.5)] == ["0:00.0", "1:00.0", "1:01.2", "1:02:05.5"]
