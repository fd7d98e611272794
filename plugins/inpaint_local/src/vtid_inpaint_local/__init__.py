"""Remove burned-in text from video on this machine: found by a text detector, filled from the frames around it."""

from __future__ import annotations

import importlib.util

from vtid.sdk import Step, Struct, hookimpl

from .step import Remove, Settings

__all__ = ["Remove", "Settings"]


@hookimpl
def vtid_steps() -> list[type[Step]]:
    """The steps of this plugin."""
    return [Remove]


@hookimpl
def vtid_settings() -> type[Struct]:
    """The table `[plugins.inpaint_local]`."""
    return Settings


@hookimpl
def vtid_not_ready(settings: Settings) -> str | None:
    """Why no text could be found or filled now."""
    if not _installed("cv2"):
        return "OpenCV is not installed: install opencv-python-headless"
    rapid = _installed("rapidocr") and _installed("onnxruntime")
    easy = _installed("easyocr") and _installed("torch")
    if settings.default_detector == "easyocr" and not easy:
        return 'default_detector is "easyocr", which is not installed: install easyocr and torch, or set "auto"'
    if settings.default_detector == "rapidocr" and not rapid:
        return 'default_detector is "rapidocr", which is not installed: install rapidocr and onnxruntime, or set "auto"'
    return None if rapid or easy else "no text detector is installed: install rapidocr and onnxruntime"


def _installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
