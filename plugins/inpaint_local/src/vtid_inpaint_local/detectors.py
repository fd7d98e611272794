"""Which detector looks.

RapidOCR carries its models and works offline; on a CPU it is some twenty times faster than EasyOCR at the same input
size. EasyOCR is there for those who have it. A network that the operator added is the third.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from vtid.sdk import MODEL_PREFIX, Models, NeedsAttention

from .detect import Detector
from .models import TEXT_DETECTOR


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
