"""A tiny video in memory: frames that are arrays, media that are lists, a detector that sees what it is told."""

from __future__ import annotations

import sys
import time
from array import array
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from vtid.sdk import Context, MediaInfo, Part, RenderPlan, Rewritten, Span, VideoStream


class ArrayFrame:
    """A `Frame` over a YUV array."""

    bit_depth = 8

    def __init__(self, pixels, index, fps=25.0):
        self.pixels, self.index, self.pts, self.time_s = pixels, index, index, index / fps
        self.height, self.width = pixels.shape[:2]

    def bgr(self, max_width=None):
        out = cv2.cvtColor(self.pixels, cv2.COLOR_YUV2BGR)
        if max_width and max_width < self.width:
            out = cv2.resize(
                out, (max_width, round(self.height * max_width / self.width)), interpolation=cv2.INTER_AREA
            )
        return out

    def luma(self, box=None):
        x0, y0, x1, y1 = box or (0, 0, self.width, self.height)
        return self.pixels[y0:y1, x0:x1, 0]

    def yuv(self, box):
        x0, y0, x1, y1 = box
        return self.pixels[y0:y1, x0:x1].astype(np.float32)

    def yuv8(self, box):
        x0, y0, x1, y1 = box
        return self.pixels[y0:y1, x0:x1].copy()

    def paint(self, box, yuv, mask):
        x0, y0, x1, y1 = box
        self.pixels[y0:y1, x0:x1][mask] = np.clip(np.rint(yuv[mask]), 0, 255)


class ListMedia:
    """`Media` over lists of arrays, by path."""

    def __init__(self, films, rotation=0, fps=25.0):
        self.films, self.rotation, self.fps = films, rotation, fps

    def probe(self, path):
        film = self.films[path]
        h, w = film[0].shape[:2]
        stream = VideoStream(0, "h264", w, h, "yuv420p", 8, "1/25", frame_rate="25/1", rotation=self.rotation)
        return MediaInfo("mp4", 1, len(film) / self.fps, video=(stream,))

    def ending(self, source):
        return source.suffix

    def frames(self, path, *, start_s=None, end_s=None):
        for i, pixels in enumerate(self.films[path]):
            yield ArrayFrame(pixels.copy(), i, self.fps)

    def plan(self, source, target, touched, **_):
        """Everything from the first frame touched to the last is one span, so that all stays in this process."""
        count = len(self.films[source])
        first, last = min(a for a, _ in touched), max(b for _, b in touched)
        marks = [0, first, last, count]
        spans = (Span(a, b, n != 1) for n, (a, b) in enumerate(pairwise(marks)) if b > a)
        return RenderPlan(target.suffix, tuple(spans), None, array("q", range(count)), Fraction(1, 25))

    def render(self, source, plan, number, part, edit, *, before=0, after=0, threads=1):
        span = plan.spans[number]
        near = (f for f in self.frames(source) if span.first - before <= f.index < span.last + after)
        self.films[part] = [f.pixels for f in edit(near)]
        part.touch()
        return Part(part, number, span.frames)

    def join(self, source, target, plan, parts):
        rendered = {part.number: self.films[part.path] for part in parts}
        self.films[target] = [
            pixels
            for n, span in enumerate(plan.spans)
            for pixels in (self.films[source][span.first : span.last] if span.copied else rendered[n])
        ]
        return Rewritten(plan.frames, "none", 0)


class Link:
    def __init__(self):
        self.fractions = []

    def progress(self, fraction, message):
        self.fractions.append(fraction)

    def log(self, *args):
        pass


def texture(height, width, seed=0):
    """A picture with detail of several sizes, YUV."""
    rng = np.random.default_rng(seed)
    luma = np.zeros((height, width), np.float32)
    for sigma, gain in ((1.2, 120), (4, 160), (16, 400)):
        noise = rng.standard_normal((height, width)).astype(np.float32)
        luma += gain * cv2.GaussianBlur(noise, (0, 0), sigma)
    out = np.full((height, width, 3), 128, np.uint8)
    out[..., 0] = np.clip(115 + luma * 0.5, 20, 215)
    return out


def pan(count, height=160, width=320, speed=1.0, seed=0):
    """A texture that moves to the left under the window."""
    wide = texture(height, int(width + abs(speed) * count) + 2, seed)
    return [np.ascontiguousarray(wide[:, int(i * speed) : int(i * speed) + width]) for i in range(count)]


def letters(height=160, width=320, text="Hello there", at=(60, 130), scale=1.0):
    """Alpha of white letters and of their black outline."""
    fill, rim = np.zeros((height, width), np.uint8), np.zeros((height, width), np.uint8)
    cv2.putText(rim, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 6, cv2.LINE_AA)
    cv2.putText(fill, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 2, cv2.LINE_AA)
    return fill / 255.0, rim / 255.0


def burn(pixels, strength=1.0, **where):
    """Letters over a picture."""
    fill, rim = letters(*pixels.shape[:2], **where)
    out = pixels.astype(np.float32)
    for alpha, value in ((rim, 16), (fill, 235)):
        a = (alpha * strength)[..., None]
        out = out * (1 - a) + a * np.array([value, 128, 128])
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def text_box(height=160, width=320, **where):
    """The box of `letters`."""
    ys, xs = np.nonzero(letters(height, width, **where)[1] > 0.1)
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


@pytest.fixture
def context(tmp_path):
    def make(media, **more):
        return Context(
            Link(),
            job_id="j",
            step_id="clean",
            attempt=1,
            started_at=time.time(),
            workspace=tmp_path,
            media=media,
            **more,
        )

    return make
