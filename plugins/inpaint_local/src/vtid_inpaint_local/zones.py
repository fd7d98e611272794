"""Where the user wants something done, and where not: the regions, in pixels of the coded picture.

An erasure region is a text that is there from its start to its end and covers all of it. Text regions limit where text
is removed as soon as there is one. Protection wins over both.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from vtid.sdk import Box, Region, RegionType

from .arrays import Mask
from .geometry import Turn, cover, meet

MOSTLY = 0.5
"""Share of a found text that must lie in a text region to belong to it."""


class Zone(Struct, frozen=True):
    """One region where it lies in the coded picture."""

    kind: RegionType
    box: Box
    region: Region

    @property
    def times(self) -> list[float]:
        """When it begins and when it ends, seconds."""
        return [self.region.start_time, *([] if self.region.end_time is None else [self.region.end_time])]


class Zones:
    """All the regions of a job."""

    def __init__(self, regions: Sequence[Region], turn: Turn) -> None:
        self.all = [Zone(r.type, turn.coded_region(r.coordinates), r) for r in regions]
        self.erase = [z for z in self.all if z.kind is RegionType.ERASURE]
        self.text = [z for z in self.all if z.kind is RegionType.TEXT]
        self.protect = [z for z in self.all if z.kind is RegionType.PROTECTION]

    def wants(self, box: Box, time_s: float) -> bool:
        """Whether text found here and now is to go."""
        if any(z.region.covers(time_s) and cover(box, z.box) > 1 - 1e-9 for z in self.protect):
            return False
        return not self.text or any(z.region.covers(time_s) and cover(box, z.box) > MOSTLY for z in self.text)

    @property
    def spare(self) -> bool:
        """Whether any of a text that was found may have to stay."""
        return bool(self.text or self.protect)

    def gone(self, box: Box, time_s: float, *, text: bool = True) -> Mask:
        """Which pixels of a text's box are to be without it at this time; `text` as for `limit`."""
        mask = np.ones((box[3] - box[1], box[2] - box[0]), bool)
        self.limit(mask, box, time_s, text=text)
        return mask

    def limit(self, mask: Mask, box: Box, time_s: float, *, text: bool = True) -> None:
        """Take out of a mask over `box` what must stay at this time.

        Args:
            mask: changed in place.
            box: where it lies in the picture.
            time_s: of the frame.
            text: whether the mask is of found text, which text regions limit, or of an erasure region.
        """
        if text and self.text:
            keep = mask.copy()
            mask[:] = False
            for zone in self.text:
                if zone.region.covers(time_s):
                    cut = _inside(zone.box, box)
                    mask[cut] |= keep[cut]
        for zone in self.protect:
            if zone.region.covers(time_s):
                mask[_inside(zone.box, box)] = False


def _inside(zone: Box, box: Box) -> tuple[slice, slice]:
    """The part of a crop over `box` that lies in the zone."""
    x0, y0, x1, y1 = meet(zone, box)
    return slice(max(0, y0 - box[1]), max(0, y1 - box[1])), slice(max(0, x0 - box[0]), max(0, x1 - box[0]))
