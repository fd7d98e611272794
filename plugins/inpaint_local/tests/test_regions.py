"""What a region has stay of a text, at one side or for some time: not painted, not copied, and not complained of."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

import vtid_inpaint_local.remove as removal
from vtid.sdk import Coordinates, Region, RegionType, Video
from vtid_inpaint_local.detect import Found
from vtid_inpaint_local.params import Inputs, Params
from vtid_inpaint_local.step import Remove

from .conftest import ListMedia, burn, letters, pan
from .test_parts import Seer


class Keen(Seer):
    """Sees letters in crops too, wherever they are."""

    def boxes(self, bgr):
        ys, xs = np.nonzero(bgr.min(2) > 225)
        return [Found((xs.min() - 2, ys.min() - 2, xs.max() + 3, ys.max() + 3), 0.9)] if xs.size > 40 else []


@pytest.fixture
def run(context, tmp_path, monkeypatch):
    monkeypatch.setattr(removal, "choose", lambda *_, **__: Keen())

    def run(film, *regions):
        path = tmp_path / "film.mp4"
        media = ListMedia({path: film})
        out = Remove().run(context(media, threads=2), Params(regions=list(regions)), Inputs(Video(path)))
        msgspec.to_builtins(out.report)  # as it leaves the step's process
        return media.films[out.video.path], out.report

    return run


def test_a_text_that_goes_for_some_of_its_time_leaves_no_ghost_and_no_complaint(run):
    clean = pan(60, speed=0.5)
    film = [burn(p) for p in clean]
    result, report = run(film, Region(RegionType.TEXT, Coordinates(0, 0.5, 1, 0.5), 0.8, 1.6))
    goes = range(20, 40)
    assert [n for n in range(60) if not np.array_equal(result[n], film[n])] == list(goes)
    strokes = letters()[0] > 0.5
    for number in goes:  # what is left of white letters would be brighter than the scene on the whole
        assert (result[number].astype(int) - clean[number])[strokes][:, 0].mean() < 8
    (event,) = report.events
    assert (event.start_s, event.end_s) == pytest.approx((0.8, 1.6))
    assert event.partly
    assert (event.still_seen, report.residual, report.second_try) == (0, 0, False)
    assert "Of 1 of them a part stays" in report.summary


def test_the_half_of_a_text_that_is_protected_is_no_residue(run):
    clean = pan(40, speed=2.0)
    film = [burn(p) for p in clean]
    result, report = run(film, Region(RegionType.PROTECTION, Coordinates(0, 0, 0.45, 1)))
    assert all(np.array_equal(a[:, :144], b[:, :144]) for a, b in zip(result, film, strict=True))
    (event,) = report.events
    assert event.partly
    assert (report.residual, report.second_try) == (0, False)


def test_without_such_a_region_what_is_left_of_a_text_is_a_residue(run, monkeypatch):
    monkeypatch.setattr(removal.spans.Composite, "_fill", lambda *_: None)  # nothing is painted
    _, report = run([burn(p) for p in pan(40, speed=2.0)], Region(RegionType.TEXT, Coordinates(0, 0.5, 1, 0.5)))
    assert (report.residual, report.events[0].partly) == (1, False)
