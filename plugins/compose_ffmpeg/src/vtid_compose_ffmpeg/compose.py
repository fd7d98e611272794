"""A document is checked against its files, its text drawn, the film rendered."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vtid.sdk import (
    Audio,
    Composed,
    Context,
    File,
    Image,
    InvalidInput,
    Media,
    Overlay,
    Presets,
    Stretch,
    Timeline,
    Video,
)

from .captions import burnt, lines_of, soft
from .complaints import Complaints
from .document import Composition
from .fonts import font_of
from .given import Given
from .layout import Laid, lay_out
from .making import SOUNDS, STILLS
from .report import Inputs, Outputs, Piece, PlanOutputs, Report
from .text import overlay_of

_QUIETER = 0.5
"""LUFS by which a film may be quieter than was wanted before that is said; what is made aims at 0.3."""


def compose(ctx: Context, film: Composition, inputs: Inputs, presets: Presets) -> Outputs:
    """See `Compose`."""
    ctx.progress(0, "Looking at the files")
    files = given(inputs.files, ctx.media, ctx.threads)
    laid = lay_out(film, files, presets)
    timeline, warnings = written(ctx, film, laid, files)
    target = _target(ctx, film)
    began = time.monotonic()
    done = ctx.media.compose(
        timeline,
        target,
        laid.writing,
        progress=lambda frames: ctx.progress(frames / timeline.frames, "Rendering"),
    )
    report = _report(film, laid, warnings, done.stretches)
    report.encoder = None if all(one.copied for one in done.stretches) else done.encoder
    report.audio_encoder, report.loudness = done.audio_encoder, done.loudness
    report.warnings += _otherwise(laid, done)
    report.seconds = round(time.monotonic() - began, 3)
    return _outputs(target, report)


def _otherwise(laid: Laid, done: Composed) -> Iterator[str]:
    """What only shows while the film is made."""
    order = [clip.name for clip in (*laid.main, *laid.above)]
    for one in sorted(done.short, key=lambda each: order.index(each.name)):
        says = f"though it says that it lasts {round(one.says_s, 2):g} s"
        yield f"{one.name}: the film's frames end at {round(one.ends_s, 2):g} s, {says}; its last frame stays"
    wanted = laid.mix.loudness if laid.mix else None
    if wanted is not None and done.loudness is not None and done.loudness < wanted - _QUIETER:
        yield f"audio.loudness: is {done.loudness:.1f} LUFS, not {wanted:g}: louder, the peaks would be cut off"


def _outputs(target: Path, report: Report) -> Outputs:
    """The file as what it is."""
    ending = target.suffix[1:]
    if ending in STILLS:
        return Outputs(report, picture=Image(target))
    if ending in SOUNDS:
        return Outputs(report, sound=Audio(target))
    return Outputs(report, video=Video(target))


def plan(ctx: Context, film: Composition, inputs: Inputs, presets: Presets) -> PlanOutputs:
    """See `Plan`."""
    files = given(inputs.files, ctx.media, ctx.threads)
    laid = lay_out(film, files, presets)
    timeline, warnings = written(ctx, film, laid, files)
    return PlanOutputs(_report(film, laid, warnings, ctx.media.explain(timeline, _target(ctx, film), laid.writing)))


def _target(ctx: Context, film: Composition) -> Path:
    return ctx.workspace / f"film.{film.output.format}"


def given(files: Mapping[str, File], media: Media, threads: int) -> dict[str, Given]:
    """The files by the names that the document has for them; so many are looked at beside one another.

    Args:
        files: of the step.
        media: of the engine.
        threads: that may be kept busy.
    """

    def looked_at(file: File) -> Given:
        path, name = Path(file.path), file.name or Path(file.path).name
        try:
            return Given(path, name, media.probe(path))
        except InvalidInput as error:  # a font, for one; whoever needs media of it will complain
            return Given(path, name, None, error.problems[0].message if error.problems else "")

    with ThreadPoolExecutor(max_workers=threads) as pool:
        found = pool.map(looked_at, files.values())
        return {f"asset:{name.removeprefix('file_')}": one for name, one in zip(files, found, strict=True)}


def written(ctx: Context, film: Composition, laid: Laid, files: Mapping[str, Given]) -> tuple[Timeline, Sequence[str]]:
    """The film with all its text, and what a person should know. Raises `InvalidInput` with every problem of it."""
    complaints = Complaints()
    overlays = texts(film, laid, files, complaints)
    track = None
    if film.captions:
        lines = lines_of(ctx, film.captions, laid, files, complaints)
        if film.captions.mode == "burn":
            overlays += burnt(film.captions, lines, laid, files, complaints)
        else:
            track = soft(film.captions, lines, film.output, complaints)
    complaints.raise_any()
    return laid.timeline(overlays, track), complaints.warnings


def texts(film: Composition, laid: Laid, files: Mapping[str, Given], complaints: Complaints) -> list[Overlay]:
    """All texts, drawn."""
    out: list[Overlay | None] = []
    for number, text in enumerate(film.overlays):
        here = f"overlays[{number}]"
        if text.end_time is not None and text.end_time <= text.start_time:
            complaints.add(f"{here}.end_time", f"is not after start_time ({text.start_time:g} s)")
        elif text.start_time * laid.canvas.rate >= laid.frames:
            end_s = float(laid.frames / laid.canvas.rate)
            complaints.add(f"{here}.start_time", f"past the end of the film ({end_s:g} s)", "past_end")
        font = font_of(text, here, files, complaints)
        if font and not complaints.problems:
            out.append(overlay_of(text, font, laid.canvas, laid.full, laid.frames))
    return [one for one in out if one is not None]


def _report(film: Composition, laid: Laid, warnings: Sequence[str], stretches: Sequence[Stretch]) -> Report:
    def seconds(frame: int) -> float:
        return round(float(frame / laid.canvas.rate), 3)

    return Report(
        width=laid.canvas.width,
        height=laid.canvas.height,
        fps=round(float(laid.canvas.rate), 3),
        frames=stretches[-1].last,
        duration_s=seconds(stretches[-1].last),
        seen=film.output.format not in SOUNDS,
        pieces=[Piece(seconds(one.first), seconds(one.last), one.copied, one.why) for one in stretches],
        placed=list(laid.placed),
        warnings=[*laid.warnings, *warnings],
    )
