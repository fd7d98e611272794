"""The composition document: one type, from the three lines that cut a video to a film of many tracks.

Times are seconds, places and sizes are fractions of the picture, colours are `#RRGGBB`. A file is named `asset:NAME`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from vtid.sdk import Meta, Struct, field

Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Volume = Annotated[float, Meta(ge=0, le=1)]
Fraction01 = Annotated[float, Meta(ge=0, le=1)]
Colour = Annotated[str, Meta(pattern="^#[0-9A-Fa-f]{6}$", examples=["#FF8800"])]
Source = Annotated[str, Meta(min_length=1, max_length=2_000)]

Fit = Literal["cover", "contain", "blur", "stretch"]

Edge = Literal[
    "center", "top", "bottom", "left", "right", "top-left", "top-center", "top-right", "center-left", "center-center",
    "center-right", "bottom-left", "bottom-center", "bottom-right",
]  # fmt: skip

TRANSITIONS = {
    "crossfade": "fade",
    "fade-black": "fadeblack",
    "fade-white": "fadewhite",
    "dissolve": "dissolve",
    "wipe-left": "wipeleft",
    "wipe-right": "wiperight",
    "wipe-up": "wipeup",
    "wipe-down": "wipedown",
    "slide-left": "slideleft",
    "slide-right": "slideright",
    "slide-up": "slideup",
    "slide-down": "slidedown",
    "circle-open": "circleopen",
    "circle-close": "circleclose",
    "radial": "radial",
    "pixelize": "pixelize",
    "zoom-in": "zoomin",
}
"""The document's name -> FFmpeg's, of the filter xfade."""

TransitionType = Literal[
    "crossfade", "fade-black", "fade-white", "dissolve", "wipe-left", "wipe-right", "wipe-up", "wipe-down",
    "slide-left", "slide-right", "slide-up", "slide-down", "circle-open", "circle-close", "radial", "pixelize",
    "zoom-in",
]  # fmt: skip


class Box(Struct, frozen=True, forbid_unknown_fields=True):
    """A box, in fractions of a picture; origin at the top left."""

    x: Fraction01
    y: Fraction01
    width: Annotated[float, Meta(gt=0, le=1)]
    height: Annotated[float, Meta(gt=0, le=1)]


class Point(Struct, frozen=True, forbid_unknown_fields=True):
    """A place, in fractions of a picture: where the middle of something comes to lie."""

    x: Fraction01
    y: Fraction01


class TransitionInto(Struct, frozen=True, forbid_unknown_fields=True):
    """How a clip takes over from the one before it. Both are seen meanwhile; the film is shorter by it."""

    type: TransitionType = "crossfade"
    duration: Annotated[float, Meta(gt=0, le=30, description="Seconds; at most half of the shorter clip is used.")] = (
        0.5
    )


class Clip(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A video, a picture or a colour, for a time."""

    video_url: Annotated[Source | None, Meta(description="A video, or sound without a picture.")] = None
    image_url: Annotated[Source | None, Meta(description="A still picture.")] = None
    color: Annotated[Colour | None, Meta(description="A plain colour.")] = None
    start_time: Annotated[
        Seconds | None, Meta(description="When it begins in the film; empty: when the one before it on its track ends.")
    ] = None
    end_time: Annotated[Seconds | None, Meta(description="When it ends in the film.")] = None
    duration: Annotated[
        Annotated[float, Meta(gt=0, le=86_400)] | Literal["auto"] | None,
        Meta(
            description="How long it is seen, instead of end_time; empty: as long as its source gives. auto: the same, "
            "and images and colours share what is left of the time until the next start_time, or until the sound ends."
        ),
    ] = None
    trim_start: Annotated[Seconds, Meta(description="Second of the source at which it begins.")] = 0.0
    trim_end: Annotated[Seconds | None, Meta(description="Second of the source at which it ends.")] = None
    track: Annotated[int, Meta(ge=0, le=9, description="0 is the film; higher ones lie over it.")] = 0
    position: Annotated[Box | None, Meta(description="Where on the canvas; empty: all of it.")] = None
    opacity: Annotated[float, Meta(gt=0, le=1)] = 1.0
    speed: Annotated[float, Meta(ge=0.25, le=4, description="The pitch of its sound stays.")] = 1.0
    fit: Annotated[
        Fit,
        Meta(
            description="contain shows all of it with the background beside it, blur with itself out of focus, cover "
            "fills and cuts, stretch fills and distorts."
        ),
    ] = "contain"
    background: Colour = "#000000"
    crop: Annotated[Box | None, Meta(description="The part of the source that is used.")] = None
    rotate: Annotated[Literal[0, 90, 180, 270], Meta(description="Degrees clockwise.")] = 0
    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    zoom: Annotated[
        float,
        Meta(ge=0.25, le=4, description="Of an image: how much larger it is in the end; under 1 it moves away."),
    ] = 1.0
    volume: Annotated[float, Meta(ge=0, le=4)] = 1.0
    fade_in: Annotated[Seconds, Meta(description="Of its sound.")] = 0.0
    fade_out: Annotated[Seconds, Meta(description="Of its sound.")] = 0.0
    mute: bool = False
    transition: TransitionInto | None = None

    @property
    def source(self) -> str | None:
        """The file that it is made of; None for a colour."""
        return self.video_url or self.image_url


class AudioTrack(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A sound of its own."""

    url: Source
    start_time: Annotated[Seconds, Meta(description="When it begins in the film.")] = 0.0
    trim_start: Seconds = 0.0
    trim_end: Seconds | None = None
    volume: Annotated[float, Meta(ge=0, le=4)] = 1.0
    fade_in: Seconds = 0.0
    fade_out: Seconds = 0.0
    loop: Annotated[bool, Meta(description="Again and again until the film ends.")] = False
    voice: Annotated[bool, Meta(description="Other sound gives way to it, where audio.duck says so.")] = False


class Audio(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is heard."""

    music_url: Source | None = None
    music_volume: Volume = 0.5
    music_start: Annotated[Seconds, Meta(description="Second of the music at which it begins.")] = 0.0
    music_loop: bool = True
    music_fade_in: Seconds = 0.0
    music_fade_out: Seconds = 0.0
    voiceover_url: Source | None = None
    voiceover_volume: Volume = 1.0
    voiceover_start: Annotated[Seconds, Meta(description="When it begins in the film.")] = 0.0
    original_audio_volume: Volume = 1.0
    tracks: Annotated[list[AudioTrack], Meta(max_length=50)] = field(default_factory=list)
    duck: Annotated[
        float, Meta(ge=0, le=40, description="Decibels by which all else gives way while a voice is heard.")
    ] = 0.0
    normalize: Annotated[bool, Meta(description="Bring the whole to the loudness below (EBU R 128).")] = False
    loudness: Annotated[float, Meta(ge=-40, le=-5, description="LUFS.")] = -14.0


class Text(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Text over the picture."""

    text: Annotated[str, Meta(min_length=1, max_length=2_000)]
    position: Edge | Point = "center"
    start_time: Seconds = 0.0
    end_time: Annotated[Seconds | None, Meta(description="Empty: the end of the film.")] = None
    font_size: Annotated[int, Meta(ge=8, le=144, description="Pixels of the result.")] = 24
    font_color: Colour = "#FFFFFF"
    font: Annotated[
        Source | None,
        Meta(description="asset:NAME, or the name of a font file of this machine; empty: Roboto."),
    ] = None
    bold: bool = False
    align: Literal["left", "center", "right"] = "center"
    max_width: Annotated[float, Meta(gt=0, le=1, description="Lines are broken at this part of the width.")] = 0.9
    outline: Annotated[float, Meta(ge=0, le=20, description="Pixels.")] = 0
    outline_color: Colour = "#000000"
    shadow: Annotated[float, Meta(ge=0, le=40, description="Pixels to the lower right.")] = 0
    shadow_color: Colour = "#000000"
    box_color: Annotated[Colour | None, Meta(description="Of a box behind it; empty: no box.")] = None
    box_opacity: Fraction01 = 0.6
    opacity: Annotated[float, Meta(gt=0, le=1)] = 1.0
    fade_in: Seconds = 0.0
    fade_out: Seconds = 0.0


class Captions(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Subtitles from a file."""

    url: Annotated[Source, Meta(description="SRT, WebVTT or ASS.")]
    mode: Annotated[
        Literal["burn", "soft"],
        Meta(description="burn: into the picture; soft: a track that players may show (mp4, mov, mkv, webm)."),
    ] = "burn"
    offset: Annotated[float, Meta(ge=-86_400, le=86_400, description="Seconds by which all lines come later.")] = 0.0
    language: Annotated[
        str, Meta(pattern="^[a-z]{3}$", description="Of the track: ISO 639-2.", examples=["eng", "deu"])
    ] = "und"
    position: Annotated[Edge | None, Meta(description="Empty: as the file says, else at the bottom.")] = None
    font_size: Annotated[
        Annotated[int, Meta(ge=8, le=144)] | None, Meta(description="Empty: a twentieth of the height.")
    ] = None
    font_color: Annotated[Colour | None, Meta(description="Empty: as the file says, else white.")] = None
    font: Annotated[Source | None, Meta(description="As of texts.")] = None
    bold: bool = False
    max_width: Annotated[float, Meta(gt=0, le=1)] = 0.9
    outline: Annotated[float, Meta(ge=0, le=20)] = 2
    outline_color: Colour = "#000000"
    box_color: Colour | None = None
    box_opacity: Fraction01 = 0.6


class Size(Struct, frozen=True, forbid_unknown_fields=True):
    """Pixels; both even."""

    width: Annotated[int, Meta(ge=16, le=8192, multiple_of=2)]
    height: Annotated[int, Meta(ge=16, le=8192, multiple_of=2)]


class Stretch(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the film, in seconds of it."""

    start_time: Seconds = 0.0
    end_time: Annotated[Seconds | None, Meta(description="Empty: the end of the film.")] = None


class Output(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What comes out."""

    format: Annotated[
        Literal["mp4", "mov", "webm", "mkv", "avi", "gif", "png", "jpg", "m4a", "mp3", "wav", "ogg"],
        Meta(description="A video; an animation (gif); a still (png, jpg); or the sound alone (m4a, mp3, wav, ogg)."),
    ] = "mp4"
    quality: Annotated[
        str,
        Meta(
            pattern="^[a-z0-9][a-z0-9_-]{0,40}$",
            description="low, medium, high; preview: the same film, at most 360 lines and quickly made; or another "
            "preset of the operator.",
            examples=["preview", "low", "medium", "high"],
        ),
    ] = "medium"
    range: Annotated[Stretch | None, Meta(description="Only this part of the film; empty: all of it.")] = None
    time: Annotated[Seconds | None, Meta(description="Second of the film that a still shows.")] = None
    resolution: Annotated[
        Literal["480p", "720p", "1080p", "4k", "source"] | Size,
        Meta(description="source: that of the first clip of track 0."),
    ] = "720p"
    fps: Annotated[
        Annotated[float, Meta(ge=1, le=120)] | Literal["source"],
        Meta(description="Frames per second; source: those of the first clip of track 0."),
    ] = 30
    codec: Annotated[
        Literal["auto", "h264", "hevc", "av1", "vp9"],
        Meta(description="auto: H.264; in WebM, VP9; at the source's size and rate, its codec."),
    ] = "auto"
    bitrate: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?[kM]$", examples=["2000k", "5M"])] | None,
        Meta(description="Of the picture, as 2000k or 5M, instead of a quality."),
    ] = None


class Composition(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A film, described."""

    clips: Annotated[list[Clip], Meta(min_length=1, max_length=500, description="What is seen, in order.")]
    title: Annotated[str, Meta(max_length=500, description="Of the film.")] | None = None
    description: Annotated[str, Meta(max_length=5_000, description="For people; it changes nothing.")] | None = None
    audio: Annotated[Audio, Meta(description="Music, voices, and how loud all of it is.")] = field(
        default_factory=Audio
    )
    overlays: Annotated[list[Text], Meta(max_length=500, description="Text over the film.")] = field(
        default_factory=list
    )
    captions: Annotated[Captions | None, Meta(description="Subtitles from a file.")] = None
    output: Annotated[Output, Meta(description="Format, size and quality of what comes out.")] = field(
        default_factory=Output
    )
