"""The second pass in several processes: the same result, and no work left behind when it is stopped."""

from __future__ import annotations

import multiprocessing
import os
import threading

import numpy as np
import pytest

from vtid.media import PyAVMedia
from vtid.media.synth import draw_clip
from vtid.sdk import Coordinates, Region, RegionType, StepError
from vtid_inpaint_local import spans
from vtid_inpaint_local.ahead import ahead
from vtid_inpaint_local.events import Findings, erasure
from vtid_inpaint_local.geometry import Turn
from vtid_inpaint_local.zones import Zones

BOX = (40, 100, 120, 130)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    # In smaller pictures, x264 does not write the same bits every time.
    draw_clip(path, width=640, height=384, seconds=8, subtitles=[], seed=5)
    return path


def found():
    return Findings([erasure(BOX, 20, 45), erasure(BOX, 120, 150)], set(), [])


def planned(media, film, folder):
    one = found()
    stream = media.probe(film).video[0]
    zones = Zones([], Turn(0, stream.width, stream.height))
    touched, splits = spans.touched(one, zones), spans.splits(one, zones)
    plan = media.plan(film, folder / "out.mp4", touched, splits=splits, least_frames=50)
    return spans.Job(media, film, plan, zones, stream.width, stream.height, 0, plan.frames)


def render(job, folder, threads, progress=lambda _: None):
    folder.mkdir()
    return spans.render(job, found(), job.plan.rendered, folder, threads=threads, progress=progress)


def pictures(media, path):
    return [f.bgr() for f in media.frames(path)]


def test_how_many_work_at_it_does_not_show(film, tmp_path):
    media = PyAVMedia()
    job = planned(media, film, tmp_path)
    assert len(job.plan.rendered) >= 2
    results = []
    for threads in (1, 2):
        shares = []
        done = render(job, tmp_path / str(threads), threads, shares.append)
        target = tmp_path / f"{threads}.mp4"
        media.join(film, target, job.plan, [d.part for d in done])
        assert sum(d.touched for d in done) == 55
        assert shares == sorted(shares)
        results.append(pictures(media, target))
    assert len(results[0]) == job.plan.frames
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


def test_what_progress_raises_stops_the_processes(film, tmp_path):
    job = planned(PyAVMedia(), film, tmp_path)

    def stop(share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(job, tmp_path / "parts", 2, stop)
    assert not multiprocessing.active_children()


def test_ranges_and_splits():
    events = [erasure(BOX, 10, 20), erasure(BOX, 15, 30), erasure(BOX, 40, 50)]
    found, zones = Findings(events, {25}, []), Zones([], Turn(0, 640, 384))
    assert spans.touched(found, zones) == [(10, 30), (40, 50)]
    assert spans.splits(found, zones) == [10, 25, 30, 40, 50]
    assert spans.least_frames(100) < spans.least_frames(10**6)


def test_only_the_time_of_a_region_is_touched():
    def ranges(*regions):
        zones = Zones(list(regions), Turn(0, 640, 384))
        found = Findings([text, erasure(BOX, 60, 80)], set(), [n / 25 for n in range(200)])
        return spans.touched(found, zones)

    text = erasure(BOX, 100, 180)
    text.erasure = False
    half, whole = Coordinates(0, 0, 0.5, 1), Coordinates(0, 0, 1, 1)
    assert ranges() == [(60, 80), (100, 180)]
    assert ranges(Region(RegionType.TEXT, half, 5.0, 6.01)) == [(60, 80), (125, 151)]
    assert ranges(Region(RegionType.PROTECTION, whole, 2.8, 5.0)) == [(60, 70), (125, 180)]
    assert ranges(Region(RegionType.PROTECTION, Coordinates(0, 0, 0.1, 1), 2.8, 5.0)) == [(60, 80), (100, 180)]
    assert ranges(Region(RegionType.PROTECTION, whole)) == []


def test_working_ahead_gives_the_same_and_ends_with_whoever_asked():
    made = []

    def items():
        for i in range(100):
            made.append(i)
            yield i

    assert list(ahead(items(), 3)) == list(range(100))
    made.clear()
    some = ahead(items(), 3)
    assert next(some) == 0
    some.close()
    assert len(made) < 10
    assert not [t for t in threading.enumerate() if t.name == "ahead"]

    def broken():
        yield 1
        raise ValueError("here")

    some = ahead(broken(), 3)
    assert next(some) == 1
    with pytest.raises(ValueError, match="here"):
        next(some)


class Deadly(PyAVMedia):
    """Ends the process that renders with it."""

    def render(self, *_given, **_named):
        os._exit(9)


def test_a_process_that_dies_is_told_of(film, tmp_path):
    job = planned(PyAVMedia(), film, tmp_path)
    job.media = Deadly()
    with pytest.raises(StepError, match="died, most likely for want of memory"):
        render(job, tmp_path / "parts", 2)
    assert not multiprocessing.active_children()
