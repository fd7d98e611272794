"""What comes back: fetched at once, looked at before it is taken, and told about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from vtid.sdk import Context, InvalidInput, MediaInfo, RetryLater, StepError, Struct

from .client import Expired, GhostCut, Work
from .orders import WHOLE, Order

LENGTH_MAY_DIFFER_S, LENGTH_MAY_DIFFER = 0.3, 0.002
"""Seconds, and share of the film: what encoders and containers disagree about."""


class Report(Struct):
    """What was done, and what it cost."""

    summary: str
    """One or two plain sentences."""
    tier: str
    whole_picture: bool
    """Whether text was looked for everywhere, rather than in regions only."""
    masks: int
    project: str
    """The batch at GhostCut that the task belongs to."""
    points: float | None
    """Paid; None where GhostCut does not say."""
    source_size: tuple[int, int]
    """Width and height, pixels."""
    result_size: tuple[int, int]
    source_seconds: float
    result_seconds: float


def fetch(
    ctx: Context, service: GhostCut, done: Work, source: MediaInfo, told: Callable[[float], None]
) -> tuple[Path, MediaInfo]:
    """The result and its facts.

    Args:
        ctx: of the step.
        service: that has it.
        done: the task, with the address of its result; one that has expired is asked for again.
        source: facts of the video that was sent.
        told: is called with the share that has come in.

    Raises:
        StepError: it is not a whole result.
        RetryLater: it cannot be had just now.
    """
    target = ctx.workspace / "result.mp4"
    for url in _addresses(service, done):
        try:
            service.download(url, target, told)
            break
        except Expired:
            continue
    else:
        raise RetryLater(ctx.settings.poll_seconds, "GhostCut does not hand out the result yet")
    try:
        found = ctx.media.probe(target)
    except InvalidInput as error:
        raise StepError(
            f"What GhostCut made of task {done.id} cannot be read: {error.message}", suggestion=_ADVICE
        ) from error
    _require_whole(done.id, source, found)
    return _named(target, found), found


_ADVICE = "Retry the job to fetch it again; if it stays so, ask GhostCut's support, naming the task."


def _addresses(service: GhostCut, done: Work) -> Iterator[str]:
    """Where the result lies; the second time as the service says now."""
    if done.video_url:
        yield done.video_url
    now = service.status(done.id)
    if now and now.video_url:
        yield now.video_url


def _require_whole(task: str, source: MediaInfo, found: MediaInfo) -> None:
    """The picture, the sound if there was any, and the whole length."""
    lacks = []
    if not found.video:
        lacks.append("has no picture")
    if source.audio and not found.audio:
        lacks.append("has no sound, and the video had")
    allowed = LENGTH_MAY_DIFFER_S + LENGTH_MAY_DIFFER * source.duration_s
    if abs(found.duration_s - source.duration_s) > allowed:
        lacks.append(f"lasts {found.duration_s:.2f} s, and the video {source.duration_s:.2f} s")
    if lacks:
        words = f"What GhostCut made of task {task} {' and '.join(lacks)}; it was not taken."
        raise StepError(words, suggestion=_ADVICE)


def _named(target: Path, found: MediaInfo) -> Path:
    """The file under the ending that it has by its content."""
    return target if found.container == "mp4" else target.rename(target.with_suffix(f".{found.container}"))


def report(order: Order, done: Work, source: MediaInfo, found: MediaInfo) -> Report:
    """What the job keeps."""
    before, after = (source.width, source.height), (found.width, found.height)
    whole = order.mode == WHOLE
    words = "GhostCut removed text from the whole picture" if whole else f"GhostCut worked on {_count(order)}"
    if done.points is not None:
        words += f", for {done.points:g} point{'' if done.points == 1 else 's'}"
    smaller = sorted(after) < sorted(before)
    if smaller:
        words += f". It made the picture smaller: {after[0]}×{after[1]}, was {before[0]}×{before[1]}"
    return Report(
        summary=f"{words}.",
        tier=order.params.tier,
        whole_picture=whole,
        masks=len(order.masks),
        project=done.project,
        points=done.points,
        source_size=before,
        result_size=after,
        source_seconds=source.duration_s,
        result_seconds=found.duration_s,
    )


def _count(order: Order) -> str:
    return "one region" if len(order.masks) == 1 else f"{len(order.masks)} regions"
