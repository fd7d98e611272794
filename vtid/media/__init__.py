"""Reading and writing media files: the only package that knows PyAV.

Looking at a file needs PyAV alone. What works on pictures needs OpenCV and NumPy too, which take longer to import than
all the rest, and is imported when somebody asks for it: a process that probes, or waits for a service, never does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vtid.domain.media import writable_ending
from vtid.media.encoders import encoders
from vtid.media.probe import is_image, probe, require_video
from vtid.media.whole import require_whole

if TYPE_CHECKING:
    from vtid.media.frame import PlanarFrame, upright
    from vtid.media.pyav import PyAVMedia
    from vtid.media.rewrite import remux

__all__ = [
    "PlanarFrame",
    "PyAVMedia",
    "encoders",
    "is_image",
    "probe",
    "remux",
    "require_video",
    "require_whole",
    "upright",
    "writable_ending",
]

_LATER = {"PlanarFrame": "frame", "upright": "frame", "PyAVMedia": "pyav", "remux": "rewrite"}
"""In which module it is; none of them has the name of what is asked for."""


def __getattr__(name: str) -> Any:
    if module := _LATER.get(name):
        return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
