"""Video files in and out, by PyAV itself: what measures vtid must not read through it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
"""BGR, height × width × 3."""


def read(path: Path) -> Iterator[Picture]:
    """Every picture of a film, one at a time."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def write(path: Path, pictures: Iterable[Picture], *, fps: int, crf: int) -> None:
    """Write pictures of even width and height as H.264, 4:2:0."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps), options={"crf": str(crf), "preset": "veryfast"})
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # with more, and on a busy machine, one seed gave two different films
        for picture in pictures:
            if not stream.codec_context.is_open:
                stream.height, stream.width = picture.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))


def packets(path: Path) -> list[tuple[int, Fraction | None, bytes]]:
    """Everything that a file carries: each packet's stream, time and bytes, in the order of the streams and of time."""
    with av.open(str(path)) as container:
        found = [
            (packet.stream.index, None if packet.pts is None else packet.pts * packet.time_base, bytes(packet))
            for packet in container.demux()
            if packet.size
        ]
    return sorted(found, key=lambda packet: packet[0])  # stable: within a stream the order stays
