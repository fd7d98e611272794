"""From when until when a mark stands, and how strongly: measured in every frame, once its shape is known.

Letters that are half a picture are seen by the detector now and then only, and the scene drowns them; but who knows the
shape knows the step that each point of its outline would make in this very frame, if the mark were there. The median
of seen over expected is its strength: 1 with it, 0 without, in between while it fades.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from vtid.sdk import Frame

from . import layers
from .arrays import Floats, Plane
from .events import Event, Veil
from .geometry import cover
from .matte import expected, plateau
from .merging import differs
from .veil import matte_of, weight_of


class Witness:
    """One mark's outline."""

    def __init__(self, veil: Veil) -> None:
        matte = matte_of(veil)
        self._alpha, self._colour = plateau(matte), veil.colour[0]
        core = matte > self._alpha / 2
        inside, outside = [], []
        for axis in (0, 1):
            change = np.diff(core.astype(np.int8), axis=axis)
            before = list(np.nonzero(change))
            sign = change[tuple(before)]
            # A pixel farther off on both sides: the outline itself is soft.
            ends = [[*before], [*before]]
            ends[0][axis] = np.maximum(before[axis] - 1, 0)
            ends[1][axis] = np.minimum(before[axis] + 2, core.shape[axis] - 1)
            low, high = (np.ravel_multi_index(e, core.shape) for e in ends)
            inside.append(np.where(sign > 0, high, low))
            outside.append(np.where(sign > 0, low, high))
        self._inside, self._outside = np.concatenate(inside), np.concatenate(outside)

    def strength(self, luma: Plane) -> float | None:
        """In a crop of the veil's box; None where it could not be seen if it were there."""
        level = np.abs(luma.astype(np.float32).ravel() - np.float32(self._colour))
        here, beside = level[self._inside], level[self._outside]
        would = expected(beside, self._alpha)
        usual = float(np.median(would))
        if usual < layers.LAST_SEEN:
            return None
        noise = np.float32(layers.MARK_NOISE)
        return float(np.median(np.log((beside + noise) / (here + noise)))) / usual


class Lasting:
    """Fed every frame of the film, it says for every mark when it is there."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._marks = [(e, e.veil, Witness(e.veil)) for e in events if e.veil is not None and e.veil.alone]
        self._seen: list[list[float]] = [[] for _ in self._marks]

    @property
    def wanted(self) -> bool:
        """Whether there is any mark to watch for."""
        return bool(self._marks)

    def feed(self, frame: Frame) -> None:
        """The next frame, from the film's first on."""
        for (_, veil, witness), seen in zip(self._marks, self._seen, strict=True):
            strength = witness.strength(frame.luma(veil.box))
            seen.append(np.nan if strength is None else strength)

    def finish(self, events: Sequence[Event]) -> list[Event]:
        """After the last frame: the events with each mark over all its time, and once only."""
        marks: list[Event] = []
        found = sorted(zip(self._marks, self._seen, strict=True), key=lambda m: -weight_of(m[0][1]))
        for (event, veil, _), seen in found:
            for start, end, faint in stretches(np.array(seen, np.float32)):
                one = _lasting(event, veil, start, end, faint)
                if not _among(one, marks):
                    marks.append(one)
        rest = [e for e in events if not any(e is mark for mark, _, _ in self._marks)]
        out = [e for e in rest if e.erasure or not _among(e, marks)]
        return sorted([*out, *marks], key=lambda e: (e.start, e.box))


def _among(event: Event, marks: Sequence[Event]) -> bool:
    """Whether it is a piece of one of these, in space and in time."""
    return any(
        m.start <= event.start
        and event.end <= m.end
        and cover(event.box, m.reach) > layers.MARK_SAME
        and not differs(event, m)
        for m in marks
    )


def _lasting(event: Event, veil: Veil, start: int, end: int, faint: dict[int, float]) -> Event:
    """That event over that time."""
    here = replace(veil, start=start, end=end, faint=faint)
    return replace(event, start=start, end=end, core_start=start, core_end=end, veil=here)


def stretches(strength: Floats) -> list[tuple[int, int, dict[int, float]]]:
    """When a mark is there: first frame, one past the last, and its strength in the frames where that is not 1.

    Args:
        strength: per frame; NaN where it cannot be seen, which is then as before, or as after.
    """
    known = np.flatnonzero(~np.isnan(strength))
    if not known.size:
        return []
    filled = strength[known[np.maximum(np.searchsorted(known, np.arange(len(strength)), "right") - 1, 0)]]
    # Single frames err where the scene's own edges run along the mark's.
    wide = np.pad(filled, 2, mode="edge")
    smooth = np.median(np.stack([wide[i : i + len(filled)] for i in range(5)]), 0)
    there = np.maximum(smooth, np.minimum(filled, 1)) > layers.LAST_LEAST
    if not there.any():
        return []
    full = layers.LAST_FULL * min(1.0, float(np.median(filled[there])))  # thin strokes never reach what is expected
    edges = np.flatnonzero(np.diff(np.concatenate([[0], there.astype(np.int8), [0]])))
    spans = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return [_with_fades(filled, a, b, full) for a, b in spans if (smooth[a:b] > full).any()]


def _with_fades(strength: Floats, start: int, end: int, full: float) -> tuple[int, int, dict[int, float]]:
    """The stretch with the last of its fades, and their strengths: those that rise to full, or fall from it."""
    inside = np.flatnonzero(strength[start:end] > full) + start
    first, last = int(inside[0]), int(inside[-1]) + 1
    # The film's first frame and its last begin and end nothing.
    rises = range(first - 1, -1, -1) if start > 0 else range(0)
    falls = range(last, len(strength)) if end < len(strength) else range(0)
    faint: dict[int, float] = {}
    for ramp in (rises, falls):
        before = full
        for n in ramp:
            if not layers.LAST_FAINT < strength[n] < before:
                break
            before = float(strength[n])
            faint[n] = before * layers.LAST_FULL / full
    return min([start, *faint]), max([end - 1, *faint]) + 1, faint
