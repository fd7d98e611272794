"""What the operator's models can be here, and how params name them. Light: nothing heavy is imported before a trial."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from vtid.sdk import MODEL_PREFIX, ModelKind

TEXT_DETECTOR = "text-detector"
INPAINTING = "inpainting"

DETECTORS = ("auto", "rapidocr", "easyocr")
GUIDES = ("classical",)
EASYOCR_WEIGHTS = "craft_mlt_25k.pth"


def _detector(path: Path) -> dict[str, Any]:
    from .dbnet import inspect  # noqa: PLC0415

    return inspect(path)


def _guide(path: Path) -> dict[str, Any]:
    from .painter import inspect  # noqa: PLC0415

    return inspect(path)


KINDS = [
    ModelKind(
        TEXT_DETECTOR,
        "finds lines of text, as PP-OCR's and other DB networks do: picture N×3×H×W in, probability map N×1×H×W out",
        _detector,
    ),
    ModelKind(
        INPAINTING,
        "paints what is masked, as LaMa does: picture 1×3×H×W in 0..1 and mask 1×1×H×W in, picture 1×3×H×W out",
        _guide,
    ),
]


def complaint(value: str, known: Collection[str], kind: str) -> str | None:
    """What is wrong with a param that takes one of these words or a model of that kind; None for nothing."""
    if value in known or (value.startswith(MODEL_PREFIX) and len(value) > len(MODEL_PREFIX)):
        return None
    close = difflib.get_close_matches(value, known, n=1, cutoff=0.6)
    if close:
        return f'there is no "{value}"; did you mean "{close[0]}"?'
    words = ", ".join(f'"{word}"' for word in known)
    return f'there is no "{value}"; there is {words}, and "{MODEL_PREFIX}NAME" for a model ({kind}) that was added'
