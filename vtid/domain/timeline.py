"""A composed film, to the frame and to the sample: what `vtid.sdk.Media.compose` is asked for.

Everything here is counted: frames of the canvas from 0, samples of the mix from 0. Whoever makes a timeline has done
all the rounding, so that whoever renders it has nothing to decide.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

SAMPLE_RATE = 48000
"""Of every mix, in samples per second."""

Fit = Literal["cover", "contain", "blur", "stretch"]
Bus = Literal["original", "music", "voice"]
Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""


class Canvas(Struct, frozen=True):
    """The picture that all is put on."""

    width: int
    """Even, as is the height."""
    height: int
    rate: Fraction
    """Frames per second."""
    matrix: Literal["bt709", "bt601"] = "bt709"
    """Of its colours; the range is always limited."""


class Footage(Struct, frozen=True):
    """A video file from a time on."""

    path: Path
    start_s: Fraction = Fraction(0)
    """From its first frame."""
    speed: Fraction = Fraction(1)
    aspect: Fraction = Fraction(1)
    """Width of a pixel by its height, as the stream says it; frames do not."""
    mirrored: bool = False
    """Whether a player puts it upside down before it turns it."""


class Still(Struct, frozen=True):
    """A picture file."""

    path: Path
    zoom: float = 1.0
    """How much larger it is in the end than at the beginning; under 1, smaller."""


class Plain(Struct, frozen=True):
    """One colour."""

    colour: Colour


class Placing(Struct, frozen=True):
    """How a picture gets onto the canvas. In this order: crop, turn, mirror, fit."""

    box: tuple[int, int, int, int] | None = None
    """x, y, width, height in pixels of the canvas; None: all of it."""
    fit: Fit = "contain"
    crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    """x, y, width, height in fractions of the picture as a player shows it."""
    turn: int = 0
    """Degrees clockwise: 0, 90, 180 or 270."""
    mirror: bool = False
    """Left and right change places."""
    flip: bool = False
    """Top and bottom change places."""
    opacity: float = 1.0
    background: Colour = (0, 0, 0)
    """Of what a picture of the main track leaves free."""


class Transition(Struct, frozen=True):
    """How a clip takes over from the one before it."""

    kind: str
    """FFmpeg's name, of the filter xfade."""
    frames: int
    """For so many frames, its first ones and the last ones of the clip before, both are seen."""
    before: int = 0
    """Frames of it that are left out at its beginning, where a film begins in the middle of it."""
    after: int = 0
    """The same at its end."""


class Clip(Struct, frozen=True):
    """Something to be seen."""

    picture: Footage | Still | Plain
    first: int
    frames: int
    placing: Placing = Placing()
    entry: Transition | None = None
    """Main track only, and only where the clip before reaches exactly so far into this one."""
    before: int = 0
    """Frames of it that are left out at its beginning; footage starts later, and what moves goes on from there."""
    after: int = 0
    name: str = ""
    """By which people are told about it, such as `clips[2]`."""

    @property
    def last(self) -> int:
        """Lies outside."""
        return self.first + self.frames


class Overlay(Struct, frozen=True, eq=False):
    """A drawn picture on top of all clips, such as text."""

    rgba: NDArray[np.uint8] | Callable[[], NDArray[np.uint8]]
    """H×W×4, not premultiplied; or what draws it when its time comes, where there are many."""
    x: int
    y: int
    first: int
    frames: int
    fade_in: int = 0
    """Frames."""
    fade_out: int = 0
    before: int = 0
    """Frames of it that are left out at its beginning, fade included."""
    after: int = 0


class Caption(Struct, frozen=True):
    """A line of subtitles."""

    start_s: float
    end_s: float
    text: str
    """Plain; may have several lines."""
    place: int = 2
    """As on the number pad: 2 is bottom centre, 7 top left."""
    color: Colour | None = None
    bold: bool = False


class Captions(Struct, frozen=True):
    """A subtitle track that a player may show."""

    lines: tuple[Caption, ...]
    language: str = "und"
    """ISO 639-2."""


class Sound(Struct, frozen=True):
    """A stretch of the first audio stream of a file."""

    path: Path
    at: int
    """Sample of the mix at which it begins."""
    samples: int
    start_s: Fraction = Fraction(0)
    """Seconds of the file, counted as those of its picture are."""
    speed: Fraction = Fraction(1)
    """The pitch stays."""
    gain: float = 1.0
    fade_in: int = 0
    """Samples."""
    fade_out: int = 0
    loop: bool = False
    bus: Bus = "original"


class Mix(Struct, frozen=True):
    """All that is heard."""

    sounds: tuple[Sound, ...] = ()
    duck_db: float = 0.0
    """By how much music and original sound give way while a voice is heard; 0: not at all."""
    loudness: float | None = None
    """LUFS, as EBU R 128 measures it; None: as it comes."""
    before: int = 0
    """Samples that are left out at its beginning; sounds are placed as if they were there."""


class Timeline(Struct, frozen=True):
    """A film, whole."""

    canvas: Canvas
    frames: int
    main: tuple[Clip, ...]
    """In order; where none is, the canvas is black. Only transitions overlap."""
    above: tuple[Clip, ...] = ()
    """Each over those before it."""
    overlays: tuple[Overlay, ...] = ()
    mix: Mix | None = None
    """None: a film without a sound track."""
    captions: Captions | None = None

    @property
    def samples(self) -> int:
        """Of the mix: as long as the picture, to the sample."""
        return round(self.frames * SAMPLE_RATE / self.canvas.rate)


class Writing(Struct, frozen=True):
    """How a composed film is encoded. The target's ending says the container."""

    codec: str = "h264"
    """h264, hevc, av1 or vp9."""
    crf: float = 23
    preset: str | None = None
    """Of x264, x265 and SVT-AV1, in their own words."""
    bit_rate: int | None = None
    """Bits per second of the picture, instead of `crf`."""
    audio_bit_rate: int = 160_000
    copy: bool = False
    """Take over bit for bit what sources have as it should be, and render the rest so that no loss shows."""


class Stretch(Struct, frozen=True):
    """A part of a composed film, in frames, and how it comes about."""

    first: int
    last: int
    """Lies outside."""
    copied: bool
    """Bit for bit from a source."""
    why: str


class Short(Struct, frozen=True):
    """A clip whose film has fewer frames than it says, as one that was cut off. Its last frame stays."""

    name: str
    """The clip's."""
    ends_s: float
    """When the last frame ends, from the first one on, as the next."""
    says_s: float
    """When it would end by the film's header."""


class Composed(Struct, frozen=True):
    """What came of it."""

    frames: int
    samples: int
    encoder: str
    audio_encoder: str | None = None
    loudness: float | None = None
    """LUFS of the mix as written; None for silence, where there is no sound track, and where it was copied."""
    stretches: tuple[Stretch, ...] = ()
    """The whole film, in order."""
    sound_copied: bool = False
    """Of the one source that the film is, or is a stretch of."""
    short: tuple[Short, ...] = ()
