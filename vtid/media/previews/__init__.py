"""Previews for editors: frame times, a proxy, a waveform, sprites, shots, stills."""

from __future__ import annotations

from pathlib import Path

from vtid.domain.previewing import Progress, Shot, Sprites, Timing, Waveform
from vtid.media.hardware import Hardware
from vtid.media.previews.proxy import proxy
from vtid.media.previews.shots import shots
from vtid.media.previews.sprites import MOST, SIDE, sprites
from vtid.media.previews.timing import timing
from vtid.media.previews.waveform import waveform
from vtid.media.still import still, write_picture

__all__ = ["Previews"]


def _silent(_fraction: float) -> None:
    pass


class Previews:
    """`vtid.sdk.Previewing` by PyAV.

    Args:
        threads: how many decoder and encoder may each use.
        hardware: that may encode instead.
    """

    def __init__(self, threads: int, hardware: Hardware | None = None) -> None:
        self._threads = threads
        self._hardware = hardware or Hardware()

    def timing(self, path: Path) -> Timing:
        """See `vtid.sdk.Previewing.timing`."""
        return timing(path, self._threads)

    def proxy(self, path: Path, target: Path, *, progress: Progress = _silent) -> str:
        """See `vtid.sdk.Previewing.proxy`."""
        return proxy(path, target, self._threads, progress, self._hardware)

    def waveform(self, path: Path, target: Path, *, progress: Progress = _silent) -> Waveform:
        """See `vtid.sdk.Previewing.waveform`."""
        return waveform(path, target, progress)

    def sprites(
        self, path: Path, folder: Path, *, most: int = MOST, side: int = SIDE, progress: Progress = _silent
    ) -> tuple[Sprites, list[Path]]:
        """See `vtid.sdk.Previewing.sprites`."""
        return sprites(path, folder, self._threads, progress, most=most, side=side)

    def shots(self, path: Path, *, progress: Progress = _silent) -> list[Shot]:
        """See `vtid.sdk.Previewing.shots`."""
        return shots(path, self._threads, progress)

    def still(self, path: Path, target: Path, time_s: float, *, width: int | None = None) -> tuple[int, int]:
        """See `vtid.sdk.Previewing.still`."""
        picture = still(path, time_s, max_width=width)
        write_picture(target, picture)
        return picture.shape[1], picture.shape[0]
