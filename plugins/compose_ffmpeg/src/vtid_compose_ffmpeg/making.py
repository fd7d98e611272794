"""What comes out: which part of the film, in which form, how encoded."""

from __future__ import annotations

from vtid.sdk import Canvas, InvalidInput, MediaInfo, Presets, Writing

from . import document as doc
from .complaints import Complaints
from .times import exact, nearest

ANIMATION = "gif"
STILLS = ("png", "jpg")
SOUNDS = ("m4a", "mp3", "wav", "ogg")
"""Formats that are no video."""


def part_of(output: doc.Output, canvas: Canvas, frames: int, complaints: Complaints) -> tuple[int, int]:
    """The frames of a film that come out, the last one outside.

    Args:
        output: as asked for.
        canvas: of the film.
        frames: of the film; 0 where that could not be said.
        complaints: gets what is wrong.
    """
    length = f"past the end of the film ({float(frames / canvas.rate):g} s)"
    if output.format in (ANIMATION, *STILLS, *SOUNDS):
        for name, plain in (("codec", "auto"), ("bitrate", None)):
            if getattr(output, name) != plain:
                complaints.add(f"output.{name}", f"is for videos only, and a {output.format} is asked for")
    if output.format in STILLS:
        if output.range:
            complaints.add("output.range", f"a {output.format} is one picture; say which by time")
        first = _frame_at(output.time or 0.0, canvas, frames)
        if first >= frames > 0:
            complaints.add("output.time", length, "past_end")
        return first, first + 1
    if output.time is not None:
        complaints.add("output.time", f"is for stills (png, jpg), and {output.format} is asked for; see range")
    if not output.range:
        return 0, frames
    begin, end = output.range.start_time, output.range.end_time
    first = _frame_at(begin, canvas, frames)
    last = frames if end is None else min(frames, nearest(exact(end) * canvas.rate))
    if first >= frames > 0:
        complaints.add("output.range.start_time", length, "past_end")
    elif end is not None and last <= first and frames:
        complaints.add("output.range.end_time", f"leaves no frame after start_time ({begin:g} s)")
    elif end is not None and nearest(exact(end) * canvas.rate) > frames > 0:
        complaints.add("output.range.end_time", length, "past_end")
    return first, last


def _frame_at(seconds: float, canvas: Canvas, frames: int) -> int:
    """The frame nearest to a time; the last one for all of the time that it is seen."""
    at = exact(seconds) * canvas.rate
    return min(nearest(at), frames - 1) if at < frames else nearest(at)


CODECS: dict[str, tuple[str, ...]] = {
    "mp4": ("h264", "hevc", "av1", "vp9"),
    "mov": ("h264", "hevc", "av1", "vp9"),
    "mkv": ("h264", "hevc", "av1", "vp9"),
    "webm": ("vp9", "av1"),
    "avi": ("h264", "av1", "vp9"),
}
"""What each format of video holds of the codecs that may be asked for."""

_BIT_RATES = 1_000, 1_000_000_000
"""Bits per second that encoders can be asked for."""

_HOLDS = {"mp4": ("h264", "hevc"), "mov": ("h264", "hevc"), "webm": ("vp9",), "mkv": ("h264", "hevc", "vp9")}
"""Codecs of a source that `auto` keeps, by format."""


def writing_of(output: doc.Output, first: MediaInfo | None, presets: Presets, complaints: Complaints) -> Writing:
    """How it is encoded.

    Args:
        output: as asked for.
        first: of the first clip of track 0, whose codec `auto` keeps where size and rate are its own, too.
        presets: of the operator.
        complaints: gets what is wrong with the quality.
    """
    codec: str = output.codec
    if codec == "auto":
        codec = "vp9" if output.format == "webm" else "h264"
        own = first.video[0].codec if first and first.video else None
        if (output.resolution, output.fps) == ("source", "source") and own in _HOLDS.get(output.format, ()):
            codec = own
    elif codec not in CODECS.get(output.format, (codec,)):
        complaints.add("output.codec", f"{output.format} holds no {codec}; use {' or '.join(CODECS[output.format])}")
        return Writing()
    bit_rate = None
    if output.bitrate:
        bit_rate = round(float(output.bitrate[:-1]) * {"k": 1_000, "M": 1_000_000}[output.bitrate[-1]])
        if not _BIT_RATES[0] <= bit_rate <= _BIT_RATES[1]:
            complaints.add("output.bitrate", "must be at least 1k and at most 1000M")
    try:
        sound = presets.get(output.quality).audio_kbps * 1000
        if output.format in (ANIMATION, *STILLS, *SOUNDS):
            return Writing(audio_bit_rate=sound, copy=True)
        coding = presets.coding(output.quality, codec)
    except InvalidInput as error:
        complaints.add("output.quality", error.message)
        return Writing()
    effort = getattr(coding, "preset", None)
    return Writing(
        codec=codec,
        crf=coding.crf,
        preset=None if effort is None else str(effort),
        bit_rate=bit_rate,
        audio_bit_rate=sound,
        copy=True,
    )
