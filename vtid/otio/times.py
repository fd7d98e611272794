"""Times of OpenTimelineIO are a number and a rate; both are floating-point."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

_NTSC = (24, 30, 48, 60, 120)


def exact_rate(rate: float) -> Fraction:
    """The rate that is meant: programs write 23.976, 23.98 and 23.976023976 for 24000/1001."""
    for whole in _NTSC:
        if abs(rate - whole * 1000 / 1001) < 0.006:
            return Fraction(whole * 1000, 1001)
    return Fraction(rate).limit_denominator(1001)


def seconds(time: Any) -> Fraction:
    """Of a `RationalTime`."""
    return Fraction(time.value).limit_denominator(1_000_000) / exact_rate(time.rate)


def number(time: Fraction) -> float:
    """As documents have it."""
    return round(float(time), 6)
