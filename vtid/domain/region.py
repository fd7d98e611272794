"""Regions: boxes on the picture over a time range, as callers give them and as vtid keeps them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from vtid.errors import InvalidInput, Problem

_LEAST_PX = 0.99
"""A pixel, less what fractions lose to rounding."""


class RegionType(StrEnum):
    """What is to happen inside a region."""

    ERASURE = "erasure"
    """Everything inside goes, whatever it is."""
    TEXT = "text"
    """Only text inside goes. One such region or more: text elsewhere stays."""
    PROTECTION = "protection"
    """Nothing inside is touched."""


class Coordinates(Struct, frozen=True, forbid_unknown_fields=True):
    """A box, origin at the top left of the picture as a player shows it.

    Fractions of width and height when all four are at most 1, else pixels.
    """

    x: Annotated[float, Meta(ge=0)]
    y: Annotated[float, Meta(ge=0)]
    width: Annotated[float, Meta(gt=0)]
    height: Annotated[float, Meta(gt=0)]

    @property
    def fractional(self) -> bool:
        """True when the box is given in fractions of the picture."""
        return max(self.x, self.y, self.width, self.height) <= 1


class Region(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A box over a time range. Times in seconds from the start of the video; no end means until the end."""

    type: RegionType
    coordinates: Coordinates
    start_time: Annotated[float, Meta(ge=0)] = 0.0
    end_time: Annotated[float, Meta(ge=0)] | None = None

    def covers(self, time_s: float) -> bool:
        """Whether the region is in force at this time; the end is exclusive."""
        return self.start_time <= time_s and (self.end_time is None or time_s < self.end_time)


def normalise(
    regions: list[Region], *, width: int, height: int, duration_s: float, field: str = "regions"
) -> list[Region]:
    """Turn pixels into fractions and check every region against the video.

    Args:
        regions: as the caller gave them.
        width: of the picture as shown (after rotation), pixels.
        height: of the picture as shown, pixels.
        duration_s: of the video.
        field: the name to use in complaints.

    Returns:
        The same regions in fractions of the picture, nothing clipped: what was given is right, or refused.

    Raises:
        InvalidInput: a box outside the picture or smaller than one of its pixels, an empty or reversed time range, or
            one past the end; all of them.
    """
    problems: list[Problem] = []
    out: list[Region] = []
    for i, region in enumerate(regions):
        here = f"{field}[{i}]"
        box = region.coordinates
        w, h = (1.0, 1.0) if box.fractional else (float(width), float(height))
        # Half a pixel of tolerance: front ends round.
        slack_x, slack_y = 0.5 * w / width, 0.5 * h / height
        if box.x + box.width > w + slack_x or box.y + box.height > h + slack_y:
            unit = "fractions" if box.fractional else "pixels"
            problems.append(
                Problem(
                    f"{here}.coordinates",
                    f"the box reaches to ({box.x + box.width:g}, {box.y + box.height:g}) {unit}, "
                    f"outside the picture of {width}×{height} pixels",
                    "outside_frame",
                )
            )
        if min(box.width / w * width, box.height / h * height) < _LEAST_PX:
            size = f"{box.width / w * width:.3g}×{box.height / h * height:.3g}"
            words = f"the box has {size} pixels of the picture, which is less than one"
            problems.append(Problem(f"{here}.coordinates", words, "too_small"))
        if region.end_time is not None and region.end_time <= region.start_time:
            problems.append(
                Problem(f"{here}.endTime", f"must be after startTime ({region.start_time:g} s)", "empty_range")
            )
        # A tenth of a second of tolerance at the end: containers disagree with themselves about their length.
        if region.start_time >= duration_s:
            problems.append(Problem(f"{here}.startTime", f"past the end of the video ({duration_s:.2f} s)", "past_end"))
        elif region.end_time is not None and region.end_time > duration_s + 0.1:
            problems.append(Problem(f"{here}.endTime", f"past the end of the video ({duration_s:.2f} s)", "past_end"))
        x, y = min(box.x / w, 1.0), min(box.y / h, 1.0)
        fraction = Coordinates(
            x=x, y=y, width=min(box.width / w, 1 - x) or 1e-9, height=min(box.height / h, 1 - y) or 1e-9
        )
        out.append(Region(region.type, fraction, region.start_time, region.end_time))
    if problems:
        raise InvalidInput(f"{len(problems)} problem(s) in {field}: {problems[0]}", problems=problems)
    return out
