"""The shape of a half-transparent mark of one colour, from the steps that it makes in every picture.

Seen as distance to the mark's colour, the layer is a factor: |colour - picture| = (1 - a) × |colour - behind|. In the
logarithm it is a sum, and its outline is a step of one known height in every channel and every frame, whatever lies
behind. Three things follow, and they carry a mark over a still picture as well as one over a moving one:

- the temporal median of the picture's steps keeps the mark's and loses the scene's, as far as the scene moves (Weiss,
  Deriving intrinsic images from image sequences, 2001);
- what of the scene's steps remains has a law: a multivariate t, fitted to the crop itself. Each pair of neighbours then
  tells how much likelier it is with an outline between them than without, and the shape of the greatest likelihood is a
  minimal cut, found as a convex problem (Chan, Esedoglu and Nikolova, 2006) by a primal-dual descent (Chambolle and
  Pock, 2011);
- soft edges come from the steps of the luma, summed up again by least squares with weights that leave out the scene's
  own edges, and drawn to "all" and "nothing", since most of a mark is one or the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from . import layers
from .arrays import Floats, Mask, median

Indices = NDArray[np.intp]
_SQUARE = np.ones((3, 3), np.uint8)


class Steps(NamedTuple):
    """How the logarithm of the distance changes from each pixel to its neighbour, in the median over time: H×W×C."""

    right: Floats
    down: Floats
    here: Floats
    """The distance itself, median over time."""
    apart: int
    """Pixels between the two that are compared; the outline lies in the middle. Odd."""
    precision: Floats
    """Inverse scatter (C×C) of the steps that the scene itself makes."""


def steps(distance: Floats, apart: int) -> Steps:
    """Measure the steps.

    Args:
        distance: N×H×W×C levels between the picture and the mark's colour, over time.
        apart: 1 shows thin strokes; 3 reaches across soft edges and halved chroma.
    """
    logs = np.log(distance + np.float32(layers.MARK_NOISE))
    right, down = (median(_differences(logs, axis, apart)) for axis in (2, 1))
    right[:, -1], down[-1] = 0, 0
    inner = np.s_[2:-2, 2:-2]
    channels = distance.shape[3]
    scene = np.concatenate([right[inner].reshape(-1, channels), down[inner].reshape(-1, channels)])
    precision = np.linalg.inv(scatter(scene)).astype(np.float32)
    return Steps(right, down, median(distance), apart, precision)


def _differences(values: Floats, axis: int, apart: int) -> Floats:
    ahead, back = _pair(values.shape[axis], apart)
    return np.asarray(np.take(values, ahead, axis) - np.take(values, back, axis), np.float32)


def _pair(count: int, apart: int) -> tuple[Indices, Indices]:
    """For the gap after each index: the index beyond it and the one before it, so far apart."""
    half, at = (apart - 1) // 2, np.arange(count)
    return np.minimum(at + 1 + half, count - 1), np.maximum(at - half, 0)


def scatter(values: Floats) -> Floats:
    """Scatter of N×C values under a t distribution of one degree of freedom: many small steps, some large (EM)."""
    some: NDArray[Any] = values[:: max(1, len(values) // 20000)].astype(np.float64)
    floor = 1e-6 * np.eye(some.shape[1])
    out = np.atleast_2d(np.cov(some.T)) * 0.1 + floor
    for _ in range(12):
        weight = (1 + some.shape[1]) / (1 + _far(some, np.linalg.inv(out)))
        out = (some * weight[:, None]).T @ some / len(some) + floor
    return np.asarray(out, np.float32)


def _far(values: NDArray[Any], precision: NDArray[Any]) -> NDArray[Any]:
    """Squared Mahalanobis length."""
    return np.asarray(np.einsum("...c,...c->...", values @ precision, values))


class Outline(NamedTuple):
    """A shape, and what speaks for it."""

    inside: Mask
    evidence: Floats
    """At the pixels along its edge: natural logarithm of how much likelier the steps there are with it than without."""
    gaps: Floats
    """How many gaps to the outside each of these pixels has: what `evidence` was summed over."""

    @property
    def weight(self) -> float:
        """Evidence per gap, of all of it."""
        return float(self.evidence.sum()) / max(1.0, float(self.gaps.sum()))


def outline(seen: Sequence[Steps], alpha: float, rounds: int = layers.MARK_ROUNDS) -> Outline:
    """The likeliest shape of a layer of this opacity; `rounds` of the descent to it."""
    prices = [_prices(seen, alpha, axis) for axis in (1, 0)]
    inside = _cut(prices, rounds)
    evidence, gaps = np.zeros(inside.shape, np.float32), np.zeros(inside.shape, np.float32)
    for axis, price in zip((1, 0), prices, strict=True):
        change = np.diff(inside.astype(np.int8), axis=axis)
        before, after = (np.s_[:, :-1], np.s_[:, 1:]) if axis == 1 else (np.s_[:-1], np.s_[1:])
        for part, paid, crossed in ((after, price.enter, change > 0), (before, price.leave, change < 0)):
            evidence[part] -= paid[before] * crossed
            gaps[part] += crossed
    return Outline(inside, evidence, gaps)


def only(shape: Outline, keep: Mask) -> Outline:
    """The part of a shape that lies in `keep`."""
    return Outline(shape.inside & keep, shape.evidence * keep, shape.gaps * keep)


class Prices(NamedTuple):
    """What an outline costs in the gap between each pixel and its neighbour; negative where it is likely."""

    enter: Floats
    leave: Floats


def _prices(seen: Sequence[Steps], alpha: float, axis: int) -> Prices:
    """Of the gaps along an axis; the scale that speaks loudest counts."""
    enter, leave = [], []
    for one in seen:
        step = one.right if axis == 1 else one.down
        ahead, back = (np.take(one.here, at, axis) for at in _pair(one.here.shape[axis], one.apart))
        plain = _unlikely(step, one.precision)
        # The distance shrinks where the mark begins; noise, which the logarithm is kept from, softens the step.
        enter.append(_unlikely(step + expected(back, alpha), one.precision) - plain)
        leave.append(_unlikely(step - expected(ahead, alpha), one.precision) - plain)
    most = layers.MARK_SURE
    a = np.clip(np.minimum.reduce(enter), -most, most) + layers.MARK_EDGE
    b = np.clip(np.minimum.reduce(leave), -most, most) + layers.MARK_EDGE
    # A cut can be minimised if no gap pays both ways; where one way pays, the other is nonsense at any price.
    first, second = np.where(a < b, a, np.maximum(a, -b)), np.where(a < b, np.maximum(b, -a), b)
    first[_last(axis)], second[_last(axis)] = 0, 0
    return Prices(np.asarray(first, np.float32), np.asarray(second, np.float32))


def _last(axis: int) -> tuple[slice | int, ...]:
    return (slice(None), -1) if axis == 1 else (-1,)


def expected(outside: Floats, alpha: float) -> Floats:
    """The step of the logarithm into a layer of this opacity, from such a distance outside."""
    noise = np.float32(layers.MARK_NOISE)
    return np.asarray(np.log((outside + noise) / ((1 - np.float32(alpha)) * outside + noise)), np.float32)


def _unlikely(step: Floats, precision: Floats) -> Floats:
    """Negative logarithm of the t distribution's density, but for a constant."""
    return np.asarray(0.5 * (1 + step.shape[-1]) * np.log1p(_far(step, precision)), np.float32)


def _cut(gaps: Sequence[Prices], rounds: int) -> Mask:
    """The mask of the least price: relaxed to shares from 0 to 1, where it is convex, and exact when halved."""
    (wide_x, lean_x), (wide_y, lean_y) = (((p.enter + p.leave) / 2, (p.enter - p.leave) / 2) for p in gaps)
    pull = _gathered(lean_x, lean_y)
    share, ahead = np.zeros_like(pull), np.zeros_like(pull)
    dual_x, dual_y = np.zeros_like(pull), np.zeros_like(pull)
    for _ in range(rounds):
        dual_x[:, :-1] += 1.2 * (ahead[:, 1:] - ahead[:, :-1])
        dual_y[:-1] += 1.2 * (ahead[1:] - ahead[:-1])
        np.clip(dual_x, -wide_x, wide_x, out=dual_x)
        np.clip(dual_y, -wide_y, wide_y, out=dual_y)
        now = np.clip(share - 0.1 * (_gathered(dual_x, dual_y) + pull), 0, 1)
        now[:2], now[-2:], now[:, :2], now[:, -2:] = 0, 0, 0, 0
        ahead, share = 2 * now - share, now
    return np.asarray(share > 0.5)


def _gathered(right: NDArray[Any], down: NDArray[Any]) -> NDArray[Any]:
    """The adjoint of taking differences: what the gaps around each pixel say about it."""
    out: NDArray[Any] = -right - down
    out[:, 1:] += right[:, :-1]
    out[1:] += down[:-1]
    return out


class Opacity(NamedTuple):
    """How opaque a shape is, from the picture on both sides of its outline."""

    alpha: float
    spread: float
    """How much single places disagree: half the distance between the quartiles."""
    alike: float
    """Correlation of the logarithms of both sides. An opaque shape does not follow what is beside it."""
    slope: float
    """Of the one over the other, reduced major axis; 1 for a layer of the colour that was taken."""
    contrast: float
    """Standard deviation of the logarithm beside it: what `alike` and `slope` were measured by."""


def opacity(distance: Floats, inside: Mask) -> Opacity | None:
    """The median, over the outline, over time and over channels, of how much nearer to the colour the inside is.

    Args:
        distance: N×H×W×C, see `steps`.
        inside: the shape.

    Returns:
        None where there is no place to compare.
    """
    grown = inside.astype(np.uint8)
    core, out = cv2.erode(grown, _SQUARE) > 0, cv2.dilate(grown, _SQUARE) == 0
    if core.sum() < layers.MARK_CORE:
        core = inside
    within, without = (_mean_of(distance, mask) for mask in (core, out))
    both = (within[1] > layers.MARK_NEAR) & (without[1] > layers.MARK_NEAR)
    here, beside = within[0][:, both].ravel(), without[0][:, both].ravel()
    known = beside > layers.MARK_NOISE
    here, beside = here[known], beside[known]
    if here.size < layers.MARK_CORE:
        return None
    low, middle, high = quantiles(here / beside, beside, (0.25, 0.5, 0.75))
    x, y = (np.log(v + layers.MARK_NOISE / 2) for v in (beside, here))
    wide, narrow = float(x.std()), float(y.std())
    alike = float(((x - x.mean()) * (y - y.mean())).mean()) / max(wide * narrow, 1e-6)
    return Opacity(1 - middle, (high - low) / 2, alike, narrow / max(wide, 1e-6), wide)


def _mean_of(distance: Floats, mask: Mask) -> tuple[Floats, Floats]:
    """What it is on average around each pixel within a mask, N×H×W×C, and how much of the mask is near."""
    share = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), layers.MARK_BESIDE)
    weighted = [cv2.GaussianBlur(one * mask[..., None], (0, 0), layers.MARK_BESIDE) for one in distance]
    total = np.stack(weighted).reshape(distance.shape)
    return np.asarray(total / np.maximum(share, 1e-6)[..., None], np.float32), np.asarray(share, np.float32)


def quantiles(values: Floats, weight: Floats, at: Sequence[float]) -> list[float]:
    """Weighted quantiles."""
    order = np.argsort(values)
    total = np.cumsum(weight[order])
    return [float(values[order][np.searchsorted(total, share * total[-1])]) for share in at]


def soften(luma: Floats, inside: Mask, alpha: float) -> Floats:
    """How opaque the mark is at every pixel: soft edges for a shape.

    Args:
        luma: N×H×W distances to the mark's luma, over time.
        inside: the shape.
        alpha: of its plateau.
    """
    logs = np.log(luma + np.float32(layers.MARK_NOISE_LUMA))
    right, down = (median(_differences(logs, axis, 1)) for axis in (2, 1))
    right[:, -1], down[-1] = 0, 0
    grown, full = inside.astype(np.uint8), float(np.log(1 - alpha))
    near, far = (cv2.dilate(grown, np.ones((side, side), np.uint8)) > 0 for side in (9, 25))
    scale = float(scatter(np.concatenate([right[~near], down[~near]])[:, None])[0, 0])
    sums = _summed(right, down)
    core = cv2.erode(grown, _SQUARE) > 0
    strays = np.abs(1 - np.exp(sums) - alpha * core)[core | (far & ~near)]
    if float(strays.mean()) < layers.MARK_STRAYS * alpha:
        begin = sums  # the scene has moved so much that the sums alone are the mark, thinnest strokes and all
    else:
        begin = np.asarray(cv2.GaussianBlur(inside.astype(np.float32), (0, 0), 0.7) * full, np.float32)
    return 1 - np.exp(_drawn(right, down, begin, full, scale))


def plateau(matte: Floats) -> float:
    """The opacity that most of a mark has."""
    return float(np.median(matte[matte > 0.6 * matte.max()]))


def _summed(right: Floats, down: Floats) -> Floats:
    """The picture with these steps, 0 at its border: plain least squares."""
    ones = np.ones_like(right), np.ones_like(down)
    ones[0][:, -1], ones[1][-1] = 0, 0
    tie = np.full(right.shape, 1e-4, np.float32)
    tie[_border(tie.shape)] = 1e2
    return _least_squares(tie, np.zeros_like(right), *ones, right, down, np.zeros_like(right), rounds=120)


def _drawn(right: Floats, down: Floats, begin: Floats, full: float, scale: float) -> Floats:
    """Reweighted least squares: steps of the scene count little, and pixels near "all" or "nothing" are drawn there."""
    value = np.clip(begin, 1.3 * full, 0)
    border, near = _border(value.shape), layers.MARK_PLATEAU
    for _ in range(layers.MARK_REWEIGHTS):
        x, y = _differences(value[None], 2, 1)[0], _differences(value[None], 1, 1)[0]
        trust_x, trust_y = 2 / (scale + (right - x) ** 2), 2 / (scale + (down - y) ** 2)
        trust_x[:, -1], trust_y[-1] = 0, 0
        level = np.where(value < full / 2, np.float32(full), np.float32(0))
        tie = 2 / (near**2 + (value - level) ** 2)
        level[border], tie[border] = 0, 1e5
        value = np.clip(_least_squares(tie, level, trust_x, trust_y, right, down, value), 1.3 * full, 0)
    return value


def _border(shape: tuple[int, ...]) -> Mask:
    out = np.ones(shape, bool)
    out[2:-2, 2:-2] = False
    return out


def _least_squares(
    tie: NDArray[Any],
    level: Floats,
    trust_x: NDArray[Any],
    trust_y: NDArray[Any],
    right: Floats,
    down: Floats,
    value: Floats,
    rounds: int = 60,
) -> Floats:
    """Conjugate gradients for: tie × (value - level)² + trust × (step of value - step)², from a first guess."""
    diagonal = tie + trust_x + trust_y
    diagonal[:, 1:] += trust_x[:, :-1]
    diagonal[1:] += trust_y[:-1]

    def applied(v: Floats) -> NDArray[Any]:
        x, y = _differences(v[None], 2, 1)[0], _differences(v[None], 1, 1)[0]
        return np.asarray(tie * v + _gathered(trust_x * x, trust_y * y))

    rest = tie * level + _gathered(trust_x * right, trust_y * down) - applied(value)
    ahead = rest / diagonal
    size = float((rest * ahead).sum())
    for _ in range(rounds):
        moved = applied(ahead)
        length = size / (float((ahead * moved).sum()) + 1e-12)
        value = np.asarray(value + length * ahead, np.float32)
        rest = rest - length * moved
        scaled = rest / diagonal
        now = float((rest * scaled).sum())
        if now < 1e-8:
            break
        ahead, size = scaled + (now / (size + 1e-12)) * ahead, now
    return value
