"""Probing strangers' files: in a process of its own, kept warm between files, replaced when one of them kills it."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from pathlib import Path

import psutil

from vtid import errors
from vtid.domain.media import MediaInfo
from vtid.engine.isolation import Child, remove_folder
from vtid.engine.wire import Probed, ProbeFailed, ProbeTask

PREFIX = "probe-"
TIMEOUT_S = 60.0
IDLE_S = 3.0
"""After this long without a file the process is let go: it holds 36 MB, and starting another takes 0.2 s."""

_ERRORS = {e.code: e for e in (errors.MediaError, errors.UnsupportedMedia, errors.InvalidInput)}


def folder_in(data: Path) -> Path:
    """Where, in the data folder, files lie while they are looked at."""
    return data / "probe"


class Prober:
    """Says what files are, one at a time.

    Args:
        folder: for the process's working files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._cwd: Path | None = None
        self._timer: threading.Timer | None = None

    def begin(self) -> None:
        """Start the process, for a file that is about to come: whoever has something else to do first waits less.

        It rests from the first file on, so whoever begins must close. What goes wrong the first file will tell.
        """
        with self._lock, contextlib.suppress(OSError):
            self._warm()

    def probe(self, path: Path, kind: str = "file") -> MediaInfo:
        """The facts of a file.

        Args:
            path: of it; its name appears in complaints.
            kind: `video` or `audio` where it must be one.

        Raises:
            MediaError: it cannot be read; also when reading it crashed or never ended.
            UnsupportedMedia: it is no media file.
        """
        with self._lock:
            child = self._warm()
            try:
                child.channel.socket.settimeout(TIMEOUT_S)
                child.channel.send(ProbeTask(str(path), kind))
                report = child.channel.report()
            except TimeoutError:
                self._stop()
                raise errors.MediaError(
                    f"Looking at {path.name} took longer than {TIMEOUT_S:.0f} s; it is most likely damaged."
                ) from None
            except (EOFError, OSError):
                self._stop()
                raise errors.MediaError(
                    f"{path.name} cannot be read: the reader crashed over it. It is most likely damaged."
                ) from None
            self._rest()
        if isinstance(report, Probed):
            return report.info
        assert isinstance(report, ProbeFailed)
        raise _ERRORS.get(report.code, errors.MediaError)(report.message, problems=report.problems)

    def sweep(self, older_than_s: float) -> int:
        """Remove what killed processes left. Returns how many folders."""
        count, limit = 0, time.time() - older_than_s
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            owner = folder.name.removeprefix(PREFIX).partition("-")[0] if folder.name.startswith(PREFIX) else ""
            gone = not psutil.pid_exists(int(owner)) if owner.isdigit() else folder.stat().st_mtime < limit
            if gone:
                remove_folder(folder)
                count += 1
        return count

    def _warm(self) -> Child:
        if self._timer:
            self._timer.cancel()
        if self._child is None or self._child.process.poll() is not None:
            self._stop()
            self._folder.mkdir(parents=True, exist_ok=True)
            self._cwd = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=self._folder))
            self._child = Child(self._cwd)
        return self._child

    def _rest(self) -> None:
        self._timer = threading.Timer(IDLE_S, self.close)
        self._timer.daemon = True
        self._timer.start()

    def _stop(self) -> None:
        if self._child:
            self._child.kill()
        if self._cwd:
            remove_folder(self._cwd)
        self._child = self._cwd = None

    def close(self) -> None:
        """Let the process go; the next file starts another."""
        if self._timer:
            self._timer.cancel()
        # A probe in hand finishes first, unless it hangs: then the process goes under it.
        taken = self._lock.acquire(timeout=1.0)
        try:
            self._stop()
        finally:
            if taken:
                with contextlib.suppress(RuntimeError):
                    self._lock.release()
