"""Draws whole clips: a scene, subtitles, a voice. Needs no outside file and no font."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from av import AudioFrame, VideoFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from msgspec import Struct
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vtid.media.containers import open_output
from vtid.media.encoders import open_encoder
from vtid.media.scene import Scene

_RATE = 48_000
_MATRICES = {"bt709": 1, "bt2020": 9}
_TRANSFERS = {"bt709": 1, "pq": 16, "hlg": 18}

_MIRRORS = {0: (1, 0, 0, -1), 90: (0, -1, -1, 0), 180: (-1, 0, 0, 1), 270: (0, 1, 1, 0)}
"""The rotation of a mirrored film -> the parts of its display matrix that turn."""


class Subtitle(Struct, frozen=True):
    """A line of text on the picture, from `start_s` and before `end_s`."""

    text: str
    start_s: float
    end_s: float
    size: float = 0.07
    """Height of the letters' line as a part of the picture's height."""
    bottom: float = 0.07
    """Distance from the lower edge, as a part of the picture's height."""
    fade_s: float = 0.0
    box: bool = False
    """On a half-transparent dark box."""


class Look(Struct, frozen=True):
    """How a clip is coded and tagged, for tests of what must survive."""

    options: dict[str, str] = {}
    crf: int = 21
    matrix: str = "bt709"
    transfer: str = "bt709"
    full_range: bool = False
    rotation: int = 0
    """Degrees counter-clockwise."""
    mirrored: bool = False
    """As front cameras film: a player turns it upside down before it turns it by `rotation`."""
    sample_aspect: Fraction = Fraction(1)
    interlaced: bool = False
    start_s: float = 0.0
    """When the picture begins; the sound begins at 0."""
    vfr: bool = False
    """Gaps between frames of one to three frame times."""
    audio_tracks: int = 1
    metadata: dict[str, str] = {}


class Drawn(Struct, frozen=True):
    """The truth about a drawn clip."""

    times_s: tuple[float, ...]
    """Of each frame, from the first."""
    boxes: tuple[tuple[int, int, int, int] | None, ...]
    """Of the text in each frame, with its outline: x0, y0, x1, y1 in pixels."""


def draw_clip(
    path: Path,
    *,
    seconds: float,
    width: int = 640,
    height: int = 360,
    fps: int | Fraction = 25,
    subtitles: Sequence[Subtitle] = (),
    audio: bool = True,
    seed: int = 0,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    look: Look = Look(),  # noqa: B008 - frozen
    clean_path: Path | None = None,
) -> Drawn:
    """Draw a clip to `path`, the ending of which says the container.

    Args:
        path: of the clip.
        seconds: its length.
        width: as coded, pixels; a clip that is turned by a quarter is shown with this height.
        height: as coded, pixels.
        fps: frames per second.
        subtitles: burned into the picture.
        audio: with a voice.
        seed: the same seed draws the same clip.
        codec: encoder.
        pix_fmt: pixel format.
        look: further coding, and tags.
        clean_path: where to write the same clip without subtitles.

    Returns:
        The time of each frame and where its text is, as shown.
    """
    ticks = _ticks(round(seconds * fps), seed, vfr=look.vfr)
    # As a phone does it: the scene is upright as shown, and coded lying on its side.
    scene = Scene(*((height, width) if look.rotation % 180 else (width, height)), seed)
    boxes = []
    with ExitStack() as stack:
        paths = [path] if clean_path is None else [path, clean_path]
        films = [
            stack.enter_context(
                _Film(each, look, codec=codec, pix_fmt=pix_fmt, size=(width, height), fps=Fraction(fps), audio=audio)
            )
            for each in paths
        ]
        for number, tick in enumerate(ticks):
            clean = scene.at(tick / max(1, ticks[-1]), number)
            dirty = clean.copy() if subtitles else clean
            boxes.append(_burn(dirty, subtitles, float(tick / fps)))
            for film, picture in zip(films, (dirty, clean), strict=False):
                film.add(picture, tick)
    return Drawn(tuple(float(tick / Fraction(fps)) for tick in ticks), tuple(boxes))


def _ticks(count: int, seed: int, *, vfr: bool) -> list[int]:
    """When each frame is shown, in frame times."""
    if not vfr:
        return list(range(count))
    gaps = np.random.default_rng(seed).choice([1, 1, 2, 3], max(0, count - 1))
    return [0, *(int(tick) for tick in gaps.cumsum())]


class _Film:
    """A clip being written: pictures go in one by one, with the sound that belongs before them."""

    def __init__(
        self,
        path: Path,
        look: Look,
        *,
        codec: str,
        pix_fmt: str,
        size: tuple[int, int],
        fps: Fraction,
        audio: bool,
    ) -> None:
        self._look = look
        self._fps = fps
        self._out: OutputContainer = open_output(path)
        self._out.metadata.update(look.metadata)
        self._video = self._add_video(codec, pix_fmt, size)
        self._audio = [self._add_audio(track) for track in range(look.audio_tracks if audio else 0)]
        self._samples = [0] * len(self._audio)

    def __enter__(self) -> _Film:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self._out.mux(self._video.encode(None))
            for stream in self._audio:
                self._out.mux(stream.encode(None))
        self._out.close()

    def add(self, bgr: NDArray[np.uint8], tick: int) -> None:
        """Add a picture to be shown at `tick` frame times."""
        coded = np.rot90(bgr, -self._look.rotation // 90)
        coded = coded[::-1] if self._look.mirrored else coded
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(coded), "bgr24").reformat(
            format=self._video.codec_context.pix_fmt,
            dst_colorspace=_MATRICES[self._look.matrix],
            dst_color_range=2 if self._look.full_range else 1,
        )
        offset = round(self._look.start_s * self._fps)
        frame.pts, frame.time_base = tick + offset, 1 / self._fps
        frame.duration = 1
        self._out.mux(self._video.encode(frame))
        self._speak_until(float((tick + offset + 1) / self._fps))

    def _add_video(self, codec: str, pix_fmt: str, size: tuple[int, int]) -> VideoStream:
        look = self._look
        options = {"crf": str(look.crf), "preset": "superfast"} if codec in ("libx264", "libx265") else {}
        if codec == "libx265":
            options["x265-params"] = "log-level=error"
        stream: VideoStream = self._out.add_stream(codec, rate=self._fps, options=options | look.options)  # type: ignore[assignment]
        context = stream.codec_context
        (context.width, context.height), context.pix_fmt = size, pix_fmt
        context.time_base = 1 / self._fps
        context.gop_size = max(1, round(self._fps * 2))
        context.sample_aspect_ratio = look.sample_aspect
        context.colorspace = context.color_primaries = _MATRICES[look.matrix]
        context.color_trc, context.color_range = _TRANSFERS[look.transfer], 2 if look.full_range else 1
        if look.interlaced:
            context.flags |= av.codec.context.Flags.interlaced_dct | av.codec.context.Flags.interlaced_me
            context.field_order = 2
        if look.mirrored:
            a, b, c, d = (part << 16 for part in _MIRRORS[look.rotation])
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        elif look.rotation:
            stream.set_display_rotation(look.rotation)
        open_encoder(context)
        return stream

    def _add_audio(self, track: int) -> AudioStream:
        codec = {"webm": "libopus", "avi": "libmp3lame"}.get(self._out.format.name, "aac")
        stream: AudioStream = self._out.add_stream(codec, rate=_RATE, layout="mono")  # type: ignore[assignment]
        stream.metadata["language"] = ("eng", "deu", "fra")[track % 3]
        return stream

    def _speak_until(self, time_s: float) -> None:
        for track, stream in enumerate(self._audio):
            begin, end = self._samples[track], int(time_s * _RATE)
            if begin >= end:
                continue
            sound = _voice(begin, end, pitch=110.0 * (1 + 0.4 * track))
            frame = AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = _RATE, begin, Fraction(1, _RATE)
            self._out.mux(stream.encode(frame))
            self._samples[track] = end


def _voice(begin: int, end: int, *, pitch: float) -> NDArray[np.float32]:
    """Samples of something that speaks: a pitched buzz through moving formants, in syllables and with pauses."""
    time = np.arange(begin, end) / _RATE
    wobble = pitch * time + 1.5 * np.sin(2 * np.pi * 0.7 * time)
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * time), 0, 1) * (np.sin(2 * np.pi * 0.31 * time) > -0.6)
    formants = (550 + 250 * np.sin(2 * np.pi * 1.3 * time), 1500 + 500 * np.sin(2 * np.pi * 0.9 * time))
    sound: NDArray[np.float64] = np.zeros_like(time)
    for harmonic in range(1, 25):
        level = sum(np.exp(-(((harmonic * pitch - formant) / 180) ** 2)) for formant in formants) + 0.3 / harmonic
        sound += level * np.sin(2 * np.pi * harmonic * wobble)
    return np.asarray(0.12 * sound * syllables, np.float32)


def _burn(bgr: NDArray[np.uint8], subtitles: Sequence[Subtitle], time_s: float) -> tuple[int, int, int, int] | None:
    """Write the text of a moment into the picture. Returns where it is."""
    box = None
    for subtitle in subtitles:
        if not subtitle.start_s <= time_s < subtitle.end_s:
            continue
        height, width = bgr.shape[:2]
        art, alpha = _drawn_text(subtitle.text, round(subtitle.size * height), subtitle.box)
        x0 = max(0, (width - art.shape[1]) // 2)
        y0 = max(0, height - round(subtitle.bottom * height) - art.shape[0])
        part = bgr[y0 : y0 + art.shape[0], x0 : x0 + art.shape[1]]
        strength = alpha[: part.shape[0], : part.shape[1]] * _faded(subtitle, time_s)
        part[:] = np.rint(part * (1 - strength) + art[: part.shape[0], : part.shape[1]] * strength)
        here = x0, y0, x0 + part.shape[1], y0 + part.shape[0]
        box = here if box is None else _around(box, here)
    return box


def _around(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _faded(subtitle: Subtitle, time_s: float) -> float:
    if not subtitle.fade_s:
        return 1.0
    edge = min(time_s - subtitle.start_s, subtitle.end_s - time_s)
    return float(min(1.0, max(0.0, edge / subtitle.fade_s)))


@lru_cache(maxsize=64)
def _drawn_text(text: str, size: int, box: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """White letters with a dark outline, cropped to what is drawn: BGR h×w×3 and opacity h×w×1 from 0 to 1."""
    font = ImageFont.load_default(size=max(8, size))
    stroke = max(1, size // 12)
    probe = ImageDraw.Draw(Image.new("RGBA", (1, 1)))
    left, top, right, bottom = probe.multiline_textbbox((0, 0), text, font=font, stroke_width=stroke, align="center")
    margin = size // 3 if box else 1
    canvas = Image.new("RGBA", (int(right - left) + 2 * margin, int(bottom - top) + 2 * margin), (15, 15, 15, 0))
    if box:
        canvas.paste((15, 15, 15, 150), (0, 0, *canvas.size))
    ImageDraw.Draw(canvas).multiline_text(
        (margin - left, margin - top),
        text,
        font=font,
        fill=(245, 245, 245, 255),
        stroke_width=stroke,
        stroke_fill=(15, 15, 15, 255),
        align="center",
    )
    pixels = np.asarray(canvas).astype(np.float32)
    return pixels[..., 2::-1].copy(), pixels[..., 3:] / np.float32(255)


def lines(texts: Sequence[str], *, each_s: float = 2.0, gap_s: float = 0.3) -> Iterator[Subtitle]:
    """Subtitles one after another, the first after a gap."""
    for at, text in enumerate(texts):
        start = gap_s + at * (each_s + gap_s)
        yield Subtitle(text, start, start + each_s)
