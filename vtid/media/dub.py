"""A video with its picture touched up and another sound: what simulated services make, and what tests listen to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av import AudioFrame, AudioResampler, VideoFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from msgspec import Struct
from numpy.typing import NDArray

from vtid.media.containers import open_input, open_output, reading
from vtid.media.decode import main_video

RATE = 48_000
"""Samples per second of all sound here."""
Sound = NDArray[np.float32]
"""Mono samples from time 0."""
Touch = Callable[[NDArray[np.uint8], float], None]
"""Changes a picture, h×w×3 in BGR, in place; told the time at which it is shown, in seconds."""


class Moment(Struct, frozen=True):
    """A picture of the new film: which of the source it shows, and when."""

    index: int
    at: float


def sound_of(path: Path) -> Sound:
    """The first sound track of a file, mono, from time 0; empty where there is none."""
    pieces: list[Sound] = []
    with open_input(path) as container, reading(path):
        if not container.streams.audio:
            return np.zeros(0, np.float32)
        resampler, first = AudioResampler(format="flt", layout="mono", rate=RATE), None
        for frame in container.decode(container.streams.audio[0]):
            first = frame.time if first is None else first
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
        pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    begun = np.zeros(round(max(0.0, first or 0.0) * RATE), np.float32)
    return np.concatenate([begun, *pieces]).astype(np.float32)


def dub(source: Path, target: Path, moments: Iterable[Moment] | None, sound: Sound, touch: Touch) -> None:
    """Write a film of the source's pictures with another sound.

    Args:
        source: of the pictures.
        target: an MP4.
        moments: which picture is shown when, in order; None: all, when they are.
        sound: of the whole film; empty: it gets no sound track.
        touch: is given each picture before it is encoded.

    Raises:
        MediaError: the source cannot be read.
    """
    with open_input(source) as container, reading(source):
        stream = main_video(container, source.name)
        with open_output(target) as out:
            film = _Film(out, stream, sound)
            if moments is None:
                for frame in container.decode(stream):
                    film.add(_picture(frame), frame.time or 0.0, touch)
            else:
                pictures = _Pictures(source)
                for moment in moments:
                    film.add(pictures[moment.index], moment.at, touch)
            film.finish()


class _Film:
    def __init__(self, out: OutputContainer, like: VideoStream, sound: Sound) -> None:
        self._out, self._sound, self._said = out, sound, 0
        rate = like.average_rate or Fraction(25)
        self._video: VideoStream = out.add_stream("libx264", rate=rate, options={"crf": "17", "preset": "superfast"})
        self._video.width, self._video.height = like.width - like.width % 2, like.height - like.height % 2
        self._video.pix_fmt = "yuv420p"
        self._video.codec_context.time_base = self._base = Fraction(1, 90_000)
        self._audio: AudioStream | None = None
        if len(sound):
            self._audio = out.add_stream("aac", rate=RATE, layout="mono")

    def add(self, picture: NDArray[np.uint8], at: float, touch: Touch) -> None:
        picture = np.ascontiguousarray(picture[: self._video.height, : self._video.width])
        touch(picture, at)
        frame = VideoFrame.from_ndarray(picture, "bgr24")
        frame.pts, frame.time_base = round(at / self._base), self._base
        self._out.mux(self._video.encode(frame))
        self._say(round(at * RATE))

    def finish(self) -> None:
        self._out.mux(self._video.encode(None))
        self._say(len(self._sound))
        if self._audio:
            self._out.mux(self._audio.encode(None))

    def _say(self, until: int) -> None:
        piece = self._sound[self._said : min(until, len(self._sound))]
        if self._audio is None or not len(piece):
            return
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(piece[None]), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._said, Fraction(1, RATE)
        self._out.mux(self._audio.encode(frame))
        self._said += len(piece)


class _Pictures:
    """The pictures of a film by their number: decoded on from where the last one was, from the start to go back."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = 0
        self._frames = self._decoded()
        self._shown: NDArray[np.uint8] | None = None

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        if index < self._next - 1:
            self._next, self._frames = 0, self._decoded()
        while self._next <= index:
            self._shown = next(self._frames)
            self._next += 1
        assert self._shown is not None
        return self._shown

    def _decoded(self) -> Iterator[NDArray[np.uint8]]:
        with av.open(f"file:{self._path}") as container:
            for frame in container.decode(video=0):
                yield _picture(frame)


def _picture(frame: VideoFrame) -> NDArray[np.uint8]:
    return frame.to_ndarray(format="bgr24").astype(np.uint8, copy=False)
