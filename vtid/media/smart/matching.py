"""Can copied and rendered pictures be one stream? If so, what has to be arranged for it."""

from __future__ import annotations

from av.codec.context import Flags
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from msgspec import Struct, structs

from vtid.media import carry
from vtid.media.encoders import PRORES_PROFILES, EncodePlan, new_encoder, open_encoder
from vtid.media.smart import headers, nal
from vtid.media.smart.headers import Numbers, Unjoinable
from vtid.media.smart.index import Index

_ENCODERS = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9", "prores": "prores_ks", "ffv1": "ffv1"}
"""Codec -> the encoder beside whose pictures its packets are known to play. AV1 is not among them: MP4 and Matroska
want one sequence header for all of a stream, and no two encoders write the same."""

_X264_PROFILES = {"Baseline": "baseline", "Constrained Baseline": "baseline", "Main": "main", "High": "high"}
"""Profiles to which x264 must be held; of the others it takes the one that the pixel format asks for."""


_PYRAMID_DELAY = 2
"""Pictures by which the decoding of a pyramid of B-frames comes late; without a pyramid it is one."""


_LENGTH = 4
"""Bytes for the length of a NAL unit, as nearly all files have it. Fewer might not do for what is rendered."""


class Joint(Struct, frozen=True):
    """How rendered pictures are encoded, and what makes them one stream with copied ones."""

    encode: EncodePlan
    header: bytes | None = None
    """Of the common stream; None where all is rendered and the encoder's own will do."""
    numbers: Numbers | None = None
    """Of the rendered pictures' parameter sets, where these stand in the common header."""
    length: int = nal.ANNEX_B
    """Bytes that say how long each NAL unit is, in the packets of the common stream."""


def find_joint(stream: VideoStream, encode: EncodePlan, index: Index, container: str) -> Joint:
    """Find out how copied and rendered pictures can be one stream. Raises `Unjoinable`, which says why not.

    Args:
        stream: of the source, to be copied.
        encode: how edited frames would be encoded if they were alone.
        index: of the source.
        container: FFmpeg's name of the one that is written.
    """
    context = stream.codec_context
    codec = context.codec.canonical_name
    if index.changes:
        raise Unjoinable(index.changes)
    if container == "avi":
        raise Unjoinable("AVI does not say when each frame is shown")
    if codec not in _ENCODERS:
        raise Unjoinable(f"{codec} is a codec of which copied and rendered pictures cannot be one stream")
    if _ENCODERS[codec] != encode.encoder:
        raise Unjoinable(f"the source is {codec}, and edited frames are encoded by {encode.encoder}")
    if (context.pix_fmt or "").replace("yuvj", "yuv") != encode.pixel_format.replace("yuvj", "yuv"):
        raise Unjoinable(f"the source's pixels are {context.pix_fmt}, and those of edited frames {encode.pixel_format}")
    if not index.starts:
        raise Unjoinable("the source has no key frame at which what comes behind is independent of what was before")
    if refusal := carry.refusal(stream, container):
        raise Unjoinable(refusal)
    header = bytes(context.extradata or b"")
    if codec in ("h264", "hevc"):
        return _by_parameter_sets(codec, context, header, _no_later(codec, encode, index.delay), container)
    if codec == "ffv1" and encoder_header(encode) != header:
        raise Unjoinable("the source's FFV1 is set up in another way than what is encoded here")
    if codec == "prores" and context.profile not in PRORES_PROFILES:
        raise Unjoinable(f"the source's ProRes profile ({context.profile}) is not known here")
    return Joint(encode, header)


def _by_parameter_sets(
    codec: str, context: VideoCodecContext, header: bytes, encode: EncodePlan, container: str
) -> Joint:
    """H.264 and HEVC: the sets of both in one header, or each with its own pictures in a transport stream."""
    if codec == "h264" and context.profile in _X264_PROFILES:
        encode = _with_option(encode, "profile", _X264_PROFILES[context.profile])
    length = headers.length_size(codec, header)
    if length == nal.ANNEX_B:
        if container != "mpegts":
            raise Unjoinable("the source has its picture parameters between the pictures, as transport streams do")
        return Joint(encode, header)
    if length < _LENGTH:
        raise Unjoinable(f"the source's packets have {length} bytes for a length, too few for large pictures")
    numbers = headers.free_numbers(codec, header)
    if codec == "h264":
        encode = _with_params(codec, encode, f"sps-id={numbers.sps}")
    return Joint(encode, headers.joined(codec, header, encoder_header(encode), numbers), numbers, length)


def _no_later(codec: str, encode: EncodePlan, delay: int) -> EncodePlan:
    """Have rendered pictures wait for others no longer than copied ones: some players look at the first header only."""
    if delay >= _PYRAMID_DELAY:
        return encode
    none = "bframes=0" if delay == 0 else "b-pyramid=0" if codec == "hevc" else "b-pyramid=none"
    return _with_params(codec, encode, none)


def _with_params(codec: str, encode: EncodePlan, params: str) -> EncodePlan:
    name = "x264-params" if codec == "h264" else "x265-params"
    return _with_option(encode, name, ":".join(filter(None, (encode.options.get(name), params))))


def _with_option(encode: EncodePlan, name: str, value: str) -> EncodePlan:
    return structs.replace(encode, options={**encode.options, name: value})


def encoder_header(encode: EncodePlan) -> bytes:
    """The header that an encoder writes with these settings. Raises `Unjoinable` where it refuses them."""
    context = new_encoder(encode, threads=1)
    context.flags |= Flags.global_header
    try:
        open_encoder(context)
    except FFmpegError as error:
        raise Unjoinable(f"{encode.encoder} cannot be set up as the source is ({error})") from error
    return bytes(context.extradata or b"")
