"""PP-OCR networks on ONNX Runtime, as RapidOCR carries them: the default."""

from __future__ import annotations

from functools import cached_property
from importlib import import_module
from threading import Lock
from typing import Any

from . import ppocr, subnormal
from .arrays import Pixels
from .detect import Found, bounds
from .network import Network


class RapidOcr:
    """PP-OCR networks on ONNX Runtime, found where RapidOCR is installed.

    They are asked without it (`ppocr`). It is loaded only where it has other files than are known here.
    """

    name = "rapidocr"

    def __init__(self, *, threads: int, side: int = 960) -> None:
        self._threads, self._side = threads, side
        self._asking = Lock()
        self._detects = self._network("det")

    def boxes(self, bgr: Pixels) -> list[Found]:
        """See `Detector`."""
        if self._detects is not None:
            return ppocr.boxes(self._detects, bgr, self._side)
        got = self._asked(bgr, use_det=True, use_cls=False, use_rec=False)
        if got.boxes is None:
            return []
        scores = got.scores if got.scores is not None else [1.0] * len(got.boxes)
        return [Found(bounds(quad), float(score)) for quad, score in zip(got.boxes, scores, strict=True)]

    def read(self, bgr: Pixels) -> tuple[str, float] | None:
        """See `Detector`."""
        with self._asking:
            reads = self._reads
        if reads is not None:
            return ppocr.read(*reads, bgr)
        got = self._asked(bgr, use_det=False, use_cls=False, use_rec=True)
        return (str(got.txts[0]).strip(), float(got.scores[0])) if got.txts else ("", 0.0)

    @cached_property
    def _reads(self) -> tuple[Network, list[str]] | None:
        network = self._network("rec")
        alphabet = None if network is None else ppocr.characters(network)
        return None if network is None or alphabet is None else (network, alphabet)

    def _network(self, kind: str) -> Network | None:
        model = ppocr.model_file(kind)
        # What a look takes would be asked of the system anew each time, for 15 % of it; with an arena 65 MB stay.
        return Network(model, self._threads, arena=True) if model else None

    def _asked(self, bgr: Pixels, **what: bool) -> Any:
        """RapidOCR's answer; it remembers what it was asked last, so that it is asked once at a time."""
        with self._asking, subnormal.as_zero():
            return self._engine(bgr, **what)

    @cached_property
    def _engine(self) -> Any:
        return engine(self._threads, self._side)


def engine(threads: int, side: int) -> Any:
    """RapidOCR itself, no picture larger than `side` to its detector. Its networks are opened when they are wanted."""
    from rapidocr import RapidOCR  # noqa: PLC0415 - 0.4 s, only where it is needed

    _let_threads_rest()
    return RapidOCR(
        params={
            "Det.limit_type": "max",
            "Det.limit_side_len": side,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            "EngineConfig.onnxruntime.enable_cpu_mem_arena": True,
            "Global.log_level": "critical",
        }
    )


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
