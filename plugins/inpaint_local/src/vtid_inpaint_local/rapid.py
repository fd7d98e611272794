"""PP-OCR networks on ONNX Runtime, by way of RapidOCR, which carries its models: the default."""

from __future__ import annotations

from typing import Any

from .arrays import Pixels
from .detect import Found, bounds


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
        return [Found(bounds(quad), float(score)) for quad, score in zip(got.boxes, scores, strict=True)]

    def read(self, bgr: Pixels) -> tuple[str, float] | None:
        """See `Detector`."""
        got: Any = self._engine(bgr, use_det=False, use_cls=False, use_rec=True)
        return (str(got.txts[0]).strip(), float(got.scores[0])) if got.txts else ("", 0.0)
