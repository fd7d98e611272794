"""Child processes for steps: started, listened to, watched, and ended within a second, whatever they are doing.

A step that crashes, allocates without end, writes without end or hangs takes its own process with it and nothing else;
the person reads which of these it was.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from msgspec import Struct

from vtid.engine.steps import Outcome
from vtid.engine.wire import (
    Ack,
    Channel,
    Done,
    Encoding,
    Failed,
    Later,
    Limits,
    Log,
    Note,
    OnceBegin,
    OnceEnd,
    OnceForget,
    OnceReply,
    Progress,
    Report,
    StepTask,
    Suspend,
)
from vtid.errors import StepCrashed
from vtid.sdk import Link

POLL_S = 0.05
"""How soon a cancel is seen."""
WATCH_S = 0.25
"""How often memory is looked at; the kernel's own limit is behind it."""
DISK_WATCH_S = 1.0
LAST_WORDS_S = 5.0
NEAR_LIMIT = 0.7
"""A process that crashed having held this share of its memory limit is taken to have crashed over that."""
SECRET_WORDS = ("KEY", "SECRET", "TOKEN", "PASSWORD", "CREDENTIAL", "_URL")
_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])


class Child:
    """A process of ours at the other end of a socket pair.

    Args:
        cwd: its working folder; its temporary files and its output go there.
    """

    def __init__(self, cwd: Path) -> None:
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        self._output = cwd / "output.log"
        with theirs, self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "vtid.engine.child", str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=_environment(cwd),
                start_new_session=True,  # a group of its own, so that what it starts dies with it
            )

    def kill(self) -> None:
        """End the process and all that it started. Safe to call again."""
        for process in _family(self.process.pid):  # those that left the group too
            with contextlib.suppress(psutil.Error):
                process.kill()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.channel.close()

    def reap(self, wait_s: float) -> tuple[int | None, int]:
        """Wait for the process to end.

        Returns:
            Its exit code, negative for a signal and None while it lives, and the most memory that it had, in bytes.
        """
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline and self.process.returncode is None:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                return self.process.returncode, usage.ru_maxrss * 1024
            time.sleep(POLL_S / 10)
        return self.process.returncode, 0

    def last_words(self, limit: int = 4000) -> str:
        """The end of what it printed."""
        with contextlib.suppress(OSError):
            return self._output.read_bytes()[-limit:].decode(errors="replace").strip()
        return ""


FRUGAL = {"OPENBLAS_NUM_THREADS": "1"}
"""NumPy would start a thread for each processor when it is imported, which costs up to 0.2 s of processor time. No step
of ours multiplies matrices large enough to gain by that; how many threads it may have, a step is told."""


def _environment(cwd: Path) -> dict[str, str]:
    """The worker's environment without other people's secrets: a step gets its settings from its context."""
    kept = {k: v for k, v in os.environ.items() if not any(word in k.upper() for word in SECRET_WORDS)}
    paths = [_PACKAGE_ROOT, *filter(None, [kept.get("PYTHONPATH")])]
    return FRUGAL | kept | {"TMPDIR": str(cwd), "PYTHONPATH": os.pathsep.join(paths)}


class Watch(Struct):
    """What ends a step from outside."""

    limits: Limits
    deadline: float
    """Seconds since the epoch."""
    stopped: Callable[[], None]
    """Raises what the step is to end with: `Cancelled`, for one."""
    require_room: Callable[[], None]
    """Raises `DiskFull` when the disk is about to be."""
    encoding: Callable[[Encoding], None] = lambda _encoding: None
    """Is told when the step begins to encode on a card, and when it stops."""
    stall_s: float = 0.0
    """How long a step that encodes on a card may be silent before that has hung."""


def run_isolated(task: StepTask, link: Link, watch: Watch) -> Outcome:
    """Run a step in a process of its own.

    Args:
        task: what to run.
        link: answers the step's questions.
        watch: what ends it early.

    Raises:
        StepCrashed: the process died or passed a limit; the message says which.
        BaseException: whatever `watch.stopped` raised.
    """
    child = Child(Path(task.workspace))
    try:
        return _Supervisor(child, task, link, watch).run()
    finally:
        child.kill()


class _Supervisor:
    """Listens to one child and watches over it."""

    def __init__(self, child: Child, task: StepTask, link: Link, watch: Watch) -> None:
        self.child = child
        self.task = task
        self.link = link
        self.watch = watch
        self.next_watch = 0.0
        self.next_disk = 0.0
        self.peak = 0
        self.encodes_on: str | None = None
        self.heard_at = time.monotonic()

    def run(self) -> Outcome:
        with selectors.DefaultSelector() as selector:
            selector.register(self.child.channel.socket, selectors.EVENT_READ)
            with contextlib.suppress(OSError):  # gone already: the receiving side finds out why
                self.child.channel.send(self.task)
            while True:
                ready = selector.select(POLL_S)
                self.look()
                if not ready:
                    # What the process started may still hold its end of the line, so silence alone says nothing; and
                    # the last words may have come just before the end: one more look after it.
                    if self.ended() and not selector.select(0):
                        raise StepCrashed(self.post_mortem())
                    continue
                self.heard_at = time.monotonic()
                for report in self.hear():
                    outcome = self.handle(report)
                    if outcome is not None:
                        return self.final(outcome)

    def hear(self) -> list[Report]:
        try:
            return self.child.channel.reports()
        except (EOFError, OSError):
            raise StepCrashed(self.post_mortem()) from None
        except ValueError as error:
            raise StepCrashed(f"it has a bug: {error}") from None

    def ended(self) -> bool:
        with contextlib.suppress(ChildProcessError):
            return os.waitid(os.P_PID, self.child.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        return True

    def handle(self, report: Report) -> Outcome | None:
        match report:
            case Progress(fraction=fraction, message=message):
                self.link.progress(fraction, message)
            case Encoding(card=card):
                self.encodes_on = card
                self.watch.encoding(report)
            case Log(level=level, event=event, fields=fields):
                self.link.log(level, event, fields)
            case Note(outputs=outputs):
                self.link.note(outputs)
                self.child.channel.send(Ack())
            case OnceBegin(key=key):
                self.child.channel.send(OnceReply(self.link.once_begin(key)))
            case OnceEnd(key=key, value=value):
                self.link.once_end(key, value)
                self.child.channel.send(Ack())
            case OnceForget(key=key):
                self.link.once_forget(key)
                self.child.channel.send(Ack())
            case Done() | Suspend() | Later() | Failed():
                return report
            case _:
                raise TypeError(report)
        return None

    def final(self, outcome: Outcome) -> Outcome:
        """An outcome as it is, but running out of memory is a limit and not a bug."""
        if isinstance(outcome, Failed) and outcome.kind == "memory":
            raise StepCrashed(self.too_much_memory())
        return outcome

    def look(self) -> None:
        """Raise when the step has to end."""
        self.watch.stopped()
        now = time.time()
        if now > self.watch.deadline:
            raise StepCrashed(f"it took longer than {self.watch.deadline - self.task.started_at:g} s and was stopped")
        if self.encodes_on and time.monotonic() - self.heard_at > self.watch.stall_s:
            raise StepCrashed(f"its encoder hung: nothing was heard of it for {self.watch.stall_s:g} s")
        if now >= self.next_watch:
            self.next_watch = now + WATCH_S
            self.peak = max(self.peak, _memory(self.child.process.pid))
            if self.peak > self.watch.limits.memory_bytes:
                raise StepCrashed(self.too_much_memory())
        if now >= self.next_disk:
            self.next_disk = now + DISK_WATCH_S
            self.watch.require_room()
            if _size(Path(self.task.workspace)) > self.watch.limits.disk_bytes:
                raise StepCrashed(
                    f"it wrote more than {self.watch.limits.disk_bytes >> 20} MiB (limits.step_disk_mb) and was stopped"
                )

    def too_much_memory(self) -> str:
        limit = self.watch.limits.memory_bytes >> 20
        return f"it needed more than {limit} MiB of memory (limits.step_memory_mb) and was stopped"

    def post_mortem(self) -> str:
        """Why a process ended without a word."""
        code, most = self.child.reap(LAST_WORDS_S)
        if code is None:
            return "it stopped talking"
        # Native code that is refused memory seldom says so: it crashes.
        if code < 0 and max(most, self.peak) > NEAR_LIMIT * self.watch.limits.memory_bytes:
            return self.too_much_memory()
        if code == -signal.SIGKILL:
            return "it was killed from outside, most likely because the machine ran out of memory"
        words = self.child.last_words()
        tail = f"; its last words: {words.splitlines()[-1][:300]}" if words else ""
        if code < 0:
            return f"it crashed ({signal.Signals(-code).name}), most likely over the content of this file{tail}"
        return f"it ended by itself with code {code}{tail}"


def _family(pid: int) -> list[psutil.Process]:
    """A process and all that it started and that still leads back to it."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def _memory(pid: int) -> int:
    """Resident bytes of a process and its children."""
    total = 0
    for process in _family(pid):
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def _size(folder: Path) -> int:
    """Bytes that the files under a folder take."""
    total = 0
    with contextlib.suppress(RecursionError):  # nested deeper than Python can go; what was counted counts
        for root, _, names in os.walk(folder):
            for name in names:
                with contextlib.suppress(OSError):
                    total += os.lstat(os.path.join(root, name)).st_blocks * 512  # noqa: PTH118 - a hot loop
    return total


def remove_folder(folder: Path) -> None:
    """Remove a workspace, whatever is left in it."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:  # folders nested deeper than Python can go
        subprocess.run(["/bin/rm", "-rf", "--", str(folder)], check=False)
