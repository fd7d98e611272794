"""The pictures of one clip, one for each frame of the canvas, decoded only as they are asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice, pairwise, repeat
from math import ceil, floor
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
from av import Packet, VideoFrame
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from vtid.domain.timeline import Canvas, Footage, Plain, Still
from vtid.errors import MediaError, Problem
from vtid.media.containers import open_input, reading
from vtid.media.decode import lateness, main_video

_BACKOFFS_S = (0, 2, 15)
"""Seconds before the wanted time at which to try a seek; some containers land late."""

_PRE_ROLL_S = Fraction(1, 2)
"""Before a cut, so much is decoded whole where frames may come at any time."""

_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Codec -> the decoder that knows of its transparency."""

_MATROSKA_LENGTH = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")
"""Of a stream, in the tag that most programs write; Matroska itself tells only that of the whole file."""

_ORIENTATION = 0x0112
"""The tag of EXIF."""

_WEIGHTS = {"bt709": (0.2126, 0.0722), "bt601": (0.299, 0.114)}
"""Red's and blue's part of luma."""

_COLORSPACES = {"bt709": 1, "bt601": 6}
"""In the numbers of ITU-T H.273."""

Early = Callable[[float, float], None]
"""Is told when the last frame of a film ends, and when it would by the film's header: seconds from the first."""


def film_pictures(
    film: Footage, rate: Fraction, count: int, threads: int, early: Early = lambda _ends, _says: None
) -> Iterator[VideoFrame]:
    """`count` pictures of a film at a frame rate: at each, the frame nearest to it, else the one still on screen.

    Times are the frames' own, which is right for variable rates too. The last frame stays where the film ends early.

    Args:
        film: which, from when, how fast.
        rate: of the canvas.
        count: of pictures.
        threads: of the decoder.
        early: is told where frames are missing at the end of what is shown, more than one.

    Raises:
        MediaError: nothing of it decodes.
    """
    with open_input(film.path) as container, reading(film.path):
        stream = main_video(container, film.path.name)
        base = stream.time_base or Fraction(1, 1000)
        origin = (stream.start_time or 0) + lateness(container, film.path)
        begin = origin + film.start_s / base
        clock = _Clock(begin, base * rate / film.speed)
        step = _usual_step(stream)
        end = 0
        latest: VideoFrame | None = None
        best: tuple[int, VideoFrame] | None = None
        due = 0
        for frame in _from(container, stream, clock, threads):
            slot, away = clock.slot(frame.pts or 0)
            end = (frame.pts or 0) + (frame.duration or step)
            if slot > due:
                latest = latest or frame  # a film that begins late shows its first frame until then
                yield from islice(_shown(best, latest), min(slot, count) - due)
                due, best = min(slot, count), None
            if due >= count:
                return
            latest = frame
            if slot == due and (best is None or away <= best[0]):
                best = away, frame
        if latest is None:
            raise MediaError(
                f"{film.path.name} shows nothing at {float(film.start_s):g} s: no frame there can be decoded.",
                problems=[Problem("", "no frame decodes", code="no_frames")],
            )
        ends_s, says_s = (end - origin) * base, _promised_s(container, stream)
        each_s = film.speed / rate
        if says_s and min(says_s, film.start_s + count * each_s) - ends_s > step * base + each_s:
            early(float(ends_s), float(says_s))
        yield from islice(_shown(best, latest), count - due)


def _promised_s(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Seconds that the picture lasts by the header; None where that tells only of the whole file, sound included."""
    base = stream.time_base or Fraction(1, 1000)
    if stream.duration:
        return stream.duration * base
    since_s = max(Fraction(0), (stream.start_time or 0) * base)
    if said := _MATROSKA_LENGTH.fullmatch(stream.metadata.get("DURATION", "")):
        hours, minutes, seconds = map(Fraction, said.groups())
        return hours * 3600 + minutes * 60 + seconds - since_s
    alone = len(container.streams) == 1 and container.duration
    return Fraction(container.duration or 0, 1_000_000) - since_s if alone else None


def _shown(best: tuple[int, VideoFrame] | None, latest: VideoFrame) -> Iterator[VideoFrame]:
    """The nearest frame for its slot, then the latest for as long as none comes."""
    yield best[1] if best else latest
    yield from repeat(latest)


class _Clock:
    """Ticks of a stream in slots of the canvas. Exact, and in integers: it is asked twice for each frame.

    Args:
        begin: ticks at which slot 0 is.
        slots_per_tick: how fast they come.
    """

    def __init__(self, begin: Fraction, slots_per_tick: Fraction) -> None:
        self.begin = begin
        self._tick = begin.denominator * slots_per_tick.numerator
        self._zero = begin.numerator * slots_per_tick.numerator
        self._slot = begin.denominator * slots_per_tick.denominator
        """All three in parts of a slot of which so many are one."""

    def slot(self, ticks: int) -> tuple[int, int]:
        """The slot that a time is nearest to, negative before the clip, and how far it is from there, in parts."""
        at = ticks * self._tick - self._zero
        slot = (2 * at + self._slot) // (2 * self._slot)
        return slot, abs(at - slot * self._slot)

    def passes_over(self, ticks: int, step: int) -> bool:
        """Whether of frames at every `step` another one is shown instead of this one."""
        apart = step * self._tick
        if apart >= self._slot:
            return False
        at = ticks * self._tick - self._zero
        slot, away = self.slot(ticks)
        from_slot = at - slot * self._slot
        return abs(from_slot + apart) <= away or abs(from_slot - apart) < away


def _from(container: InputContainer, stream: VideoStream, clock: _Clock, threads: int) -> Iterator[VideoFrame]:
    """The frames from the one on screen at the clip's beginning on, and some before."""
    context = _decoder(stream)
    context.thread_type = "FRAME"
    context.thread_count = threads
    base = stream.time_base or Fraction(1, 1000)
    origin = stream.start_time or 0
    steady = _steady_step(stream)
    for back in _BACKOFFS_S:
        target = floor(clock.begin - back / base)
        if target <= origin:
            break
        container.seek(target, stream=stream, backward=True)
        context.flush_buffers()
        frames = _decoded(container, stream, context, clock, steady)
        first = next(frames, None)
        if first is not None and (first.pts or 0) <= clock.begin:
            yield first
            yield from frames
            return
    if clock.begin > origin:
        container.seek(0)
        context.flush_buffers()
    yield from _decoded(container, stream, context, clock, steady)


def _decoder(stream: VideoStream) -> VideoCodecContext:
    """The stream's own; of WebM with transparency libvpx's, as FFmpeg's own decoders of VP8 and VP9 leave that out."""
    own = stream.codec_context
    other = _WITH_ALPHA.get(own.codec.canonical_name)
    if other is None or stream.metadata.get("alpha_mode") != "1":
        return own
    return cast("VideoCodecContext", VideoCodecContext.create(other, "r"))


def _decoded(
    container: InputContainer,
    stream: VideoStream,
    context: VideoCodecContext,
    clock: _Clock,
    steady: int | None,
) -> Iterator[VideoFrame]:
    """Frames in order. The decoder is told which it need not make: those that nothing else needs and nobody sees."""
    step = steady or _usual_step(stream)
    last = (stream.start_time or 0) - step
    margin = 2 * steady if steady else _PRE_ROLL_S / (stream.time_base or 1)
    sure = ceil(clock.begin - margin)
    for packet in container.demux(stream):
        context.skip_frame = "NONREF" if _unseen(packet, clock, sure, steady) else "DEFAULT"
        try:
            frames = context.decode(packet)
        except (av.error.FFmpegError, MemoryError):  # a damaged packet: players go on, and so do we
            continue
        for frame in frames:
            if frame.pts is None:  # raw streams have no times: one step after another
                frame.pts = frame.dts if frame.dts is not None else last + step
            last = frame.pts
            yield frame


def _usual_step(stream: VideoStream) -> int:
    """Ticks from frame to frame, as the stream has it on the whole."""
    return floor(1 / ((stream.time_base or 1) * (stream.average_rate or stream.guessed_rate or 25)))


def _unseen(packet: Packet[VideoStream], clock: _Clock, sure: int, steady: int | None) -> bool:
    """Whether a frame is surely not shown. Sure that is before the cut, and where the rate is constant."""
    if packet.pts is None:
        return False
    if packet.pts < sure:
        return True
    return steady is not None and clock.passes_over(packet.pts, steady)


def _steady_step(stream: VideoStream) -> int | None:
    """Ticks from frame to frame where the container's index shows that they are the same everywhere."""
    times = sorted(entry.timestamp for entry in stream.index_entries)
    steps = {after - before for before, after in pairwise(times)}
    return steps.pop() if len(steps) == 1 and len(times) == stream.frames else None


def still_pictures(still: Still, canvas: Canvas, slots: range, total: int) -> Iterator[VideoFrame]:
    """A picture file for some of `total` slots: one and the same frame, or slowly nearer with each."""
    with open_input(still.path) as container, reading(still.path):
        stream = main_video(container, still.path.name)
        found = next(container.decode(stream), None)
    if found is None:
        raise MediaError(f"{still.path.name} holds no picture that can be decoded.")
    orientation = _orientation(still.path)
    if still.zoom == 1 and orientation == 1:
        yield from repeat(found, len(slots))
        return
    picture = _bounded(_upright(found.to_ndarray(format="rgba" if has_alpha(found) else "rgb24"), orientation), canvas)
    if still.zoom == 1:
        yield from repeat(_frame(picture), len(slots))
        return
    for number in slots:
        yield _zoomed(picture, _magnification(still.zoom, number / max(1, total - 1)))


def _magnification(zoom: float, progress: float) -> float:
    """From whole to `zoom`; under 1, from near to whole."""
    return 1 + (zoom - 1) * progress if zoom > 1 else 1 / zoom + (1 - 1 / zoom) * progress


def _bounded(picture: NDArray[Any], canvas: Canvas) -> NDArray[Any]:
    """No larger than twice the canvas: more is never seen, and each frame would pay for it."""
    by = 2 * max(canvas.width, canvas.height) / max(picture.shape[:2])
    return picture if by >= 1 else cv2.resize(picture, None, fx=by, fy=by, interpolation=cv2.INTER_AREA)


def _zoomed(picture: NDArray[Any], by: float) -> VideoFrame:
    """Around the middle, between pixels: whole pixels would make it tremble."""
    height, width = picture.shape[:2]
    shift = np.array([[by, 0, (1 - by) * (width - 1) / 2], [0, by, (1 - by) * (height - 1) / 2]], np.float32)
    moved = cv2.warpAffine(picture, shift, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return _frame(moved)


def _frame(pixels: NDArray[Any]) -> VideoFrame:
    kind = "rgba" if pixels.shape[2] == 4 else "rgb24"
    return VideoFrame.from_ndarray(np.ascontiguousarray(pixels, np.uint8), format=kind)


def _orientation(path: Path) -> int:
    """How the camera was held, 1 to 8 as EXIF counts. A frame tells of turns, but not of mirrors."""
    try:
        with Image.open(path) as image:
            said = image.getexif().get(_ORIENTATION, 1)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # whatever FFmpeg makes of it will do
        return 1
    return said if said in range(1, 9) else 1


def _upright(picture: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The picture as a viewer shows it."""
    if orientation in (2, 4, 5, 7):
        picture = picture[:, ::-1]
    quarters = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
    return np.rot90(picture, quarters)


def plain_picture(plain: Plain, width: int, height: int, canvas: Canvas) -> VideoFrame:
    """One colour, in the canvas's own pixels."""
    red, green, blue = (value / 255 for value in plain.colour)
    of_red, of_blue = _WEIGHTS[canvas.matrix]
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    levels = (
        16 + 219 * luma,
        128 + 224 * (blue - luma) / (2 - 2 * of_blue),
        128 + 224 * (red - luma) / (2 - 2 * of_red),
    )
    sizes = (width * height, width * height // 4, width * height // 4)
    data = np.concatenate([np.full(size, round(level), np.uint8) for size, level in zip(sizes, levels, strict=True)])
    frame = VideoFrame.from_ndarray(data.reshape(height * 3 // 2, width), format="yuv420p")
    return tagged(frame, canvas)


def tagged(frame: VideoFrame, canvas: Canvas) -> VideoFrame:
    """A picture that says what every picture of the canvas is."""
    frame.colorspace = _COLORSPACES[canvas.matrix]
    frame.color_range = 1
    return frame


def has_alpha(frame: VideoFrame) -> bool:
    """Whether a picture has transparency."""
    return any(part.is_alpha for part in frame.format.components)
