"""Finding text in a picture: one small interface, two detectors behind it.

RapidOCR carries its models and works offline; on a CPU it is some twenty times faster than EasyOCR at the same input
size. EasyOCR is there for those who have it, as a detector only, and never downloads: its weights must lie ready.
"""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from vtid.sdk import Box, NeedsAttention

from . import tuning
from .arrays import Pixels


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


class RapidOcr:
    """PP-OCR networks on ONNX Runtime, by way of RapidOCR."""

    name = "rapidocr"

    def __init__(self, *, threads: int, side: int = 960) -> None:
        from rapidocr import RapidOCR  # noqa: PLC0415 - 0.7 s, only when a step runs

        self._engine = RapidOCR(
            params={
                "Det.limit_type": "max",
                "Det.limit_side_len": side,
                "EngineConfig.onnxruntime.intra_op_num_threads": threads,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                "Global.log_level": "critical",
            }
        )

    def boxes(self, bgr: Pixels) -> list[Found]:
        """See `Detector`."""
        got: Any = self._engine(bgr, use_det=True, use_cls=False, use_rec=False)
        if got.boxes is None:
            return []
        scores = got.scores if got.scores is not None else [1.0] * len(got.boxes)
        return [Found(_bounds(quad), float(score)) for quad, score in zip(got.boxes, scores, strict=True)]

    def read(self, bgr: Pixels) -> tuple[str, float] | None:
        """See `Detector`."""
        got: Any = self._engine(bgr, use_det=False, use_cls=False, use_rec=True)
        return (str(got.txts[0]).strip(), float(got.scores[0])) if got.txts else ("", 0.0)


class EasyOcr:
    """The CRAFT network on PyTorch, by way of EasyOCR."""

    name = "easyocr"

    def __init__(self, *, threads: int, model_dir: Path | None, side: int = 960) -> None:
        self._side = side
        self._reader = _easyocr_reader(model_dir, threads)

    def boxes(self, bgr: Pixels) -> list[Found]:
        """See `Detector`."""
        level, free = self._reader.detect(bgr, canvas_size=self._side)
        flat = [(float(x0), float(y0), float(x1), float(y1)) for x0, x1, y0, y1 in level[0]]
        return [Found(box, 1.0) for box in [*flat, *(_bounds(np.asarray(quad)) for quad in free[0])]]

    def read(self, bgr: Pixels) -> tuple[str, float] | None:
        """Not with detection weights alone."""
        del bgr
        return None


def _easyocr_reader(model_dir: Path | None, threads: int) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of its own affairs while it is imported
            import easyocr  # noqa: PLC0415
            import torch  # noqa: PLC0415
    except (ImportError, RuntimeError) as error:
        raise NeedsAttention(
            f"The detector EasyOCR cannot be loaded ({error}). Install easyocr with torch and torchvision of the same "
            'build, or set detector = "rapidocr".'
        ) from error
    torch.set_num_threads(threads)
    logging.getLogger("easyocr").setLevel(logging.ERROR)
    where = (
        {}
        if model_dir is None
        else {"model_storage_directory": str(model_dir), "user_network_directory": str(model_dir)}
    )
    try:
        return easyocr.Reader(["en"], gpu=False, download_enabled=False, recognizer=False, verbose=False, **where)
    except (FileNotFoundError, OSError) as error:
        raise NeedsAttention(
            f"EasyOCR's weights are missing or damaged ({error}). Put craft_mlt_25k.pth into the folder that "
            "model_dir of [plugins.inpaint_local] names; vtid downloads nothing by itself."
        ) from error


def _bounds(quad: Any) -> tuple[float, float, float, float]:
    points = np.asarray(quad, np.float64).reshape(-1, 2)
    (x0, y0), (x1, y1) = points.min(0), points.max(0)
    return float(x0), float(y0), float(x1), float(y1)


def importable() -> list[str]:
    """The detectors that are installed. Quick: imports none."""
    have: Callable[[str], bool] = lambda name: importlib.util.find_spec(name) is not None  # noqa: E731
    found = ["rapidocr"] if have("rapidocr") and have("onnxruntime") else []
    return [*found, "easyocr"] if have("easyocr") and have("torch") else found


def choose(name: str, *, threads: int, model_dir: Path | None) -> Detector:
    """The detector of that name; `auto` takes the first that is installed."""
    installed = importable()
    if name == "auto":
        if not installed:
            raise NeedsAttention("No text detector is installed: install rapidocr and onnxruntime.")
        name = installed[0]
    if name not in installed:
        raise NeedsAttention(f'The detector "{name}" is not installed; installed: {", ".join(installed) or "none"}.')
    if name == "rapidocr":
        return RapidOcr(threads=threads)
    return EasyOcr(threads=threads, model_dir=model_dir)


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
