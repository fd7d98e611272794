"""What comes out: the result, and the evidence for it."""

from __future__ import annotations

from typing import Literal

from vtid.sdk import Coordinates, File, Image, Struct, Subtitles, Video, field

Kind = Literal["subtitle", "mark", "moving", "scene", "erasure"]


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
    partly: bool = False
    """Some of it stays, at its place or in its time, because a region asks for that; that is not looked at."""


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
    dropped: list[str] = field(default_factory=list)
    """Streams of the source that the result cannot hold, in words."""


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
