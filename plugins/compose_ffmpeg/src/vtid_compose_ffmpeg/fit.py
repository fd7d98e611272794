"""The canvas, and where clips lie on it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from vtid.sdk import Canvas, MediaInfo, Placing

from . import document as doc
from .complaints import Complaints

_SIZES = {"480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080), "4k": (3840, 2160)}

_NTSC = {23.976: 24, 29.97: 30, 47.952: 48, 59.94: 60, 119.88: 120}
"""What people write for 24000/1001 and its like."""


def canvas_of(film: doc.Composition, infos: Sequence[MediaInfo | None], complaints: Complaints) -> Canvas:
    """Size and frame rate of the result."""
    output = film.output
    first = next((info for info, clip in zip(infos, film.clips, strict=True) if clip.track == 0), None)
    width, height = 1280, 720
    if isinstance(output.resolution, doc.Size):
        width, height = output.resolution.width, output.resolution.height
    elif output.resolution != "source":
        width, height = _SIZES[output.resolution]
    elif first and first.video:
        width, height = shown_size(first)
    else:
        complaints.add("output.resolution", "the first clip of track 0 has no picture to take it from")
    rate = Fraction(30)
    if output.fps != "source":
        rate = _rate(output.fps)
    elif first and first.video and first.video[0].rate:
        rate = first.video[0].rate
    else:
        complaints.add("output.fps", "the first clip of track 0 has no frame rate to take it from")
    return Canvas(width, height, rate)


def shrunk(canvas: Canvas, lines: int) -> Canvas:
    """With a shorter side of so many pixels at most."""
    by = min(1.0, lines / min(canvas.width, canvas.height))
    return Canvas(max(16, _even(canvas.width * by)), max(16, _even(canvas.height * by)), canvas.rate)


def shown_size(info: MediaInfo) -> tuple[int, int]:
    """Of a video as a player shows it, in even numbers of square pixels."""
    stream = info.video[0]
    width, height = round(stream.width * (Fraction(stream.sample_aspect) or 1)), stream.height
    if stream.rotation % 180:
        width, height = height, width
    return width // 2 * 2, height // 2 * 2


def placing_of(clip: doc.Clip, canvas: Canvas) -> Placing:
    """How a clip gets onto the canvas."""
    box = None
    if clip.position:
        x, y = _even(clip.position.x * canvas.width), _even(clip.position.y * canvas.height)
        box = (
            x,
            y,
            max(2, min(canvas.width - x, _even(clip.position.width * canvas.width))),
            max(2, min(canvas.height - y, _even(clip.position.height * canvas.height))),
        )
    crop = (clip.crop.x, clip.crop.y, clip.crop.width, clip.crop.height) if clip.crop else (0.0, 0.0, 1.0, 1.0)
    return Placing(
        box=box,
        fit=clip.fit,
        crop=crop,
        turn=clip.rotate,
        mirror=clip.flip in ("horizontal", "both"),
        flip=clip.flip in ("vertical", "both"),
        opacity=clip.opacity,
        background=colour(clip.background),
    )


def colour(text: str) -> tuple[int, int, int]:
    """`#RRGGBB` as numbers."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _even(length: float) -> int:
    return round(length / 2) * 2


def _rate(fps: float) -> Fraction:
    whole = _NTSC.get(fps)
    return Fraction(whole * 1000, 1001) if whole else Fraction(repr(fps))
