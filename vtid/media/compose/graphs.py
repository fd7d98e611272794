"""Small filter graphs: one picture in, one out; or two in, one out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from threading import Lock

import av
from av import VideoFrame
from av.filter import Graph
from av.filter.context import FilterContext

Filter = tuple[str, str]
"""Name and arguments, as FFmpeg writes them."""

_HD_LINES = 720
_BT709, _BT601 = 1, 6
_UNSPECIFIED = 2
_PQ, _HLG = 16, 18
_FULL = 2


_SDR: Filter = ("scale", "out_primaries=bt709:out_transfer=bt709:out_color_matrix=bt709:out_range=tv")
_KEPT = 4
_sdr_chains: OrderedDict[tuple[object, ...], _SharedChain] = OrderedDict()
_sdr_lock = Lock()
"""Of the above: clips are decoded in threads of their own."""


def is_hdr(frame: VideoFrame) -> bool:
    """Whether a screen without HDR would show the picture wrongly."""
    return int(frame.color_trc) in (_PQ, _HLG)


def to_sdr(frame: VideoFrame, size: tuple[int, int]) -> list[Filter]:
    """What makes of an HDR picture one for all screens, of this width and height; nothing for others.

    It is made smaller first, as to change its colours costs most.
    """
    if not is_hdr(frame):
        return []
    return [*_smaller(frame, size), _SDR]


def _smaller(frame: VideoFrame, size: tuple[int, int]) -> list[Filter]:
    if size == (frame.width, frame.height):
        return []
    return [("scale", f"{size[0]}:{size[1]}:flags=bicubic"), ("format", "yuv420p10le")]


def sdr_maker(like: VideoFrame, size: tuple[int, int]) -> Callable[[VideoFrame], VideoFrame]:
    """The same for many clips of one kind, frame by frame."""
    if not (filters := _smaller(like, size)):
        return _sdr_chain(like)
    smaller = Chain(like, filters)
    chain = _sdr_chain(smaller(like))
    return lambda frame: chain(smaller(frame))


def _sdr_chain(like: VideoFrame) -> Chain:
    """Paper's white (203 cd/m²) becomes the whitest.

    Chains are shared by all clips of a film: to set one up costs seconds, as FFmpeg works out a table of all colours.
    """
    tags = (int(like.color_trc), int(like.color_primaries), int(like.colorspace), int(like.color_range))
    key = (like.width, like.height, like.format.name, *tags)
    with _sdr_lock:
        if key not in _sdr_chains:
            _sdr_chains[key] = _SharedChain(like, [_SDR, ("format", "yuv420p")])
        _sdr_chains.move_to_end(key)
        while len(_sdr_chains) > _KEPT:
            _sdr_chains.popitem(last=False)
        return _sdr_chains[key]


class Chain:
    """Filters in a row that give one picture for each they are given.

    Args:
        like: a picture of the kind that will come.
        filters: in order.
    """

    def __init__(self, like: VideoFrame, filters: Sequence[Filter]) -> None:
        self._graph = _graph()
        self._source = self._graph.add("buffer", source_args(like))
        self._sink = chained(self._graph, self._source, [*filters, ("buffersink", "")])
        self._graph.configure()

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """The picture, filtered."""
        self._source.push(frame)
        return _pulled(self._sink)


class _SharedChain(Chain):
    """The same for several threads, one picture at a time."""

    def __init__(self, like: VideoFrame, filters: Sequence[Filter]) -> None:
        super().__init__(like, filters)
        self._lock = Lock()

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """The picture, filtered."""
        with self._lock:
            return super().__call__(frame)


class Pair:
    """A filter of two inputs. Pictures come out as soon as FFmpeg has what it wants, at the latest at `finish`.

    Args:
        below: a picture of the kind that will come on the first input.
        above: the same of the second.
        filter_: that has two inputs.
        rate: of both, frames per second.
        prepare: filters that the second passes first.
        gives: the pixel format of what comes out, whatever the filter works in; xfade, for one, knows only formats that
            do not halve chroma.
    """

    def __init__(
        self,
        below: VideoFrame,
        above: VideoFrame,
        filter_: Filter,
        rate: Fraction,
        prepare: Sequence[Filter] = (),
        *,
        gives: str = "yuv420p",
    ) -> None:
        self._graph = _graph()
        time = f":time_base={1 / rate}:frame_rate={rate}"
        self._below = self._graph.add("buffer", source_args(below, time))
        self._above = self._graph.add("buffer", source_args(above, time))
        both = self._graph.add(*filter_)
        self._below.link_to(both, 0, 0)
        chained(self._graph, self._above, prepare).link_to(both, 0, 1)
        self._sink = chained(self._graph, both, [("format", gives), ("buffersink", "")])
        self._graph.configure()

    def below(self, frame: VideoFrame | None) -> None:
        """Hand in the next picture of the first input; None: there is no further one."""
        self._below.push(frame)

    def above(self, frame: VideoFrame | None) -> None:
        """The same for the second input."""
        self._above.push(frame)

    def ready(self) -> Iterator[VideoFrame]:
        """Whatever is done."""
        while True:
            try:
                yield _pulled(self._sink)
            except (av.BlockingIOError, av.EOFError):
                return


def _graph() -> Graph:
    """One thread: what slices of a picture bring is less than their waiting for one another costs.

    Decoders and encoder work beside it in threads of their own.
    """
    graph = Graph()
    graph.threads = 1
    return graph


def chained(graph: Graph, source: FilterContext, filters: Sequence[Filter]) -> FilterContext:
    """Add filters behind one another; gives the last."""
    for name, args in filters:
        after = graph.add(name, args)
        source.link_to(after)
        source = after
    return source


def source_args(frame: VideoFrame, time: str = ":time_base=1/1000") -> str:
    """What the filter `buffer` must know of the pictures that it will be given.

    PyAV's own `add_buffer` takes every pixel for a square and forgets the colour tags. Untagged pictures are read as
    players do: BT.709 from 720 lines on, else BT.601.
    """
    matrix = int(frame.colorspace)
    args = f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:pixel_aspect=1/1{time}"
    if not frame.format.is_rgb:
        if matrix in (0, _UNSPECIFIED):
            matrix = _BT709 if frame.height >= _HD_LINES else _BT601
        full = int(frame.color_range) == _FULL or frame.format.name.startswith("yuvj")
        args += f":colorspace={matrix}:range={'pc' if full else 'tv'}"
    return args


def _pulled(sink: FilterContext) -> VideoFrame:
    frame = sink.pull()
    assert isinstance(frame, VideoFrame)
    return frame
