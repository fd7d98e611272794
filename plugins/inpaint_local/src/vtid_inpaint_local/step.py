"""The step as the outside sees it: its values, its result, its report. Everything heavy is imported when it runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from vtid.sdk import (
    Context,
    Coordinates,
    File,
    Image,
    InvalidInput,
    MediaInfo,
    Meta,
    Problem,
    Region,
    Step,
    Struct,
    Subtitles,
    Video,
    field,
    normalise_regions,
)

from . import models, tuning

Policy = Literal["subtitles", "all", "static", "regions"]
Kind = Literal["subtitle", "mark", "moving", "scene", "erasure"]


class Settings(Struct, forbid_unknown_fields=True):
    """The operator's table `[plugins.inpaint_local]`."""

    default_detector: Annotated[
        str,
        Meta(
            description="What `auto` means: `rapidocr`, `easyocr`, or `model:NAME`; `auto` takes the first installed.",
            extra_json_schema={"x-vtid-model": models.TEXT_DETECTOR},
        ),
    ] = "auto"
    model_dir: Annotated[
        Path | None,
        Meta(description="Folder with EasyOCR's weights (craft_mlt_25k.pth). Nothing is ever downloaded."),
    ] = None

    def __post_init__(self) -> None:
        """Complain about a detector that there is not."""
        if words := models.complaint(self.default_detector, models.DETECTORS, models.TEXT_DETECTOR):
            raise ValueError(f"default_detector: {words}")


class Looking(Struct, forbid_unknown_fields=True):
    """What a job may choose about what is found."""

    policy: Annotated[
        Policy,
        Meta(
            description="Which text goes. subtitles: all that lies over the picture (subtitles, marks, tickers, "
            "credits), and scene text stays; all: scene text too, where it can be followed; static: only marks, "
            "which stay for long; regions: only what lies in text or erasure regions or in the mask."
        ),
    ] = "subtitles"
    detector: Annotated[
        str,
        Meta(
            description="Which text detector looks: auto takes the operator's choice; rapidocr, easyocr, or model:NAME "
            "for a model that the operator added.",
            extra_json_schema={"x-vtid-model": models.TEXT_DETECTOR},
        ),
    ] = "auto"
    regions: Annotated[
        list[Region],
        Meta(
            description="Boxes on the picture as shown, in fractions or pixels, each over a time range. erasure: all "
            "inside goes; text: only text inside goes, and with one such region text elsewhere stays; "
            "protection: nothing inside is touched."
        ),
    ] = field(default_factory=list)
    find_text: Annotated[
        bool, Meta(description="Look for text. False: only erasure regions and the mask are emptied.")
    ] = True
    sample_s: Annotated[
        float,
        Meta(
            ge=0.1, le=2, description="Seconds between looks for text. Shorter finds shorter texts, and takes longer."
        ),
    ] = tuning.SAMPLE_S


class Params(Looking, forbid_unknown_fields=True):
    """What a job may choose."""

    guide: Annotated[
        str,
        Meta(
            description="What fills where no other frame shows what was behind: classical, or model:NAME for an "
            "inpainting model that the operator added (slow on a CPU).",
            extra_json_schema={"x-vtid-model": models.INPAINTING},
        ),
    ] = "classical"
    verify: Annotated[
        bool, Meta(description="Look for the text again in the result, and try once more where it is still seen.")
    ] = True
    page: Annotated[
        bool, Meta(description="Make a page (HTML) that shows every text before and after, and the figures.")
    ] = False
    codec: Annotated[
        Literal["auto", "h264", "hevc", "av1", "vp9", "prores"],
        Meta(description="How the result is encoded; auto keeps the source's codec where it can be encoded."),
    ] = "auto"
    crf: Annotated[
        Annotated[float, Meta(ge=0, le=63)] | None,
        Meta(description="Constant rate factor, smaller is better; empty: so that the loss does not show."),
    ] = None
    preset: Annotated[
        Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"] | None,
        Meta(description="The preset of x264 and x265; slower is smaller. Empty: vtid chooses."),
    ] = None


class Inputs(Struct):
    """What comes in."""

    video: Video
    mask: File | None = None
    """White is erased: a picture for the whole time, or a video."""


class Removed(Struct):
    """One text (or erasure region) that was removed."""

    at: Coordinates
    """Where, in fractions of the picture as shown."""
    start_s: float
    end_s: float
    text: str | None
    """What was read; None where it could not be: unclear, or in a script that the reader does not know."""
    kind: Kind
    still_seen: int = 0
    """In how many of the frames looked at the detector still sees text there, in the result."""


class Stayed(Struct):
    """One text that was found and left alone."""

    at: Coordinates
    start_s: float
    end_s: float
    text: str | None
    kind: Kind


class Outside(Struct):
    """How much changed where nothing was to change: away from all that was painted, by more than coding does."""

    frames: int
    """Frames of the rendered stretches that were compared with the source; the others are copies, bit for bit."""
    ppm: float
    """Changed blocks of 8×8 pixels in a million: those whose mean differs by more than 8 levels of 255."""
    most: float
    """The largest change of such a mean, levels."""


class Spans(Struct):
    """Stretches between key frames."""

    copied: int
    """Taken over bit for bit."""
    rendered: int
    """Encoded anew."""
    frames_copied: int = 0
    frames_rendered: int = 0


class Report(Struct):
    """What was done, with the evidence."""

    summary: str
    """One or two plain sentences."""
    unchanged: bool
    """Nothing was found: the result is the very file that came in."""
    detector: str
    events: list[Removed] = field(default_factory=list)
    stayed: list[Stayed] = field(default_factory=list)
    """Text that the policy leaves alone."""
    frames: int = 0
    frames_touched: int = 0
    looks: int = 0
    """Frames in which the detector looked for text."""
    moving: int = 0
    """Sightings of text that could not be followed (on people, on signs); it stays."""
    doubtful: int = 0
    """Still boxes that turned out not to be text; they stay."""
    verified: bool = False
    """Whether the result was looked at again."""
    residual: int = 0
    """Texts that the detector still sees in the result."""
    second_try: bool = False
    """Whether wider masks were tried."""
    outside: Outside | None = None
    """None where the result was not looked at, or nothing was painted."""
    spans: Spans | None = None
    """None where the result is not made of spans."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Per stage: detect, fill, verify."""
    encoder: str = ""


class Outputs(Struct):
    """What comes out."""

    video: Video
    report: Report
    subtitles: Subtitles | None = None
    """The removed subtitles as SRT, where any could be read."""
    boxes: File | None = None
    """All removed text as JSON, with boxes; where there was any."""
    page: File | None = None
    """The report as a page, where it was asked for."""


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


class PreviewParams(Looking, forbid_unknown_fields=True):
    """What a preview may choose."""

    at_s: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(
            description="Seconds from the start: also give the picture at this time without its text, and look for "
            "text only around it."
        ),
    ] = None


class Found(Struct):
    """One text that would go or stay."""

    at: Coordinates
    """In fractions of the picture as shown."""
    start_s: float
    end_s: float
    text: str | None
    """None where it could not be read."""
    confidence: float
    kind: Kind
    goes: bool
    """Whether the policy removes it."""


class PreviewReport(Struct):
    """What a look at the video found; nothing is changed."""

    found: list[Found]
    width: int
    """Of the picture as shown, pixels."""
    height: int
    start_s: float
    """The time that was looked at; around `at_s` only, where that was given."""
    end_s: float
    at_s: float | None
    """Of the frame that the still shows."""
    detector: str
    seconds: dict[str, float]


class PreviewOutputs(Struct):
    """What a preview gives."""

    report: PreviewReport
    boxes: File
    """The same report as a JSON file."""
    still: Image | None = None
    """PNG, where a time was given."""


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


def regions(params: Looking, info: MediaInfo) -> list[Region]:
    """The regions in fractions of the picture as shown. Raises `InvalidInput`."""
    stream = info.video[0]
    width, height = stream.width, stream.height
    if stream.rotation % 180:
        width, height = height, width
    return normalise_regions(params.regions, width=width, height=height, duration_s=info.duration_s)
