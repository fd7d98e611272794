"""Pictures that are small on the disk and large in memory, byte by byte."""

from __future__ import annotations

import struct
import zlib


def huge_png(width: int, height: int) -> bytes:
    """A whole black picture, of one bit for each pixel: 900 million of them pack to 109 KB."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack("!IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))


def huge_jpeg(width: int, height: int) -> bytes:
    """The header of one, with what cameras put before its size."""
    exif, tables = b"\xff\xe1\x00\x06Exif", b"\xff\xdb\x00\x43" + bytes(65)
    frame = b"\xff\xc2\x00\x0b\x08" + struct.pack("!HH", height, width) + b"\x01\x01\x11\x00"
    return b"\xff\xd8" + exif + tables + frame + b"\xff\xd9"
