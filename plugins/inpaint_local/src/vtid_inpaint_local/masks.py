"""What is to be erased, as a file: a picture that holds for the whole film, or a video that goes along with it.

White is erased. A mask becomes erasure events, one for each part of the picture that it marks, so that a logo above and
a line below are not filled as one. Parts of a video's mask are told apart for some seconds at a time.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from vtid.sdk import Box, Context, File, InvalidInput, Media, MediaInfo, Problem

from . import bounds
from .arrays import Mask, Plane
from .events import Event, erasure, packed
from .geometry import Turn

WHITE = 127
"""Brighter is white."""


def mask_of(ctx: Context, given: File | None, turn: Turn, info: MediaInfo) -> MaskFile | None:
    """The mask that came in, if one did. Raises `InvalidInput`."""
    if given is None:
        return None
    return MaskFile(given.path, given.name or given.path.name, ctx.media, turn, info.duration_s)


class MaskFile:
    """A mask that a person gave, checked against the film as far as that is quick."""

    def __init__(self, path: Path, name: str, media: Media, turn: Turn, duration_s: float) -> None:
        """Looks at the file.

        Args:
            path: of a picture or a video.
            name: in complaints.
            media: reads it.
            turn: how the film is shown.
            duration_s: of the film.

        Raises:
            InvalidInput: it has another shape, is too short, or marks nothing or everything.
        """
        self._path, self._name, self._media, self._turn, self._duration = path, name, media, turn, duration_s
        still = _picture(path)
        self._still = None if still is None else self._fitted(still)
        self._info: MediaInfo | None = None
        if self._still is None:
            self._info = self._probed()
            self._require_length(self._info)
        elif not self._still.any():
            raise self._complaint("is black all over: nothing would be erased", "empty")
        elif self._still.all():
            raise self._complaint("is white all over: nothing would be left to fill from", "full")

    def events(self, times: Sequence[float]) -> list[Event]:
        """What is erased, given the times of the film's frames, seconds.

        Raises:
            InvalidInput: a video that is black all over, or white all over all the time.
        """
        if self._still is not None:
            return [erasure(box, 0, len(times), part) for box, part in _parts(self._still)]
        out: list[Event] = []
        stretch = max(1, round(bounds.MASK_STRETCH_S * len(times) / max(self._duration, 0.001)))
        bits: list[bytes] = []
        first = 0
        spared = False
        for number, mask in enumerate(self._along(times)):
            spared = spared or not mask.all()
            bits.append(packed(mask))
            if len(bits) == stretch or number == len(times) - 1:
                _extend(out, self._stretch(bits, first))
                first, bits = number + 1, []
        if not out:
            raise self._complaint("is black all over: nothing would be erased", "empty")
        if not spared:
            raise self._complaint("is white all over: nothing would be left to fill from", "full")
        return out

    def _along(self, times: Sequence[float]) -> Iterator[Mask]:
        """The mask for each of these times: of its frames the last that is shown by then."""
        assert self._info is not None
        turn = Turn.of(self._info.video[0])
        # Times are floats, and containers count in their own ticks: the frame of this moment is not the one before.
        masks = ((f.time_s - 0.002, turn.upright(f.luma())) for f in self._media.frames(self._path))
        _, now = next(masks)
        fitted, coming = self._fitted(now), next(masks, None)
        for time in times:
            behind = None
            while coming is not None and coming[0] <= time:
                behind, coming = coming[1], next(masks, None)
            fitted = fitted if behind is None else self._fitted(behind)
            yield fitted

    def _stretch(self, bits: Sequence[bytes], first: int) -> list[Event]:
        """Events of some frames in a row, from their full masks as bits."""
        height, width = self._turn.height, self._turn.width
        full = Event((0, 0, width, height), first, first + len(bits), 0, 0, (0, 0, width, height), b"")
        union = np.zeros((height, width), bool)
        for one in set(bits):
            full.packed = one
            union |= full.mask
        out = []
        for box, part in _parts(union):
            x0, y0, x1, y1 = box
            frames: list[bytes] = []
            last, cut = b"", b""
            for one in bits:
                if one != last or not frames:
                    full.packed = last = one
                    cut = zlib.compress(packed(full.mask[y0:y1, x0:x1] & part), 1)
                frames.append(cut)
            out.append(_trimmed(erasure(box, first, first + len(bits), part), frames))
        return out

    def _fitted(self, plane: Plane) -> Mask:
        """A mask as shown, of any size, as the film's coded picture has it."""
        width, height = self._turn.shown
        h, w = plane.shape
        if abs(w / h * height / width - 1) > bounds.MASK_ASPECT:
            words = f"has {w}×{h} pixels, which is another shape than the picture's {width}×{height}"
            raise self._complaint(words, "wrong_shape")
        if (w, h) != (width, height):
            how = cv2.INTER_AREA if w > width else cv2.INTER_LINEAR
            plane = np.asarray(cv2.resize(plane, (width, height), interpolation=how))
        return self._turn.coded(_undotted(plane > WHITE))

    def _probed(self) -> MediaInfo:
        """What the mask is as a video. A person who gave two files must read which of them is bad."""
        try:
            return self._media.probe(self._path)
        except InvalidInput as error:
            words = "is neither a picture nor a video that can be read"
            complaint = self._complaint(words, error.problems[0].code if error.problems else "unreadable")
            raise complaint from error

    def _require_length(self, info: MediaInfo) -> None:
        if not info.video:
            raise self._complaint("holds no picture", "no_video")
        if info.duration_s < self._duration - bounds.MASK_SHORT_S:
            words = f"ends at {info.duration_s:.2f} s, and the film at {self._duration:.2f} s"
            raise self._complaint(words, "too_short")

    def _complaint(self, words: str, code: str) -> InvalidInput:
        return InvalidInput(f"The mask {self._name} {words}.", problems=[Problem("mask", words, code)])


def _picture(path: Path) -> Plane | None:
    """A still picture as 8-bit gray, what is transparent black; None where it is no still picture."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        return None
    scale = {np.dtype(np.uint8): 1.0, np.dtype(np.uint16): 1 / 257}.get(pixels.dtype, 255.0)
    values = np.asarray(pixels, np.float32).reshape(*pixels.shape[:2], -1) * np.float32(scale)
    gray: Plane = values[..., :3].mean(2) if values.shape[2] >= 3 else values[..., 0]
    if values.shape[2] in (2, 4):
        gray = gray * values[..., -1] / 255
    return np.asarray(np.clip(np.rint(gray), 0, 255).astype(np.uint8))


def _undotted(mask: Mask) -> Mask:
    """What is filled with a pattern of dots, as painting programs do, is meant as a whole; lone dots stay dots."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    sizes = stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(1)
    dots = int(stats[1:, cv2.CC_STAT_AREA][sizes <= bounds.MASK_DOT_PX].sum())
    if count < 2 or dots < bounds.MASK_DOTS * mask.sum():
        return mask
    side = bounds.MASK_DOT_GAP_PX + 1
    return cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_CLOSE, np.ones((side, side), np.uint8)) > 0


def _parts(mask: Mask) -> list[tuple[Box, Mask]]:
    """The patches of a mask that lie apart, each with its box and its own pixels over it."""
    side = 2 * bounds.MASK_APART_PX + 1
    near = cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8))
    count, labels = cv2.connectedComponents(near)
    out = []
    for label in range(1, count):
        mine = mask & (labels == label)
        x, y, w, h = cv2.boundingRect(mine.astype(np.uint8))
        out.append(((x, y, x + w, y + h), mine[y : y + h, x : x + w]))
    return out


def _trimmed(event: Event, frames: list[bytes]) -> Event:
    """The event from its first frame with anything to erase to its last; one that never changes keeps one mask."""
    nothing = zlib.compress(packed(np.zeros_like(event.mask)), 1)
    there = [i for i, one in enumerate(frames) if one != nothing]
    first, end = there[0], there[-1] + 1
    event.end, event.start = event.start + end, event.start + first
    event.core_start, event.core_end = event.start, event.end
    if len(set(frames[first:end])) > 1:
        event.frames = frames[first:end]
    return event


def _extend(out: list[Event], more: list[Event]) -> None:
    """Add events; where one goes on as it was, lengthen it."""
    for event in more:
        same = next(
            (
                o
                for o in out
                if o.end == event.start
                and not (o.frames or event.frames)
                and (o.mask_box, o.packed) == (event.mask_box, event.packed)
            ),
            None,
        )
        if same is None:
            out.append(event)
        else:
            same.end = same.core_end = event.end
