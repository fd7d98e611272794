"""Packets on their way from an encoder to the film that they become a piece of.

Not a container for players: it keeps what joining needs, byte for byte, whatever the codec. No container that FFmpeg
writes holds all codecs, any time base and headers within packets alike.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct

from vtid.errors import Misfit

_MAGIC = b"vtid part 1\n"
_HEAD = struct.Struct("<q?I")


class Encoded(Struct, frozen=True):
    """A packet, in the order of decoding."""

    pts: int
    """In ticks of the encoder."""
    key: bool
    data: bytes


class Spool:
    """Writes packets to a file that is there when it is whole. A context manager.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._aside = path.with_name(f"{path.name}.half")
        self._file = self._aside.open("wb")
        self._file.write(_MAGIC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._file.close()
        if kind is None:
            self._aside.replace(self._path)
        else:
            self._aside.unlink(missing_ok=True)

    def add(self, packet: Encoded) -> None:
        """Write the next packet."""
        self._file.write(_HEAD.pack(packet.pts, packet.key, len(packet.data)))
        self._file.write(packet.data)


def unspool(path: Path) -> Iterator[Encoded]:
    """The packets of a file, one by one. Raises `Misfit` where it is not whole or no such file."""
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise Misfit(f"{path.name} is no rendered span.")
            while head := file.read(_HEAD.size):
                pts, key, size = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, False, -1)
                data = file.read(max(0, size))
                if len(data) != size:
                    raise Misfit(f"{path.name} is cut off.")
                yield Encoded(pts, key, data)
    except FileNotFoundError:
        raise Misfit(f"There is no rendered span {path.name}.") from None
