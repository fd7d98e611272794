"""What a job asks for must be possible, and must be something: else it is refused before any work.

A result that looks done and is the source over again is worse than a refusal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vtid.sdk import InvalidInput, Problem, RegionType

from . import policy
from .geometry import Turn, area
from .masks import MaskFile
from .params import Looking
from .zones import Zone, Zones


def require_possible(params: Looking, zones: Zones, mask: MaskFile | None, turn: Turn) -> None:
    """Refuse what would do nothing, or would leave nothing to fill from. Raises `InvalidInput`."""
    policy.require_regions(params.policy, zones, masked=mask is not None)
    if not params.find_text and not zones.erase and mask is None:
        words = "is false, and there is no erasure region and no mask: nothing would be done"
        raise InvalidInput(f"find_text {words}.", problems=[Problem("find_text", words, "missing")])
    time = whole_picture_erased(zones, turn)
    if time is not None:
        words = f"erasure regions cover the whole picture at {time:g} s: nothing would be left to fill from"
        raise InvalidInput(f"The {words}.", problems=[Problem("regions", words, "full")])


def whole_picture_erased(zones: Zones, turn: Turn) -> float | None:
    """The first time, in seconds, at which erasure regions leave no pixel of the picture; None where there is none.

    Counts how many regions lie over each part of the picture, as they come and go: ten thousand take no longer than
    their pixels.
    """
    whole = turn.width * turn.height
    if sum(area(zone.box) for zone in zones.erase) < whole:
        return None
    both = [*zones.erase, *zones.protect]
    xs, ys = _edges(both, 0, turn.width), _edges(both, 1, turn.height)
    over, spared = (np.zeros((len(ys) - 1, len(xs) - 1), np.int32) for _ in range(2))
    turns = [(zone.region.start_time, 1, zone) for zone in both]
    turns += [(zone.region.end_time, -1, zone) for zone in both if zone.region.end_time is not None]
    turns.sort(key=lambda one: one[0])
    covered = 0  # pixels, those under two regions twice: less than the picture cannot be all of it
    for number, (time, step, zone) in enumerate(turns):
        x0, x1 = np.searchsorted(xs, zone.box[0::2])
        y0, y1 = np.searchsorted(ys, zone.box[1::2])
        erases = zone.kind is RegionType.ERASURE
        (over if erases else spared)[y0:y1, x0:x1] += step
        covered += step * area(zone.box) if erases else 0
        last = number + 1 == len(turns) or turns[number + 1][0] > time
        if last and covered >= whole and bool(((over > 0) & (spared == 0)).all()):
            return time
    return None


def _edges(zones: Sequence[Zone], axis: int, size: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Where boxes begin and end along an axis, with the picture's own edges, each once and in order."""
    return np.unique(np.array([0, size, *(z.box[axis] for z in zones), *(z.box[axis + 2] for z in zones)], np.int64))
