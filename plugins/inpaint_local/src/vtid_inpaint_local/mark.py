"""A still, half-transparent mark: how opaque it is at every pixel, and its colour.

Its shape is what the temporal mean holds against its own surroundings once the scene has moved on. For a guess of
(opacity, colour) the mark can be taken off; where the guess is wrong, a positive or negative of its shape stays in
every frame. The guess that leaves the least of it wins. That needs a background that moves: over a still one the mark
cannot be told from the scene, and strokes are filled instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from vtid.sdk import Box

from . import tuning
from .arrays import Floats, Mask, Pixels
from .events import Event, Veil
from .geometry import cover
from .spatial import close_holes
from .veil import packed_matte, unblend


class Mark(NamedTuple):
    """What was measured."""

    alpha: float
    colour: tuple[float, float, float]
    shares: Floats
    """Of `alpha`, per pixel, 0 to 1."""
    left: float
    """How much of its shape stays, against before."""


def measure(samples: Sequence[Pixels], strokes: Mask) -> Mark | None:
    """Opacity and colour of a mark; None where it is opaque, the picture behind it does not move, or some of it stays.

    Args:
        samples: crops (Y, U, V) over its life.
        strokes: where it may be, with a margin.
    """
    stack = np.stack(samples).astype(np.float32)
    away = ~cv2.dilate(strokes.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool)
    if len(samples) < tuning.MARK_SAMPLES or away.sum() < 50 or strokes.sum() < 30:
        return None
    moves = stack[..., 0].std(0)
    if float(np.median(moves[away])) < tuning.MARK_MOVES:
        return None
    mean = stack.mean(0)
    behind = close_holes(mean, strokes)
    best = _search(stack[..., 0], mean[..., 0], behind[..., 0], strokes)
    if best is None:
        return None
    alpha, luma, shares, left = best
    if left > tuning.MARK_LEFT or not tuning.MARK_ALPHA[0] <= alpha <= tuning.MARK_ALPHA[1]:
        return None
    opacity = alpha * shares
    core = shares > 0.7
    if core.sum() < 10:
        return None
    shows = float(np.median(moves[core])) / float(np.median(moves[away]))
    if shows < tuning.MARK_SHOWS or abs(shows - (1 - alpha)) > tuning.MARK_SHOWS:
        return None  # opaque letters hold still, whatever moves around them
    # Levels over the core: mean = (1 - a) behind + a colour, in every channel.
    a = opacity[core][:, None]
    colour = ((mean[core] - (1 - a) * behind[core]) / a).mean(0)
    return Mark(alpha, (luma, float(colour[1]), float(colour[2])), shares, left)


def _search(stack: Floats, mean: Floats, behind: Floats, strokes: Mask) -> tuple[float, float, Floats, float] | None:
    """Opacity, luma, shape and what stays, of the best guess; all of luma."""
    lift = (mean - behind) * strokes
    light = float(lift[strokes].mean()) > 0
    best: tuple[float, float, float, Floats] | None = None
    white: tuple[float, float, float, Floats] | None = None
    before = 0.0
    for luma in np.arange(*tuning.MARK_LIGHT) if light else np.arange(*tuning.MARK_DARK):
        room = luma - behind
        room = np.where(np.abs(room) < 20, np.copysign(20, room), room)
        shape: Floats = np.asarray(np.clip(lift / room, 0, 1), np.float32)
        top = float(np.percentile(shape[shape > 0.02], 80)) if (shape > 0.02).sum() > 20 else 0.0
        if top <= 0:
            continue
        shape = np.asarray(np.clip(shape / top, 0, 1), np.float32)
        probe = _probe(shape)
        none = float(((stack * probe).sum((1, 2)) ** 2).sum())
        for alpha in np.arange(*tuning.MARK_STEPS):
            opacity = (alpha * shape)[None]
            stays = float(((((stack - opacity * luma) / (1 - opacity)) * probe).sum((1, 2)) ** 2).sum())
            if best is None or stays < best[0]:
                best, before = (stays, float(alpha), float(luma), shape), none
            if luma == tuning.WHITE and (white is None or stays < white[0]):
                white = stays, float(alpha), float(luma), shape
    if best is None:
        return None
    # Brighter and clearer, or darker and denser: the valley is long and flat. Nearly all marks are white.
    if white is not None and white[0] < max(tuning.WHITE_GOOD * best[0], tuning.MARK_LEFT / 10 * before):
        best = white
    return best[1], best[2], best[3], best[0] / max(before, 1e-6)


def _probe(shape: Floats) -> Floats:
    """Multiplied with a picture and summed, it tells how much of the shape's detail is in it: a high-pass, twice."""
    high = shape
    for _ in range(2):
        high = high - cv2.GaussianBlur(high, (0, 0), tuning.MARK_SIGMA)
    energy = float(np.sqrt((high * high).sum()))
    return np.asarray(high / max(energy, 1e-6), np.float32)


def refine(samples: Sequence[Pixels], mark: Mark, strokes: Mask) -> Mark:
    """Each pixel's own opacity, by least squares over time against the picture closed from around; kept near the shape.

    Where both agree that a pixel belongs to the mark in full, it is drawn to that plateau: most of a mark is of one
    opacity.
    """
    up = np.zeros(strokes.shape, np.float32)
    down = np.full(strokes.shape, 1e-3, np.float32)
    for sample in samples:
        now = sample[..., 0].astype(np.float32)
        behind = close_holes(sample[..., :1], strokes)[..., 0]
        room = mark.colour[0] - behind
        up += (now - behind) * room
        down += room * room
    own = np.clip(up / down, 0, tuning.MARK_ALPHA[1]) * strokes
    own = np.where(own > 0.8 * mark.alpha, 0.25 * own + 0.75 * mark.alpha, own)
    own[own < 0.02] = 0
    top = max(float(own.max()), 1e-3)
    return mark._replace(alpha=top, shares=np.asarray(own / top, np.float32))


def settle(events: Sequence[Event], veils: Sequence[tuple[Event, Veil]], bridge: int) -> list[Event]:
    """Give marks their veils. One that was followed in pieces, as the scene drowned it, becomes one event again.

    Args:
        events: all.
        veils: those of the events whose mark was measured.
        bridge: frames between two pieces over which the mark is taken to have been there.
    """
    out = list(events)
    for event, veil in sorted(veils, key=lambda v: v[0].core_start - v[0].core_end):
        if event.veil is not None or not any(e is event for e in out):
            continue
        pieces = [e for e in out if e is not event and not e.erasure and cover(e.box, veil.box) > tuning.MARK_SAME]
        grown = True
        while grown:
            near = [p for p in pieces if p.start <= event.end + bridge and p.end >= event.start - bridge]
            for piece in near:
                event.start, event.end = min(event.start, piece.start), max(event.end, piece.end)
                event.core_start = min(event.core_start, piece.core_start)
                event.core_end = max(event.core_end, piece.core_end)
            gone = {id(p) for p in near}
            pieces, out = [p for p in pieces if id(p) not in gone], [e for e in out if id(e) not in gone]
            grown = bool(near)
        event.veil = veil
        veil.start, veil.end = event.start, event.end
    return out


def veil_of(samples: Sequence[Pixels], strokes: Mask, box: Box) -> Veil | None:
    """The veil that a mark is, over the box of these crops; None where it cannot be measured."""
    strokes = np.asarray(cv2.dilate(strokes.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0)
    mark = measure(samples, strokes)
    if mark is None:
        return None
    fine = refine(samples, mark, strokes)
    if stays(samples, fine) > tuning.MARK_LEFT:
        return None
    return Veil(box, 0, 0, fine.alpha, fine.colour, packed_matte(fine.shares), alone=True)


def stays(samples: Sequence[Pixels], mark: Mark) -> float:
    """How much of the shape is left in the pictures with the mark taken off, against before."""
    probe = _probe(mark.shares)
    opacity = mark.alpha * mark.shares
    before = sum(float((s[..., 0] * probe).sum()) ** 2 for s in samples)
    after = sum(
        float((unblend(s.astype(np.float32), opacity, mark.colour)[..., 0] * probe).sum()) ** 2 for s in samples
    )
    return after / max(before, 1e-6)
