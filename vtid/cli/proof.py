"""What the demo claims, measured anew on the files themselves, apart from the code that made them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLES_PER_S = 2.0
MIN_SCORE = 0.5
"""The detector's own confidence below which a box is a guess."""
MAX_HEIGHT = 0.25
"""Of the picture; a taller box is a landscape that the detector takes for a page, and no line of text."""
PICTURE_EDGE = 960


class Claim(Struct, frozen=True):
    """Something that was looked at."""

    name: str
    holds: bool
    found: str


class Texts(Struct, frozen=True):
    """How many text boxes a detector sees."""

    frames: int
    boxes: int


def claims(before: Path, after: Path, job: dict[str, Any]) -> list[Claim]:
    """Everything that the demo says of its result.

    Args:
        before: the clip that was sent.
        after: the clip that came back.
        job: as the daemon tells it, with the report of its step.
    """
    from vtid.media.compare import compare

    seen, left = count_texts([before, after])
    measured = compare(before, after)
    a, b = measured.before, measured.after
    sound = f"{b.audio_packets} packets, SHA-256 {b.audio_sha256[:16]}…"
    return [
        Claim("text is there before", seen.boxes > 0, f"{seen.boxes} text boxes in {seen.frames} frames looked at"),
        Claim("text is gone after", left.boxes == 0, f"{left.boxes} text boxes in {left.frames} frames looked at"),
        _reported(job),
        Claim("same frames", measured.same_frames, f"{a.frames} and {b.frames}"),
        Claim("same duration", measured.same_duration, f"{a.duration_s:.3f} s and {b.duration_s:.3f} s"),
        Claim(
            "same sound", measured.same_audio and a.audio_packets > 0, sound if measured.same_audio else "it differs"
        ),
    ]


def count_texts(paths: Sequence[Path]) -> list[Texts]:
    """Look at frames of each file with a text detector of its own."""
    from rapidocr import RapidOCR

    limits = {"Det.limit_type": "max", "Det.limit_side_len": PICTURE_EDGE, "Global.log_level": "critical"}
    engine = RapidOCR(params=limits)
    counts = []
    for path in paths:
        found = [_boxes(engine, picture) for picture in _samples(path)]
        counts.append(Texts(len(found), sum(found)))
    return counts


def _boxes(engine: Any, bgr: NDArray[np.uint8]) -> int:
    got = engine(bgr, use_det=True, use_cls=False, use_rec=False)
    if got.boxes is None:
        return 0
    heights = [box[:, 1].max() - box[:, 1].min() for box in got.boxes]
    tallest = MAX_HEIGHT * bgr.shape[0]
    return sum(bool(h <= tallest and score >= MIN_SCORE) for h, score in zip(heights, got.scores, strict=True))


def _samples(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Pictures at an even distance, over the whole clip."""
    from vtid.media import PyAVMedia

    due = 0.0
    for frame in PyAVMedia().frames(path):
        if frame.time_s >= due:
            due += 1 / SAMPLES_PER_S
            yield frame.bgr()


def _reported(job: dict[str, Any]) -> Claim:
    """What the step found when it looked at its own result."""
    metadata = job.get("metadata") or {}
    report = next((o["report"] for o in metadata.values() if isinstance(o, dict) and "report" in o), None)
    if not isinstance(report, dict):
        return Claim("the job's own report agrees", False, "the job has none")
    removed, left = len(report.get("events", ())), report.get("residual")
    holds = removed > 0 and left == 0 and bool(report.get("verified"))
    return Claim("the job's own report agrees", holds, f"{removed} texts removed, {left} still seen")
