"""From what a job asks for to an order that GhostCut takes: regions become masks; limits are checked before paying."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from vtid.sdk import (
    InvalidInput,
    MediaInfo,
    Meta,
    Problem,
    Region,
    RegionType,
    Struct,
    field,
    normalise_regions,
)

CONTAINERS = ("mp4", "mov", "avi", "mkv", "mpg", "m4v")
LONGEST_S = 15 * 60
LARGEST = 1000 * 1000 * 1000
"""Bytes."""
MOST_LITE = 10
SMALL_BOX, LARGE_BOX = 0.20, 0.40
"""The one box of the tier pro is smaller than this share of the picture."""
TO_THE_END = 99_999
WHOLE, MASKED = 1, 2
"""`needChineseOcclude`: the whole picture is searched for text; only the masks are worked on."""
TYPES = {RegionType.ERASURE: "remove", RegionType.PROTECTION: "keep", RegionType.TEXT: "remove_only_ocr"}

Tier = Literal["basic", "lite", "pro"]


class Params(Struct, forbid_unknown_fields=True):
    """What a job may choose."""

    tier: Annotated[
        Tier,
        Meta(
            description="Which of GhostCut's models works. basic: any regions, or none; lite: one to ten text regions; "
            "pro: one text region of less than 40 % of the picture, or none, which is the whole picture. Better tiers "
            "cost more points."
        ),
    ] = "basic"
    regions: Annotated[
        list[Region],
        Meta(
            description="Boxes on the picture as shown, in fractions or pixels, each over a time range. erasure: all "
            "inside goes; text: only text inside goes; protection: nothing inside is touched. None, or protection "
            "alone: text is looked for in the whole picture."
        ),
    ] = field(default_factory=list)
    language: Annotated[
        Literal["all", "zh", "en", "ja", "ko", "ar"],
        Meta(description="Of the text to remove; the tiers lite and pro know only all."),
    ] = "all"
    resolution: Annotated[
        Literal["480p", "720p", "1080p"],
        Meta(description="Of the result, at most: larger pictures are made smaller, smaller ones stay."),
    ] = "1080p"
    crf: Annotated[
        Annotated[int, Meta(ge=10, le=30)] | None,
        Meta(description="Constant rate factor of the result, smaller is better; empty: GhostCut's own 17."),
    ] = None


class Order(Struct, frozen=True):
    """A task as it will be asked for, all but the address of the video."""

    mode: int
    model: str
    """Empty for basic."""
    masks: list[dict[str, Any]]
    params: Params

    def body(self, url: str, name: str, callback: str | None) -> dict[str, Any]:
        """The request. Masks and options are texts of JSON within the JSON: GhostCut refuses real objects.

        Args:
            url: of the video.
            name: unique; what the order is found by where its answer got lost.
            callback: where to tell the end, if anywhere.
        """
        extra: dict[str, Any] = {}
        if self.model:
            extra["extra_inpaint_config"] = {"model": self.model}
        if self.params.crf is not None:
            extra["write_options"] = {"crf": self.params.crf}
        body: dict[str, Any] = {
            "urls": [url],
            "names": [name],
            "resolution": self.params.resolution,
            "needChineseOcclude": self.mode,
            "videoInpaintLang": self.params.language,
        }
        if self.masks:
            body["videoInpaintMasks"] = json.dumps(self.masks, separators=(",", ":"))
        if extra:
            body["extraOptions"] = json.dumps(extra, separators=(",", ":"))
        if callback:
            body["callback"] = callback
        return body


def plan(params: Params, info: MediaInfo) -> Order:
    """The order for a video.

    Raises:
        InvalidInput: the video or the params pass a limit of GhostCut's; all that is wrong with them.
    """
    if problems := complaints(params, info):
        raise InvalidInput(f"GhostCut would not take this: {problems[0]}", problems=problems)
    regions = _shown(params, info)
    masks = [_mask(region) for region in regions]
    return Order(_mode(params), _model(params.tier, regions), masks, params)


def complaints(params: Params, info: MediaInfo | None) -> list[Problem]:
    """All that GhostCut would refuse, or fail at after a while.

    Args:
        params: of the job.
        info: of the video, where it is known already.
    """
    problems = list(_about_tier(params))
    if info is None or not info.video:
        return problems
    problems += _about_video(info)
    try:
        regions = _shown(params, info)
    except InvalidInput as error:
        return [*problems, *error.problems]
    return problems + list(_about_area(params.tier, regions))


def _about_tier(params: Params) -> Iterator[Problem]:
    tier, count = params.tier, len(params.regions)
    if tier == "basic":
        return
    if params.language != "all":
        yield Problem("language", f'the tier {tier} knows only "all"', "tier_limit")
    for i, region in enumerate(params.regions):
        if region.type is not RegionType.TEXT:
            words = f"the tier {tier} takes only text regions; for {region.type} take the tier basic"
            yield Problem(f"regions[{i}].type", words, "tier_limit")
    if tier == "lite" and not 1 <= count <= MOST_LITE:
        words = f"the tier lite takes one to {MOST_LITE} text regions, and there are {count}"
        yield Problem("regions", words, "tier_limit")
    if tier == "pro" and count > 1:
        words = f"the tier pro takes one text region, or none for the whole picture, and there are {count}"
        yield Problem("regions", words, "tier_limit")


def _about_video(info: MediaInfo) -> Iterator[Problem]:
    if info.container not in CONTAINERS:
        words = f"GhostCut takes {', '.join(CONTAINERS)}, and this is {info.container}; convert it first"
        yield Problem("video", words, "container")
    if info.duration_s > LONGEST_S:
        words = f"lasts {info.duration_s:.0f} s; GhostCut takes 15 minutes ({LONGEST_S} s) at most: split it"
        yield Problem("video", words, "too_long")
    if info.size >= LARGEST:
        words = f"has {info.size / 1e6:.0f} MB; GhostCut takes less than 1000 MB: encode it smaller, or split it"
        yield Problem("video", words, "too_large")


def _about_area(tier: Tier, regions: Sequence[Region]) -> Iterator[Problem]:
    if tier == "pro" and len(regions) == 1 and _area(regions[0]) >= LARGE_BOX:
        words = f"covers {_area(regions[0]):.0%} of the picture; the tier pro takes less than {LARGE_BOX:.0%}"
        yield Problem(
            "regions[0].coordinates", f"{words}. Without a region it works on the whole picture", "tier_limit"
        )


def _shown(params: Params, info: MediaInfo) -> list[Region]:
    """The regions in fractions of the picture as shown. Raises `InvalidInput`."""
    stream = info.video[0]
    width, height = stream.width, stream.height
    if stream.rotation % 180:
        width, height = height, width
    return normalise_regions(params.regions, width=width, height=height, duration_s=info.duration_s)


def _mode(params: Params) -> int:
    """Protection alone does not say where to work: text is looked for everywhere else."""
    works = any(region.type is not RegionType.PROTECTION for region in params.regions)
    return MASKED if works else WHOLE


def _model(tier: Tier, regions: Sequence[Region]) -> str:
    if tier == "basic":
        return ""
    if tier == "lite":
        return "advanced_lite"
    if not regions:
        return "advanced_full"
    return "advanced" if _area(regions[0]) < SMALL_BOX else "advanced_large_box"


def _area(region: Region) -> float:
    return region.coordinates.width * region.coordinates.height


def _mask(region: Region) -> dict[str, Any]:
    """A region as a mask: its corners clockwise from the top left, as fractions."""
    box = region.coordinates
    x0, y0 = round(box.x, 6), round(box.y, 6)
    x1, y1 = min(1.0, round(box.x + box.width, 6)), min(1.0, round(box.y + box.height, 6))
    return {
        "type": TYPES[region.type],
        "start": region.start_time,
        "end": TO_THE_END if region.end_time is None else region.end_time,
        "region": [[x0, y0], [x1, y0], [x1, y1], [x0, y1]],
    }
