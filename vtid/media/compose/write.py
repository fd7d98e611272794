"""A composed film is written, as the target's ending says.

A video has its pictures in order, and beside each as much sound as belongs to it. Animations, stills and sound alone
have their own ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import av
from msgspec.structs import replace
from numpy.typing import NDArray

from vtid.domain.timeline import Composed, Stretch, Timeline, Writing
from vtid.errors import Misfit, StepError
from vtid.media.compose.animation import animated
from vtid.media.compose.copying import arrange
from vtid.media.compose.joined import joined, timescale
from vtid.media.compose.softtrack import SoftTrack
from vtid.media.compose.soundtrack import SOUND_FILES, SoundTrack, sounded
from vtid.media.compose.stack import Decoding, stacked
from vtid.media.containers import open_output, output_format, removed_on_failure
from vtid.media.encoders import EncodePlan, composing_plan
from vtid.media.hardware import Hardware
from vtid.media.still import write_picture

_ANIMATION = ".gif"
_STILLS = (".png", ".jpg")
_STILL_QUALITY = 92
"""Of a JPEG."""


def compose(
    timeline: Timeline,
    target: Path,
    writing: Writing,
    *,
    progress: Callable[[int], None],
    threads: int,
    hardware: Hardware,
) -> Composed:
    """See `vtid.sdk.Media.compose`."""
    if target.suffix in SOUND_FILES:
        return sounded(timeline, target, writing, progress=progress)
    decoding = Decoding(threads)
    done = _seen(timeline, target, writing, decoding, progress=progress, hardware=hardware)
    return replace(done, short=decoding.short)


def _seen(
    timeline: Timeline,
    target: Path,
    writing: Writing,
    decoding: Decoding,
    *,
    progress: Callable[[int], None],
    hardware: Hardware,
) -> Composed:
    """What has pictures."""
    if target.suffix == _ANIMATION:
        return animated(timeline, target, decoding, progress=progress)
    if target.suffix in _STILLS:
        return _still(timeline, target, decoding, progress=progress)
    composing_plan(timeline.canvas, output_format(target), writing)
    arrangement = arrange(timeline, target, writing)
    if arrangement.lead is not None:
        try:
            return joined(timeline, target, writing, arrangement, arrangement.lead, decoding, progress=progress)
        except Misfit as misfit:
            why = f"copied and rendered frames did not fit together: {misfit.message}"
    else:
        why = arrangement.stretches[0].why
    return _rendered(timeline, target, writing, why, decoding, progress=progress, hardware=hardware)


def explain(timeline: Timeline, target: Path, writing: Writing) -> tuple[Stretch, ...]:
    """See `vtid.sdk.Media.explain`."""
    if target.suffix in (_ANIMATION, *_STILLS, *SOUND_FILES):
        return (Stretch(0, timeline.frames, copied=False, why=f"a {target.suffix[1:].upper()} has its own coding"),)
    composing_plan(timeline.canvas, output_format(target), writing)
    return arrange(timeline, target, writing).stretches


def _still(timeline: Timeline, target: Path, decoding: Decoding, *, progress: Callable[[int], None]) -> Composed:
    """The first frame alone."""
    frame = next(stacked(timeline, decoding))
    picture: NDArray[Any] = frame.to_ndarray(format="bgr24")
    write_picture(target, picture, quality=_STILL_QUALITY)
    progress(timeline.frames)
    return Composed(1, 0, target.suffix[1:], stretches=explain(timeline, target, Writing()))


def _rendered(
    timeline: Timeline,
    target: Path,
    writing: Writing,
    why: str,
    decoding: Decoding,
    *,
    progress: Callable[[int], None],
    hardware: Hardware,
) -> Composed:
    """All of it."""
    plan = composing_plan(timeline.canvas, output_format(target), writing)
    with ExitStack() as held:
        held.enter_context(removed_on_failure(target))
        out = held.enter_context(open_output(target, timescale=timescale(timeline.canvas)))
        with _encoding(plan):
            video = held.enter_context(hardware.track(out, plan, decoding.threads, frame_threads=True))
        sound = SoundTrack(out, timeline, writing, decoding.threads) if timeline.mix is not None else None
        if sound:
            held.enter_context(closing(sound))
        soft = SoftTrack(out, timeline.captions) if timeline.captions else None
        written, each = 0, 1 / timeline.canvas.rate
        for frame in stacked(timeline, decoding):
            frame.pts, frame.time_base = written, each
            frame.pict_type = 0  # or the encoder repeats the source's I, P and B
            with _encoding(plan):
                packets = video.encode(frame)
            out.mux(packets)
            written += 1
            if sound:
                sound.write_until(written * each)
            if soft:
                soft.write_until(written * each)
            progress(written)
        if written != timeline.frames:
            raise RuntimeError(f"{written} frames were composed, and {timeline.frames} were to be")
        with _encoding(plan):
            packets = video.encode(None)
        out.mux(packets)
        loudness = sound.finish() if sound else None
    return Composed(
        frames=written,
        samples=timeline.samples if sound else 0,
        encoder=video.encoder,
        audio_encoder=sound.encoder if sound else None,
        loudness=loudness,
        stretches=(Stretch(0, written, copied=False, why=why),),
    )


@contextmanager
def _encoding(plan: EncodePlan) -> Iterator[None]:
    """Turns what an encoder says into `StepError`: that it refuses a size or a rate, or finds no memory, is no bug."""
    try:
        yield
    except av.error.FFmpegError as error:
        raise StepError(
            f"{plan.encoder} cannot encode {plan.width}×{plan.height} pictures like this ({error.strerror}).",
            suggestion="Ask for a smaller output.resolution, or another output.codec.",
        ) from error
