"""Single pictures of a video, as a player shows them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vtid.errors import MediaError, StorageError
from vtid.media.decode import frames
from vtid.media.frame import upright
from vtid.media.probe import probe, require_video

_GAP = 8
"""Pixels between two pictures side by side."""


def still(path: Path, time_s: float = 0.0, *, max_width: int | None = None) -> NDArray[np.uint8]:
    """The picture at a time (the last one where the time lies behind it), BGR, H×W×3, as a player shows it.

    Args:
        path: of a video.
        time_s: seconds from its first frame.
        max_width: scale it down to this width before turning.
    """
    film = require_video(probe(path), path.name)
    for start in (max(0.0, time_s), max(0.0, time_s - 1), 0.0):
        shown = None
        for frame in frames(path, start_s=start, end_s=max(time_s, start) + 3600):
            shown = frame
            if frame.time_s >= time_s:
                break
        if shown is not None:
            return upright(shown.bgr(max_width), film.rotation, mirrored=film.mirrored)
    raise MediaError(f"{path.name} has no picture at {time_s:g} s.")


def write_picture(path: Path, bgr: NDArray[np.uint8], *, quality: int = 85) -> None:
    """Write a BGR picture: JPEG where the path ends so, else PNG. Raises `StorageError` where it can't be drawn."""
    jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if jpeg else []
    good, data = cv2.imencode(".jpg" if jpeg else ".png", bgr, options)
    if not good:
        raise StorageError(f"{path.name} could not be drawn.")
    path.write_bytes(data.tobytes())


def before_after(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two BGR pictures side by side, the second scaled to the height of the first."""
    height = before.shape[0]
    if after.shape[0] != height:
        after = cv2.resize(after, (round(after.shape[1] * height / after.shape[0]), height))  # type: ignore[assignment]
    gap = np.full((height, _GAP, 3), 255, np.uint8)
    return np.concatenate((before, gap, after), axis=1)
