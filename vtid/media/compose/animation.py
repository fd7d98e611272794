"""A film as an animated GIF: 256 colours chosen for all of it, then each frame in these."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
from av import VideoFrame
from av.filter import Graph

from vtid.domain.timeline import Composed, Stretch, Timeline
from vtid.media.compose.graphs import Pair, chained, source_args
from vtid.media.compose.stack import Decoding, stacked
from vtid.media.containers import removed_on_failure

_DITHER = "dither=sierra2_4a:diff_mode=rectangle"


def animated(timeline: Timeline, target: Path, decoding: Decoding, *, progress: Callable[[int], None]) -> Composed:
    """Write an endless GIF. The film is made twice, so that nothing of it need be kept. Nothing is left on failure."""
    rate = timeline.canvas.rate
    with removed_on_failure(target):
        palette = _palette(timeline, lambda frames: progress(frames // 2), decoding)
        palette.pts, palette.time_base = 0, 1 / rate
        with av.open(str(target), "w", format="gif") as out:
            stream = out.add_stream("gif", rate=rate)
            stream.width, stream.height, stream.pix_fmt = timeline.canvas.width, timeline.canvas.height, "pal8"
            pair: Pair | None = None
            for number, frame in enumerate(stacked(timeline, decoding)):
                frame.pts, frame.time_base = number, 1 / rate
                if pair is None:
                    pair = Pair(frame, palette, ("paletteuse", _DITHER), rate, gives="pal8")
                    pair.above(palette)
                    pair.above(None)
                pair.below(frame)
                for done in pair.ready():
                    out.mux(stream.encode(done))
                progress((timeline.frames + number + 1) // 2)
            if pair:
                pair.below(None)
                for done in pair.ready():
                    out.mux(stream.encode(done))
            out.mux(stream.encode(None))
    return Composed(
        frames=timeline.frames,
        samples=0,
        encoder="gif",
        stretches=(Stretch(0, timeline.frames, copied=False, why="a GIF has its own coding"),),
    )


def _palette(timeline: Timeline, progress: Callable[[int], None], decoding: Decoding) -> VideoFrame:
    """The colours that serve the whole film best, as FFmpeg's `palettegen` finds them."""
    graph = Graph()
    source = sink = None
    for number, frame in enumerate(stacked(timeline, decoding), start=1):
        if source is None:
            source = graph.add("buffer", source_args(frame))
            sink = chained(graph, source, [("palettegen", "stats_mode=full"), ("buffersink", "")])
            graph.configure()
        source.push(frame)
        progress(number)
    assert source is not None
    assert sink is not None
    source.push(None)
    found = sink.pull()
    assert isinstance(found, VideoFrame)
    return found
