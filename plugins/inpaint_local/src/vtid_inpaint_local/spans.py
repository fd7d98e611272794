"""The second pass, span by span, in as many processes as there are cores for it.

The film is divided where nothing is lost by it: at cuts, and where no text stands. How it is divided depends on the
film alone, and a span on nothing but itself and its surroundings; so the result is the same however many work at it.
"""

from __future__ import annotations

import multiprocessing
import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import pairwise
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import NamedTuple

import cv2
from msgspec import Struct

from vtid.sdk import Frame, Media, Part, RenderPlan, StepError

from . import memory, tuning
from .ahead import ahead
from .composite import Composite
from .events import Event, Findings
from .outside import Bystander, Seen
from .painter import Guide, classical
from .zones import Zones


class Job(Struct):
    """What all spans of a film have in common."""

    media: Media
    source: Path
    plan: RenderPlan
    zones: Zones
    width: int
    height: int
    frame_bytes: int
    frames: int
    """Of the film."""
    guide: Guide = classical


class Span(NamedTuple):
    """One of them, with what touches it."""

    number: int
    """In the plan."""
    part: Path
    found: Findings


class Done(NamedTuple):
    """A rendered span."""

    part: Part
    touched: int
    """Frames that were painted."""
    seen: dict[int, Seen]
    """Samples of the source, to compare the result with."""


def touched(found: Findings, zones: Zones) -> list[tuple[int, int]]:
    """The frame ranges in which anything is painted, in order and apart."""
    out: list[tuple[int, int]] = []
    for start, end in sorted(part for event in found.events for part in painted(event, found.times, zones)):
        if out and start <= out[-1][1]:
            out[-1] = out[-1][0], max(out[-1][1], end)
        else:
            out.append((start, end))
    return out


def painted(event: Event, times: Sequence[float], zones: Zones) -> list[tuple[int, int]]:
    """Of an event's frames those in which regions have any of it go: they may hold for a part of its time."""
    if not zones.spare:
        return [(event.start, event.end)]
    ends = {bisect_left(times, time) for zone in zones.all for time in zone.times}
    marks = [event.start, *sorted(n for n in ends if event.start < n < event.end), event.end]
    return [
        (first, last)
        for first, last in pairwise(marks)
        if zones.gone(event.reach, times[first], text=not event.erasure).any()
    ]


def splits(found: Findings, zones: Zones) -> list[int]:
    """Frames before which a span may end: nothing on the other side is a source for what is filled on this."""
    return sorted(found.cuts | {edge for part in touched(found, zones) for edge in part})


def least_frames(frames: int) -> int:
    """The shortest span worth its own start and the surroundings that it reads, for a film of so many frames."""
    low, high = tuning.SPAN_FRAMES
    return int(min(high, max(low, frames // tuning.SPANS)))


def render(
    job: Job,
    found: Findings,
    numbers: Sequence[int],
    folder: Path,
    *,
    threads: int,
    progress: Callable[[float], None],
) -> list[Done]:
    """Render these spans of the plan.

    Args:
        job: what they have in common.
        found: of the first pass.
        numbers: of the spans.
        folder: for the parts.
        threads: cores to keep busy: with processes first, and with threads within one where there is but one span.
        progress: is told, now and then, the share of frames that is done; what it raises ends the work.

    Raises:
        Misfit: frames did not come as planned.
        StepError: a worker died.
    """
    spans = [_span(job.plan, found, n, folder) for n in numbers]
    total = max(1, sum(job.plan.spans[n].frames for n in numbers))
    workers = min(threads, len(spans))
    if workers <= 1:
        told = _Told(total, progress)
        return [_render(job, s, threads, told) for s in spans]
    context = multiprocessing.get_context("spawn")  # fork would copy locks that detectors' threads hold
    count = context.Value("q", 0)
    with ProcessPoolExecutor(workers, context, _begin, (job, max(1, threads // workers), count)) as pool:
        # The longest first, so that no worker begins one while the others have nothing left.
        longest = sorted(spans, key=lambda span: job.plan.spans[span.number].frames, reverse=True)
        futures = {span.number: pool.submit(_work, span) for span in longest}
        waiting = set(futures.values())
        try:
            while waiting:
                done, waiting = wait(waiting, tuning.PROGRESS_S, FIRST_EXCEPTION)
                for future in done:
                    future.result()
                progress(count.value / total)
        except BaseException as error:
            count.value = -(2**40)  # workers look at it with every frame
            pool.shutdown(cancel_futures=True)
            if isinstance(error, BrokenProcessPool):
                raise StepError(
                    "A process that was filling in the background died, most likely for want of memory. "
                    "Give the step more, or fewer threads."
                ) from error
            raise
        return [futures[span.number].result() for span in spans]


def _span(plan: RenderPlan, found: Findings, number: int, folder: Path) -> Span:
    span = plan.spans[number]
    first, last = span.first - tuning.AGE, span.last + 2 * tuning.LOOK
    events = [e for e in found.events if e.start < last and e.end > first]
    cuts = {c for c in found.cuts if first <= c <= last}
    return Span(number, folder / f"span-{number}.nut", Findings(events, cuts, []))


class _Told:
    """Counts frames within this process."""

    def __init__(self, total: int, progress: Callable[[float], None]) -> None:
        self._total, self._progress, self._count = total, progress, 0

    def __call__(self) -> None:
        self._count += 1
        self._progress(self._count / self._total)


def _render(job: Job, span: Span, threads: int, told: Callable[[], None]) -> Done:
    where = job.plan.spans[span.number]
    bystander = Bystander(job.frames)
    edit = Composite(
        span.found,
        job.zones,
        job.width,
        job.height,
        first=where.first,
        last=where.last,
        threads=threads,
        frame_bytes=job.frame_bytes,
        guide=job.guide,
        bystander=bystander,
    )

    def counted(frames: Iterable[Frame]) -> Iterator[Frame]:
        # Encoders write other bits with other numbers of threads, so that they get one; it works beside the filling.
        painted = ahead(edit(frames), tuning.CHUNK) if threads > 1 else edit(frames)
        for frame in painted:
            told()
            yield frame

    part = job.media.render(
        job.source,
        job.plan,
        span.number,
        span.part,
        counted,
        before=tuning.LOOK,
        after=tuning.LOOK,
        threads=tuning.CODER_THREADS,
    )
    return Done(part, edit.touched, bystander.seen)


_here: tuple[Job, int, Synchronized[int], int] | None = None
"""What a worker process was started with."""


def _begin(job: Job, threads: int, count: Synchronized[int]) -> None:
    global _here  # noqa: PLW0603 - the way to give a pool's processes something once
    cv2.setNumThreads(1)
    memory.keep()
    _here = job, threads, count, os.getppid()


def _work(span: Span) -> Done:
    assert _here is not None
    job, threads, count, parent = _here

    def told() -> None:
        with count.get_lock():
            count.value += 1
            stopped = count.value < 0
        if stopped or os.getppid() != parent:
            raise StepError("Stopped.")

    return _render(job, span, threads, told)
