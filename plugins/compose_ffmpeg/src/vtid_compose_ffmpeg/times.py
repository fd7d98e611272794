"""Seconds as they were written, and the frames and samples nearest to them."""

from __future__ import annotations

from fractions import Fraction
from math import floor

from vtid.sdk import SAMPLE_RATE

TOLERANCE_S = Fraction(1, 20)
"""By which a time may lie past the end of a source: lengths in files are rounded."""


def exact(seconds: float) -> Fraction:
    """The number that was written, not the nearest that a computer has."""
    return Fraction(repr(round(seconds, 6)))


def nearest(frames: Fraction) -> int:
    """Halves go up."""
    return floor(frames + Fraction(1, 2))


def samples(frames: int, rate: Fraction) -> int:
    """The sample at which a frame begins."""
    return nearest(frames * SAMPLE_RATE / rate)
