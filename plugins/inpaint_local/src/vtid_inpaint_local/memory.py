"""What the C library does with memory that is given back to it: keep it for the next array, or return it to the system.

Arrays of megabytes come and go hundreds of times a second here. By default glibc maps each of them anew, and the system
fills it with zeros page by page as it is first touched: a fifth of all the time of this package.
"""

from __future__ import annotations

import ctypes
import gc

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
"""Of mallopt(3)."""
_ARENAS = 1
"""Heaps: each thread would keep what it frees in one of its own, 50 MB more in all."""
_KEPT = 8 << 20
"""Bytes at the top of the heap that are kept."""
_STEP = 4 << 20
"""Bytes by which the heap grows at least."""
_MAPPED = 32 << 20
"""Bytes from which an array is mapped all the same; the most that every glibc takes."""


def keep() -> None:
    """Keep for this process what it frees. Where the C library is not glibc, nothing changes."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_ARENA_MAX, _ARENAS)
        set_option(_MMAP_THRESHOLD, _MAPPED)
        set_option(_TRIM_THRESHOLD, _KEPT)
        set_option(_TOP_PAD, _STEP)


def give_back() -> None:
    """Return to the system whatever is not in use."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
