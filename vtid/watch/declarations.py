"""The declarations that there are: read at the start, and again whenever one of their files changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vtid.domain.step import StepSpec
from vtid.pipelines import Pipelines
from vtid.watch.checking import load
from vtid.watch.declaration import Declared


class Declarations:
    """What the hot folders of this machine are to do, now.

    Args:
        dirs: with a file for each.
        pipelines: that there are.
        specs: of their steps.
    """

    def __init__(self, dirs: Sequence[Path], pipelines: Pipelines, specs: Mapping[str, StepSpec]) -> None:
        self._dirs = dirs
        self._pipelines = pipelines
        self._specs = specs
        self._print: frozenset[tuple[str, int, int, int]] | None = None

    def news(self) -> dict[str, Declared] | None:
        """All of them by name, those that are not enabled left out; None where nothing has changed since the last call.

        A folder of declarations that cannot be read for a moment changes nothing.
        """
        try:
            now = frozenset(_print_of(file) for folder in self._dirs for file in folder.glob("*.toml"))
        except OSError:  # a file went while it was looked at: the next call sees to it
            return None
        if now == self._print or (not now and self._print and not all(folder.is_dir() for folder in self._dirs)):
            return None
        self._print = now
        found = load(self._dirs, self._pipelines, self._specs)
        return {one.name: one for one in found if one.watch is None or one.watch.enabled}


def _print_of(file: Path) -> tuple[str, int, int, int]:
    found = file.stat()
    return str(file), found.st_mtime_ns, found.st_size, found.st_ino
