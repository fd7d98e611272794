"""PP-OCR networks on ONNX Runtime, by way of RapidOCR, which carries its models: the default."""

from __future__ import annotations

from importlib import import_module
from threading import Lock
from typing import Any

import numpy as np

from . import subnormal
from .arrays import Pixels
from .detect import Found, bounds

_PLAIN_PX, _PLAIN = 64, 8
"""Pixels of the smaller side, and how many times longer the other is, from which RapidOCR frames or scales nothing."""


def _let_threads_rest() -> None:
    """Have the threads of all sessions that are opened from now on sleep while they have nothing to do, and be quick.

    By default they spin, and take the cores from whoever decodes beside them: on two busy cores a look costs 192 ms of
    CPU instead of 112. RapidOCR has no parameter for it, and opens each network when it is first wanted.
    """
    main: Any = import_module("rapidocr.inference_engine.onnxruntime.main")
    if main.SessionOptions.__module__ == __name__:
        return
    options = main.SessionOptions

    def resting() -> Any:
        made = options()
        made.add_session_config_entry("session.intra_op.allow_spinning", "0")
        made.add_session_config_entry(subnormal.SESSION, "1")
        return made

    main.SessionOptions = resting


def _normalise_singly() -> None:
    """Have pictures made ready for the detector in single precision: RapidOCR does it in double, for 8 % of a look."""
    utils: Any = import_module("rapidocr.ch_ppocr_det.utils")

    def normalised(self: Any, picture: Pixels) -> Pixels:
        gain, offset = np.float32(self.scale) / np.float32(self.std), np.float32(self.mean) / np.float32(self.std)
        return np.asarray(picture * gain - offset, np.float32)

    utils.DetPreProcess.normalize = normalised


class RapidOcr:
    """PP-OCR networks on ONNX Runtime, by way of RapidOCR."""

    name = "rapidocr"

    def __init__(self, *, threads: int, side: int = 960) -> None:
        self._side = side
        self._asking = Lock()
        from rapidocr import RapidOCR  # noqa: PLC0415 - 0.7 s, only when a step runs

        params = {
            "Det.limit_type": "max",
            "Det.limit_side_len": side,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            # Without, what a look takes is asked of the system anew each time, for 15 % of a look; with it 65 MB stay.
            "EngineConfig.onnxruntime.enable_cpu_mem_arena": True,
            "Global.log_level": "critical",
        }
        _let_threads_rest()
        _normalise_singly()
        with subnormal.as_zero():
            self._engine = RapidOCR(params=params)

    def boxes(self, bgr: Pixels) -> list[Found]:
        """See `Detector`."""
        with subnormal.as_zero():
            got = self._detected(bgr)
        if got.boxes is None:
            return []
        scores = got.scores if got.scores is not None else [1.0] * len(got.boxes)
        return [Found(bounds(quad), float(score)) for quad, score in zip(got.boxes, scores, strict=True)]

    def _detected(self, bgr: Pixels) -> Any:
        """The engine remembers what it was asked last, so that it is asked once at a time.

        The network behind it is not so, and pictures that the engine would neither frame nor scale go there.
        """
        small, large = min(bgr.shape[:2]), max(bgr.shape[:2])
        if self._engine.text_det is not None and large <= self._side and small >= _PLAIN_PX and large < _PLAIN * small:
            return self._engine.text_det(bgr)
        with self._asking:
            return self._engine(bgr, use_det=True, use_cls=False, use_rec=False)

    def read(self, bgr: Pixels) -> tuple[str, float] | None:
        """See `Detector`."""
        with subnormal.as_zero(), self._asking:
            got: Any = self._engine(bgr, use_det=False, use_cls=False, use_rec=True)
        return (str(got.txts[0]).strip(), float(got.scores[0])) if got.txts else ("", 0.0)
