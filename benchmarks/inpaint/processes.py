"""Runs a command and watches what it costs."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

_LOOK_S = 0.05


class Cost(NamedTuple):
    """What a command and the processes under it took."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    """Resident sizes added up, highest of looks every 50 ms; pages that processes share count in each of them."""


class Failed(Exception):
    """The command did not do what it should have."""


def remove_text(source: Path, target: Path) -> Cost:
    """Run the real command, as it is installed beside this Python.

    Raises:
        Failed: it said so, or left no file.
    """
    target.unlink(missing_ok=True)
    cost = watched([sys.executable, "-m", "vtid.cli", "run", "remove-text", str(source), "-o", str(target)])
    if not target.is_file():
        raise Failed("it left no file")
    return cost


def watched(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end.

    Args:
        command: and its arguments.
        environment: besides this process's own.

    Raises:
        Failed: its exit code was not 0; with the last line that it said.
    """
    before, started, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), 0
    with tempfile.TemporaryFile("w+") as said:
        process = psutil.Popen(
            list(command), stdout=subprocess.DEVNULL, stderr=said, env={**os.environ, **(environment or {})}
        )
        while process.poll() is None:
            peak = max(peak, _resident(process))
            time.sleep(_LOOK_S)
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        if process.returncode:
            said.seek(0)
            raise Failed((said.read().strip().splitlines() or [f"exit code {process.returncode}"])[-1])
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, peak / 2**20)


def _resident(process: psutil.Process) -> int:
    total = 0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    for one in family:
        try:
            total += one.memory_info().rss
        except psutil.Error:
            continue  # it has ended since
    return total
