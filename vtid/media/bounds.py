"""How large a picture may be. A few kilobytes can unfold to gigabytes: it is judged by what its header says."""

from __future__ import annotations

import struct
from pathlib import Path

from vtid.domain.media import MOST_PIXELS, TOO_MANY_PIXELS
from vtid.errors import MediaError, Problem

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG's frame, whichever way it is coded."""
_HEADER = 1 << 20


def require_pixels(name: str, width: int, height: int) -> None:
    """Raise `MediaError` where a picture, or a video's, is larger than can be worked on."""
    if width * height > MOST_PIXELS:
        most = f"at most {MOST_PIXELS / 1e6:.0f} million pixels can be worked on"
        what = f"has pictures of {width} x {height}, which is {width * height / 1e6:.0f} million pixels; {most}"
        raise MediaError(f"{name} {what}. Make it smaller.", problems=[Problem("", what, TOO_MANY_PIXELS)])


def declared_size(path: Path) -> tuple[int, int]:
    """Width and height that the header of a PNG or a JPEG says; 0 of anything else, which FFmpeg knows better.

    Of these two it says nothing where they are large beyond what it would decode, and others would.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER)
    except OSError:
        return 0, 0
    if head.startswith(_PNG) and len(head) >= 24:
        width, height = struct.unpack_from("!II", head, 16)
        return width, height
    return _jpeg(head) if head.startswith(_JPEG) else (0, 0)


def _jpeg(head: bytes) -> tuple[int, int]:
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker, length = head[at + 1], int.from_bytes(head[at + 2 : at + 4], "big")
        if marker in _JPEG_SIZES:
            height, width = struct.unpack_from("!HH", head, at + 5)
            return width, height
        at += 1 if marker == 0xFF else 2 + length  # a marker may be padded
    return 0, 0
