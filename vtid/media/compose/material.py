"""A source as far as its packets can become a composed film's."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from av.video.stream import VideoStream
from msgspec import Struct
from msgspec.structs import replace

from vtid.domain.media import VideoStream as Facts
from vtid.domain.timeline import Canvas, Footage
from vtid.media.containers import open_input, reading
from vtid.media.decode import Decoder, lateness, main_video
from vtid.media.output import encode_plan
from vtid.media.probe import describe_video
from vtid.media.smart.headers import Unjoinable
from vtid.media.smart.index import Index, last_duration, read_index
from vtid.media.smart.matching import Joint, find_joint
from vtid.media.smart.sequence import Origin
from vtid.sdk import EncodeOptions

_FULL = 2
_MATRICES: dict[int, Literal["bt709", "bt601"]] = {1: "bt709", 5: "bt601", 6: "bt601"}
_UNSPECIFIED = 2
_HD_LINES = 720


class Material(Struct, frozen=True, eq=False):
    """A source of which packets can be copied."""

    origin: Origin
    index: Index
    joint: Joint
    """How what is rendered becomes one stream with them."""
    header: bytes
    start: int
    """Ticks at which its second 0 is."""
    time_base: Fraction
    last_duration: int
    """Of its last frame, in ticks."""
    matrix: Literal["bt709", "bt601"]
    """Of its colours."""
    has_sound: bool


def examine(footage: Footage, canvas: Canvas, container: str, codec: str) -> Material | str:
    """Find out what of a source can be copied into a film; or why nothing can, in words.

    Args:
        footage: of which.
        canvas: the film's.
        container: FFmpeg's name of the one that is written.
        codec: that was asked for.

    Raises:
        MediaError: it cannot be read.
    """
    with open_input(footage.path, packets_only=True) as film, reading(footage.path):  # fast, and most end here
        if why := _other_form(main_video(film, footage.path.name), canvas, codec):
            return why
    with open_input(footage.path) as film, reading(footage.path):
        stream = main_video(film, footage.path.name)
        if why := _unlike(describe_video(stream, None), canvas):
            return why
        decoder = Decoder(footage.path, stream, 1)
        first = next((frame.av for packet in film.demux(stream) for frame in decoder.decode(packet)), None)
        decoder.require_frames()
        assert first is not None
        if why := _unlike(describe_video(stream, first), canvas):
            return why
        index = _index(footage)
        if index.doubt:
            return index.doubt
        encode = encode_plan(stream, first, container, EncodeOptions(quick=True))
        try:
            joint = find_joint(stream, replace(encode, time_base=1 / canvas.rate, rate=canvas.rate), index, container)
        except Unjoinable as error:
            return str(error)
        return Material(
            origin=Origin(footage.path, index.pts, index.anchors, index.delay),
            index=index,
            joint=joint,
            header=bytes(stream.codec_context.extradata or b""),
            start=(stream.start_time or 0) + lateness(film, footage.path),
            time_base=stream.time_base or Fraction(1, 1000),
            last_duration=last_duration(stream, index),
            matrix=_MATRICES.get(int(first.colorspace), "bt709" if first.height >= _HD_LINES else "bt601"),
            has_sound=bool(film.streams.audio),
        )


def _index(footage: Footage) -> Index:
    with open_input(footage.path, packets_only=True) as film:
        return read_index(film, main_video(film, footage.path.name), footage.path)


_OTHER_SIZE = "the result's size is not the source's"


def _other_form(stream: VideoStream, canvas: Canvas, codec: str) -> str | None:
    """In what a source differs from the film by what its container says."""
    context = stream.codec_context
    if context.codec.canonical_name != codec:
        return f"another coding is asked for than the source's ({context.codec.canonical_name})"
    if (context.width, context.height) != (canvas.width, canvas.height):
        return _OTHER_SIZE
    if (stream.average_rate or stream.guessed_rate) != canvas.rate:
        return "the result's frame rate is not the source's"
    return None


def _unlike(facts: Facts, canvas: Canvas) -> str | None:
    """In what else."""
    if Fraction(facts.sample_aspect) not in (0, 1) or facts.rotation:
        return _OTHER_SIZE
    if facts.mirrored:
        return "the source is shown mirrored"
    if facts.interlaced:
        return "the source is interlaced"
    limited = facts.pixel_format == "yuv420p" and facts.color_range != _FULL
    if facts.hdr or not limited or facts.color_space not in (*_MATRICES, _UNSPECIFIED):
        return "the source's colours are not those of the result (BT.709, 8 bits, limited range)"
    return None
