"""What may be chosen, by the operator and by a job, and what comes in. Light: nothing heavy is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from vtid.sdk import File, MediaInfo, Meta, Region, Struct, Video, field, normalise_regions

from . import models, tuning

Policy = Literal["subtitles", "all", "static", "regions"]


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


class PreviewParams(Looking, forbid_unknown_fields=True):
    """What a preview may choose."""

    at_s: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(
            description="Seconds from the start: also give the picture at this time without its text, and look for "
            "text only around it."
        ),
    ] = None


class Inputs(Struct):
    """What comes in."""

    video: Video
    mask: File | None = None
    """White is erased: a picture for the whole time, or a video."""


def regions(params: Looking, info: MediaInfo) -> list[Region]:
    """The regions in fractions of the picture as shown. Raises `InvalidInput`."""
    stream = info.video[0]
    width, height = stream.width, stream.height
    if stream.rotation % 180:
        width, height = height, width
    return normalise_regions(params.regions, width=width, height=height, duration_s=info.duration_s)
