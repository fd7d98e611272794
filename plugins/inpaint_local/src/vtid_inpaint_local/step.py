"""The steps as the outside sees them. Everything heavy is imported when they run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from vtid.sdk import Context, InvalidInput, MediaInfo, Problem, Step

from . import models
from .params import Inputs, Looking, Params, PreviewParams, regions
from .report import Outputs, PreviewOutputs


class Remove(Step):
    """Remove burned-in text: subtitles, captions, marks, tickers and whatever lies in the regions or the mask given.

    Text is looked for every few tenths of a second, followed to the exact frame, masked stroke by stroke and filled
    with what the frames before and after show of the background. Only masked pixels change; sound and all else is
    carried over. A video in which nothing is found is given back as it is, bit for bit.
    """

    name = "inpaint_local.remove"

    def check(self, params: Params, sources: Mapping[str, MediaInfo]) -> Sequence[Problem]:
        """Detector and guide must exist; regions must lie within the picture as shown and within the video's time."""
        problems = _unknown("detector", params.detector, models.DETECTORS, models.TEXT_DETECTOR)
        problems += _unknown("guide", params.guide, models.GUIDES, models.INPAINTING)
        return [*problems, *_misplaced(params, sources.get("video"))]

    def run(self, ctx: Context, params: Params, inputs: Inputs) -> Outputs:
        """See the class."""
        from .remove import remove  # noqa: PLC0415 - OpenCV and the detectors load only where a step runs

        return remove(ctx, params, inputs)


class Preview(Step):
    """Look for burned-in text and say where, when and what it is; at a given time, show the picture without it.

    Nothing is encoded: seconds for a clip, and for one picture only its neighbourhood is decoded.
    """

    name = "inpaint_local.preview"

    def check(self, params: PreviewParams, sources: Mapping[str, MediaInfo]) -> Sequence[Problem]:
        """As for removing, and the time must lie in the video."""
        info = sources.get("video")
        problems = _unknown("detector", params.detector, models.DETECTORS, models.TEXT_DETECTOR)
        problems += _misplaced(params, info)
        if info is not None and params.at_s is not None and params.at_s >= max(info.duration_s, 0.001):
            problems.append(Problem("at_s", f"past the end of the video ({info.duration_s:.2f} s)", "past_end"))
        return problems

    def run(self, ctx: Context, params: PreviewParams, inputs: Inputs) -> PreviewOutputs:
        """See the class."""
        from .preview import preview  # noqa: PLC0415 - as above

        return preview(ctx, params, inputs)


def _unknown(name: str, value: str, known: Collection[str], kind: str) -> list[Problem]:
    """Complaints about a name; whether a model is there is looked up by vtid itself."""
    words = models.complaint(value, known, kind)
    return [Problem(name, words, "unknown")] if words else []


def _misplaced(params: Looking, info: MediaInfo | None) -> Sequence[Problem]:
    """Complaints about the regions for this video."""
    if info is None or not info.video:
        return ()
    try:
        regions(params, info)
    except InvalidInput as error:
        return error.problems
    return ()
