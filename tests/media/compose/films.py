"""Films whose frames and samples say who they are."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil

RATE = 48000


def times_open(path: Path) -> int:
    """How often this process has a file open; another thread may close some meanwhile."""
    return sum(each.path == str(path) for each in psutil.Process().open_files())


def grey(number: int) -> tuple[int, int, int]:
    """A grey that tells frame from frame even after encoding."""
    return (20 + 6 * (number % 36),) * 3


def draw(
    path: Path,
    colours: Sequence[tuple[int, int, int]],
    *,
    fps: int | Fraction = 25,
    size: tuple[int, int] = (160, 90),
    times: Sequence[int] | None = None,
    tone: float | None = None,
    sound_s: float | None = None,
    layout: str = "stereo",
    paint: Callable[[np.ndarray, int], None] | None = None,
    aspect: Fraction | None = None,
    rotation: int = 0,
    matrix: tuple[int, int, int, int] | None = None,
    pix_fmt: str = "yuv420p",
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    tags: tuple[int, int, int, int] = (1, 1, 1, 1),
) -> Path:
    """A film of plain frames; `times` in ticks of 1/fps for a variable rate; `tone` in Hz is its sound; `matrix` is how x and y are shown."""
    with av.open(str(path), "w") as out:
        video = None
        if colours:
            video = out.add_stream(codec, rate=Fraction(fps), options=options or {"crf": "4", "preset": "ultrafast"})
            video.width, video.height, video.pix_fmt = *size, pix_fmt
            context = video.codec_context
            context.time_base = 1 / Fraction(fps)
            context.color_primaries, context.color_trc, context.colorspace, context.color_range = tags
            if aspect:
                context.sample_aspect_ratio = aspect
            if rotation:
                video.set_display_rotation(rotation)
            if matrix:
                one = 1 << 16
                video.set_display_matrix(
                    [matrix[0] * one, matrix[1] * one, 0, matrix[2] * one, matrix[3] * one, 0, 0, 0, 1 << 30]
                )
        seconds = sound_s if sound_s is not None else float(len(colours) / Fraction(fps))
        audio = out.add_stream("aac", rate=RATE, layout=layout) if tone is not None else None
        for number, colour in enumerate(colours):
            picture = np.full((size[1], size[0], 3), colour, np.uint8)
            if paint:
                paint(picture, number)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format=pix_fmt, dst_colorspace="ITU709", dst_color_range="JPEG" if tags[3] == 2 else "MPEG"
            )
            frame.pts, frame.time_base = (times[number] if times else number), 1 / Fraction(fps)
            out.mux(video.encode(frame))
        if video:
            out.mux(video.encode(None))
        if audio:
            channels = audio.codec_context.layout.nb_channels
            wave = 0.5 * np.sin(2 * np.pi * tone * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(np.tile(wave, (channels, 1)), format="fltp", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            out.mux(audio.encode(frame))
            out.mux(audio.encode(None))
    return path


def pictures(path: Path) -> list[np.ndarray]:
    """All frames of a film as RGB."""
    with av.open(str(path)) as film:
        return [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]


def numbers(path: Path) -> list[int]:
    """Which `grey` each frame is, by its middle."""
    found = []
    for picture in pictures(path):
        height, width = picture.shape[:2]
        level = picture[height // 2 - 4 : height // 2 + 4, width // 2 - 4 : width // 2 + 4].mean()
        found.append(round((level - 20) / 6))
    return found


def heard(path: Path) -> np.ndarray:
    """The first sound track, n×channels."""
    with av.open(str(path)) as film:
        pieces = [frame.to_ndarray().T for frame in film.decode(audio=0)]
    return np.concatenate(pieces)


def level(sound: np.ndarray, start_s: float, end_s: float) -> float:
    """RMS of a stretch."""
    return float(np.sqrt(np.mean(np.square(sound[round(start_s * RATE) : round(end_s * RATE)]))))


def pitch(sound: np.ndarray, start_s: float, end_s: float) -> float:
    """The strongest frequency of a stretch, Hz."""
    part = sound[round(start_s * RATE) : round(end_s * RATE), 0]
    return float(np.argmax(np.abs(np.fft.rfft(part * np.hanning(len(part))))) * RATE / len(part))
