"""PP-OCR's text detector as RapidOCR runs it, to the same boxes, without RapidOCR around it.

(Of RapidOCR 3.10 the scores of several lines stand in another order than the boxes; here they go together.)

To import RapidOCR takes 0.4 s of a processor and 30 MB, of which a film without text needs nothing. What it does with
its detector is little: the picture is brought to multiples of 32 pixels and to numbers around zero, and lines are taken
from the map of probabilities (Liao et al., Real-time scene text detection with differentiable binarization, 2020).
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pyclipper
from numpy.typing import NDArray

from . import tuning
from .arrays import Floats, Pixels
from .detect import Found, bounds
from .network import Network

_STEP = 32
"""Pixels of which the network takes multiples."""
_LEAST_PX = 3
"""Lines that are no longer or no higher are noise."""
_SAME_LINE_PX = 10
"""Boxes whose tops are no further apart are read from left to right."""


def model_file() -> Path | None:
    """The detector that RapidOCR brings; None where it brings none or several, and its own settings choose."""
    package = find_spec("rapidocr")
    if package is None or package.origin is None:
        return None
    files = sorted(Path(package.origin).with_name("models").glob("PP-OCRv*_det_*.onnx"))
    return files[0] if len(files) == 1 else None


def boxes(network: Network, bgr: Pixels) -> list[Found]:
    """Lines of text, from above to below.

    Args:
        network: of PP-OCR.
        bgr: shown to it at its own size, but for the rounding to what it takes.
    """
    h, w = bgr.shape[:2]
    fitted = cv2.resize(bgr, (round(w / _STEP) * _STEP, round(h / _STEP) * _STEP))
    given = fitted * np.float32(2 / 255) - np.float32(1)
    chances = network.run(np.asarray(given, np.float32).transpose(2, 0, 1)[None])[0, 0]
    found = [(quad, score) for quad, score in _quads(chances, w, h) if _is_larger_than_noise(quad)]
    found.sort(key=lambda one: float(one[0][0, 1]))
    tops = np.array([quad[0, 1] for quad, _ in found])
    rows = np.concatenate([[0], np.cumsum(np.diff(tops) >= _SAME_LINE_PX)]) if found else tops
    order = np.lexsort(([quad[0, 0] for quad, _ in found], rows)) if found else ()
    return [Found(bounds(found[number][0]), found[number][1]) for number in order]


def _quads(chances: Floats, width: int, height: int) -> Iterator[tuple[NDArray[np.float32], float]]:
    """Corners of lines in a picture of this size, clockwise from the upper left, and how sure each is."""
    patches = cv2.dilate((chances > tuning.DB_CHANCE).astype(np.uint8) * 255, np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(patches, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    down, across = chances.shape
    for contour in contours:
        rectangle = cv2.minAreaRect(contour)
        if min(rectangle[1]) < tuning.DB_MIN_PX:
            continue
        corners = np.asarray(cv2.boxPoints(rectangle), np.float32)
        score = _score(chances, corners)
        if score < tuning.DB_SCORE:
            continue
        grown = cv2.minAreaRect(_grown(corners))
        if min(grown[1]) < tuning.DB_MIN_PX + 2:
            continue
        points = np.round(cv2.boxPoints(grown) / (across, down) * (width, height))
        yield _clockwise(np.clip(points, 0, (width - 1, height - 1)).astype(np.float32)), score


def _score(chances: Floats, corners: NDArray[np.float32]) -> float:
    """The mean probability inside."""
    low = np.clip(np.floor(corners.min(0)), 0, (chances.shape[1] - 1, chances.shape[0] - 1)).astype(int)
    high = np.clip(np.ceil(corners.max(0)), 0, (chances.shape[1] - 1, chances.shape[0] - 1)).astype(int)
    inside = np.zeros((high[1] - low[1] + 1, high[0] - low[0] + 1), np.uint8)
    cv2.fillPoly(inside, [(corners - low).astype(np.int32)], 1)
    return float(cv2.mean(chances[low[1] : high[1] + 1, low[0] : high[0] + 1], inside)[0])


def _grown(corners: NDArray[np.float32]) -> NDArray[np.int32]:
    """The rectangle grown back by as much as lines are shrunk for training, its corners round."""
    sides = np.linalg.norm(corners - np.roll(corners, 1, 0), axis=1)
    area, perimeter = float(sides[0] * sides[1]), float(sides.sum())
    offset = pyclipper.PyclipperOffset()
    offset.AddPath(corners, pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    return np.array(offset.Execute(area * tuning.DB_GROW / perimeter), np.int32).reshape(-1, 1, 2)


def _clockwise(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Upper left, upper right, lower right, lower left."""
    by_x = points[np.argsort(points[:, 0])]
    left, right = by_x[:2], by_x[2:]
    (tl, bl), (tr, br) = left[np.argsort(left[:, 1])], right[np.argsort(right[:, 1])]
    return np.array([tl, tr, br, bl], np.float32)


def _is_larger_than_noise(quad: NDArray[np.float32]) -> bool:
    return int(np.linalg.norm(quad[0] - quad[1])) > _LEAST_PX and int(np.linalg.norm(quad[0] - quad[3])) > _LEAST_PX
