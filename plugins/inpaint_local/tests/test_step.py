"""The step as a whole: with a detector that is told what to see, and once with everything real."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

import vtid_inpaint_local
import vtid_inpaint_local.remove as removal
from vtid.media import PyAVMedia
from vtid.media.synth import Subtitle, draw_clip
from vtid.sdk import Coordinates, InvalidInput, Region, RegionType, StepError, Video
from vtid_inpaint_local.asked import whole_picture_erased
from vtid_inpaint_local.geometry import Turn
from vtid_inpaint_local.params import Inputs, Params, Settings
from vtid_inpaint_local.step import Preview, Remove
from vtid_inpaint_local.zones import Zones

from .conftest import ListMedia, burn, letters, pan, text_box
from .test_parts import Seer


@pytest.fixture
def seer(monkeypatch):
    one = Seer()
    monkeypatch.setattr(removal, "choose", lambda *_, **__: one)
    return one


def run(context, film, tmp_path, params=None, **more):
    path = tmp_path / "film.mp4"
    media = ListMedia({path: film}, **more)
    ctx = context(media, threads=2)
    out = Remove().run(ctx, params or Params(), Inputs(Video(path)))
    return out, media, path, ctx


def test_text_goes_and_the_rest_stays(seer, context, tmp_path):
    clean = pan(50, speed=2.0)
    film = [burn(p) if 10 <= i < 40 else p for i, p in enumerate(clean)]
    out, media, _, ctx = run(context, film, tmp_path)
    result = media.films[out.video.path]
    report = out.report
    assert len(result) == 50
    assert (report.unchanged, report.frames, report.frames_touched, report.residual) == (False, 50, 30, 0)
    (event,) = report.events
    assert (event.start_s, event.end_s, event.text) == (0.4, 1.6, "Hello there")
    text = letters()[1] > 0.05
    for i in (5, 20, 30, 45):
        assert np.abs(result[i].astype(int) - clean[i])[text].mean() < 6
    assert np.array_equal(result[5], film[5])
    assert np.array_equal(result[20][:70], film[20][:70])
    assert ctx._link.fractions == sorted(ctx._link.fractions)
    assert "removed" in report.summary


def test_without_text_the_very_same_video_comes_back(seer, context, tmp_path):
    out, media, path, _ = run(context, pan(30), tmp_path)
    assert out.video.path == path
    assert out.report.unchanged
    assert "unchanged" in out.report.summary
    assert list(media.films) == [path]


def test_what_is_left_is_said(seer, context, tmp_path, monkeypatch):
    monkeypatch.setattr(removal, "still_seen", lambda *_: {0: 2})
    out, *_ = run(context, [burn(p) for p in pan(30)], tmp_path)
    assert out.report.residual == 1
    assert out.report.second_try
    assert out.report.events[0].still_seen == 2
    assert "still sees text in 1 of the 1" in out.report.summary


def test_an_erasure_region_needs_no_detector(context, tmp_path):
    region = Region(RegionType.ERASURE, Coordinates(0.25, 0.25, 0.25, 0.25), 0.4, 0.8)
    film = pan(40, speed=2.0)
    out, media, *_ = run(context, film, tmp_path, Params(regions=[region], find_text=False))
    result = media.films[out.video.path]
    same = np.array([np.array_equal(a, b) for a, b in zip(result, film, strict=True)])
    assert list(np.flatnonzero(~same)) == list(range(10, 20))
    assert out.report.events[0].kind == "erasure"
    outside = np.ones((160, 320), bool)
    outside[40:80, 80:160] = False
    assert all(np.array_equal(a[outside], b[outside]) for a, b in zip(result, film, strict=True))


def test_what_would_do_nothing_is_refused(context, tmp_path):
    with pytest.raises(InvalidInput, match="nothing would be done") as caught:
        run(context, pan(30), tmp_path, Params(find_text=False))
    assert caught.value.problems[0].field == "find_text"


def erasure(x, y, width, height, start=0.0, end=None):
    return Region(RegionType.ERASURE, Coordinates(x, y, width, height), start, end)


@pytest.mark.parametrize(
    "regions",
    [
        [erasure(0, 0, 1, 1)],
        [erasure(0, 0, 1, 0.6), erasure(0, 0.4, 1, 0.6)],
        [erasure(0, 0, 1, 0.5, end=0.8), erasure(0, 0.5, 1, 0.5, 0.4)],
    ],
)
def test_erasing_the_whole_picture_is_refused(context, tmp_path, regions):
    with pytest.raises(InvalidInput, match="cover the whole picture at 0"):
        run(context, pan(30), tmp_path, Params(regions=regions))


@pytest.mark.parametrize(
    "regions",
    [
        [erasure(0, 0, 1, 0.6), erasure(0, 0, 1, 0.6)],
        [erasure(0, 0, 1, 0.5, end=0.4), erasure(0, 0.5, 1, 0.5, 0.4)],
        [erasure(0, 0, 1, 1), Region(RegionType.PROTECTION, Coordinates(0.2, 0.2, 0.1, 0.1))],
    ],
)
def test_erasing_most_of_the_picture_is_let_through(regions):
    turn = Turn(0, 320, 160)
    assert whole_picture_erased(Zones(regions, turn), turn) is None


def test_a_protected_half_is_never_painted(seer, context, tmp_path):
    region = Region(RegionType.PROTECTION, Coordinates(0.0, 0.0, 0.5, 1.0))
    film = [burn(p) for p in pan(30, speed=2.0)]
    out, media, *_ = run(context, film, tmp_path, Params(regions=[region], verify=False))
    for got, was in zip(media.films[out.video.path], film, strict=True):
        assert np.array_equal(got[:, :160], was[:, :160])
        assert not np.array_equal(got[:, 160:], was[:, 160:])
    assert "not checked" in out.report.summary


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_pictures_are_looked_at_upright(seer, context, tmp_path, turns):
    clean = pan(30, speed=2.0)
    film = [np.ascontiguousarray(np.rot90(burn(p), -turns)) for p in clean]
    out, media, *_ = run(context, film, tmp_path, rotation=90 * turns)
    at = out.report.events[0].at
    x0, y0, *_ = text_box()
    assert (at.x * 320, at.y * 160) == pytest.approx((x0, y0), abs=2)
    got = np.rot90(media.films[out.video.path][15], turns)
    assert np.abs(got.astype(int) - clean[15])[letters()[1] > 0.05].mean() < 12


def test_regions_are_checked_against_the_picture_as_shown(tmp_path):
    path = tmp_path / "film.mp4"
    info = ListMedia({path: pan(30)}, rotation=90).probe(path)
    fits = Region(RegionType.TEXT, Coordinates(10, 200, 100, 100))
    beyond = Region(RegionType.TEXT, Coordinates(200, 10, 100, 100))
    assert not Remove().check(Params(regions=[fits]), {"video": info})
    (problem,) = Remove().check(Params(regions=[beyond]), {"video": info})
    assert problem.field == "regions[0].coordinates"


def test_no_picture_no_work(context, tmp_path):
    path = tmp_path / "x.mp4"
    media = ListMedia({path: pan(1)})
    info = media.probe(path)
    with pytest.raises(StepError):
        Remove().run(context(media), Params(), Inputs(Video(path, info=type(info)("mp4", 1, 1.0))))


def test_readiness(monkeypatch):
    assert vtid_inpaint_local.vtid_not_ready(Settings()) is None
    monkeypatch.setattr(vtid_inpaint_local, "_installed", lambda name: name == "cv2")
    assert "rapidocr" in vtid_inpaint_local.vtid_not_ready(Settings())
    assert vtid_inpaint_local.vtid_steps() == [Remove, Preview]
    assert vtid_inpaint_local.vtid_settings() is Settings


def test_a_real_clip_from_end_to_end(context, tmp_path):
    path = tmp_path / "clip.mp4"
    lines = [Subtitle("Nobody was there", 0.4, 1.4), Subtitle("Look, the moon", 1.6, 2.4, fade_s=0.2)]
    draw_clip(path, seconds=2.8, subtitles=lines, seed=3)
    media = PyAVMedia()
    before = media.probe(path)
    out = Remove().run(context(media, threads=2), Params(), Inputs(Video(path, info=before)))
    after = media.probe(out.video.path)
    assert len(out.report.events) >= 2
    assert out.report.residual == 0
    assert out.report.frames == 70
    assert sum(1 for _ in media.frames(out.video.path)) == 70
    assert len(after.audio) == len(before.audio)
    assert after.duration_s == pytest.approx(before.duration_s, abs=0.03)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_film_of_a_few_frames_is_rid_of_its_text_too(seer, context, tmp_path, count):
    foot = {"text": "Hello there", "at": (98, 146), "scale": 0.8}
    seer.boxes_ = (text_box(**foot),)
    film = [burn(p, **foot) for p in pan(count)]
    out, media, *_ = run(context, film, tmp_path)
    assert (len(out.report.events), out.report.moving, out.report.residual) == (1, 0, 0)
    for got, was in zip(media.films[out.video.path], film, strict=True):
        assert (got[letters(**foot)[0] > 0.5][:, 0] < 200).mean() > 0.95
        assert np.array_equal(got[:80], was[:80])


def test_streams_that_the_result_cannot_hold_are_said(seer, context, tmp_path, monkeypatch):
    join = ListMedia.join
    lost = {"dropped": ("stream 3 (timed text) does not go into MP4",)}
    monkeypatch.setattr(ListMedia, "join", lambda *a: msgspec.structs.replace(join(*a), **lost))
    out, *_ = run(context, [burn(p) for p in pan(30)], tmp_path)
    assert out.report.dropped == list(lost["dropped"])
    assert out.report.summary.endswith("Not carried over: stream 3 (timed text) does not go into MP4.")
