"""Which process of which machine: so that nobody waits for the lease of one that is dead to run out."""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path

import psutil


def this_machine() -> str:
    """Names this machine and, in containers that share a host name, the space that its process ids are from."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    return f"{socket.gethostname()} {space}".strip()


def is_alive(pid: int, noted_at: float) -> bool:
    """Whether a process id still names the process that it did then, and not a later one."""
    try:
        process = psutil.Process(pid)
        return bool(process.create_time() <= noted_at and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def name_of_process() -> str:
    """A name for this process that no other has, ever, and by which `is_dead` knows it."""
    return f"{this_machine()[:70]} {os.getpid()} {uuid.uuid4().hex[:8]}"


def is_dead(name: str, noted_at: float) -> bool:
    """Whether a process of that name, which lived at that time, does so no more; False of one of another machine."""
    machine, _, rest = name.rpartition(" ")[0].rpartition(" ")
    return machine == this_machine()[:70] and rest.isdigit() and not is_alive(int(rest), noted_at)
