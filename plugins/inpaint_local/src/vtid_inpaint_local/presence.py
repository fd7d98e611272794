"""Is that text in this frame, and how strongly?

A text found once is its own detector from then on: its strokes' high frequencies, as a matched filter, give an
amplitude (1 where it was found, 0 without it, in between during a fade) for a few microseconds per frame, where a
neural detector takes a hundred milliseconds. That is what makes extents exact to the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from itertools import pairwise

import cv2
import numpy as np

from . import glyphs, tuning
from .arrays import Floats, Mask, Plane


def strokes(luma: Plane, size: int) -> tuple[Mask, Mask]:
    """Thin bright and thin dark pixels of a crop: what is narrower than about half a letter's height."""
    side = max(5, int(size * 0.6)) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    out = []
    for operation in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        hat = cv2.morphologyEx(luma, operation, kernel)
        out.append(np.asarray(hat > max(glyphs.SEED_MIN + 5, np.percentile(hat, 99) * 0.5)))
    return out[0], out[1]


def high(luma: Plane, size: int) -> Floats:
    """The crop without its low frequencies."""
    side = max(5, size) | 1
    smooth = cv2.blur(luma, (side, side), borderType=cv2.BORDER_REPLICATE)
    return luma.astype(np.float32) - smooth


class Template:
    """One text, as it looked when it was found."""

    def __init__(self, luma: Plane) -> None:
        """Args: luma: the crop of the text's box."""
        self.size = min(luma.shape)
        bright, dark = strokes(luma, self.size)
        self.pixels = int(bright.sum() + dark.sum())
        which = bright if bright.sum() >= 0.5 * dark.sum() else dark
        self._at = np.flatnonzero(which)
        self._was = luma.ravel()[self._at].astype(np.int16)
        self._strokes = bright | dark
        self._weigh(high(luma, self.size))

    def _weigh(self, wave: Floats) -> None:
        weight = wave * self._strokes
        self._weight = weight - weight.mean()
        self._energy = float((self._weight * wave).sum()) or 1.0

    def renewed(self, luma: Plane) -> Template:
        """The same strokes, as they look now."""
        out = copy(self)
        out._was = luma.ravel()[self._at].astype(np.int16)
        out._weigh(high(luma, self.size))
        return out

    @property
    def contrast(self) -> float:
        """Levels by which its strokes stand out, root of the mean square; 0 where it has none to follow."""
        return float(np.sqrt(abs(self._energy) / self.pixels)) if self.usable else 0.0

    @property
    def usable(self) -> bool:
        """Whether there are strokes to follow."""
        return self.pixels >= 20 and self._at.size > 0

    def amplitude(self, luma: Plane) -> float:
        """How strongly the text stands in this crop of the same box, against the moment it was found."""
        return float((self._weight * high(luma, self.size)).sum()) / self._energy

    def likeness(self, luma: Plane) -> float:
        """Correlation of what its strokes show with what they showed then, however strongly: another text has 0.2."""
        now, was = (high(luma, self.size) * self._strokes)[self._strokes], self._weight[self._strokes]
        norm = float(now.std() * was.std())
        return float(((now - now.mean()) * (was - was.mean())).mean()) / norm if norm > 0 else 0.0

    def same(self, luma: Plane) -> float:
        """The share of its strokes that still have their value; 0 where they have all moved away from it together."""
        change = luma.ravel()[self._at].astype(np.int16) - self._was
        if abs(float(np.median(change))) > tuning.SAME_SHIFT:
            return 0.0
        return float((np.abs(change) < tuning.SAME_LEVELS).mean())

    def mostly(self, luma: Plane) -> bool:
        """Whether most parts of the line look as they did, however the others have changed."""
        wave = high(luma, self.size)
        along = int(self._weight.shape[1] < self._weight.shape[0])
        weights = np.array_split(self._weight, tuning.PARTS, 1 - along)
        waves = np.array_split(wave, tuning.PARTS, 1 - along)
        energy = self._energy / tuning.PARTS
        least, most = tuning.PART_SAME
        own = np.array([np.square(w).sum() for w in weights])
        now = np.array([(w * v).sum() for w, v in zip(weights, waves, strict=True)])
        tells = own > 0.1 * energy
        same = (now >= least * own) & (now <= most * own)
        return bool(tells.any()) and float(same[tells].mean()) >= tuning.PARTS_SAME

    def present(self, luma: Plane) -> tuple[bool, float]:
        """Whether it is there at (nearly) full strength, and its amplitude."""
        amplitude = self.amplitude(luma)
        tells, least, most = tuning.PRESENT_CLEAR
        if amplitude > tells and not least < amplitude < most and self.likeness(luma) < tuning.PRESENT_LIKE:
            return False, 0.0
        if amplitude > tuning.PRESENT:
            return True, amplitude
        return amplitude > tuning.PRESENT_FLOOR and self.same(luma) > tuning.PRESENT_SAME, amplitude


def gone(outside: Plane, inside: Plane) -> bool:
    """Whether what stands in a crop inside a text's time is not there outside: half-faded letters only get paler."""
    return Template(inside).amplitude(outside) < glyphs.GONE


class Follower:
    """A text from frame to frame, also while it changes its colour part by part."""

    def __init__(self, template: Template, luma: Plane, refresh: int) -> None:
        """Begins with a crop in which it is there; `refresh` frames lie between two looks at how it changed."""
        self.template, self.recoloured = template, False
        self._recent, self._refresh, self._age = template.renewed(luma), refresh, 0

    def present(self, luma: Plane) -> tuple[bool, float]:
        """As `Template.present`, of the next crop."""
        self._age += 1
        there, amplitude = self.template.present(luma)
        if there and self._age < self._refresh:
            return there, amplitude
        same = self._recent.mostly(luma)
        if not there and same:
            self.template, self.recoloured = self._recent, True
            there, amplitude = True, 1.0
        if same:
            self._recent, self._age = self._recent.renewed(luma), 0
        return there, amplitude


def fade_length(amplitudes: Sequence[float], core: float = 1.0) -> int:
    """How many frames next to the core still show the text, while it fades.

    Args:
        amplitudes: outward from the core, nearest first.
        core: amplitude of the outermost frame of the core.

    Returns:
        0 at a hard edge. Half-faded text that is left unmasked is copied into other frames as if it were background,
        so a fade gets one frame more than is seen of it, unless nothing is left for that one, by the fade's own pace
        and by what is measured there: filled for nothing, a frame loses what it shows.
    """
    low, rise = tuning.FADE_FIRST, tuning.FADE_STEP[1]
    floor = max(tuning.FADE_FLOOR, _noise(amplitudes))
    length = 0
    for before, now in pairwise([max(core, tuning.PRESENT), *amplitudes]):
        if not max(floor, low * before) <= now <= rise * before:
            break
        length += 1
        low = tuning.FADE_STEP[0]
    if not length:
        return 0
    last = amplitudes[length - 1]
    pace = (max(core, tuning.PRESENT) - last) / length
    some, nothing = tuning.FADE_LEFT
    over = last <= some * pace and all(abs(now) < nothing for now in amplitudes[length : length + 1])
    return length if over else min(length + 1, len(amplitudes))


def _noise(amplitudes: Sequence[float]) -> float:
    """The amplitude that the scene alone makes, by the farthest frames; 0 where a fade may still go on there."""
    tail = np.array(amplitudes[-(len(amplitudes) // 3) :])
    if tail.size < 4 or abs(float(np.polyfit(np.arange(tail.size), tail, 1)[0])) * tail.size > tuning.FADE_FLOOR:
        return 0.0
    return min(tuning.FADE_SCENE, float(np.median(tail) + 2 * tail.std()))


def walk(present: Sequence[bool], bridge: int) -> int:
    """How many frames the text goes on, bridging gaps of up to `bridge` frames; gaps at the end do not count."""
    length = gap = 0
    for i, there in enumerate(present):
        if there:
            length, gap = i + 1, 0
        else:
            gap += 1
            if gap > bridge:
                break
    return length
