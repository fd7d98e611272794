"""Weighing what time shows against what space suggests: each guess by the error that it must be expected to make.

What a chase's small errors have added up to is taken back first: where the sampled pixels around the hole lie a
fraction of a pixel off those of the frame itself, all of them are moved (Lucas and Kanade, 1981).

A temporal guess is judged on the ring of known pixels around the hole, where the same pointers can be checked; the
smooth part of its error there is taken off first, which absorbs changes of light and vignettes. Where both directions
show something, how far they disagree inside the hole says more; and the older a source, the less it is worth. The
spatial guess is worth less the more its surroundings vary over a few pixels, and the deeper a pixel lies in the hole.
The same weights are the consistency check and the guard against missed cuts, and make the seam disappear.

The exponents were fitted: with the truth known on nine clips, they minimise the error of the fused luma, in decibels,
averaged over the clips (see `tuning`). One over the squared standard deviation, with every error guessed from the ring
alone, is 1.0 dB behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from . import tuning
from .arrays import Floats, Mask
from .diffuse import sharpen
from .follow import named
from .kernels import Ints, Reached, Sources, normal_equations
from .painter import Guide, classical
from .patch import Patch, sigma
from .rest import own_luma, own_values
from .spatial import SHRUNK, blurred, enlarge, smooth, spread

_THIRD = np.float32(1 / 3)
"""For means over Y, U and V."""


class Site:
    """The span of a patch as planes, and where the N pixels near its hole lie in them.

    Attributes:
        planes: Y, U and V with the hole closed by the spatial guess, h×w each.
        hole: h×w.
        at: places of the N pixels in a flattened plane, in the order of `Patch.at`.
        inside: of those, which are unknown.
        sigma: how smooth errors are taken to be, pixels.
    """

    def __init__(self, patch: Patch, guide: Guide) -> None:
        x0, y0, x1, y1 = patch.span
        self.planes: list[Floats] = [np.asarray(plane) for plane in cv2.split(patch.guess(guide))]
        self.hole = np.ascontiguousarray(patch.hole[y0:y1, x0:x1])
        self.at = ((patch.y - np.int32(y0)) * np.int32(x1 - x0) + (patch.x - np.int32(x0))).astype(np.intp)
        self.inside = patch.inside
        self.sigma = sigma(patch.hole.shape[0])
        self.height, self.width = self.hole.shape

    def plane(self, at: NDArray[np.intp], values: Floats | float) -> Floats:
        """An h×w plane with these values at these of the N pixels, 0 elsewhere."""
        out = np.zeros(self.hole.size, np.float32)
        out[self.at.take(at)] = values
        return out.reshape(self.hole.shape)

    def look(self, plane: Floats, at: NDArray[np.intp]) -> Floats:
        """What an h×w plane has at these of the N pixels."""
        return plane.reshape(-1).take(self.at.take(at))

    def enlarge(self, small: Floats) -> Floats:
        """A plane that was made smaller, at full size."""
        return enlarge(small, self.width, self.height)


class Candidate(NamedTuple):
    """What one direction of time shows of the N pixels near a hole."""

    values: Floats
    """3×N, corrected by the smooth part of their error on the ring."""
    has: Mask
    """N: which pixels have a source."""
    age: Ints
    """N: how many frames away it lies."""
    doubt: Floats
    """Squared error expected by the ring, at a quarter of the span's size."""


def candidate(site: Site, number: int, patches: Mapping[int, Patch], reached: Reached) -> Candidate | None:
    """Sample what was reached, with its drift taken back, and judge it on the ring; None where nothing was."""
    has = reached.frame >= 0
    if not has.any():
        return None
    which = np.flatnonzero(has)
    frame, x, y = reached.frame.take(which), reached.x.take(which), reached.y.take(which)
    sources = Sources(frame, x, y, {n: patches[n].crop() for n in named(frame)})
    sources = sources.moved(*align(site, sources, which, x, y, patches[number].hole.shape))
    # A chase asks what lies under a text only in the frame in which it arrives. What it hands on from there moves on by
    # fractions of a pixel, and after twenty frames may have come under the letters that stood beside it.
    has[which] = ~sources.covered()
    values = np.zeros((3, has.size), np.float32)
    for row, seen in zip(values, sources.values(), strict=True):
        row[which] = seen
    return _judged(site, values, has, np.abs(reached.frame - number))


def _judged(site: Site, values: Floats, has: Mask, age: Ints) -> Candidate:
    """A candidate of these values (3×N), which are corrected in place."""
    ring = np.flatnonzero(has & ~site.inside)
    checked = site.plane(ring, 1)
    off = [site.look(plane, ring) - row.take(ring) for plane, row in zip(site.planes, values, strict=True)]
    low, support = spread([site.plane(ring, one) for one in off], checked, site.sigma)
    energy = np.zeros(ring.size, np.float32)
    for channel, (one, shade) in enumerate(zip(off, low, strict=True)):
        full = site.enlarge(shade).reshape(-1).take(site.at)
        values[channel] += full
        energy += (one - full.take(ring)) ** 2
    rest = smooth(site.plane(ring, energy * _THIRD), site.sigma) / (support + np.float32(1e-6))
    doubt = rest + np.float32(0.25) * _THIRD * (low[0] ** 2 + low[1] ** 2 + low[2] ** 2)
    doubt[support < tuning.RING_SEEN] = tuning.UNCHECKED
    return Candidate(values, has, age, doubt)


def _resting(
    site: Site, number: int, patches: Mapping[int, Patch], reached: Ints, found: Iterable[Candidate]
) -> Candidate | None:
    """The same of sources at the pixels' own places; None where it is nowhere better than what was `found`."""
    has = reached >= 0
    ring = np.flatnonzero(has & ~site.inside)
    off = site.look(site.planes[0], ring) - own_luma(patches[number], patches, reached, ring)
    error = smooth(site.plane(ring, off**2), site.sigma)
    support = smooth(site.plane(ring, 1), site.sigma)
    best = np.full_like(error, tuning.UNCHECKED)
    for one in found:
        np.minimum(best, one.doubt, out=best)
    seen = support >= tuning.RING_SEEN
    better = error < tuning.REST_BETTER * best * support
    if (better & seen).sum() <= tuning.REST_SHARE * seen.sum():
        return None
    return _judged(site, own_values(patches[number], patches, reached), has, np.abs(reached - number))


def align(
    site: Site, sources: Sources, which: NDArray[np.intp], x: Floats, y: Floats, within: tuple[int, ...]
) -> tuple[Floats, Floats]:
    """Take back the drift of a chase: move sources by what they are off around the hole.

    One step of Lucas and Kanade's method on the ring, weighted against outliers, its equations carried smoothly over
    the hole.

    Args:
        site: of the frame.
        sources: of M of its pixels.
        which: those pixels, of the N.
        x: columns of the sources.
        y: rows of the sources.
        within: height and width of the crops, which sources do not leave.

    Returns:
        The columns and rows moved.
    """
    smoothness = tuning.ALIGN_SMOOTH * site.sigma
    guess = site.planes[0]
    picture = guess.copy()
    at = site.at.take(which)
    picture.reshape(-1)[at] = sources.luma()
    there = np.zeros(site.hole.size, np.uint8)
    there[at] = 1
    ring = cv2.erode(there.reshape(site.hole.shape), np.ones((3, 3), np.uint8))  # gradients need neighbours
    ring[site.hole] = 0
    weight = ring.astype(np.float32)
    off = guess - picture
    low, _ = spread([off * weight], weight, smoothness)
    off -= site.enlarge(low[0])
    typical = float(np.sqrt(np.vdot(off * weight, off) / max(1.0, float(weight.sum()))))
    sums = normal_equations(picture, off, weight, 2 * typical + 1, SHRUNK)
    support, *parts = (blurred(plane, smoothness) for plane in sums)
    a, b, c, e, f = (plane / (support + np.float32(1e-6)) for plane in parts)
    a, c = a + np.float32(tuning.ALIGN_RIDGE), c + np.float32(tuning.ALIGN_RIDGE)
    most = tuning.ALIGN_MOST
    scale = 1 / (a * c - b * b)
    moves = (c * e - b * f) * scale, (a * f - b * e) * scale
    right, down = (site.enlarge(np.asarray(np.clip(v, -most, most), np.float32)) for v in moves)
    height, width = within
    x = np.clip(x + right.reshape(-1).take(at), 0, width - 1.01, dtype=np.float32)
    y = np.clip(y + down.reshape(-1).take(at), 0, height - 1.01, dtype=np.float32)
    return x, y


def fuse(
    patch: Patch,
    number: int,
    patches: Mapping[int, Patch],
    chased: Iterable[Reached],
    guide: Guide,
    stood: Iterable[Ints] = (),
) -> Floats:
    """The span with its hole filled, h×w×3 on the 8-bit scale.

    Args:
        patch: of the frame to be filled.
        number: of that frame.
        patches: all that may be sources.
        chased: where its pixels are seen, before and after.
        guide: gives the spatial guess.
        stood: the frames in which they are seen if nothing moves, before and after.
    """
    site = Site(patch, guide)
    found = [c for c in (candidate(site, number, patches, r) for r in chased) if c is not None]
    inside = np.flatnonzero(site.inside)
    at = site.at.take(inside)
    weights = guessed = _spatial_weight(site).reshape(-1).take(at)
    totals = np.stack([plane.reshape(-1).take(at) * weights for plane in site.planes])
    resting = [c for c in (_resting(site, number, patches, r, found) for r in stood) if c is not None]
    for pair in (found, resting):
        apart = _apart(site, pair)
        for one in pair:
            weight = _temporal_weight(site, one, apart, inside)
            totals += one.values.take(inside, axis=1) * weight
            weights = weights + weight
    for total, plane in zip(totals, site.planes, strict=True):
        plane.reshape(-1)[at] = total / weights
    alone = np.maximum(guessed / weights - tuning.ALONE, 0) * np.float32(1 / (1 - tuning.ALONE))
    if guide is classical and (alone > 0).mean() > tuning.ALONE_SHARE:
        sharpen(site.planes, site.plane(inside, alone))
    return np.asarray(cv2.merge(site.planes))


def _spatial_weight(site: Site) -> Floats:
    """h×w: by how much known pixels differ from each other a few pixels apart, and how deep a pixel lies."""
    known = (~site.hole).astype(np.float32)
    luma = site.planes[0]
    step = tuning.SPATIAL_STEP
    differ, pairs = np.zeros_like(luma), np.zeros_like(luma)
    for a, b in ((np.s_[step:], np.s_[:-step]), (np.s_[:, step:], np.s_[:, :-step])):
        both = known[a] * known[b]
        differ[a] += (luma[a] - luma[b]) ** 2 * both
        pairs[a] += both
    masked = luma * known
    differ, pairs, first, second, share = (
        smooth(plane, site.sigma) for plane in (differ, pairs, masked, masked * luma, known)
    )
    share = np.maximum(share, 1e-3)
    variance = np.maximum(second / share - (first / share) ** 2, 0)
    texture = differ / np.maximum(3 * pairs, 1e-3)
    scale, by_texture, by_variance, by_depth = tuning.SPATIAL_ERROR
    error = scale * (1 + texture) ** by_texture * (1 + variance) ** by_variance
    depth = cv2.distanceTransform(site.hole.view(np.uint8), cv2.DIST_L2, 3)
    power = tuning.WEIGHT_POWER
    weight = site.enlarge(np.asarray(error**-power, np.float32))
    return np.asarray(weight * np.maximum(depth, 1) ** np.float32(-power * by_depth), np.float32)


def _apart(site: Site, found: list[Candidate]) -> Floats | None:
    """How far both directions lie apart, squared, at a quarter of the span's size; -1 where only one shows anything."""
    if len(found) < 2:
        return None
    before, after = found
    both = np.flatnonzero(before.has & after.has & site.inside)
    squared = sum((a.take(both) - b.take(both)) ** 2 for a, b in zip(before.values, after.values, strict=True))
    (apart,), support = spread([site.plane(both, squared * _THIRD)], site.plane(both, 1), tuning.APART_SIGMA)
    apart[support < 0.01] = -1
    return apart


def _temporal_weight(site: Site, one: Candidate, apart: Floats | None, inside: NDArray[np.intp]) -> Floats:
    """One weight for each pixel inside the hole."""
    by_ring, by_apart, by_age = tuning.TEMPORAL_ERROR
    both = 2 * one.doubt if apart is None else np.where(apart < 0, 2 * one.doubt, apart)
    error = (1 + one.doubt) ** by_ring * (1 + both) ** by_apart
    power = tuning.WEIGHT_POWER
    weight = np.asarray(error**-power, np.float32)
    weight[one.doubt >= tuning.UNCHECKED] = 0
    ages = one.age.take(inside)
    aged = (1.0 + np.arange(ages.max(initial=0) + 1, dtype=np.float32)) ** np.float32(-power * by_age)
    return np.asarray(site.look(site.enlarge(weight), inside) * aged.take(ages) * one.has.take(inside), np.float32)
