"""Pixel formats: which are worked on as they are, and what the others become."""

from __future__ import annotations

from functools import lru_cache

from av import VideoFormat, VideoFrame

_RGB_MATRIX = 1
"""BT.709, for pictures that arrive as RGB and so have no YUV matrix of their own."""

_CHROMA = {(0, 0): "444", (1, 0): "422", (1, 1): "420", (0, 1): "444", (2, 0): "422", (2, 2): "420"}
"""log2 of the chroma subsampling across and down -> the nearest layout that is worked on and loses nothing across or
down (4:1:0 excepted, which nothing today writes)."""

_NATIVE = frozenset(
    [f"yuv{alpha}{chroma}p{depth}" for alpha in ("", "a") for chroma in ("420", "422", "444") for depth in ("", "10le")]
    + [
        f"yuv{alpha}{chroma}p12le"
        for alpha, chroma in (("", "420"), ("", "422"), ("", "444"), ("a", "422"), ("a", "444"))
    ]
    + ["yuvj420p", "yuvj422p", "yuvj444p", "gray", "gray10le", "gray12le"]
)


@lru_cache(maxsize=64)
def planar_format(name: str) -> str:
    """The planar YUV or gray format of the same depth and chroma, or the nearest there is, for any pixel format."""
    if name in _NATIVE:
        return name
    layout = VideoFormat(name, 16, 16)
    depth = {8: "", 10: "10le", 12: "12le"}[_work_depth(bit_depth(name))]
    alpha = any(part.is_alpha for part in layout.components) and depth != "12le"
    if not layout.is_rgb and not layout.has_palette and sum(not part.is_alpha for part in layout.components) == 1:
        return f"gray{depth}"
    if layout.is_rgb or layout.has_palette:
        return f"yuv{'a' if alpha else ''}444p{depth}"
    shift = (16 // layout.chroma_width()).bit_length() - 1, (16 // layout.chroma_height()).bit_length() - 1
    return f"yuv{'a' if alpha else ''}{_CHROMA.get(shift, '444')}p{depth}"


def bit_depth(name: str) -> int:
    """Bits of the deepest component, 8 for palettes."""
    layout = VideoFormat(name, 16, 16)
    return 8 if layout.has_palette else max((part.bits for part in layout.components), default=8)


def _work_depth(bits: int) -> int:
    return 8 if bits <= 8 else 10 if bits <= 10 else 12


def to_planar(frame: VideoFrame, target: str | None = None) -> VideoFrame:
    """The frame in a planar format; itself where it already is.

    Range and colour tags stay: without the explicit range, swscale would squeeze full-range pictures.
    """
    target = target or planar_format(frame.format.name)
    if frame.format.name == target:
        return frame
    if frame.format.is_rgb or frame.format.has_palette:
        out = frame.reformat(format=target, dst_colorspace=_RGB_MATRIX, dst_color_range=1)
        out.colorspace, out.color_range = _RGB_MATRIX, 1
        return out
    full = 2 if frame.color_range == 2 or frame.format.name.startswith("yuvj") else 1
    tags = frame.color_range, frame.colorspace
    out = frame.reformat(format=target, src_color_range=full, dst_color_range=full)
    out.color_range, out.colorspace = tags
    return out
