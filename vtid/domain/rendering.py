"""How a film is written anew: whole, or in spans of which only the edited ones are encoded.

A film is divided by `vtid.sdk.Media.plan`, its spans are rendered by `Media.render`, in any order and in as many
processes as one likes, and put together by `Media.join`. All that goes between these is data and can be pickled.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from msgspec import Struct


class EncodeOptions(Struct, frozen=True):
    """How edited video is encoded. What is not said here stays as it is in the source."""

    codec: str = "auto"
    """`auto` keeps the source's codec where it can be encoded, else takes H.264; or h264, hevc, av1, vp9, prores."""
    crf: float | None = None
    """Constant rate factor; None: a value at which the loss does not show."""
    preset: str | None = None
    threads: int | None = None
    quick: bool = False
    """Where no preset is said: H.264 as good for half the work and a quarter more bytes."""


class Span(Struct, frozen=True):
    """A stretch of a film, in frames counted in presentation order from 0."""

    first: int
    last: int
    """Lies outside."""
    copied: bool
    """True: its packets are taken over bit for bit; False: it is decoded, edited and encoded."""

    @property
    def frames(self) -> int:
        """How many there are."""
        return self.last - self.first


class RenderPlan(Struct, frozen=True, eq=False):
    """How a film is divided. Made by `Media.plan`; depends on the film and the wishes, never on who works on it."""

    ending: str
    """Of the target's name, with its dot; it says the container."""
    spans: tuple[Span, ...]
    """They follow one another without a gap, from frame 0 to the end of the film."""
    reason: str | None
    """Why nothing is copied, in words; None where copying is possible, even if every span was touched."""
    pts: array[int]
    """When each frame is shown, in presentation order, in units of the time base."""
    time_base: Fraction
    """Seconds."""
    coding: Any = None
    """How spans are encoded and joined; the business of whoever made the plan."""

    @property
    def frames(self) -> int:
        """How many frames the film has."""
        return len(self.pts)

    @property
    def rendered(self) -> tuple[int, ...]:
        """Numbers of the spans that must be rendered, places in `spans`."""
        return tuple(number for number, span in enumerate(self.spans) if not span.copied)


class Part(Struct, frozen=True):
    """A rendered span."""

    path: Path
    """A file with nothing but the span's video."""
    number: int
    """Of the span, its place in `RenderPlan.spans`."""
    frames: int


class Rewritten(Struct, frozen=True):
    """What a rewrite did."""

    frames: int
    """Video frames written."""
    encoder: str
    copied_streams: int
    """Streams carried over packet by packet."""
    dropped: tuple[str, ...] = ()
    """Streams that the target's container cannot hold, in words."""
    copied_spans: int = 0
    """Stretches of the film of which every bit is the source's."""
    copied_frames: int = 0
    rendered_spans: int = 0
    rendered_frames: int = 0
    joints: int = 0
    """Places where spans meet; each was decoded and compared with the source."""
    reason: str | None = None
    """Why nothing could be copied, in words."""


def merged(ranges: Sequence[tuple[int, int]], frames: int) -> tuple[tuple[int, int], ...]:
    """Frame ranges in order, without overlaps, cut to a film of so many frames; empty ones are left out."""
    out: list[tuple[int, int]] = []
    for first, last in sorted((max(0, a), min(frames, b)) for a, b in ranges):
        if first >= last:
            continue
        if out and first <= out[-1][1]:
            out[-1] = out[-1][0], max(out[-1][1], last)
        else:
            out.append((first, last))
    return tuple(out)
