"""Trying one encoder, in a process of its own: `python -m vtid.media.hardware.trial`.

A candidate comes in as JSON, what came of it goes out as JSON. Whatever the driver does, it does it to this process.
"""

from __future__ import annotations

import io
import math
import sys
from fractions import Fraction

import av
import msgspec
import numpy as np
from av import VideoFrame
from msgspec import Struct
from numpy.typing import NDArray

from vtid.domain.encoder import Candidate, Choices
from vtid.domain.timeline import Canvas, Writing
from vtid.errors import HardwareFailed
from vtid.media.encoders import composing_plan
from vtid.media.hardware import Hardware
from vtid.media.output import Track

WIDTH, HEIGHT, FRAMES = 640, 360, 24
LEAST_DB = 30.0
"""Of the least of the frames. Encoders that work give over 40 at this quality; wrong strides, planes or frames, 20."""


class Trial(Struct, frozen=True):
    """What to try."""

    candidate: Candidate
    folder: str
    stall_s: float
    software: str = ""
    """In place of the candidate, an encoder in software."""


class Found(Struct, frozen=True):
    """What came of it."""

    works: bool
    reason: str | None = None
    psnr: float | None = None


def attempt(trial: Trial) -> Found:
    """Encode some frames, decode them, compare."""
    pictures = [_picture(number) for number in range(FRAMES)]
    codec = trial.candidate.encoder.codec
    plan = composing_plan(Canvas(WIDTH, HEIGHT, Fraction(25)), "matroska", Writing(codec=codec, crf=20))
    choices = Choices() if trial.software else Choices((trial.candidate,), 1_000, trial.folder, trial.stall_s)
    held = io.BytesIO()
    try:
        with av.open(held, "w", format="matroska") as out, Hardware(choices).track(out, plan, 1) as track:
            _encode(out, track, pictures)
    except (HardwareFailed, av.error.FFmpegError, ValueError) as error:
        return Found(works=False, reason=str(error))
    held.seek(0)
    with av.open(held, "r") as made:
        shown = [frame.to_ndarray(format="gray").astype(np.uint8) for frame in made.decode(video=0)]
    if len(shown) != FRAMES:
        return Found(works=False, reason=f"{FRAMES} frames went in, {len(shown)} came out")
    least = min(_psnr(after, before) for after, before in zip(shown, pictures, strict=True))
    if least < LEAST_DB:
        return Found(works=False, reason=f"its pictures are wrong: {least:.1f} dB of those that went in", psnr=least)
    return Found(works=True, psnr=least)


def _encode(out: av.container.OutputContainer, track: Track, pictures: list[NDArray[np.uint8]]) -> None:
    for number, picture in enumerate(pictures):
        frame = VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p", dst_color_range=1)
        frame.pts, frame.time_base = number, Fraction(1, 25)
        out.mux(track.encode(frame))
    out.mux(track.encode(None))


def _picture(number: int) -> NDArray[np.uint8]:
    """Waves that move, and a bar whose place says which frame it is."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    waves = 118 + 60 * np.sin((x + 7 * number) / 23) * np.cos((y - 3 * number) / 17)
    waves[:, 25 * number : 25 * number + 16] = 200
    picture: NDArray[np.uint8] = waves.astype(np.uint8)
    return picture


def _psnr(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    error = float(np.mean((one.astype(np.float64) - other) ** 2))
    return round(10 * math.log10(255**2 / max(error, 1e-9)), 2)


def main() -> None:
    """Try what standard input names."""
    av.logging.restore_default_callback()  # straight to standard error, where the driver's own words go too
    trial = msgspec.json.decode(sys.stdin.buffer.read(), type=Trial)
    sys.stdout.buffer.write(msgspec.json.encode(attempt(trial)))


if __name__ == "__main__":
    main()
