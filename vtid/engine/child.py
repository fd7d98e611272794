"""The process of one step (or of probing): limits first, then the task, then nothing left behind.

Started by `vtid.engine.isolation` as `python -m vtid.engine.child FD PARENT`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import sys
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from vtid.domain.encoder import Candidate
from vtid.domain.media import MediaInfo
from vtid.engine.wire import (
    Channel,
    Encoding,
    Failed,
    Limits,
    Log,
    Note,
    OnceBegin,
    OnceEnd,
    OnceForget,
    OnceReply,
    Probed,
    ProbeFailed,
    ProbeTask,
    Progress,
    StepTask,
)
from vtid.errors import InvalidInput, MediaError, Problem
from vtid.sdk import Context, Media, Recorded

_PR_SET_PDEATHSIG = 1
PROBE_LIMIT_S = 90
_NO_SOUND = Problem("", "has no sound", "no_audio")


class PipeLink:
    """The `Link` of a step in a child process: everything is asked of the worker."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def progress(self, fraction: float, message: str | None) -> None:
        """Tell; a cancelled step is killed, so nothing is asked."""
        self._channel.send(Progress(fraction, message))

    def log(self, level: str, event: str, fields: dict[str, Any]) -> None:
        """Tell."""
        self._channel.send(Log(level, event, fields))

    def note(self, outputs: dict[str, Any]) -> None:
        """Tell, and wait until it is stored."""
        self._channel.send(Note(outputs))
        self._channel.command()

    def once_begin(self, key: str) -> Recorded:
        """Ask."""
        self._channel.send(OnceBegin(key))
        return cast("OnceReply", self._channel.command()).recorded

    def once_end(self, key: str, value: Any) -> None:
        """Tell, and wait until it is stored."""
        self._channel.send(OnceEnd(key, value))
        self._channel.command()

    def once_forget(self, key: str) -> None:
        """Tell, and wait until it is stored."""
        self._channel.send(OnceForget(key))
        self._channel.command()


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it, and waits for it, ends in whatever way.

    Args:
        parent: its process id; it may be gone before this is called.
    """
    with contextlib.suppress(OSError, AttributeError):  # not Linux: the closed socket ends the process at its next word
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def apply(limits: Limits) -> None:
    """Have the kernel enforce what it can; the worker watches the rest from outside."""
    wanted = {
        resource.RLIMIT_DATA: limits.memory_bytes,
        resource.RLIMIT_FSIZE: limits.disk_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CORE: 0,
    }
    for what, value in wanted.items():
        hard = resource.getrlimit(what)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)  # noqa: PLW2901
        resource.setrlimit(what, (value, value))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write over the limit then fails with EFBIG, which reads better


def run_step(task: StepTask, channel: Channel) -> None:
    """Import the one plugin, run the one step, tell the outcome."""
    die_with_parent(int(sys.argv[2]))
    apply(task.limits)
    # Imported under the limits, and only what this step needs.
    from vtid.engine.steps import call  # noqa: PLC0415
    from vtid.models import Store  # noqa: PLC0415
    from vtid.plugins import load_one  # noqa: PLC0415

    path = Path(task.path) if task.path else None
    record = load_one(task.plugin, task.module, path, task.settings, presets=task.presets)
    step = next((s for name, s in record.steps.items() if name == task.step), None)
    if step is None:
        channel.send(Failed("bug", f"{task.step} could not be loaded: {record.reason or 'no such step'}"))
        return
    context = Context(
        PipeLink(channel),
        job_id=task.job_id,
        step_id=task.step_id,
        attempt=task.attempt,
        started_at=task.started_at,
        workspace=Path(task.workspace),
        media=cast("Media", _WhenAsked(task, channel)),
        settings=record.settings,
        threads=task.threads,
        models=Store(Path(task.models), allow_non_commercial=task.allow_non_commercial),
        callback_url=task.callback_url,
        outputs=record.specs[task.step].data(),
    )
    channel.send(call(step, context, task.params, task.inputs))


class _WhenAsked:
    """A `Media` that is imported when the step first asks it for something: one that waits for a service never does."""

    def __init__(self, task: StepTask, channel: Channel) -> None:
        self._task = task
        self._channel = channel

    @cached_property
    def _media(self) -> Media:
        from vtid.media import PyAVMedia  # noqa: PLC0415
        from vtid.media.hardware import Hardware  # noqa: PLC0415

        return PyAVMedia(threads=self._task.threads, hardware=Hardware(self._task.hardware, self._tell))

    def _tell(self, candidate: Candidate | None) -> None:
        self._channel.send(Encoding(candidate.card, candidate.encoder.name) if candidate else Encoding(None))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._media, name)

    def __reduce__(self) -> str | tuple[Any, ...]:
        return self._media.__reduce__()


def answer_probe(task: ProbeTask, channel: Channel) -> None:
    """Probe one file.

    The process serves many threads of the daemon, so it can't be tied to the life of the one that started it: it ends
    with the socket, and the alarm ends it where it hangs in native code.
    """
    from vtid.media import probe, require_video, require_whole  # noqa: PLC0415

    signal.alarm(PROBE_LIMIT_S)
    path = Path(task.path)
    try:
        info = probe(path, "audio" if task.kind == "audio" else "video")
        if task.kind == "video":
            require_video(info, path.name)
        elif task.kind == "audio":
            _require_audio(info, path.name)
        if task.kind != "file":
            require_whole(path, info.container)
        channel.send(Probed(info))
    except InvalidInput as error:
        channel.send(ProbeFailed(error.code, error.message, error.problems))
    finally:
        signal.alarm(0)


def _require_audio(info: MediaInfo, name: str) -> None:
    if not info.audio:
        raise MediaError(f"{name} has no sound; a file with sound is needed here.", problems=[_NO_SOUND])


def main() -> None:
    """Serve the worker at the other end until it has no more tasks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the worker, which decides
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            match channel.command():
                case StepTask() as task:
                    run_step(task, channel)
                    return
                case ProbeTask() as task:
                    answer_probe(task, channel)
                case other:
                    raise TypeError(other)


if __name__ == "__main__":
    main()
