"""Finding text in a picture: one small interface, and what every detector behind it needs around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from vtid.sdk import Box

from . import tuning
from .arrays import Pixels


class Found(NamedTuple):
    """One line of text that a detector sees."""

    box: tuple[float, float, float, float]
    score: float


class Detector(Protocol):
    """Sees text in an upright BGR picture. Is asked from several threads at once."""

    @property
    def name(self) -> str:
        """As a job asks for it."""

    def boxes(self, bgr: Pixels) -> list[Found]:
        """Where it sees text, in pixels of the picture given."""

    def read(self, bgr: Pixels) -> tuple[str, float] | None:
        """What a crop of one line says and how sure that is; None where this detector cannot read."""


class Coming:
    """A detector that a thread of its own loads, which takes most of a second; who needs it first waits for it.

    What loading it raises is raised there.
    """

    def __init__(self, load: Callable[[], Detector]) -> None:
        pool = ThreadPoolExecutor(1, "load")
        self._loaded = pool.submit(load)
        pool.shutdown(wait=False)

    @property
    def name(self) -> str:
        """See `Detector`."""
        return self._loaded.result().name

    def boxes(self, bgr: Pixels) -> list[Found]:
        """See `Detector`."""
        return self._loaded.result().boxes(bgr)

    def read(self, bgr: Pixels) -> tuple[str, float] | None:
        """See `Detector`."""
        return self._loaded.result().read(bgr)


def bounds(quad: Any) -> tuple[float, float, float, float]:
    """The box around a polygon: x0, y0, x1, y1."""
    points = np.asarray(quad, np.float64).reshape(-1, 2)
    (x0, y0), (x1, y1) = points.min(0), points.max(0)
    return float(x0), float(y0), float(x1), float(y1)


def look_closely(detector: Detector, bgr: Pixels, edge: int = 16) -> list[Found]:
    """Text in a small upright crop.

    With a replicated border, as detectors miss what touches the edge, and doubled where it is so low that its letters
    must be small.
    """
    zoom = 2 if bgr.shape[0] < 80 else 1
    framed = cv2.copyMakeBorder(bgr, edge, edge, edge, edge, cv2.BORDER_REPLICATE)
    if zoom > 1:
        framed = cv2.resize(framed, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    out = []
    for found in detector.boxes(framed):
        x0, y0, x1, y1 = (v / zoom - edge for v in found.box)
        out.append(Found((max(0.0, x0), max(0.0, y0), min(bgr.shape[1], x1), min(bgr.shape[0], y1)), found.score))
    return out


def plausible(box: Box, width: int, height: int, most: float = tuning.MAX_TEXT_SHARE) -> bool:
    """Whether a box of the picture as shown can be a line of text over the picture, no higher than a share of it."""
    w, h = box[2] - box[0], box[3] - box[1]
    size = min(w, h)
    upright = w >= tuning.MIN_ASPECT * h or h >= 2 * w  # a row, or a column as East Asian scripts have it
    return size >= tuning.MIN_TEXT_PX and size <= most * min(width, height) and upright


def boxes_of(found: Sequence[Found], score: float = tuning.MIN_SCORE) -> list[Found]:
    """Those that the detector itself believes in."""
    return [f for f in found if f.score >= score]
