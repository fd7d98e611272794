"""Frames that are kept as sources for what comes much later: which, and how much of them."""

from __future__ import annotations

import numpy as np
import pytest

from vtid_inpaint_local import tuning
from vtid_inpaint_local.composite import Composite
from vtid_inpaint_local.events import Event, Findings
from vtid_inpaint_local.follow import named
from vtid_inpaint_local.geometry import Turn
from vtid_inpaint_local.kernels import Crops, Sources
from vtid_inpaint_local.patch import Patch
from vtid_inpaint_local.zones import Zones

from .conftest import ArrayFrame, burn, letters, pan, text_box


@pytest.mark.parametrize("frames", [[], [-1, -1], [0], [7, -1, 7, 12, 9], [-1, 100000, 3]])
def test_frames_that_are_named(frames):
    assert named(np.array(frames, np.int32)) == sorted({n for n in frames if n >= 0})


def painted(film, monkeypatch, trim):
    """A film with a text over most of it, painted; and the sizes of what was kept of single frames."""
    sizes = []

    def trimmed(patch, box):
        if trim:
            whole(patch, box)
        sizes.append((patch.pixels.size, patch.hole.size))

    whole = Patch.trim
    monkeypatch.setattr(Patch, "trim", trimmed)
    hole = letters()[1] > 0.05
    events = [Event(text_box(), 20, 100, 20, 100, (0, 0, 320, 160), np.packbits(hole).tobytes())]
    edit = Composite(Findings(events, set(), []), Zones([], Turn(0, 320, 160)), 320, 160)
    return [frame.pixels for frame in edit(ArrayFrame(pixels.copy(), n) for n, pixels in enumerate(film))], sizes


@pytest.mark.parametrize("speed", [0.0, 0.5, 3.0])
def test_old_sources_are_kept_in_part_and_nothing_is_lost_by_it(speed, monkeypatch):
    film = [burn(p) if 20 <= n < 100 else p for n, p in enumerate(pan(120, speed=speed))]
    with monkeypatch.context() as patched:
        all_of_it, _ = painted(film, patched, trim=False)
    parts, sizes = painted(film, monkeypatch, trim=True)
    assert all((a == b).all() for a, b in zip(all_of_it, parts, strict=True))
    if speed == 0.0:
        assert sizes, "what lies behind was seen before the text came"


def test_a_part_is_asked_as_the_whole_was():
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    patch = Patch(pixels, np.zeros((40, 60), bool))
    patch.retire()
    patch.trim((10, 5, 50, 30))
    y, x = np.array([5, 29, 17]), np.array([10, 49, 23])
    kept = Sources(Crops({7: patch.crop()}), np.full(3, 7, np.int32), x.astype(np.float32), y.astype(np.float32))
    np.testing.assert_array_equal(kept.values().T, pixels[y, x])
    assert (patch.left, patch.top, patch.trimmed) == (10, 5, True)
    assert tuning.SOURCE_PX > tuning.ALIGN_MOST
