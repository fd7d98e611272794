"""The output folder: a result gets its name in it when it is whole, and once, however often one is killed at it."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from vtid.errors import Conflict, DiskFull, Unavailable, VtidError
from vtid.watch import naming
from vtid.watch.moving import publish


class Outbox:
    """Where the results of a hot folder go.

    Args:
        root: the folder.
        collision: `suffix`, `overwrite` or `fail`.
    """

    def __init__(self, root: Path, collision: str) -> None:
        self.root = root
        self._collision = collision
        self._staging = root / naming.OWN / "staging"

    def deliver(
        self,
        ticket: str,
        name: str,
        fetch: Callable[[Path], None],
        size: int,
        chosen: str | None,
        choose: Callable[[str], None],
    ) -> str:
        """Put a file there under its name. Called again after a crash, it finds what it had done.

        Args:
            ticket: unique to this result.
            name: wanted, with its sub-folders.
            fetch: writes the result to a path.
            size: of it, in bytes.
            chosen: the name that was noted before, where one was.
            choose: notes a name; called before a file appears under it.

        Returns:
            The name that it has.

        Raises:
            Conflict: the name is taken, and nothing may be written over; or it is too long there.
            Unavailable, DiskFull: the folder cannot be written now.
        """
        staged = self._staging / ticket
        try:
            if chosen and self._is_out(staged, self.root / chosen, size):
                staged.unlink(missing_ok=True)
                return chosen
            self._staging.mkdir(parents=True, exist_ok=True)
            staged.unlink(missing_ok=True)
            try:
                fetch(staged)
                found = self._name(staged, name, choose)
            except (DiskFull, Conflict):  # half of it would only take the room that is missing
                staged.unlink(missing_ok=True)
                raise
            staged.unlink(missing_ok=True)
        except DiskFull as error:  # it is this disk that was written to, wherever the result came from
            raise _full(self.root) from error
        except OSError as error:
            raise _translated(error, self.root) from error
        return found

    def _is_out(self, staged: Path, target: Path, size: int) -> bool:
        """Whether a file that a name was noted for got it before we were killed."""
        if not target.exists():
            return False
        if staged.exists():
            return target.samefile(staged)
        return target.stat().st_size == size

    def _name(self, staged: Path, name: str, choose: Callable[[str], None]) -> str:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        for candidate in naming.candidates(name):
            target = self.root / candidate
            if self._collision == "overwrite":
                choose(candidate)
                staged.replace(target)
                return candidate
            if target.exists():
                if self._collision == "fail":
                    raise Conflict(f'{target} exists already, and collision = "fail".')
                continue
            choose(candidate)
            with suppress(FileExistsError):  # somebody else put a file there this very moment
                publish(staged, target)
                return candidate
        raise Conflict(f"There are too many files called {name} in {self.root}.")

    def free(self) -> int:
        """Bytes of room there. Raises `Unavailable`."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            return shutil.disk_usage(self.root).free
        except OSError as error:
            raise _translated(error, self.root) from error

    def sweep(self, known: set[str]) -> None:
        """Remove what was staged for files that are not on their way any more."""
        with suppress(OSError):
            for path in self._staging.iterdir():
                if path.name[:36] not in known:
                    path.unlink(missing_ok=True)


def _full(root: Path) -> DiskFull:
    return DiskFull(f"The disk of {root} is full.", suggestion="Free some space; delivery goes on by itself.")


def _translated(error: OSError, root: Path) -> VtidError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(root)
    if error.errno == errno.ENAMETOOLONG:
        return Conflict(
            f"The file system of {root} takes no name as long as the result's; give the file a shorter one."
        )
    return Unavailable(f"{error.filename or root} cannot be written: {error.strerror}")
