"""The library that `kernels.c` was compiled to as vtid was installed (`hatch_build.py`); what its functions take."""

from __future__ import annotations

import ctypes
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.ctypeslib import ndpointer

SOURCE = Path(__file__).with_name("kernels.c")
LIBRARY = Path(__file__).with_name("_kernels.so")


class Crop(ctypes.Structure):
    """As `kernels.c` has it; so are the fields of the following."""

    _fields_ = (
        ("pixels", ctypes.c_void_p),
        ("under", ctypes.c_void_p),
        *((name, ctypes.c_int32) for name in ("width", "height", "left", "top", "sixteen")),
    )


class Places(ctypes.Structure):
    """N pixels of a plane."""

    _fields_ = (
        *(
            (name, ctypes.c_void_p)
            for name in (
                *("columns", "lines", "block_x", "block_y"),
                *("before_x", "before_y", "between_x", "between_y"),
            )
        ),
        *(
            (name, ctypes.c_int32)
            for name in ("count", "left", "top", "width", "height", "small_width", "small_height")
        ),
        ("block", ctypes.c_float),
    )


_INT = ctypes.c_int
_FLOAT = ctypes.c_float


def fingerprint(source: bytes) -> str:
    """What a library says that it was compiled from."""
    return hashlib.sha256(source).hexdigest()[:16]


def load(path: Path = LIBRARY) -> ctypes.CDLL | None:
    """The library; None where there is none, or one of another source."""
    try:
        loaded = ctypes.CDLL(str(path))
        loaded.vtid_source.restype = ctypes.c_char_p
        if loaded.vtid_source().decode() != fingerprint(SOURCE.read_bytes()):
            return None
    except (OSError, AttributeError):
        return None
    floats, shorts, ints, bools = (
        ndpointer(kind, flags="C_CONTIGUOUS") for kind in (np.float32, np.int16, np.int32, np.bool_)
    )
    pointer, places = ctypes.c_void_p, ctypes.POINTER(Places)
    sources: list[Any] = [_INT, ints, _INT, floats, floats, ctypes.POINTER(Crop)]
    arguments: dict[str, list[Any]] = {
        "edges": [*[floats] * 3, _INT, _FLOAT],
        "diffuse": [*[floats] * 5, _INT, _INT, floats, _INT, floats],
        "step": [
            *(_INT, shorts, shorts, shorts, shorts, _FLOAT, bools, _INT, _INT, _INT),
            *(pointer, pointer, pointer, pointer, _INT, _INT, ints, floats, floats),
        ],
        "covered": [*sources, bools],
        "luma": [*sources, floats],
        "values": [*sources, floats],
        "normal_equations": [*[floats] * 3, _INT, _INT, _FLOAT, _INT, _INT, _INT, floats, floats],
        "moved": [
            *(places, bools, shorts, shorts, _FLOAT, _FLOAT, ctypes.POINTER(Crop)),
            *(floats, floats, floats, floats),
        ],
        "drawn": [places, bools, floats, floats, floats, _FLOAT, _FLOAT, floats],
        "means": [places, bools, _INT, floats, floats],
        "enlarged": [places, _INT, floats, floats, floats],
        "differences": [places, bools, floats, floats, floats],
        "corrected": [places, bools, floats, floats, floats, floats, floats],
        "weigh": [places, bools, floats, ints, floats, floats, floats, floats],
    }
    for name, types in arguments.items():
        function = getattr(loaded, f"vtid_{name}")
        function.argtypes, function.restype = types, None
    return loaded


library: ctypes.CDLL | None = load()
"""None where there is none: the same is done in NumPy."""
