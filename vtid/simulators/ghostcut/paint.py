"""The visible work: what the masks mark is painted over, for as long as they last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vtid.domain.film import Box, Frame
from vtid.media import PyAVMedia
from vtid.simulators.ghostcut.rules import TO_THE_END, Mask, Order

SUBTITLES = Mask("remove_only_ocr", 0.0, TO_THE_END, 0.0, 0.6, 1.0, 1.0)
"""Where the automatic mode looks for text: the lower part of the picture, since this is no text detector."""
BRIGHT, DARK = 190.0, 70.0
"""Levels of letters and of their outlines."""


def paint(source: Path, target: Path, order: Order) -> None:
    """Write `source` to `target` with what the order marks painted over: boxes flat, text as what is around it."""
    media = PyAVMedia()
    rotation = media.probe(source).video[0].rotation
    keep = [mask for mask in order.masks if mask.type == "keep"]
    work = [mask for mask in order.masks if mask.type != "keep"]
    if order.mode == 1:
        work.append(SUBTITLES)

    def edit(frames: Iterator[Frame]) -> Iterable[Frame]:
        for frame in frames:
            for mask in work:
                if mask.start_s <= frame.time_s < mask.end_s:
                    _cover(frame, mask, [k for k in keep if k.start_s <= frame.time_s < k.end_s], rotation)
            yield frame

    media.rewrite(source, target, edit)


def _cover(frame: Frame, mask: Mask, keep: list[Mask], rotation: int) -> None:
    box = _pixels(mask, frame, rotation)
    x0, y0 = box[:2]
    picture = frame.yuv(box)
    if mask.type == "remove_only_ocr":
        hit = _letters(picture[..., 0], frame.height)
        levels = picture.clip(0, 255).astype(np.uint8)
        filled = cv2.inpaint(levels, hit.view(np.uint8), 3, cv2.INPAINT_TELEA).astype(np.float32)
    else:
        hit = np.ones(picture.shape[:2], dtype=bool)
        filled = np.broadcast_to(np.median(picture.reshape(-1, 3), axis=0).astype(np.float32), picture.shape)
    for spared in keep:
        kx0, ky0, kx1, ky1 = _pixels(spared, frame, rotation)
        hit[max(0, ky0 - y0) : max(0, ky1 - y0), max(0, kx0 - x0) : max(0, kx1 - x0)] = False
    frame.paint(box, filled, hit)


def _letters(luma: NDArray[np.float32], height: int) -> NDArray[np.bool_]:
    """Where bright pixels have dark ones beside them, as letters with an outline do; the outline with them."""
    reach = max(3, height // 60)
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    bright, dark = (luma > BRIGHT).view(np.uint8), (luma < DARK).view(np.uint8)
    letters = cv2.bitwise_and(bright, cv2.dilate(dark, around))
    return cv2.dilate(letters, around).astype(np.bool_)


def _pixels(mask: Mask, frame: Frame, rotation: int) -> Box:
    """The box on the coded picture, which a player turns by `rotation` degrees counter-clockwise."""
    x0, y0, x1, y1 = mask.x0, mask.y0, mask.x1, mask.y1
    turned = {90: (1 - y1, x0, 1 - y0, x1), 180: (1 - x1, 1 - y1, 1 - x0, 1 - y0), 270: (y0, 1 - x1, y1, 1 - x0)}
    x0, y0, x1, y1 = turned.get(rotation % 360, (x0, y0, x1, y1))
    left, top = min(int(x0 * frame.width), frame.width - 1), min(int(y0 * frame.height), frame.height - 1)
    right, bottom = round(x1 * frame.width), round(y1 * frame.height)
    return left, top, max(left + 1, min(right, frame.width)), max(top + 1, min(bottom, frame.height))
