"""Numbers next to zero are taken for zero while a network runs.

A processor works out a product of numbers below 1e-38 some hundred times as slowly as any other. PP-OCR's detector has
two layers that make many of them: with those, a look took 2.4 to 3 times as long, and found the same to the bit.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_ENVIRONMENT_BYTES, _MXCSR_AT = 32, 28
"""Of fenv_t on x86-64, with glibc as with musl, and where the SSE control register lies in it."""
_FLUSH = 0x8040
"""Of that register: results and operands that are subnormal are zero."""

SESSION = "session.set_denormal_as_zero"
"""ONNX Runtime's option for the same on the threads that a session starts; the calling thread is ours."""


@contextmanager
def as_zero() -> Iterator[None]:
    """On this thread, and until the end. Where the processor or the system is another one, nothing changes."""
    if not possible():
        yield
        return
    library: Any = ctypes.CDLL(None)
    before, here = (ctypes.create_string_buffer(_ENVIRONMENT_BYTES) for _ in range(2))
    library.fegetenv(before)
    ctypes.memmove(here, before, _ENVIRONMENT_BYTES)
    register = ctypes.c_uint32.from_buffer(here, _MXCSR_AT)
    register.value |= _FLUSH
    library.fesetenv(here)
    try:
        yield
    finally:
        library.fesetenv(before)


def possible() -> bool:
    """Whether it is known here how to say so to the processor."""
    return platform.system() == "Linux" and platform.machine() == "x86_64" and hasattr(ctypes.CDLL(None), "fesetenv")
