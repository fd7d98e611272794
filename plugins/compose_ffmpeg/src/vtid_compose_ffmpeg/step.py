"""The steps as the outside sees them. Everything heavy is imported when they run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from vtid.sdk import Context, InvalidInput, MediaInfo, Presets, Problem, Step

from .document import Composition
from .report import Inputs, Outputs, PlanOutputs
from .times import TOLERANCE_S


class Compose(Step):
    """Make a film of clips, pictures, colours, text and sound, as a document describes it.

    Clips are decoded one after another, as their time comes; transitions and text cost nothing while they are not seen.
    Frames and samples are counted: picture and sound end together, however long the film.
    """

    name = "compose_ffmpeg.compose"

    def check(self, params: Composition, sources: Mapping[str, MediaInfo]) -> Sequence[Problem]:
        """What can be said by now; with the files, the step looks first and renders then."""
        return early_problems(params, sources, self.presets)

    def run(self, ctx: Context, params: Composition, inputs: Inputs) -> Outputs:
        """See the class."""
        from .compose import compose  # noqa: PLC0415 - fonts and drawing load only where a step runs

        return compose(ctx, params, inputs, self.presets)


class Plan(Step):
    """Check a composition against its files, and say what would be copied and what rendered. Nothing is rendered."""

    name = "compose_ffmpeg.plan"

    def check(self, params: Composition, sources: Mapping[str, MediaInfo]) -> Sequence[Problem]:
        """As for composing."""
        return early_problems(params, sources, self.presets)

    def run(self, ctx: Context, params: Composition, inputs: Inputs) -> PlanOutputs:
        """See the class."""
        from .compose import plan  # noqa: PLC0415 - as above

        return plan(ctx, params, inputs, self.presets)


def early_problems(film: Composition, sources: Mapping[str, MediaInfo], presets: Presets) -> list[Problem]:
    """Everything that is wrong, where all files are known by now; else the names that are no `asset:NAME`."""
    named = list(_named(film))
    problems = [
        Problem(place, f'"{name}" is no asset:NAME; send the file along as file_NAME', "unknown")
        for place, name in named
        if not name.startswith("asset:")
    ]
    known = {f"asset:{name.removeprefix('file_')}": info for name, info in sources.items()}
    if problems or not {name for _, name in named} <= known.keys():
        return [*problems, *_overlaps(film)]
    from .given import Given  # noqa: PLC0415
    from .layout import lay_out  # noqa: PLC0415 - as where a step runs

    try:
        lay_out(film, {name: Given(Path(name), name, info) for name, info in known.items()}, presets)
    except InvalidInput as error:
        return list(error.problems)
    return []


def _overlaps(film: Composition) -> Iterator[Problem]:
    """Clips of one track that begin before the one before them ends, as far as the document alone says so."""
    ends: dict[int, tuple[int, float]] = {}
    for number, clip in enumerate(film.clips):
        before, end = ends.pop(clip.track, (0, 0.0))
        if clip.start_time is not None and clip.start_time < end - TOLERANCE_S:
            words = f"overlaps clips[{before}], which ends at {end:g} s"
            yield Problem(f"clips[{number}].start_time", words, "overlap")
        if clip.end_time is not None:
            ends[clip.track] = number, clip.end_time
        elif clip.start_time is not None and isinstance(clip.duration, float):
            ends[clip.track] = number, clip.start_time + clip.duration


def _named(film: Composition) -> Iterator[tuple[str, str]]:
    """The files of a document, and where each is named."""
    names: list[tuple[str, str | None]] = [
        (f"clips[{at}].{name}", getattr(clip, name))
        for at, clip in enumerate(film.clips)
        for name in ("video_url", "image_url")
    ]
    names += [(f"audio.{name}", getattr(film.audio, name)) for name in ("music_url", "voiceover_url")]
    names += [(f"audio.tracks[{at}].url", track.url) for at, track in enumerate(film.audio.tracks)]
    if film.captions:
        names.append(("captions.url", film.captions.url))
    return ((place, name) for place, name in names if name is not None)
