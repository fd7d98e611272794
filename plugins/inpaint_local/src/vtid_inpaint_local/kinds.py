"""What a model of the operator's can be here. Light: nothing heavy is imported before one is tried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vtid.sdk import ModelKind

from .models import INPAINTING, TEXT_DETECTOR


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
