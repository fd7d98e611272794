"""PP-OCR networks on ONNX Runtime, by way of RapidOCR, which carries its models: the default."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import Lock
from typing import Any

from .arrays import Pixels
from .detect import Found, bounds

_BUILDING = Lock()


@contextmanager
def _resting_threads() -> Iterator[None]:
    """Sessions opened in here have threads that sleep while they have nothing to do.

    By default they spin, and take the cores from whoever decodes beside them: on two busy cores a look costs 192 ms of
    CPU instead of 112. RapidOCR has no parameter for it.
    """
    main: Any = import_module("rapidocr.inference_engine.onnxruntime.main")
    options = main.SessionOptions

    def resting() -> Any:
        made = options()
        made.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return made

    with _BUILDING:
        main.SessionOptions = resting
        try:
            yield
        finally:
            main.SessionOptions = options


class RapidOcr:
    """PP-OCR networks on ONNX Runtime, by way of RapidOCR."""

    name = "rapidocr"

    def __init__(self, *, threads: int, side: int = 960) -> None:
        from rapidocr import RapidOCR  # noqa: PLC0415 - 0.7 s, only when a step runs

        params = {
            "Det.limit_type": "max",
            "Det.limit_side_len": side,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            "Global.log_level": "critical",
        }
        with _resting_threads():
            self._engine = RapidOCR(params=params)

    def boxes(self, bgr: Pixels) -> list[Found]:
        """See `Detector`."""
        got: Any = self._engine(bgr, use_det=True, use_cls=False, use_rec=False)
        if got.boxes is None:
            return []
        scores = got.scores if got.scores is not None else [1.0] * len(got.boxes)
        return [Found(bounds(quad), float(score)) for quad, score in zip(got.boxes, scores, strict=True)]

    def read(self, bgr: Pixels) -> tuple[str, float] | None:
        """See `Detector`."""
        got: Any = self._engine(bgr, use_det=False, use_cls=False, use_rec=True)
        return (str(got.txts[0]).strip(), float(got.scores[0])) if got.txts else ("", 0.0)
