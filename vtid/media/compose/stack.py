"""The frames of a composed film, one after another: clips, transitions, what lies above them.

Each thing that lies above is a stage of its own, an iterator over an iterator: it lets frames through until its time
comes, has a filter graph while it is seen, and lets go of it. So a film costs what is seen, not what it consists of.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from itertools import islice, pairwise, repeat
from typing import TypeVar

from av import VideoFrame
from msgspec.structs import replace

from vtid.domain.timeline import Canvas, Clip, Footage, Overlay, Plain, Short, Still, Timeline, Transition
from vtid.media.compose.ahead import DEPTH, Ahead
from vtid.media.compose.geometry import Placed, blurred, place, reduced, shape_of
from vtid.media.compose.graphs import Chain, Pair, is_hdr, sdr_maker
from vtid.media.compose.overlays import drawn
from vtid.media.compose.pictures import Early, film_pictures, has_alpha, plain_picture, still_pictures, tagged

T = TypeVar("T")
_Pictures = Ahead[T] | Generator[T, None, None]

_LEAD = 2 * DEPTH
"""Frames before a clip at which it is begun."""


class Decoding:
    """How the films of a timeline are decoded, and what was found of them meanwhile.

    Args:
        threads: that each clip may keep busy.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._short: dict[str, Short] = {}

    def noting(self, name: str) -> Early:
        """What is told that the film of a clip has ended early, once or several times, in any thread."""

        def early(ends_s: float, says_s: float) -> None:
            self._short[name] = Short(name, ends_s, says_s)

        return early

    @property
    def short(self) -> tuple[Short, ...]:
        """Of the clips that were decoded, those that ended early, in no certain order."""
        return tuple(self._short.values())


def stacked(timeline: Timeline, decoding: Decoding) -> Iterator[VideoFrame]:
    """All frames of a film, in the canvas's pixels: yuv420p, limited range, its matrix. Do not write to them."""
    frames = _main(timeline, decoding)
    for clip in timeline.above:
        frames = _over(frames, clip, timeline.canvas, decoding)
    for lane in lanes(timeline.overlays):
        frames = _under_overlays(frames, lane, timeline.canvas)
    return frames


def lanes(overlays: Sequence[Overlay]) -> list[list[Overlay]]:
    """Overlays that never meet, behind one another in one stage: subtitles have hundreds.

    Each lies in a later lane than those before it with which it is seen at the same time, and so over them.
    """
    out: list[list[Overlay]] = []
    for one in overlays:
        meets = [number for number, lane in enumerate(out) if any(_meet(one, other) for other in lane)]
        number = meets[-1] + 1 if meets else 0
        if number == len(out):
            out.append([])
        insort(out[number], one, key=lambda each: each.first)
    return out


def _meet(one: Overlay, other: Overlay) -> bool:
    return one.first < other.first + other.frames and other.first < one.first + one.frames


def _main(timeline: Timeline, decoding: Decoding) -> Iterator[VideoFrame]:
    """The main track, with black where there is nothing."""
    canvas = timeline.canvas
    black = plain_picture(Plain((0, 0, 0)), canvas.width, canvas.height, canvas)
    at = 0
    frames: _Pictures[VideoFrame] | None = None
    coming: _Pictures[VideoFrame] | None = None
    try:
        for clip, after in pairwise([*timeline.main, None]):
            assert clip is not None
            frames, coming = coming or _begun(_full(clip, canvas, decoding), clip, decoding), None
            yield from repeat(black, clip.first - at)
            at = max(at, clip.first)
            if clip.entry:
                at = clip.first + clip.entry.frames
            shared = after.entry.frames if after is not None and after.entry else 0
            alone = clip.last - shared - at
            yield from islice(frames, max(0, alone - _LEAD))
            if after is not None:  # it opens its file and finds its first picture while these go out
                coming = _begun(_full(after, canvas, decoding), after, decoding)
            yield from islice(frames, min(alone, _LEAD))
            at = clip.last
            if after is not None and after.entry and coming is not None:
                yield from _crossed(frames, coming, after.entry, canvas)
            frames.close()
        yield from repeat(black, timeline.frames - at)
    finally:
        for each in (frames, coming):
            if each is not None:
                each.close()


def _begun(pictures: Generator[T, None, None], clip: Clip, decoding: Decoding) -> _Pictures[T]:
    """The same, made ahead where they take time to make and there is a second processor for it."""
    slow = isinstance(clip.picture, Footage) or (isinstance(clip.picture, Still) and clip.picture.zoom != 1)
    return Ahead(pictures) if slow and decoding.threads > 1 else pictures


def _crossed(
    old: Iterator[VideoFrame], new: Iterator[VideoFrame], entry: Transition, canvas: Canvas
) -> Iterator[VideoFrame]:
    """One clip takes over from another."""
    rate = canvas.rate
    whole = (entry.before + entry.frames + entry.after) / rate
    times = f"duration={float(whole):.6f}:offset={-float(entry.before / rate):.6f}"
    pair: Pair | None = None
    for number in range(entry.frames):
        below, above = next(old), next(new)
        pair = pair or Pair(below, above, ("xfade", f"transition={entry.kind}:{times}"), rate)
        pair.below(_at(below, number, rate))
        pair.above(_at(above, number, rate))
        if number == entry.frames - 1:
            pair.below(None)
            pair.above(None)
        yield from (tagged(frame, canvas) for frame in pair.ready())


def _full(clip: Clip, canvas: Canvas, decoding: Decoding) -> Generator[VideoFrame, None, None]:
    """A clip of the main track: pictures of the canvas's size."""
    if isinstance(clip.picture, Plain) and clip.placing.box is None and clip.placing.opacity == 1:
        yield from repeat(plain_picture(clip.picture, canvas.width, canvas.height, canvas), clip.frames)
        return
    ground: VideoFrame | None = None
    lay = _Layer(clip, canvas, pad=True)
    before: tuple[VideoFrame, VideoFrame] | None = None
    for frame in _pictures(clip, canvas, decoding):
        if before is None or before[0] is not frame:
            layer = lay(frame)
            if not layer.fills:
                ground = ground or plain_picture(Plain(clip.placing.background), canvas.width, canvas.height, canvas)
                whole = layer.on(ground, canvas.rate)
            else:
                whole = layer.frame
            before = frame, whole
        yield before[1]


def _over(frames: Iterator[VideoFrame], clip: Clip, canvas: Canvas, decoding: Decoding) -> Iterator[VideoFrame]:
    """What lies below, with a clip over it while it is seen."""
    yield from islice(frames, clip.first)
    with closing(_begun(_layers(clip, canvas, decoding), clip, decoding)) as layers:
        for layer, below in zip(layers, islice(frames, clip.frames), strict=False):
            yield layer.on(below, canvas.rate)
    yield from frames


def _layers(clip: Clip, canvas: Canvas, decoding: Decoding) -> Generator[_Laid, None, None]:
    """The pictures of a clip, ready to be laid onto others."""
    lay = _Layer(clip, canvas, pad=False)
    before: tuple[VideoFrame, _Laid] | None = None
    for frame in _pictures(clip, canvas, decoding):
        if before is None or before[0] is not frame:
            before = frame, lay(frame)
        yield before[1]


def _under_overlays(frames: Iterator[VideoFrame], lane: Sequence[Overlay], canvas: Canvas) -> Iterator[VideoFrame]:
    """What lies below, with drawn pictures over it, each while it is seen."""
    at = 0
    for overlay in lane:
        yield from islice(frames, overlay.first - at)
        yield from (tagged(frame, canvas) for frame in drawn(islice(frames, overlay.frames), overlay, canvas))
        at = overlay.first + overlay.frames
    yield from frames


class _Laid:
    """A picture of a layer, and how it goes onto another."""

    def __init__(self, layer: _Layer, frame: VideoFrame, placed: Placed, behind: VideoFrame | None) -> None:
        self._layer = layer
        self.frame = frame
        self._placed = placed
        self._behind = behind
        self.fills = placed.fills(layer.canvas) and not has_alpha(frame) and behind is None

    def on(self, ground: VideoFrame, rate: Fraction) -> VideoFrame:
        """Lay it there."""
        if self._behind is not None:
            box = self._layer.clip.placing.box or (0, 0, 0, 0)
            ground = self._layer.combine(ground, self._behind, box[0], box[1], rate, "behind")
        return self._layer.combine(ground, self.frame, self._placed.x, self._placed.y, rate, "front")


class _Layer:
    """Brings the pictures of a clip to size. Its graphs are made anew when the film changes its size or format."""

    def __init__(self, clip: Clip, canvas: Canvas, *, pad: bool) -> None:
        self.clip, self.canvas, self._pad = clip, canvas, pad
        self._key: tuple[object, ...] | None = None
        self._sdr: Callable[[VideoFrame], VideoFrame] | None = None
        self._front: Chain
        self._behind: Chain | None = None
        self._placed: Placed
        self._pairs: dict[str, tuple[object, Pair]] = {}
        self._count = 0

    def __call__(self, frame: VideoFrame) -> _Laid:
        """The picture at its size."""
        key = (
            frame.width,
            frame.height,
            frame.format.name,
            frame.rotation,
            int(frame.colorspace),
            int(frame.color_range),
        )
        if key != self._key:
            self._key = key
            self._set_up(frame)
        frame.time_base, frame.pts = Fraction(1, 1000), 0
        if self._sdr is not None:
            frame = self._sdr(frame)
        front = tagged(self._front(frame), self.canvas)
        return _Laid(self, front, self._placed, tagged(self._behind(frame), self.canvas) if self._behind else None)

    def _set_up(self, frame: VideoFrame) -> None:
        placing = self.clip.placing
        clear = has_alpha(frame) or placing.opacity < 1
        film = self.clip.picture if isinstance(self.clip.picture, Footage) else None
        shape = shape_of(frame, film.aspect if film else Fraction(1), mirrored=film is not None and film.mirrored)
        self._sdr = sdr_maker(frame, reduced(shape, placing, self.canvas)) if is_hdr(frame) else None
        if self._sdr is not None:
            frame = self._sdr(frame)
            shape = replace(shape, width=frame.width, height=frame.height)
        self._placed = place(shape, placing, self.canvas, pad=self._pad and not clear)
        last = [("setsar", "1"), ("format", "yuva420p" if clear else "yuv420p")]
        if placing.opacity < 1:
            last.append(("lutyuv", f"a=val*{placing.opacity:.4f}"))
        self._front = Chain(frame, [*self._placed.filters, *last])
        fills = (self._placed.width, self._placed.height) == (
            placing.box or (0, 0, self.canvas.width, self.canvas.height)
        )[2:]
        if placing.fit == "blur" and not fills:
            self._behind = Chain(frame, [*blurred(shape, placing, self.canvas).filters, *last])

    def combine(self, ground: VideoFrame, top: VideoFrame, x: int, y: int, rate: Fraction, which: str) -> VideoFrame:
        """One picture on another."""
        key = top.width, top.height, top.format.name
        known = self._pairs.get(which)
        if known is None or known[0] != key:
            pair = Pair(ground, top, ("overlay", f"x={x}:y={y}:format=yuv420"), rate)
            known = self._pairs[which] = key, pair
        self._count += 1
        pair = known[1]
        pair.below(_at(ground, self._count, rate))
        pair.above(_at(top, self._count, rate))
        return tagged(next(pair.ready()), self.canvas)


def _pictures(clip: Clip, canvas: Canvas, decoding: Decoding) -> Iterator[VideoFrame]:
    picture = clip.picture
    if isinstance(picture, Footage):
        threads = max(1, decoding.threads - 1)  # beside the thread that makes pictures ahead; each more needs memory
        return film_pictures(picture, canvas.rate, clip.frames, threads, decoding.noting(clip.name))
    if isinstance(picture, Still):
        slots = range(clip.before, clip.before + clip.frames)
        return still_pictures(picture, canvas, slots, slots.stop + clip.after)
    box = clip.placing.box or (0, 0, canvas.width, canvas.height)
    return repeat(plain_picture(picture, box[2], box[3], canvas), clip.frames)


def _at(frame: VideoFrame, number: int, rate: Fraction) -> VideoFrame:
    frame.pts, frame.time_base = number, 1 / rate
    return frame
