"""PP-OCR's networks as RapidOCR runs them, to the same boxes and texts, without RapidOCR around them.

To import it takes 0.4 s of a processor and 30 MB. What it does with its networks is little: the picture is brought to a
size that they take, and to numbers around zero; lines are taken from the map of probabilities (Liao et al., Real-time
scene text detection with differentiable binarization, 2020), characters from the chances of each column (Graves et al.,
Connectionist temporal classification, 2006).

(Of RapidOCR 3.10 the scores of several lines stand in another order than the boxes; here they go together.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from math import ceil
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
_LEAST_SIDE, _MOST_SIDE, _LONG = 30, 2000, 8
"""Smaller and larger sides are scaled; pictures so many times as long as high are framed."""
_READ_PX, _READ_LEAST = 48, 320 / 48
"""Height at which lines are read, and how many times longer what is shown is at least."""
_LEAST_PX = 3
"""Lines that are no longer or no higher are noise."""
_SAME_LINE_PX = 10
"""Boxes whose tops are no further apart are read from left to right."""


def model_file(kind: str) -> Path | None:
    """The network of a kind, `det` or `rec`, that RapidOCR brings; None where it brings none or several."""
    package = find_spec("rapidocr")
    if package is None or package.origin is None:
        return None
    files = sorted(Path(package.origin).with_name("models").glob(f"PP-OCRv*_{kind}_*.onnx"))
    return files[0] if len(files) == 1 else None


def boxes(network: Network, bgr: Pixels, side: int) -> list[Found]:
    """Lines of text, from above to below.

    Args:
        network: of PP-OCR, that detects.
        bgr: as it is; low and long pictures are framed in black, as lines are found that way.
        side: pixels of the longer side that the network is shown at most.
    """
    h, w = bgr.shape[:2]
    bounded = _bounded(bgr)
    height, width = bounded.shape[:2]
    frame = 0
    if height <= _LEAST_SIDE or width / height > _LONG:
        frame = abs(max(int(width / _LONG), _LEAST_SIDE) * 2 - height) // 2
        bounded = cv2.copyMakeBorder(bounded, frame, frame, 0, 0, cv2.BORDER_CONSTANT)
    out = []
    for (x0, y0, x1, y1), score in _found(network, bounded, side):
        across, down = w / width, h / height
        x, y = (np.clip([v * across for v in (x0, x1)], 0, w), np.clip([(v - frame) * down for v in (y0, y1)], 0, h))
        out.append(Found((float(x[0]), float(y[0]), float(x[1]), float(y[1])), score))
    return out


def characters(network: Network) -> list[str] | None:
    """What each number that a network of PP-OCR gives stands for, as its file tells; None where it does not.

    They are many thousands: to be asked once.
    """
    told = network.metadata.get("character")
    return None if told is None else ["", *told.splitlines(), " "]


def read(network: Network, alphabet: Sequence[str], bgr: Pixels) -> tuple[str, float]:
    """What a crop of one line says, and how sure that is.

    Args:
        network: of PP-OCR, that reads.
        alphabet: its `characters`.
        bgr: of any size.
    """
    bounded = _bounded(bgr)
    h, w = bounded.shape[:2]
    width = int(_READ_PX * max(_READ_LEAST, w / h))
    fitted = cv2.resize(bounded, (min(width, ceil(_READ_PX * w / h)), _READ_PX))
    given = np.zeros((1, 3, _READ_PX, width), np.float32)
    given[0, :, :, : fitted.shape[1]] = (fitted.astype(np.float32).transpose(2, 0, 1) / 255 - 0.5) / 0.5
    chances = network.run(given)[0]
    best = chances.argmax(1)
    taken = best != 0  # 0 stands for no character
    taken[1:] &= best[1:] != best[:-1]
    text = "".join(alphabet[one] for one in best[taken])
    return text.strip(), float(chances.max(1)[taken].mean()) if text else 0.0


def _bounded(bgr: Pixels) -> Pixels:
    """A picture no larger and no smaller than RapidOCR lets through."""
    least, most = min(bgr.shape[:2]), max(bgr.shape[:2])
    scale = _MOST_SIDE / most if most > _MOST_SIDE else max(1.0, _LEAST_SIDE / least)
    return bgr if scale == 1 else np.asarray(cv2.resize(bgr, _stepped(bgr, scale)))


def _stepped(bgr: Pixels, scale: float) -> tuple[int, int]:
    """Width and height of a picture brought to a scale, as networks take them."""
    height, width = (max(_STEP, round(int(side * scale) / _STEP) * _STEP) for side in bgr.shape[:2])
    return width, height


def _found(network: Network, bgr: Pixels, side: int) -> list[Found]:
    h, w = bgr.shape[:2]
    fitted = cv2.resize(bgr, _stepped(bgr, min(1.0, side / max(h, w))))
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
