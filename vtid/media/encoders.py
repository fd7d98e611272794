"""Which encoder writes edited video, and with which options."""

from __future__ import annotations

import io
import os
from fractions import Fraction
from functools import lru_cache

import av
from av import Codec, CodecContext, VideoFrame
from av.codec.codec import find_best_pix_fmt_of_list
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from msgspec import Struct, structs

from vtid.domain.media import VideoStream
from vtid.domain.timeline import Canvas, Writing
from vtid.errors import InvalidInput, MediaError
from vtid.media.pixels import bit_depth
from vtid.media.priority import ordinary_priority
from vtid.media.sidedata import display_matrix, hdr_options
from vtid.sdk import EncodeOptions

_BY_NAME = {
    "h264": "libx264",
    "hevc": "libx265",
    "av1": "libsvtav1",
    "vp9": "libvpx-vp9",
    "vp8": "libvpx",
    "prores": "prores_ks",
    "ffv1": "ffv1",
}
"""Codec -> its encoder. All but vp8 and ffv1 may also be asked for by name."""

_FALLBACKS = ("libx264", "mpeg4", "libvpx-vp9", "libsvtav1", "libx265", "ffv1", "prores_ks")
"""Tried in this order where the source's own codec won't do."""

_CLEAR = ("prores_ks", "ffv1")
"""Encoders that keep transparency. Others that offer such formats don't open with them, or need a second stream for it
that no decoder here reads."""

_HARDWARE = tuple(f"{codec}_{kind}" for kind in ("nvenc", "qsv", "amf", "v4l2m2m") for codec in ("h264", "hevc", "av1"))

_INTERLACED = ("libx264", "prores_ks", "ffv1", "mpeg4")
"""Encoders that keep the two fields of a frame apart as they should."""

_EVEN = ("libx264", "libx265")
"""Encoders that take no odd width or height where chroma is halved. Their bitstreams can't say such a size either:
cropping counts in chroma samples."""

_MPEG_TS = frozenset(("libx264", "libx265"))
"""FFmpeg does not say what MPEG-TS holds; this is what players expect in it."""

_IN_ORDER = ("avi", "flv")
"""The one holds no times of showing; the other begins later by as much as frames are coded before they are shown."""

_GOP_SECONDS, _COMPOSED_GOP_SECONDS, _MAX_GOP = 3, 8, 250
_PROXY_CRF, _PROXY_GOP, _PROXY_FAST, _PROXY_FAST_GOP = 26.0, 12, 30, 15
"""The last three: frames from key frame to key frame, to this rate and above it."""

PRORES_PROFILES = {
    "Proxy": "proxy",
    "LT": "lt",
    "Standard": "standard",
    "HQ": "hq",
    "4444": "4444",
    "XQ": "4444xq",
}
"""FFmpeg's name of a profile -> its encoder's."""


class EncodePlan(Struct, frozen=True):
    """How the frames of one stream are encoded, and how the stream is tagged. Can be pickled."""

    encoder: str
    pixel_format: str
    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    options: dict[str, str]
    gop: int
    """Frames from one key frame to the next, at most."""
    threads: int | None
    """Where the user asked for a number."""
    sample_aspect: Fraction
    colors: tuple[int, int, int, int]
    """Primaries, transfer, matrix and range, in the numbers of ITU-T H.273 and FFmpeg's for the range."""
    field_order: int | None
    """FFmpeg's number, for interlaced video."""
    display_matrix: tuple[int, ...] | None
    """The container's turn and flip of the picture."""


def encoders() -> dict[str, bool]:
    """Encoder -> is it in this build of FFmpeg. Says nothing about whether the hardware for it is there."""
    names = (*_BY_NAME.values(), "mpeg4", *_HARDWARE)
    return {name: name in av.codecs_available and _is_encoder(name) for name in names}


def _is_encoder(name: str) -> bool:
    try:
        return Codec(name, "w").is_encoder
    except av.codec.codec.UnknownCodecError:
        return False


def plan_encode(
    source: VideoStream,
    first: VideoFrame,
    container: str,
    options: EncodeOptions,
    *,
    profile: str | None,
    field_order: int,
) -> EncodePlan:
    """Choose the encoder for a stream.

    Args:
        source: facts of the stream.
        first: its first frame, in a planar format.
        container: FFmpeg's name of the container that is written.
        options: what was asked for.
        profile: of the source's codec, as FFmpeg calls it.
        field_order: of the source's codec, FFmpeg's number.

    Raises:
        InvalidInput: a codec was asked for that vtid doesn't know or the container doesn't hold.
        MediaError: no encoder can keep the picture as it is.
    """
    interlaced = source.interlaced or first.interlaced_frame
    encoder = _choose(source, first, container, options.codec, interlaced)
    rate = source.rate or Fraction(25)
    time_base = 1 / rate if container == "avi" else Fraction(source.time_base)  # AVI counts frames, it holds no times
    pixel_format = _pixel_format(encoder, first.format.name)
    if encoder == "prores_ks" and source.codec != "prores" and "444" in pixel_format:
        profile = "4444"
    wanted = {**_base_options(encoder, options, profile), **hdr_options(encoder, first)}
    if container in _IN_ORDER:
        wanted["bf"] = "0"
    return EncodePlan(
        encoder=encoder,
        pixel_format=pixel_format,
        width=first.width,
        height=first.height,
        time_base=time_base,
        rate=rate,
        options=wanted,
        gop=1 if encoder in ("ffv1", "prores_ks") else max(1, min(_MAX_GOP, round(rate * _GOP_SECONDS))),
        threads=options.threads,
        sample_aspect=Fraction(source.sample_aspect),
        colors=(
            source.color_primaries,
            source.color_transfer,
            int(first.colorspace),
            int(first.color_range) or source.color_range,
        ),
        field_order=field_order if interlaced else None,
        display_matrix=display_matrix(first),
    )


def composing_plan(canvas: Canvas, container: str, writing: Writing) -> EncodePlan:
    """How a film is encoded that is not made from one source.

    Args:
        canvas: its picture.
        container: FFmpeg's name of the one that is written.
        writing: what was asked for.

    Raises:
        InvalidInput: the container does not hold the codec.
    """
    encoder = _BY_NAME[writing.codec]
    if encoder not in _holds(container):
        raise InvalidInput(f"codec: {container} holds no {writing.codec}.")
    options = _base_options(encoder, EncodeOptions(crf=writing.crf, preset=writing.preset), None)
    if writing.bit_rate:
        options.pop("crf", None)
        options["b"] = str(writing.bit_rate)
    if container in _IN_ORDER:
        options["bf"] = "0"
    return EncodePlan(
        encoder=encoder,
        pixel_format="yuv420p",
        width=canvas.width,
        height=canvas.height,
        time_base=1 / canvas.rate,
        rate=canvas.rate,
        options=options,
        gop=max(1, min(_MAX_GOP, round(canvas.rate * _COMPOSED_GOP_SECONDS))),
        threads=None,
        sample_aspect=Fraction(1),
        colors=(1, 1, 1, 1),
        field_order=None,
        display_matrix=None,
    )


def proxy_plan(width: int, height: int, tick: Fraction, rate: Fraction, container: str) -> EncodePlan:
    """How a proxy is encoded: players must find each frame fast, and show no frame late.

    Args:
        width: pixels, even.
        height: likewise.
        tick: seconds.
        rate: frames per second, on average.
        container: FFmpeg's name of the one that is written.
    """
    plan = composing_plan(Canvas(width, height, rate), container, Writing(crf=_PROXY_CRF, preset="veryfast"))
    # No key frames at cuts: with the grid kept, a player knows how far it has to decode.
    options = plan.options | {"bf": "0", "sc_threshold": "0"}
    gop = _PROXY_GOP if rate <= _PROXY_FAST else _PROXY_FAST_GOP
    return structs.replace(plan, time_base=tick, gop=gop, options=options)


def configure(context: VideoCodecContext, plan: EncodePlan, threads: int) -> None:
    """Set an encoder up that is not open yet. `threads`: how many it may use unless the user said a number."""
    context.width, context.height, context.pix_fmt = plan.width, plan.height, plan.pixel_format
    context.time_base = plan.time_base
    context.framerate = plan.rate
    context.gop_size = plan.gop
    context.thread_count = plan.threads or threads
    context.sample_aspect_ratio = plan.sample_aspect
    context.color_primaries, context.color_trc, context.colorspace, context.color_range = plan.colors
    if plan.field_order is not None:
        context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        context.field_order = plan.field_order


def new_encoder(plan: EncodePlan, threads: int) -> VideoCodecContext:
    """An encoder that is not open yet (`open_encoder`) and belongs to no file."""
    context: VideoCodecContext = CodecContext.create(plan.encoder, "w")  # type: ignore[assignment]
    configure(context, plan, threads)
    context.options = dict(plan.options)
    return context


def open_encoder(context: VideoCodecContext) -> None:
    """Open an encoder that is set up; its first picture would do so too, but at a priority that it chooses itself.

    Raises:
        av.FFmpegError: it refuses its settings.
    """
    with ordinary_priority():
        context.open(strict=False)


def _choose(source: VideoStream, first: VideoFrame, container: str, asked: str, interlaced: bool) -> str:
    if asked != "auto":
        return _asked(asked, source, first, container)
    # AVI holds no presentation times: players guess those of H.264 and come out a frame late.
    usual = "mpeg4" if container == "avi" else "libx264"
    wanted = (_BY_NAME.get(source.codec, usual), *_FALLBACKS)
    able = [name for name in wanted if _can(name, source, first, container, interlaced=interlaced)]
    exact = [name for name in able if _pixel_format(name, first.format.name) == first.format.name]
    near = [name for name in able if bit_depth(_pixel_format(name, first.format.name)) >= source.bit_depth]
    if _is_clear(first.format.name):
        # The source's own codec before a deeper one: what else keeps transparency, fewer players know.
        exact = near = able = [name for name in able if _is_clear(_pixel_format(name, first.format.name))]
    for choice in (exact, near, able):
        if choice:
            return choice[0]
    if _is_clear(first.format.name):
        raise MediaError(
            f"The transparency of this {source.pixel_format} picture would be lost: no encoder keeps it in "
            f"{container}. Convert the video first: to ProRes 4444 in a MOV, or to FFV1 in an MKV."
        )
    kind = "interlaced " if interlaced else ""
    raise MediaError(
        f"No encoder can keep this {kind}{source.width}×{source.height} {source.pixel_format} picture as it is in "
        f"{container}. Ask for another container, such as mkv, or convert the video first."
    )


def _asked(asked: str, source: VideoStream, first: VideoFrame, container: str) -> str:
    known = [name for name in _BY_NAME if name not in ("vp8", "ffv1")]
    if asked not in known:
        raise InvalidInput(f'codec: there is no "{asked}". Use auto, {", ".join(known)}.')
    encoder = _BY_NAME[asked]
    if encoder not in _holds(container):
        raise InvalidInput(f"codec: {container} holds no {asked}. Use auto, or another container.")
    if not _can(encoder, source, first, container, interlaced=source.interlaced):
        raise InvalidInput(
            f"codec: {asked} cannot keep this picture ({source.width}×{source.height}, {source.pixel_format}"
            f"{', interlaced' if source.interlaced else ''}) as it is. Use auto."
        )
    return encoder


def _can(encoder: str, source: VideoStream, first: VideoFrame, container: str, *, interlaced: bool) -> bool:
    if encoder not in _holds(container) or (interlaced and encoder not in _INTERLACED):
        return False
    if encoder == "mpeg4" and (Fraction(source.time_base).denominator > 65535 or first.color_range == 2):
        return False  # its bitstream counts time in 16 bits, and cannot say that the range is full
    if encoder not in _EVEN:
        return True
    layout = av.VideoFormat(_pixel_format(encoder, first.format.name), 16, 16)
    across, down = 16 // layout.chroma_width(), 16 // layout.chroma_height()
    return source.width % across == 0 and source.height % down == 0


@lru_cache(maxsize=32)
def _holds(container: str) -> frozenset[str]:
    """The encoders whose output a container holds."""
    if container == "mpegts":
        return _MPEG_TS
    with av.open(io.BytesIO(), "w", format=container) as scratch:
        return frozenset(scratch.supported_codecs)


def _is_clear(name: str) -> bool:
    """Whether a pixel format has transparency."""
    return any(part.is_alpha for part in av.VideoFormat(name, 16, 16).components)


def _pixel_format(encoder: str, wanted: str) -> str:
    """The format itself where the encoder takes it, else the one that loses least, transparency last."""
    offered = [each.name for each in Codec(encoder, "w").video_formats or ()]
    if not _is_clear(wanted) or encoder not in _CLEAR:
        offered = [name for name in offered if not _is_clear(name)]
    elif clear := [name for name in offered if _is_clear(name)]:
        offered = clear
    if wanted in offered:
        return wanted
    plain = wanted.replace("yuvj", "yuv")
    if plain in offered:
        return plain
    best, _ = find_best_pix_fmt_of_list(offered, plain)
    return best.name if best else "yuv420p"


def _base_options(encoder: str, options: EncodeOptions, profile: str | None) -> dict[str, str]:
    """Options at which the loss does not show, at a speed near that of decoding."""

    def tuned(crf: float, preset: str | None = None) -> dict[str, str]:
        chosen = {"crf": f"{options.crf if options.crf is not None else crf:g}"}
        if preset := options.preset or preset:
            chosen["preset"] = preset
        return chosen

    if encoder == "libx264":
        # Without what superfast leaves out and is told here, the same quality takes half as many bytes again.
        tree = {"mbtree": "1", "rc-lookahead": "10"}
        return {**tuned(15.5, "superfast"), **tree} if options.quick and not options.preset else tuned(16, "veryfast")
    if encoder == "libx265":
        return {**tuned(17, "veryfast"), "x265-params": "log-level=error:open-gop=0"}
    if encoder == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only: else it prints its settings, and offers no other switch
        return tuned(20, "8")
    if encoder in ("libvpx-vp9", "libvpx"):
        own = {"crf": "18", "row-mt": "1"} if encoder == "libvpx-vp9" else {"crf": "6", "b": "40M"}
        return {**own, "crf": tuned(float(own["crf"]))["crf"], "deadline": "good", "cpu-used": "4"}
    if encoder == "prores_ks":
        return {"profile": PRORES_PROFILES.get(profile or "", "hq"), "vendor": "apl0"}
    if encoder == "mpeg4":
        return {"flags": "+qscale", "global_quality": "236"}  # quantiser 2
    return {"level": "3", "slicecrc": "1"} if encoder == "ffv1" else {}
