"""Where shots begin."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vtid.domain.previewing import Progress, Shot
from vtid.media.decode import frames
from vtid.media.previews.timing import timing

WIDTH, HEIGHT = 64, 36
WINDOW = 2
"""Frames on either side whose change is the usual one there."""
RATIO = 3.0
LEAST = 12.0
"""Of a cut: how many times the usual change, and how much at least, in levels."""
SHORTEST = 3
"""Frames: of two cuts nearer to each other, the greater counts. It is what keeps flashes from being shots."""


def shots(path: Path, threads: int, progress: Progress) -> list[Shot]:
    """See `vtid.sdk.Previewing.shots`.

    The change from frame to frame is the mean difference of hue, saturation and value at 64×36; a cut is one that
    stands out of its neighbours by a factor, so that fast camera moves are none. That is the adaptive detector of
    PySceneDetect (https://www.scenedetect.com/docs/latest/api/detectors.html), whose thresholds these are, nearly.
    """
    length = timing(path, threads).duration_s
    times: list[float] = []
    change: list[float] = []
    before: NDArray[np.float32] | None = None
    for frame in frames(path, threads=threads):
        thumb = cv2.resize(frame.bgr(4 * WIDTH), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        now = cv2.cvtColor(thumb, cv2.COLOR_BGR2HSV).astype(np.float32)
        change.append(0.0 if before is None else _difference(before, now))
        times.append(frame.time_s)
        before = now
        progress(min(1.0, frame.time_s / length) if length else 0.0)
    bounds = [0, *cuts(np.asarray(change)), len(times)]
    ends = [*times, max(length, times[-1])]
    return [
        Shot(round(ends[first], 6), round(ends[last], 6), first, last, round(change[first], 2))
        for first, last in pairwise(bounds)
    ]


def _difference(before: NDArray[np.float32], now: NDArray[np.float32]) -> float:
    """Mean over pixels and channels; hue is a circle of 180."""
    apart = np.abs(now - before)
    apart[..., 0] = np.minimum(apart[..., 0], 180 - apart[..., 0])
    return float(apart.mean())


def cuts(change: NDArray[np.float64]) -> list[int]:
    """The frames at which a shot begins, by how much each frame differs from the one before."""
    found: list[int] = []
    for at in np.flatnonzero(change >= LEAST):
        around = np.concatenate((change[max(1, at - WINDOW) : at], change[at + 1 : at + 1 + WINDOW]))
        if around.size and change[at] < RATIO * max(1.0, float(around.mean())):
            continue
        if found and at - found[-1] < SHORTEST:
            if change[at] > change[found[-1]]:
                found[-1] = int(at)
            continue
        found.append(int(at))
    return found
