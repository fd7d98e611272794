"""Drawn pictures, such as text, laid over frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from vtid.domain.timeline import Canvas, Overlay
from vtid.media.compose.graphs import Pair


def drawn(frames: Iterator[VideoFrame], overlay: Overlay, canvas: Canvas) -> Iterator[VideoFrame]:
    """The frames while an overlay is seen, with it. Its picture goes into the graph once and stays there.

    Args:
        frames: as many as the overlay has.
        overlay: what is drawn, where, and how it comes and goes.
        canvas: on which.
    """
    rgba = overlay.rgba() if callable(overlay.rgba) else overlay.rgba
    pair: Pair | None = None
    shown = -1.0
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number, 1 / canvas.rate
        strength = _strength(overlay, number)
        if pair is None or strength != shown:
            pair, shown = _pair(frame, overlay, rgba, strength, number, canvas), strength
        pair.below(frame)
        yield from pair.ready()


def _strength(overlay: Overlay, number: int) -> float:
    """From 0 to 1: of a fade over n frames, none is wholly transparent."""
    come = (overlay.before + number + 1) / (overlay.fade_in + 1)
    go = (overlay.frames + overlay.after - number) / (overlay.fade_out + 1)
    return min(1.0, come, go)


def _pair(
    below: VideoFrame, overlay: Overlay, rgba: NDArray[np.uint8], strength: float, number: int, canvas: Canvas
) -> Pair:
    if strength < 1:
        rgba = rgba.copy()
        rgba[..., 3] = np.rint(rgba[..., 3] * strength)
    # from_image() would drop the transparency
    picture = VideoFrame.from_ndarray(np.ascontiguousarray(rgba), format="rgba")
    picture.pts, picture.time_base = number, 1 / canvas.rate
    place = f"x={overlay.x}:y={overlay.y}:eof_action=repeat:format=yuv420"
    prepare = (("scale", f"out_color_matrix={canvas.matrix}:out_range=tv"), ("format", "yuva420p"))
    pair = Pair(below, picture, ("overlay", place), canvas.rate, prepare)
    pair.above(picture)
    pair.above(None)
    return pair
