"""How far something is, on standard error: a bar where a person looks on, a line now and then where not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from vtid.cli.output import Output
from vtid.cli.remote import ENDED, Remote

LINE_PERCENT = 10


@contextlib.contextmanager
def transfer(out: Output, title: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """Show an upload or a download; gives what to call with the bytes done and the bytes in all (0: unknown)."""
    with _bar(out, DownloadColumn(), TransferSpeedColumn()) as bar:
        task = bar.add_task(title, total=total or None)
        yield lambda done, all_: bar.update(task, completed=done, total=all_ or total or None)


def watch(out: Output, remote: Remote, job_id: str, after: str = "0") -> dict[str, Any]:
    """Follow a job to its end.

    Returns:
        The job as the daemon tells it then.
    """
    with _bar(
        out, TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn(), TextColumn("{task.fields[message]}")
    ) as bar:
        task = bar.add_task("job", total=100, message="")
        tell = _Lines(out) if bar.disable and not out.as_json else None
        percent, message = 0, ""
        for event in remote.follow(job_id, after):
            if event.type not in ("status", "progress", "step"):
                continue
            percent = int(event.data.get("progress", percent))
            message = str(event.data.get("message") or message)
            bar.update(task, completed=percent, message=message)
            if tell:
                tell(percent, message)
    return remote.job(job_id)


def ending(job: dict[str, Any]) -> str:
    """How a job ended, in a line."""
    if job["status"] == "completed":
        return f"✓ {job.get('message') or 'completed'}"
    error = job.get("error")
    why = error.get("message") if isinstance(error, dict) else error
    return f"{'✗ ' if job['status'] in ENDED else ''}{job['status']}: {why or job.get('message')}"


class _Lines:
    """Progress for a log: a line for every tenth, and for every new message."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._last: tuple[int, str] | None = None

    def __call__(self, percent: int, message: str) -> None:
        now = percent // LINE_PERCENT, message
        if now != self._last:
            self._last = now
            self._out.err.print(f"{percent:>3} %  {message}", markup=False)


def _bar(out: Output, *more: ProgressColumn) -> Progress:
    hidden = out.as_json or not out.err.is_terminal
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *more,
        console=out.err,
        transient=True,
        disable=hidden,
    )
