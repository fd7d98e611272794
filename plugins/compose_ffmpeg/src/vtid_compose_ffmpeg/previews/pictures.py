"""Thumbnails and stills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from vtid.sdk import Context, Image, MediaInfo, Meta, Problem, Sprites, Step, Struct, Subtitles, Video, field

MOST_STILLS = 50
Seconds = Annotated[float, Meta(ge=0, le=604_800)]


class Film(Struct):
    """A film."""

    video: Video


class SheetParams(Struct, forbid_unknown_fields=True):
    """How many, how large."""

    most: Annotated[int, Meta(ge=1, le=2000, description="Thumbnails; at most one a second.")] = 500
    side: Annotated[int, Meta(ge=32, le=640, description="The longer side of one, in pixels.")] = 160


class SheetsOut(Struct):
    """Thumbnails."""

    sheets: dict[str, Image]
    index: Subtitles
    report: Sprites


class Sheets(Step):
    """Thumbnails of the whole film on a few sheets, and a WebVTT file that says which lies where."""

    name = "compose_ffmpeg.sprites"

    def run(self, ctx: Context, params: SheetParams, inputs: Film) -> SheetsOut:
        """See the class."""
        found, sheets = ctx.media.previews.sprites(
            inputs.video.path,
            ctx.workspace,
            most=params.most,
            side=params.side,
            progress=lambda done: ctx.progress(done, "Drawing thumbnails"),
        )
        index = ctx.workspace / "sprites.vtt"
        index.write_text(webvtt(found), "utf-8")
        images = {str(number): Image(sheet, sheet.name) for number, sheet in enumerate(sheets, 1)}
        return SheetsOut(images, Subtitles(index, "sprites.vtt"), found)


def webvtt(found: Sprites) -> str:
    """Each thumbnail as a cue: a sheet's name and the part of it (`#xywh`, Media Fragments URI 1.0)."""
    cues = ["WEBVTT"]
    for number in range(found.count):
        sheet, place = divmod(number, found.columns * found.rows)
        row, column = divmod(place, found.columns)
        begin, end = (_clock(at * found.interval_s) for at in (number, number + 1))
        part = f"{column * found.width},{row * found.height},{found.width},{found.height}"
        cues.append(f"{begin} --> {end}\nsprite-{sheet + 1}.jpg#xywh={part}")
    return "\n\n".join(cues) + "\n"


def _clock(seconds: float) -> str:
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"


class StillParams(Struct, forbid_unknown_fields=True):
    """Which."""

    at: Annotated[
        list[Seconds], Meta(min_length=1, max_length=MOST_STILLS, description="Seconds from the first frame.")
    ]
    widths: Annotated[
        list[Annotated[int, Meta(ge=16, le=8192)]],
        Meta(
            max_length=10,
            description="Pixels, where the picture is wider; each gives a row of its own. Empty: as it is.",
        ),
    ] = field(default_factory=list)
    format: Annotated[Literal["jpg", "png"], Meta(description="Of the pictures.")] = "jpg"


class StillFacts(Struct):
    """One picture."""

    at_s: float
    width: int
    height: int


class StillsOut(Struct):
    """Pictures."""

    stills: dict[str, Image]
    report: list[StillFacts]


class Stills(Step):
    """Single pictures of a film, as a player shows them."""

    name = "compose_ffmpeg.stills"

    def check(self, params: StillParams, sources: Mapping[str, MediaInfo]) -> Sequence[Problem]:
        """Times that the film does not have."""
        length = sources["video"].duration_s if "video" in sources else None
        return [
            Problem(f"at[{number}]", f"past the end of the video ({length:.2f} s)", "past_end")
            for number, at in enumerate(params.at)
            if length is not None and at > length
        ]

    def run(self, ctx: Context, params: StillParams, inputs: Film) -> StillsOut:
        """See the class."""
        images, facts = {}, []
        widths: list[int | None] = [*params.widths] or [None]
        wanted = [(at, width) for width in widths for at in params.at]
        for number, (at, width) in enumerate(wanted, 1):
            ctx.progress((number - 1) / len(wanted), "Drawing")
            target = ctx.workspace / f"still-{number}.{params.format}"
            size = ctx.media.previews.still(inputs.video.path, target, at, width=width)
            images[str(number)] = Image(target, target.name)
            facts.append(StillFacts(at, *size))
        return StillsOut(images, facts)
