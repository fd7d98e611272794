"""A film has one style of captions: what one text shows of its outline and its shadow holds for the others too.

How far an outline reaches is told by the text's own coming and going over a still picture, or by a scene that moves
behind it. Where another text takes the place at once, or the picture changes with the text, there is only the luma
around the letters, in which a girder or a blade of grass looks like a part of them. Such a guess gives way to what
texts of the same height and colour have shown, wherever in the film that was.

And a text may have shown less of a shadow than all others of its look, as coding takes much of it away. What these
show at least goes with it in the directions in which its own picture is clearly darker there.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from vtid.sdk import Box

from . import glyphs
from .arrays import Floats, Plane
from .events import Event
from .geometry import text_height
from .mask import Strokes, reached, strokes_of
from .skirt import SECTORS, Around, darker
from .still import Still


class _Shown(NamedTuple):
    """What one text has shown."""

    event: Event
    height: int
    colour: Floats
    reach: Floats
    letters: bytes
    """As bits, over the event's mask."""
    luma: Plane
    """Of the text's picture, there."""


class _Guess(NamedTuple):
    """A text whose mask was guessed."""

    event: Event
    seen: Still
    inner: Box
    strokes: Strokes | None

    @property
    def size(self) -> int:
        """Bytes that it keeps."""
        return self.seen.middle.nbytes + self.seen.wander.nbytes


class Styles:
    """Told of every text's strokes; mends the masks that were guessed, and completes those that lack a shadow."""

    def __init__(self) -> None:
        self._shown: deque[_Shown] = deque()
        self._guesses: deque[_Guess] = deque()
        self._bytes = 0

    def add(self, event: Event, seen: Still, inner: Box, strokes: Strokes | None) -> None:
        """Another text.

        Args:
            event: has the mask that `strokes` says.
            seen: what that was made of.
            inner: the text's box in it.
            strokes: None where none were told, and the mask is the box.
        """
        if strokes is not None and strokes.sure:
            letters, luma = np.packbits(strokes.letters).tobytes(), seen.middle[..., 0].copy()
            self._shown.append(_Shown(event, text_height(inner), strokes.colour, strokes.reach, letters, luma))
            if len(self._shown) > glyphs.STYLE_SHOWN:
                self._complete(self._shown[0])
                self._shown.popleft()
            return
        plain = Still(seen.middle, seen.wander.astype(np.uint8), stirred=seen.stirred)
        self._guesses.append(_Guess(event, plain, inner, strokes))
        self._bytes += self._guesses[-1].size
        while self._bytes > glyphs.STYLE_BYTES:
            oldest = self._guesses.popleft()
            self._bytes -= oldest.size
            self._mend(oldest)

    def settle(self) -> None:
        """After the last text."""
        while self._guesses:
            self._mend(self._guesses.popleft())
        for one in self._shown:
            self._complete(one)

    def _complete(self, one: _Shown) -> None:
        """Of a text that showed less than the others of its style, what they show at least goes too."""
        others = [s.reach for s in self._alike(one.height) if s is not one and _near(s.colour, one.colour)]
        if not others:
            return
        least = np.asarray(np.percentile(others, glyphs.STYLE_LEAST, axis=0), np.float32)
        short = (least - one.reach) * one.height >= glyphs.STYLE_OFF_PX
        if not short.any():
            return
        mask = one.event.mask
        letters = np.unpackbits(np.frombuffer(one.letters, np.uint8), count=mask.size).reshape(mask.shape) > 0
        around = Around.of(letters)
        short &= darker(one.luma, around, one.reach * one.height, least * one.height)
        if 0 < short.sum() <= SECTORS // 2:  # a shadow falls to one side
            one.event.mask = mask | reached(around, np.where(short, least, one.reach), one.height)

    def _alike(self, height: int) -> list[_Shown]:
        low, high = height / glyphs.STYLE_HEIGHTS, height * glyphs.STYLE_HEIGHTS
        return [s for s in self._shown if low <= s.height <= high]

    def _mend(self, guess: _Guess) -> None:
        height = text_height(guess.inner)
        alike, own = self._alike(height), guess.strokes
        # Lines of one caption have one colour. Of two, the darker is that of an outline which was taken for letters.
        lighter = [s for s in alike if own is not None and s.colour[0] > own.colour[0]]
        asked = [s for s in lighter if s.event.apart(guess.event) <= glyphs.STYLE_TOGETHER] or alike
        same = [s for s in asked if own is not None and _near(s.colour, own.colour)]
        asked = same or asked
        if not asked:
            return
        colour = max((s.colour for s in asked), key=lambda c: sum(_near(c, s.colour) for s in asked))
        # Over a dark scene no black outline shows; most texts must agree that there is none.
        shown = [s.reach for s in alike if _near(colour, s.colour)]
        # What stands out most may be the outline: then the letters within are half a stroke away from it.
        reach = np.maximum(np.percentile(shown, glyphs.STYLE_MOST, axis=0), glyphs.STROKE / 2).astype(np.float32)
        wide = own is None or float((own.reach - reach).max()) * height >= glyphs.STYLE_OFF_PX
        if same and not wide:
            return
        mended = strokes_of(guess.seen, guess.inner, (), height, like=colour, reach=reach)
        # Another style, unless letters of the film's colour are there too: then scenery was taken for them.
        if mended is not None and (wide or _near(mended.colour, colour)):
            guess.event.mask = mended.mask


def _near(a: Floats, b: Floats) -> bool:
    return float(np.abs(a - b).max()) < glyphs.COLOUR_NEAR[1]
