"""The encoders that FFmpeg has for hardware, each with the options of its own for a quality and for a bit rate."""

from __future__ import annotations

from typing import Literal, get_args

from vtid.sdk import Encoder

Codec = Literal["h264", "hevc", "av1", "vp9"]
Family = Literal["nvenc", "qsv", "amf", "videotoolbox", "vaapi", "vulkan", "v4l2m2m"]
FAMILIES: tuple[Family, ...] = get_args(Family)
"""Dedicated encoders with an interface of their own first, then what is general, last what is for small boards."""

_CLASSIC: tuple[Codec, ...] = ("h264", "hevc")
_MODERN: tuple[Codec, ...] = ("h264", "hevc", "av1")
_ALL: tuple[Codec, ...] = ("h264", "hevc", "av1", "vp9")
_DRI = ("/dev/dri/renderD*",)
_NO_QUALITY = {"b": "10M"}
"""Of encoders that know bit rates only: 1080p at 30 frames per second with little loss."""


def _nvenc(codec: Codec) -> Encoder:
    common = {"preset": "p5", "rc": "vbr", "gpu": "{index}"}
    return Encoder(
        name=f"{codec}_nvenc",
        codec=codec,
        family="nvenc",
        devices=("/dev/nvidia[0-9]*",),
        quality=common | {"cq": "{crf}", "b": "0"},
        rate=common | {"b": "{bit_rate}"},
    )


def _qsv(codec: Codec) -> Encoder:
    quality = {"preset": "medium", "global_quality": "{crf}"}
    return Encoder(name=f"{codec}_qsv", codec=codec, family="qsv", devices=_DRI, pixel_format="nv12", quality=quality)


def _amf(codec: Codec) -> Encoder:
    quality = {"rc": "cqp", "qp_i": "{crf}", "qp_p": "{crf}", "quality": "balanced"}
    return Encoder(name=f"{codec}_amf", codec=codec, family="amf", devices=_DRI, pixel_format="nv12", quality=quality)


def _v4l2(codec: Codec) -> Encoder:
    name = f"{codec}_v4l2m2m"
    return Encoder(name=name, codec=codec, family="v4l2m2m", devices=("/dev/video*",), quality=_NO_QUALITY)


def _videotoolbox(codec: Codec) -> Encoder:
    name = f"{codec}_videotoolbox"
    return Encoder(name=name, codec=codec, family="videotoolbox", pixel_format="nv12", quality=_NO_QUALITY)


def _vaapi(codec: Codec) -> Encoder:
    level = "global_quality" if codec == "vp9" else "qp"
    return Encoder(
        name=f"{codec}_vaapi",
        codec=codec,
        family="vaapi",
        engine="ffmpeg",
        devices=_DRI,
        before=("-vaapi_device", "{device}"),
        filters="format=nv12,hwupload",
        quality={"rc_mode": "CQP", level: "{crf}"},
        rate={"rc_mode": "VBR", "b": "{bit_rate}"},
    )


def _vulkan(codec: Codec) -> Encoder:
    return Encoder(
        name=f"{codec}_vulkan",
        codec=codec,
        family="vulkan",
        engine="ffmpeg",
        devices=_DRI,
        before=("-init_hw_device", "vulkan=card:0", "-filter_hw_device", "card"),
        filters="format=nv12,hwupload",
        quality={"rc_mode": "cqp", "qp": "{crf}"},
        rate={"rc_mode": "vbr", "b": "{bit_rate}"},
    )


ENCODERS = (
    *map(_nvenc, _MODERN),
    *map(_qsv, _ALL),
    *map(_amf, _MODERN),
    *map(_v4l2, _CLASSIC),
    *map(_videotoolbox, _CLASSIC),
    *map(_vaapi, _ALL),
    *map(_vulkan, _CLASSIC),
)
