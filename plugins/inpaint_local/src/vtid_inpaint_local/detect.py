"""Finding text in a picture: one small interface, the detectors behind it, and what every one of them needs around it.

RapidOCR carries its models and works offline; on a CPU it is some twenty times faster than EasyOCR at the same input
size. EasyOCR is there for those who have it. A network that the operator added is the third.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from vtid.sdk import MODEL_PREFIX, Box, Models, NeedsAttention

from . import tuning
from .arrays import Pixels
from .models import TEXT_DETECTOR


class Found(NamedTuple):
    """One line of text that a detector sees."""

    box: tuple[float, float, float, float]
    score: float


class Detector(Protocol):
    """Sees text in an upright BGR picture."""

    name: str

    def boxes(self, bgr: Pixels) -> list[Found]:
        """Where it sees text, in pixels of the picture given."""

    def read(self, bgr: Pixels) -> tuple[str, float] | None:
        """What a crop of one line says and how sure that is; None where this detector cannot read."""


def bounds(quad: Any) -> tuple[float, float, float, float]:
    """The box around a polygon: x0, y0, x1, y1."""
    points = np.asarray(quad, np.float64).reshape(-1, 2)
    (x0, y0), (x1, y1) = points.min(0), points.max(0)
    return float(x0), float(y0), float(x1), float(y1)


def importable() -> list[str]:
    """The detectors that are installed. Quick: imports none."""
    wanted = {"rapidocr": ("rapidocr", "onnxruntime"), "easyocr": ("easyocr", "torch")}
    return [name for name, parts in wanted.items() if all(importlib.util.find_spec(part) for part in parts)]


def choose(name: str, *, threads: int, model_dir: Path | None, models: Models) -> Detector:
    """The detector of that name, ready to look.

    Args:
        name: `auto` for the first that is installed, `rapidocr`, `easyocr`, or `model:NAME`.
        threads: that it may use.
        model_dir: where EasyOCR's weights lie.
        models: that the operator added.

    Raises:
        InvalidInput: there is no such model.
        NeedsAttention: it is not installed, or cannot be used.
    """
    there = importable()
    if name.startswith(MODEL_PREFIX):
        from .dbnet import DbNet  # noqa: PLC0415

        model = models.get(name.removeprefix(MODEL_PREFIX), TEXT_DETECTOR)
        return DbNet(model, threads=threads, reader=_reader(there, threads))
    if name == "auto":
        if not there:
            raise NeedsAttention("No text detector is installed: install rapidocr and onnxruntime.")
        name = there[0]
    if name not in there:
        raise NeedsAttention(f'The detector "{name}" is not installed; installed: {", ".join(there) or "none"}.')
    if name == "rapidocr":
        from .rapid import RapidOcr  # noqa: PLC0415

        return RapidOcr(threads=threads)
    from .easy import EasyOcr  # noqa: PLC0415

    return EasyOcr(threads=threads, model_dir=model_dir, reader=_reader(there, threads))


def _reader(there: Sequence[str], threads: int) -> Detector | None:
    """What reads for detectors that cannot; of RapidOCR only the recogniser is loaded for it."""
    if "rapidocr" not in there:
        return None
    from .rapid import RapidOcr  # noqa: PLC0415

    return RapidOcr(threads=threads)


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


def plausible(box: Box, width: int, height: int) -> bool:
    """Whether a box of the picture as shown can be a line of text over the picture."""
    w, h = box[2] - box[0], box[3] - box[1]
    size = min(w, h)
    upright = w >= tuning.MIN_ASPECT * h or h >= 2 * w  # a row, or a column as East Asian scripts have it
    return size >= tuning.MIN_TEXT_PX and size <= tuning.MAX_TEXT_SHARE * min(width, height) and upright


def boxes_of(found: Sequence[Found], score: float = tuning.MIN_SCORE) -> list[Found]:
    """Those that the detector itself believes in."""
    return [f for f in found if f.score >= score]
