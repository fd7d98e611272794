"""What a frame carries beside its picture: the turn that players give it, and what HDR screens want to know."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from av import VideoFrame
from av.sidedata.sidedata import SideData


def hdr_options(encoder: str, first: VideoFrame) -> dict[str, str]:
    """The mastering display and light levels of an HDR source, in each encoder's own words."""
    if encoder not in ("libx264", "libx265", "libsvtav1"):
        return {}
    decimal = encoder == "libsvtav1"
    parts = [*_mastering(first, encoder, decimal=decimal), *_light_level(first, encoder)]
    if not parts:
        return {}
    if encoder == "libx265":
        parts = ["log-level=error", "open-gop=0", *parts]
    return {
        {"libx264": "x264-params", "libx265": "x265-params", "libsvtav1": "svtav1-params"}[encoder]: ":".join(parts)
    }


def _mastering(first: VideoFrame, encoder: str, *, decimal: bool) -> Iterator[str]:
    """From FFmpeg's AVMasteringDisplayMetadata: red, green, blue, white (x, y each), darkest, brightest; fractions."""
    data = _side_data(first, "MASTERING_DISPLAY_METADATA")
    if not data or not all(struct.unpack_from("=2i", data, 80)):
        return
    numbers = struct.unpack_from("=20i", data)
    values = [n / d if d else 0.0 for n, d in zip(numbers[::2], numbers[1::2], strict=True)]
    chroma = [f"{v:.5f}" if decimal else str(round(v * 50000)) for v in values[:8]]
    light = [f"{v:.4f}" if decimal else str(round(v * 10000)) for v in (values[9], values[8])]
    red, green, blue, white = (",".join(chroma[at : at + 2]) for at in (0, 2, 4, 6))
    name = "master-display" if encoder == "libx265" else "mastering-display"
    yield f"{name}=G({green})B({blue})R({red})WP({white})L({','.join(light)})"


def _light_level(first: VideoFrame, encoder: str) -> Iterator[str]:
    if data := _side_data(first, "CONTENT_LIGHT_LEVEL"):
        most, average = struct.unpack_from("=2I", data)
        name = {"libx264": "cll", "libx265": "max-cll", "libsvtav1": "content-light"}[encoder]
        yield f"{name}={most},{average}"


def _side_data(frame: VideoFrame, kind: str) -> bytes | None:
    """To be asked once per file, not per clip.

    It makes the frame a part of a circle, and so the decoder's pictures stay until the garbage collector comes by,
    which hears nothing of FFmpeg's memory.
    """
    try:
        entries: Iterable[SideData] = frame.side_data  # type: ignore[assignment] # PyAV's stub says dict; it is a list
    except ValueError:  # one is of a kind that PyAV does not know, as Exif: it lists all or none
        return None
    for entry in entries:
        if entry.type.name == kind:
            return bytes(entry)
    return None


def display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    """The container's turn and flip of the picture, as its nine numbers."""
    data = _side_data(frame, "DISPLAYMATRIX")
    return struct.unpack("=9i", data) if data else None


def is_mirrored(frame: VideoFrame) -> bool:
    """Whether a player shows the picture mirrored, besides turning it."""
    matrix = display_matrix(frame)
    return matrix is not None and matrix[0] * matrix[4] < matrix[1] * matrix[3]
