"""The facts of a file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from av import VideoFrame
from av.container import InputContainer
from av.stream import Stream
from av.video.stream import VideoStream as AvVideoStream

from vtid.domain.media import AudioStream, MediaInfo, OtherStream, VideoStream
from vtid.errors import MediaError, Problem
from vtid.media.bounds import declared_size, require_pixels
from vtid.media.carry import is_cover
from vtid.media.containers import IMAGES, open_input, reading, short_name
from vtid.media.pixels import bit_depth
from vtid.media.sidedata import is_mirrored
from vtid.media.whole import require_whole

_PROGRESSIVE = 1
_PACKETS_TRIED = 300
"""Packets within which the first frame must decode; broadcast recordings may start far from a key frame."""


def probe(path: Path, wanted: str = "video") -> MediaInfo:
    """The facts of a media file: video, sound alone, or a still picture (see `is_image`).

    A file that is cut off behind its index still has facts; `frames` and `rewrite` refuse it.

    Args:
        path: of the file.
        wanted: `video` or `audio`, for the words of complaints; what it is, the facts say.

    Raises:
        UnsupportedMedia: not a media file.
        MediaError: empty, cut off before its index, unreadable, or of more pixels than can be worked on.
        InvalidInput: there is no such file.
    """
    require_pixels(path.name, *declared_size(path))
    with open_input(path, wanted) as container, reading(path):
        pictures = [stream for stream in container.streams.video if not is_cover(stream)]
        for stream in pictures:  # before the first of them is decoded
            if stream.codec_context:
                require_pixels(path.name, stream.codec_context.width, stream.codec_context.height)
        first = _first_frame(container, pictures[0]) if pictures and pictures[0].codec_context else None
        if pictures and first is None:  # nothing of it decodes: perhaps since most of it is not there
            require_whole(path, short_name(container, path))
        video = tuple(describe_video(stream, None if at else first) for at, stream in enumerate(pictures))
        return MediaInfo(
            container=short_name(container, path),
            size=path.stat().st_size,
            duration_s=float(_duration(container)),
            bit_rate=container.bit_rate or None,
            video=video,
            audio=tuple(_audio(stream) for stream in container.streams.audio),
            other=tuple(_other(stream) for stream in container.streams if _is_other(stream)),
        )


def is_image(info: MediaInfo) -> bool:
    """True for a still picture."""
    return info.container in IMAGES.values()


def require_video(info: MediaInfo, name: str) -> VideoStream:
    """The first video stream. Raises `MediaError` for sound alone, a still picture, or video without length.

    Args:
        info: of the file.
        name: of the file, for the message.
    """
    if is_image(info):
        what, code = "is a still picture", "still_picture"
    elif not info.video:
        what, code = ("has sound but no picture" if info.audio else "holds no video"), "no_video"
    elif info.duration_s <= 0:
        what, code = "has a video track of zero length", "no_frames"
    else:
        return info.video[0]
    raise MediaError(f"{name} {what}. Give a video.", problems=[Problem("", what, code=code)])


def _is_other(stream: Stream) -> bool:
    return stream.type not in ("video", "audio") or is_cover(stream)


def _first_frame(container: InputContainer, stream: AvVideoStream) -> VideoFrame | None:
    """The first frame, which alone shows the rotation; None where nothing near the start decodes."""
    stream.codec_context.thread_count = 1
    for count, packet in enumerate(container.demux(stream)):
        if count > _PACKETS_TRIED:
            break
        try:
            if found := packet.decode():
                return found[0]
        except Exception:  # noqa: BLE001, S112 - a damaged start: the next packet may do
            continue
    return None


def describe_video(stream: AvVideoStream, first: VideoFrame | None) -> VideoStream:
    """The facts of a stream; its first frame, where there is one, adds rotation and interlacing."""
    context = stream.codec_context
    if context is None or not context.width or not context.pix_fmt:
        raise MediaError(
            "The video is in a codec or pixel format that cannot be decoded here. Convert it to H.264, for one.",
            problems=[Problem("", "unknown video codec", code="unknown_codec")],
        )
    rate = stream.average_rate or stream.guessed_rate
    return VideoStream(
        index=stream.index,
        codec=context.codec.canonical_name,
        width=context.width,
        height=context.height,
        pixel_format=context.pix_fmt,
        bit_depth=bit_depth(context.pix_fmt),
        time_base=_fraction(stream.time_base or Fraction(1, 1000)),
        frame_rate=_fraction(rate) if rate else None,
        rotation=round(first.rotation / 90) * 90 % 360 if first else 0,
        mirrored=first is not None and is_mirrored(first),
        sample_aspect=_fraction(stream.sample_aspect_ratio or Fraction(1)),
        color_primaries=int(context.color_primaries),
        color_transfer=int(context.color_trc),
        color_space=int(context.colorspace),
        color_range=int(context.color_range),
        interlaced=context.field_order > _PROGRESSIVE or bool(first and first.interlaced_frame),
        bit_rate=stream.bit_rate or None,
        frames=stream.frames or None,
    )


def _audio(stream: Stream) -> AudioStream:
    context = stream.codec_context
    if context is None:
        return AudioStream(index=stream.index, codec="unknown", sample_rate=0, channels=0, language=stream.language)
    return AudioStream(
        index=stream.index,
        codec=context.codec.canonical_name,
        sample_rate=stream.sample_rate,  # type: ignore[attr-defined]
        channels=stream.channels,  # type: ignore[attr-defined]
        layout=stream.layout.name,  # type: ignore[attr-defined]
        language=stream.language,
    )


def _other(stream: Stream) -> OtherStream:
    codec = stream.codec_context.codec.canonical_name if stream.codec_context else (stream.name or "unknown")
    return OtherStream(
        index=stream.index, type="picture" if is_cover(stream) else stream.type, codec=codec, language=stream.language
    )


def _fraction(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"


def _duration(container: InputContainer) -> Fraction:
    """Seconds: as the container says, else as its streams say, else up to the last packet."""
    if container.duration and container.duration > 0:
        return Fraction(container.duration, 1_000_000)
    said = [s.duration * s.time_base for s in container.streams if s.duration and s.time_base]
    if said:
        return max(said)
    if container.format.name.endswith("_pipe"):
        return Fraction(0)
    return _measured(container)


def _measured(container: InputContainer) -> Fraction:
    """From the first to the end of the last packet. Reads the whole file, for the few that don't say their length."""
    container.seek(0)
    first: Fraction | None = None
    last = Fraction(0)
    for packet in container.demux():
        if packet.dts is None or not packet.time_base:
            continue
        at = (packet.pts if packet.pts is not None else packet.dts) * packet.time_base
        first = at if first is None else min(first, at)
        last = max(last, at + (packet.duration or 0) * packet.time_base)
    return max(Fraction(0), last - first) if first is not None else Fraction(0)
