"""One decoded picture over its native planes."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from vtid.media.pixels import bit_depth

Box = tuple[int, int, int, int]


class PlanarFrame:
    """`vtid.sdk.Frame` over a planar YUV or gray `av.VideoFrame` of 8, 10 or 12 bits.

    Attributes:
        index: position in presentation order.
        pts: in units of the stream's time base.
        time_s: seconds from the stream's first frame.
        av: the frame itself; nothing outside `vtid.media` touches it.
    """

    __slots__ = ("_owned", "av", "bit_depth", "height", "index", "pts", "time_s", "width")

    def __init__(self, frame: VideoFrame, *, index: int, pts: int, time_s: float) -> None:
        self.av = frame
        self.index = index
        self.pts = pts
        self.time_s = time_s
        self.width = frame.width
        self.height = frame.height
        self.bit_depth = bit_depth(frame.format.name)
        self._owned = False

    def bgr(self, max_width: int | None = None) -> NDArray[np.uint8]:
        """The picture as 8-bit BGR, H×W×3, scaled down to `max_width` where it is wider. A copy."""
        width = min(self.width, max_width or self.width)
        height = max(1, round(self.height * width / self.width))
        return self.av.to_ndarray(  # type: ignore[return-value]
            format="bgr24",
            width=width,
            height=height,
            interpolation="AREA" if width < self.width else "BILINEAR",
            src_colorspace=_matrix(self.av),
        )

    def luma(self, box: Box | None = None) -> NDArray[np.uint8]:
        """The Y plane as 8 bits, H×W, of the box or of the whole picture. May be a view: do not write to it."""
        x0, y0, x1, y1 = self._checked(box or (0, 0, self.width, self.height))
        part = self._plane(0)[y0:y1, x0:x1]
        if self.bit_depth == 8:
            return part
        return (part >> (self.bit_depth - 8)).astype(np.uint8)

    def yuv(self, box: Box) -> NDArray[np.float32]:
        """Y, U and V of the box as float32 h×w×3 on the 8-bit scale, chroma upsampled. A copy.

        Chroma is repeated, not interpolated: what is read and painted back unchanged leaves the samples as they were.
        """
        out: NDArray[np.float32] = np.multiply(self._merged(box), np.float32(1 / self._scale), dtype=np.float32)
        return out

    def yuv8(self, box: Box) -> NDArray[np.uint8]:
        """The same rounded to 8 bits, which of 8-bit video loses nothing and takes a third of the time. A copy."""
        values = self._merged(box)
        if self.bit_depth <= 8:
            return np.asarray(values, np.uint8)
        half, shift = self._scale // 2, self.bit_depth - 8
        rounded: NDArray[np.uint8] = np.minimum((values.astype(np.uint32) + half) >> shift, 255).astype(np.uint8)
        return rounded

    def _merged(self, box: Box) -> NDArray[Any]:
        """Y, U and V of the box as they are stored, chroma repeated: h×w×3."""
        x0, y0, x1, y1 = self._checked(box)
        planes = [self._plane(0)[y0:y1, x0:x1]]
        if self._gray:
            planes += [np.full_like(planes[0], 128 * self._scale)] * 2
        else:
            across, down = self._subsampling
            for channel in (1, 2):
                cells = self._plane(channel)[y0 // down : -(-y1 // down), x0 // across : -(-x1 // across)]
                size = cells.shape[1] * across, cells.shape[0] * down
                full = cv2.resize(cells, size, interpolation=cv2.INTER_NEAREST)  # as `repeat`, in a third of the time
                planes.append(full[y0 % down :, x0 % across :][: y1 - y0, : x1 - x0])
        return np.asarray(cv2.merge(planes))

    def paint(self, box: Box, yuv: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
        """Write the pixels of `yuv` (h×w×3, as `yuv()` gives them) where `mask` (h×w) is true; nothing else changes.

        A chroma sample is written when any luma pixel over it is masked, as the mean of the masked ones.

        Raises:
            ValueError: the box leaves the picture, or the arrays don't have its size.
        """
        x0, y0, x1, y1 = self._checked(box)
        if yuv.shape != (y1 - y0, x1 - x0, 3) or mask.shape != yuv.shape[:2] or mask.dtype != np.bool_:
            raise ValueError(f"box {box} does not fit yuv of {yuv.shape} and a {mask.dtype} mask of {mask.shape}")
        hit = mask.view(np.uint8)
        cv2.copyTo(self._quantise(yuv[..., 0]), hit, self._plane(0)[y0:y1, x0:x1])
        if not self._gray:
            self._paint_chroma(x0, y0, yuv, mask)

    def _paint_chroma(self, x0: int, y0: int, yuv: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
        across, down = self._subsampling
        pad_left, pad_top = x0 % across, y0 % down
        rows, columns = -(-(pad_top + mask.shape[0]) // down), -(-(pad_left + mask.shape[1]) // across)
        inside = np.s_[pad_top : pad_top + mask.shape[0], pad_left : pad_left + mask.shape[1]]

        def mean(values: NDArray[Any]) -> NDArray[np.float32]:
            """The mean of the pixels over each chroma sample."""
            padded = np.zeros((rows * down, columns * across), np.float32)
            padded[inside] = values
            return cv2.resize(padded, (columns, rows), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]

        share = mean(mask)
        hit = (share > 0).view(np.uint8)
        share = np.maximum(share, 1 / (across * down))
        for channel in (1, 2):
            cells = self._plane(channel)[y0 // down :, x0 // across :][:rows, :columns]
            cv2.copyTo(self._quantise(mean(yuv[..., channel] * mask) / share), hit, cells)

    @property
    def _gray(self) -> bool:
        return self.av.format.name.startswith("gray")

    @property
    def _scale(self) -> int:
        """Native steps per step of the 8-bit scale."""
        return 1 << (self.bit_depth - 8)

    @property
    def _subsampling(self) -> tuple[int, int]:
        """Luma pixels per chroma sample, across and down."""
        layout = self.av.format
        return 16 // layout.chroma_width(16), 16 // layout.chroma_height(16)

    def _quantise(self, values: NDArray[np.float32]) -> NDArray[Any]:
        scaled = np.rint(values * self._scale)
        return scaled.clip(0, (1 << self.bit_depth) - 1).astype(np.uint8 if self.bit_depth == 8 else np.uint16)

    def _plane(self, index: int) -> NDArray[Any]:
        """A writable view of a plane, H×W, without the padding at the end of each line."""
        if not self._owned:
            # The decoder may still predict from this buffer. Once, and before any view is given away, since a view
            # would be left pointing at the old buffer.
            self.av.make_writable()
            self._owned = True
        plane = self.av.planes[index]
        dtype = np.uint8 if self.bit_depth == 8 else np.dtype("<u2")
        lines = np.frombuffer(plane, dtype).reshape(-1, plane.line_size // np.dtype(dtype).itemsize)  # type: ignore[call-overload]
        return lines[: plane.height, : plane.width]  # type: ignore[no-any-return]

    def _checked(self, box: Box) -> Box:
        x0, y0, x1, y1 = box
        if not (0 <= x0 < x1 <= self.width and 0 <= y0 < y1 <= self.height):
            raise ValueError(f"box {box} does not lie inside the {self.width}×{self.height} picture")
        return box


def _matrix(frame: VideoFrame) -> int | None:
    """The YUV matrix to read an untagged frame by: as players do, BT.709 from 720 lines on."""
    if frame.colorspace != 2 or frame.height < 720:
        return None
    return 1


def upright(bgr: NDArray[np.uint8], rotation: int, *, mirrored: bool = False) -> NDArray[np.uint8]:
    """The picture as a player shows it.

    Args:
        bgr: as coded, H×W×3.
        rotation: degrees counter-clockwise by which it is turned.
        mirrored: whether it is put upside down before.
    """
    bgr = cv2.flip(bgr, 0) if mirrored else bgr  # type: ignore[assignment]
    turns = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}
    code = turns.get(rotation % 360)
    return bgr if code is None else cv2.rotate(bgr, code)  # type: ignore[return-value]
