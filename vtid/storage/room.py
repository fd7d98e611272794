"""Room on a disk: a floor is kept free, so that the database below the same roof never finds it full."""

from __future__ import annotations

import shutil
from pathlib import Path

from vtid.errors import DiskFull


class Room:
    """Says whether something fits.

    Args:
        folder: on the disk.
        min_free_bytes: what must stay free.
    """

    def __init__(self, folder: Path, min_free_bytes: int) -> None:
        self._folder = folder
        self._min_free = min_free_bytes

    def require(self, size: int = 0) -> None:
        """Raise `DiskFull` unless `size` bytes fit and the floor stays free."""
        free = shutil.disk_usage(self._folder).free
        if free - size < self._min_free:
            floor = self._min_free // 2**20
            raise DiskFull(
                f"The disk of {self._folder} has {free // 2**20} MiB left; {floor} MiB are kept free.",
                suggestion="Free some space, or lower limits.min_free_disk_mb.",
            )
