"""Does a file hold all the bytes that its own headers promise?

FFmpeg plays what there is of a file that was cut off and then says "end of file", as for a whole one. The containers
that are sent most often say their length near the front, so that a cut shows before any work is done.
"""

from __future__ import annotations

import struct
from pathlib import Path

from vtid.errors import MediaError, Problem

_MAX_BOXES = 10_000
"""Top-level boxes that are looked at. Fragmented files have two per fragment; a few hours of video stay below this."""


def require_whole(path: Path, container: str, *, frames: tuple[int, int] | None = None) -> None:
    """Raise `MediaError` for a file that ends before its headers say.

    Args:
        path: of the file.
        container: its short name.
        frames: video frames that lie in the file, and frames that its index lists, where known.
    """
    promised = promised_size(path, container)
    size = path.stat().st_size
    if frames and frames[0] < frames[1]:
        missing = f"it holds {frames[0]} of {frames[1]} frames"
    elif promised is not None and promised > size:
        missing = f"it holds {size} of {promised} bytes"
    else:
        return
    raise MediaError(
        f"{path.name} is cut off: {missing}. Send the whole file again.",
        problems=[Problem("", missing, code="cut_off")],
    )


def promised_size(path: Path, container: str) -> int | None:
    """Bytes that the file should have at least, by its own headers; None where the container doesn't say."""
    if container in ("mp4", "mov", "m4a", "m4v", "3gp"):
        return _boxes_end(path)
    if container in ("mkv", "webm"):
        return _segment_end(path)
    if container == "avi":
        return _riff_end(path)
    return None


def _boxes_end(path: Path) -> int:
    """The end of the last top-level box of an ISO file."""
    position, size = 0, path.stat().st_size
    with path.open("rb") as file:
        for _ in range(_MAX_BOXES):
            if position + 8 > size:
                break
            file.seek(position)
            head = file.read(16)
            length = struct.unpack_from(">I", head)[0]
            if length == 1 and len(head) == 16:
                length = struct.unpack_from(">Q", head, 8)[0]
            if length < 8:  # 0: up to the end of the file; anything else is damage, which decoding will show
                break
            position += length
    return position


def _segment_end(path: Path) -> int | None:
    """The end of a Matroska segment; None while its size is left open, as live recordings do."""
    with path.open("rb") as file:
        head = file.read(4096)
    at = 4
    if not head.startswith(b"\x1aE\xdf\xa3") or len(head) < 16:
        return None
    at, length = _vint(head, at)
    at += length or 0
    if head[at : at + 4] != b"\x18S\x80g" or at + 12 > len(head):
        return None
    at, length = _vint(head, at + 4)
    return None if length is None else at + length


def _vint(data: bytes, at: int) -> tuple[int, int | None]:
    """An EBML number: the position after it, and its value or None for "unknown"."""
    width = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + width], "big") & ((1 << 7 * width) - 1)
    return at + width, None if value == (1 << 7 * width) - 1 else value


def _riff_end(path: Path) -> int | None:
    with path.open("rb") as file:
        head = file.read(8)
    return None if len(head) < 8 else 8 + int(struct.unpack_from("<I", head, 4)[0])
