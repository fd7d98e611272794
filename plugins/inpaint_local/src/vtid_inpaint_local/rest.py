"""What a hidden pixel showed before it was hidden, and will show after, at its very own place.

Where a scene stands still, the best source is the same place in the frame nearest in time that shows it. Pointers along
a flow would find it too, but for the errors that add up on the way: what moves beside a text drags the smooth flow
under it along, and over 40 frames of a locked camera that comes to pixels, which cost 7 dB before foliage. Whether the
scene does stand still is not asked here: this is one more guess, and the fusion judges it by the ring around the hole
as it does the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from vtid.sdk import Box

from . import tuning
from .follow import named
from .kernels import Ints
from .patch import Patch, around


class Resting:
    """For every place of a crop, the frame that showed it last; told of frame after frame in one direction."""

    def __init__(self, towards: int) -> None:
        """Args: towards: where sources lie, -1 before or +1 after."""
        self._towards = towards
        self._shown: Ints | None = None

    def reach(self, patch: Patch, number: int, cuts: set[int]) -> Ints | None:
        """The sources of this frame's pixels, and the frame itself kept for those that follow.

        Args:
            patch: of the frame.
            number: of the frame, the next in this direction.
            cuts: frames that begin a shot.

        Returns:
            The frames that they lie in, -1 where there is none, in the order of `Patch.at`; None where none is known.
        """
        if (number if self._towards < 0 else number + 1) in cuts:
            self._shown = None
        found = self._found(patch, number) if self._shown is not None and patch.any else None
        if self._shown is None:
            self._shown = np.full(patch.hole.shape, -1, np.int32)
        hidden = patch.where.avoid_at
        before = self._shown.reshape(-1).take(hidden)
        self._shown.fill(number)
        self._shown.reshape(-1)[hidden] = before
        return found

    def _found(self, patch: Patch, number: int) -> Ints | None:
        assert self._shown is not None
        frame = self._shown.reshape(-1).take(patch.at)
        most = tuning.AGE if self._towards < 0 else tuning.LOOK
        frame[np.abs(frame - number) > most] = -1
        return frame if (frame >= 0).any() else None

    def sources(self) -> set[int]:
        """Frames that are still wanted."""
        return set() if self._shown is None else set(named(self._shown.reshape(-1)))

    def extent(self, number: int) -> Box | None:
        """Where the places lie that a frame showed last; None where there are none."""
        return None if self._shown is None else around(self._shown == number)


def reach(
    patches: Mapping[int, Patch], order: Iterable[int], resting: Resting, cuts: set[int], wanted: range
) -> dict[int, Ints]:
    """What the wanted frames reach, in an order that goes away from the sources."""
    out: dict[int, Ints] = {}
    for number in order:
        if number in patches:
            found = resting.reach(patches[number], number, cuts)
            if found is not None and number in wanted:
                out[number] = found
    return out
