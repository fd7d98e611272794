"""What tells text that was laid over the picture from text that stands in the scene.

Both can hold still for a while: a caption always does, a shop sign does in a locked shot, a jersey for as long as its
wearer. Reading does not tell them apart, and sharpness does not after compression. How they behave in time does:

- A caption is switched (or faded) on and off within a shot, and the picture around it hardly changes then; a sign comes
  and goes with the shot or behind somebody, and what moved out of its place is found a few pixels on.
- A caption's pixels stand while the picture between its letters moves; a sign moves with its wall.
- A caption holds its place to the pixel; a hand-held camera's signs do not.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from vtid.sdk import Box

from . import bounds
from .arrays import Floats, Mask, Pixels, Plane, median
from .events import Evidence, Trace
from .geometry import text_height
from .presence import high, strokes
from .track import Edge


def evidence(
    samples: Sequence[Pixels],
    box: Box,
    begin: Sequence[Edge] = (),
    end: Sequence[Edge] = (),
    edge_box: Box | None = None,
) -> Evidence:
    """What a followed text's crops say about it.

    Args:
        samples: crops over its time, alike in size.
        box: of the text within that crop.
        begin: crops around its first frame, where there are any.
        end: and around its last.
        edge_box: of the text within those crops, which may be wider; the same box where None.
    """
    lumas = np.stack([np.asarray(s[..., 0], np.float32) for s in samples])
    kinds = _strokes(median(lumas), box)
    letters = kinds[0] | kinds[1]
    return Evidence(
        moves_behind=_moves_behind(lumas, _standing(lumas, kinds), text_height(box)),
        displaced=_displaced(lumas, box),
        began=_left_behind(begin, edge_box or box),
        ended=_left_behind(end, edge_box or box),
        slant=_slant(letters, box),
    )


def _letters(luma: Plane, box: Box) -> Mask:
    """The thin strokes in a text's box, bright and dark: letters and their outline, not the board that they are on."""
    bright, dark = _strokes(luma, box)
    return bright | dark


def _standing(lumas: Floats, kinds: tuple[Mask, Mask]) -> Mask:
    """The strokes of both kinds, or of one where only those stand: the others are gaps between thin letters."""
    calm = lumas.std(0) < bounds.STANDS_LEVELS
    shares = [float(calm[kind].mean()) if kind.any() else 0.0 for kind in kinds]
    if min(shares) < bounds.STANDS[0] and max(shares) > bounds.STANDS[1]:
        return kinds[int(np.argmax(shares))]
    return kinds[0] | kinds[1]


def _strokes(luma: Plane, box: Box) -> tuple[Mask, Mask]:
    """Bright ones and dark ones."""
    x0, y0, x1, y1 = box
    bright, dark = np.zeros(luma.shape, bool), np.zeros(luma.shape, bool)
    bright[y0:y1, x0:x1], dark[y0:y1, x0:x1] = strokes(luma[y0:y1, x0:x1].astype(np.uint8), text_height(box))
    return bright, dark


def _moves_behind(lumas: Floats, letters: Mask, size: int) -> float:
    """Share of the pixels between the letters that change while the letters stand.

    Between them, not around them: around a sign, its board soon ends. What all of them do together is not counted: that
    is the light.
    """
    if len(lumas) < 3:
        return 0.0
    drawn = letters.astype(np.uint8)
    side = max(5, round(bounds.BEHIND_GAP * size)) | 1
    closed = cv2.morphologyEx(drawn, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    between = (closed > 0) & (cv2.distanceTransform(1 - drawn, cv2.DIST_L2, 3) > bounds.BEHIND_FROM_PX)
    if between.sum() < bounds.BEHIND_PIXELS:
        return 0.0
    seen = lumas[:, between]
    seen = seen - np.median(seen, 1, keepdims=True)
    return float((seen.std(0) > bounds.BEHIND_LEVELS).mean())


def _displaced(lumas: Floats, box: Box) -> float:
    """Share of the samples in which the text lies beside its place, of those in which it is seen clearly."""
    reach = bounds.DISPLACED_PX
    x0, y0, x1, y1 = box
    height, width = lumas.shape[1:]
    if x0 < reach or y0 < reach or x1 + reach > width or y1 + reach > height:
        x0, y0, x1, y1 = max(x0, reach), max(y0, reach), min(x1, width - reach), min(y1, height - reach)
    if x1 - x0 < 4 or y1 - y0 < 4:
        return 0.0
    size = text_height(box)
    pattern = high(median(lumas), size)[y0:y1, x0:x1]
    seen = beside = 0
    for luma in lumas:
        likeness, at = _best(high(luma, size)[y0 - reach : y1 + reach, x0 - reach : x1 + reach], pattern)
        if likeness > bounds.DISPLACED_LIKE:
            seen += 1
            beside += at != (reach, reach)
    return beside / seen if seen else 0.0


def _left_behind(edges: Sequence[Edge], box: Box) -> Trace | None:
    """What there is of it just outside its time."""
    if not edges:
        return None
    outside, inside = (edges[0].outside[..., 0], edges[0].inside[..., 0])
    size = text_height(box)
    x0, y0, x1, y1 = box
    likeness, (x, y) = _best(high(outside, size), high(inside, size)[y0:y1, x0:x1])
    change = np.abs(inside.astype(np.int16) - outside)
    letters = _letters(inside, box)
    around = cv2.dilate(letters.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    if not letters.any() or not around.any():
        return None
    ratio = float(np.median(change[around])) / max(1.0, float(np.median(change[letters])))
    return Trace(likeness, max(abs(x - x0), abs(y - y0)), ratio)


def _best(picture: Plane, pattern: Plane) -> tuple[float, tuple[int, int]]:
    """The largest normalised correlation of a pattern in a picture, and where."""
    if min(pattern.shape) < 1 or pattern.std() < 1e-3:
        return 0.0, (0, 0)
    scores = cv2.matchTemplate(picture.astype(np.float32), pattern.astype(np.float32), cv2.TM_CCOEFF_NORMED)
    _, best, _, at = cv2.minMaxLoc(scores)
    return float(best), (int(at[0]), int(at[1]))


def _slant(mask: Mask, box: Box) -> float:
    """Degrees between the picture's edge and the line of text: the mean of what its upper and lower edge say.

    Theil and Sen's estimate, the median of the slopes between all pairs: ascenders and descenders do not tilt it.
    """
    x0, y0, x1, y1 = box
    inner = mask[y0:y1, x0:x1]
    if x1 - x0 < y1 - y0:
        inner = inner.T
    size, length = inner.shape
    count = max(4, round(length / max(1, size)))
    edges: list[tuple[float, float, float]] = []
    for part in np.array_split(np.arange(length), count):
        rows = np.nonzero(inner[:, part])[0] if part.size else np.empty(0)
        if rows.size >= 5:
            top, bottom = np.percentile(rows, (5, 95))
            edges.append((float(part.mean()), float(top), float(bottom)))
    if len(edges) < 3:
        return 0.0
    x, top, bottom = np.array(edges).T
    one, other = np.triu_indices(len(x), 1)
    across = x[other] - x[one]
    slopes = [np.median((line[other] - line[one]) / across) for line in (top, bottom)]
    return float(np.degrees(np.arctan(np.mean(slopes))))
