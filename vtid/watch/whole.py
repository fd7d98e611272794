"""Whether a file is there whole: nobody writes to it, it can be read to its end, and it is the same afterwards."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import signal
import stat
from pathlib import Path

from vtid.watch.settling import Seen

BLOCK = 1 << 20


class Unready(Exception):
    """A file is not to be taken now; the words say why."""


def stamp_of(found: os.stat_result) -> str:
    """What changes when a file does. Its times of access and of its entry do not count: a rename changes the latter."""
    return f"{found.st_mtime_ns:x}-{found.st_ino:x}"


def look(folder: Path, path: str) -> Seen | None:
    """A file as it is now; None where there is none, or something else than a file."""
    try:
        found = (folder / path).lstat()
    except OSError:
        return None
    return Seen(path, found.st_size, stamp_of(found)) if stat.S_ISREG(found.st_mode) else None


def read_whole(file: Path) -> str:
    """Read a file to its end. Returns its SHA-256 in hexadecimal.

    Raises:
        Unready: somebody writes to it, it cannot be read, or it changed meanwhile.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Unready(f"it cannot be opened: {error.strerror}") from error
    with open(descriptor, "rb", buffering=0) as handle:  # noqa: PTH123 - opened above, without following links
        if _has_writer(descriptor):
            raise Unready("a program still has it open for writing")
        before, digest, size = os.fstat(descriptor), hashlib.sha256(), 0
        try:
            while piece := handle.read(BLOCK):
                digest.update(piece)
                size += len(piece)
        except OSError as error:
            raise Unready(f"it cannot be read to its end: {error.strerror}") from error
        after = os.fstat(descriptor)
    if size != before.st_size or (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise Unready("it changed while it was read")
    return digest.hexdigest()


def writer_of(file: Path) -> bool:
    """Whether a program on this machine has a file open for writing, as far as the system tells."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return _has_writer(descriptor)
    finally:
        os.close(descriptor)


def _has_writer(descriptor: int) -> bool:
    """Ask the kernel for a read lease, which it gives only where nobody has the file open for writing.

    A copy that stalls for minutes, and looks as finished as any file, is told in this way. It takes Linux, a local file
    system, and a file of this user's; elsewhere nothing is known, and the other signs have to do.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        # Whoever opens the file for writing while the lease is held makes the kernel tell us, by a signal that would
        # end this process; this one is ignored by default.
        fcntl.fcntl(descriptor, getattr(fcntl, "F_SETSIG", 10), signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno in (errno.EAGAIN, errno.EWOULDBLOCK)
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
