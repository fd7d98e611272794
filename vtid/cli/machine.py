"""What `vtid doctor` says of the machine itself: cores, memory, disk, open files, the clock."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Literal

from msgspec import Struct

State = Literal["ok", "note", "missing"]
LOW_MEMORY = 2 << 30
LOW_DISK = 2 << 30
LOW_OPEN_FILES = 1024


class Fact(Struct, frozen=True):
    """One thing about this machine."""

    name: str
    state: State
    value: str
    meaning: str = ""
    """What follows from it, where it is not as it should be."""


def processors() -> Fact:
    """Cores of the machine, and those that this process may use."""
    usable, all_ = len(os.sched_getaffinity(0)), os.cpu_count() or 1
    quota = _cpu_quota()
    words = f"{usable} of {all_} cores" + (f", limited to the time of {quota:.1f}" if quota else "")
    return Fact("processors", "ok", words)


def _cpu_quota() -> float | None:
    """How many cores' time a container is given; None for no limit."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return int(quota) / int(period) if quota != "max" else None


def memory() -> Fact:
    """Memory of the machine, or of the container where that is less."""
    import psutil

    now = psutil.virtual_memory()
    total, free = now.total, now.available
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
        total, free = min(total, limit), min(free, max(0, limit - used))
    except (OSError, ValueError):
        pass  # no container, or one without a limit
    words = f"{size(free)} free of {size(total)}"
    if total < LOW_MEMORY:
        meaning = "little for video; set [workers] count = 1 and limits.step_memory_mb below it"
        return Fact("memory", "note", words, meaning)
    return Fact("memory", "ok", words)


def disk(name: str, path: Path) -> Fact:
    """Room at a path, or where it would be made, and whether this user may write there."""
    from vtid.cli.check import nearest

    folder = nearest(path)
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return Fact(name, "missing", str(path), f"{folder} cannot be written by this user")
    free = shutil.disk_usage(folder).free
    words = f"{path}: {size(free)} free"
    if free < LOW_DISK:
        return Fact(name, "note", words, "little for video: a job needs about three times the size of its file")
    return Fact(name, "ok", words)


def shared_memory() -> Fact:
    """Libraries use it between processes; containers often have very little."""
    path = Path("/dev/shm")  # noqa: S108 - looked at, not written
    if not path.is_dir():
        return Fact("shared memory", "note", "–", "there is no /dev/shm; vtid itself needs none")
    return Fact("shared memory", "ok", f"{path}: {size(shutil.disk_usage(path).free)} free")


def open_files() -> Fact:
    """How many files a process may hold open: each connection and each stream is one."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= LOW_OPEN_FILES:
        return Fact("open files", "ok", "no limit" if soft == resource.RLIM_INFINITY else str(soft))
    return Fact("open files", "note", str(soft), f"few for a busy daemon; raise it: ulimit -n {min(4096, hard)}")


def clock(now: float, built: float) -> Fact:
    """A clock behind vtid's own files is wrong: leases, signed links and certificates go by it."""
    words = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    if now < built - 24 * 3600:
        meaning = "it is behind the date of vtid's own files; set it, signed links depend on it"
        return Fact("clock", "missing", words, meaning)
    return Fact("clock", "ok", words)


def size(count: int) -> str:
    """Bytes for people."""
    return f"{count / (1 << 30):.1f} GB" if count >= 1 << 30 else f"{count >> 20} MB"
