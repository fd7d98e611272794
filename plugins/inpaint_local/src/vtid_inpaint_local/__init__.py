"""Remove burned-in text from video on this machine: found by a text detector, filled from the frames around it."""

from __future__ import annotations

import importlib.util

from vtid.sdk import ModelKind, Step, Struct, hookimpl

from .kinds import KINDS
from .models import EASYOCR_WEIGHTS
from .params import Settings
from .step import Preview, Remove

__all__ = ["Preview", "Remove", "Settings"]


@hookimpl
def vtid_steps() -> list[type[Step]]:
    """The steps of this plugin."""
    return [Remove, Preview]


@hookimpl
def vtid_settings() -> type[Struct]:
    """The table `[plugins.inpaint_local]`."""
    return Settings


@hookimpl
def vtid_model_kinds() -> list[ModelKind]:
    """What model files can be here."""
    return KINDS


@hookimpl
def vtid_not_ready(settings: Settings) -> str | None:
    """Why no text could be found or filled now."""
    if not _installed("cv2"):
        return "OpenCV is not installed: install opencv-python-headless"
    rapid = _installed("rapidocr") and _installed("onnxruntime")
    easy = _installed("easyocr") and _installed("torch")
    wanted = settings.default_detector
    if wanted == "easyocr" and not easy:
        return 'default_detector is "easyocr", which is not installed: install easyocr and torch, or set "auto"'
    if wanted == "easyocr" and settings.model_dir and not (settings.model_dir / EASYOCR_WEIGHTS).is_file():
        return f'default_detector is "easyocr", and {EASYOCR_WEIGHTS} is not in {settings.model_dir}'
    if wanted == "rapidocr" and not rapid:
        return 'default_detector is "rapidocr", which is not installed: install rapidocr and onnxruntime, or set "auto"'
    if wanted.startswith("model:") and not _installed("onnxruntime"):
        return f'default_detector is "{wanted}", and the library that runs it is not installed: install onnxruntime'
    if rapid or easy or wanted.startswith("model:"):
        return None
    return "no text detector is installed: install rapidocr and onnxruntime"


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
