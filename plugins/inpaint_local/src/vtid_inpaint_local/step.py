"""The step as the outside sees it: its values, its result, its report. Everything heavy is imported when it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from vtid.sdk import (
    Context,
    Coordinates,
    InvalidInput,
    MediaInfo,
    Meta,
    Problem,
    Region,
    Step,
    Struct,
    Video,
    field,
    normalise_regions,
)

DetectorName = Literal["auto", "rapidocr", "easyocr"]


class Settings(Struct, forbid_unknown_fields=True):
    """The operator's table `[plugins.inpaint_local]`."""

    default_detector: Annotated[
        DetectorName, Meta(description="What `auto` means; `auto` takes the first installed.")
    ] = "auto"
    model_dir: Annotated[
        Path | None,
        Meta(description="Folder with EasyOCR's weights (craft_mlt_25k.pth). Nothing is ever downloaded."),
    ] = None


class Params(Struct, forbid_unknown_fields=True):
    """What a job may choose."""

    detector: Annotated[
        DetectorName, Meta(description="Which text detector looks; auto takes the operator's choice.")
    ] = "auto"
    regions: Annotated[
        list[Region],
        Meta(
            description="Boxes on the picture as shown, in fractions or pixels, each over a time range. erasure: all "
            "inside goes; text: only text inside goes, and with one such region text elsewhere stays; "
            "protection: nothing inside is touched."
        ),
    ] = field(default_factory=list)
    find_text: Annotated[bool, Meta(description="Look for text. False: only erasure regions are emptied.")] = True
    sample_s: Annotated[
        float,
        Meta(
            ge=0.1, le=2, description="Seconds between looks for text. Shorter finds shorter texts, and takes longer."
        ),
    ] = 0.4
    verify: Annotated[
        bool, Meta(description="Look for the text again in the result, and try once more where it is still seen.")
    ] = True
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


class Removed(Struct):
    """One text (or erasure region) that was removed."""

    at: Coordinates
    """Where, in fractions of the picture as shown."""
    start_s: float
    end_s: float
    text: str = ""
    """What the detector read, for orientation: scripts that it does not know come out as nonsense."""
    erasure: bool = False
    still_seen: int = 0
    """In how many of the frames looked at the detector still sees text there, in the result."""


class Report(Struct):
    """What was done, with the evidence."""

    summary: str
    """One or two plain sentences."""
    unchanged: bool
    """Nothing was found: the result is the very file that came in."""
    detector: str
    events: list[Removed] = field(default_factory=list)
    frames: int = 0
    frames_touched: int = 0
    looks: int = 0
    """Frames in which the detector looked for text."""
    moving: int = 0
    """Sightings of text that did not hold still (signs, tickers, credits); it stays."""
    doubtful: int = 0
    """Still boxes that turned out not to be text; they stay."""
    verified: bool = False
    """Whether the result was looked at again."""
    residual: int = 0
    """Texts that the detector still sees in the result."""
    second_try: bool = False
    """Whether wider masks were tried."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Per stage: detect, fill, verify."""
    encoder: str = ""


class Outputs(Struct):
    """What comes out."""

    video: Video
    report: Report


class Remove(Step):
    """Remove burned-in text: subtitles, captions and whatever lies in the regions given.

    Text is looked for every few tenths of a second, followed to the exact frame, masked stroke by stroke and filled
    with what the frames before and after show of the background. Only masked pixels change; sound and all else is
    carried over. A video in which nothing is found is given back as it is, bit for bit.
    """

    name = "inpaint_local.remove"

    def check(self, params: Params, sources: Mapping[str, MediaInfo]) -> Sequence[Problem]:
        """Regions must lie within the picture as shown and within the video's time."""
        info = sources.get("video")
        if info is None or not info.video:
            return ()
        try:
            regions(params, info)
        except InvalidInput as error:
            return error.problems
        return ()

    def run(self, ctx: Context, params: Params, inputs: Inputs) -> Outputs:
        """See the class."""
        from .remove import remove  # noqa: PLC0415 - OpenCV and the detectors load only where a step runs

        return remove(ctx, params, inputs)


def regions(params: Params, info: MediaInfo) -> list[Region]:
    """The regions in fractions of the picture as shown. Raises `InvalidInput`."""
    stream = info.video[0]
    width, height = stream.width, stream.height
    if stream.rotation % 180:
        width, height = height, width
    return normalise_regions(params.regions, width=width, height=height, duration_s=info.duration_s)
