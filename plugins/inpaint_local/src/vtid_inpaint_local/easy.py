"""The CRAFT network (Baek et al., Character region awareness for text detection, 2019) on PyTorch, by way of EasyOCR.

For those who have it: it is slow on a CPU, and its weights must lie ready, as nothing is ever downloaded.
"""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from vtid.sdk import NeedsAttention

from .arrays import Pixels
from .detect import Detector, Found, bounds
from .models import EASYOCR_WEIGHTS


class EasyOcr:
    """The CRAFT network on PyTorch, by way of EasyOCR; another detector reads for it."""

    name = "easyocr"

    def __init__(
        self, *, threads: int, model_dir: Path | None, reader: Detector | None = None, side: int = 960
    ) -> None:
        self._side = side
        self._reader = reader
        self._asking = Lock()
        self._craft = _easyocr_reader(model_dir, threads)

    def boxes(self, bgr: Pixels) -> list[Found]:
        """See `Detector`."""
        with self._asking:
            level, free = self._craft.detect(bgr, canvas_size=self._side)
        flat = [(float(x0), float(y0), float(x1), float(y1)) for x0, x1, y0, y1 in level[0]]
        return [Found(box, 1.0) for box in [*flat, *(bounds(np.asarray(quad)) for quad in free[0])]]

    def read(self, bgr: Pixels) -> tuple[str, float] | None:
        """See `Detector`."""
        return self._reader.read(bgr) if self._reader else None


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
            f"EasyOCR's weights are missing or damaged ({error}). Put {EASYOCR_WEIGHTS} into the folder that "
            "model_dir of [plugins.inpaint_local] names; vtid downloads nothing by itself."
        ) from error
