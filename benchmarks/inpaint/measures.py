"""How near a film without its text comes to the film that never had any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .burn import Bools, Box, Floats, Truth
from .films import Picture

AWAY_PX = 8
"""How far outside the boxes everything has to stay as it was."""
CHANGED = 8.0
"""Grey levels by which a mean over 9 × 9 pixels differs where something was touched: a re-encode stays under it."""
JPEG = 92
"""Quality of the JPEG that says how often the detector changes its mind over coding alone."""
SAMPLES = 8
"""Frames of a clip in which a detector looks for text that was left."""

Finder = Callable[[Picture], list[tuple[float, float, float, float]]]
"""Finds text in a picture: boxes x0, y0, x1, y1."""


class Quality(NamedTuple):
    """Of a whole clip."""

    psnr: float
    """In the text boxes, 4 pixels padded; dB."""
    ssim: float
    """In the same pixels, of the luma."""
    flicker: float
    """How much more, or else, a pixel there changes from frame to frame than it does in the clean film, grey levels."""
    residual: float
    """Share of sampled boxes in which a detector still sees text, of those that are free of it in the clean film."""
    collateral: float
    """Pixels away from the boxes that changed, per million."""
    chance: float = 0.0
    """The `residual` of the clean film itself after a good JPEG: what the measure says where no text is left."""


class Meter:
    """Takes the frames of a clip one after another and measures them.

    Args:
        truth: what was burned in.
        frames: how many there are.
        find: finds text; without it `residual` is 0.
    """

    def __init__(self, truth: Truth, frames: int, find: Finder | None = None) -> None:
        self._truth = truth
        self._find = find
        textual = [t for t in range(frames) if truth.boxes(t)]
        spread = np.linspace(0, len(textual) - 1, SAMPLES).astype(int)
        self._sampled = {textual[i] for i in spread} if textual else set()
        self._error = _Mean()
        self._ssim = _Mean()
        self._flicker = _Mean()
        self._collateral = _Mean()
        self._seen = self._left = self._chance = 0
        self._before: tuple[Floats, Bools] | None = None

    def add(self, number: int, clean: Picture, out: Picture, given: Picture | None = None) -> None:
        """Take a frame.

        Args:
            number: from 0, without a gap.
            clean: as it was before there was text.
            out: what came back.
            given: with the text; without it, what is away from the text is not looked at.
        """
        region = self._truth.region(number)
        was, now = _luma(clean), _luma(out)
        change = now - was
        if region.any():
            self._error.add((out[region].astype(np.float32) - clean[region]) ** 2)
            cut = _around(region, 8)
            self._ssim.add(ssim_map(now[cut], was[cut])[region[cut]])
            if self._before is not None:
                both = region | self._before[1]
                self._flicker.add(np.abs(change - self._before[0])[both])
        self._before = change, region
        if self._find is not None and number in self._sampled:
            coded = _as_jpeg(clean)
            for box in self._truth.boxes(number):
                if not has_text(self._find, clean, box):
                    self._seen += 1
                    self._left += has_text(self._find, out, box)
                    self._chance += has_text(self._find, coded, box)
        if given is not None:
            moved = np.abs(cv2.blur(out.astype(np.float32) - given, (9, 9)))
            blue, green, red = cv2.split(moved)  # NumPy's max of three takes ten times as long
            most = cv2.max(cv2.max(blue, green), red)
            self._collateral.add((most > CHANGED)[~self._truth.region(number, AWAY_PX)])

    def result(self) -> Quality:
        """Of all frames so far."""
        return Quality(
            psnr=float(10 * np.log10(255**2 / (self._error.value + 1e-9))),
            ssim=self._ssim.value,
            flicker=self._flicker.value,
            residual=self._left / self._seen if self._seen else 0.0,
            collateral=1e6 * self._collateral.value,
            chance=self._chance / self._seen if self._seen else 0.0,
        )


def _as_jpeg(picture: Picture) -> Picture:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


class _Mean:
    """Of more values than one wants to keep."""

    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0

    def add(self, values: NDArray[Any]) -> None:
        self._sum += float(values.sum(dtype=np.float64))
        self._count += values.size

    @property
    def value(self) -> float:
        return self._sum / max(1, self._count)


def telea(picture: Picture, mask: Bools) -> Picture:
    """Inpaint as everybody can: `cv2.inpaint`, frame by frame (Telea, "An image inpainting technique...", 2004)."""
    if not mask.any():
        return picture
    cut = _around(mask, 12)  # it looks 3 pixels around: the rest of the picture only costs time
    out = picture.copy()
    out[cut] = cv2.inpaint(picture[cut], mask[cut].astype(np.uint8), 3, cv2.INPAINT_TELEA)
    return out


def ssim_map(one: Floats, other: Floats) -> Floats:
    """Structural similarity at each pixel, as Wang et al. define it (2004): Gaussian window of 11, sigma 1.5."""

    def mean(values: Floats) -> Floats:
        return np.asarray(cv2.GaussianBlur(values, (11, 11), 1.5), np.float32)

    a, b = mean(one), mean(other)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    va, vb, both = mean(one * one) - a * a, mean(other * other) - b * b, mean(one * other) - a * b
    return np.asarray((2 * a * b + c1) * (2 * both + c2) / ((a * a + b * b + c1) * (va + vb + c2)), np.float32)


def has_text(find: Finder, picture: Picture, box: Box) -> bool:
    """Whether a detector sees text in a box: one of which at least three tenths lie within it."""
    margin, edge = 24, 16  # pixels of surroundings; and of a repeated border, as lines at the rim are missed
    scale = 2 if picture.shape[0] < 500 else 1  # letters under some 15 pixels are missed, too
    x0, y0, x1, y1 = box
    left, top = max(0, x0 - margin), max(0, y0 - margin)
    crop = picture[top : y1 + margin, left : x1 + margin]
    crop = cv2.copyMakeBorder(crop, edge, edge, edge, edge, cv2.BORDER_REPLICATE)  # type: ignore[assignment]
    if scale > 1:
        crop = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)  # type: ignore[assignment]
    for found in find(crop):
        a0, a1 = (found[i] / scale - edge + left for i in (0, 2))
        b0, b1 = (found[i] / scale - edge + top for i in (1, 3))
        wide, high = min(a1, x1) - max(a0, x0), min(b1, y1) - max(b0, y0)
        if wide > 0 and high > 0 and wide * high > 0.3 * (a1 - a0) * (b1 - b0):
            return True
    return False


def text_finder() -> Finder:
    """A detector of its own, apart from the one that the step under test asks."""
    from rapidocr import RapidOCR

    engine = RapidOCR(
        params={"Det.limit_type": "max", "Det.limit_side_len": 960, "Global.log_level": "critical"},
    )

    def find(picture: Picture) -> list[tuple[float, float, float, float]]:
        got: Any = engine(picture, use_det=True, use_cls=False, use_rec=False)
        quads = [] if got.boxes is None else [np.asarray(quad, float) for quad in got.boxes]
        return [(*quad.min(0).tolist(), *quad.max(0).tolist()) for quad in quads]

    return find


def _luma(picture: Picture) -> Floats:
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.float32)


def _around(mask: Bools, margin: int) -> tuple[slice, slice]:
    """The part of the picture in which a mask lies, and so many pixels around."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + margin + 1),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + margin + 1),
    )
