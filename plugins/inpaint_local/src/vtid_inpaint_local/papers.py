"""What goes along with the result: the report, the removed text as SRT and JSON, and the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vtid.sdk import Context, Coordinates, File, Subtitles, Video

from . import page, tuning
from .events import Event, Findings
from .geometry import Turn
from .params import Params
from .report import Outputs, Removed, Report, Stayed
from .subtitles import Caption, boxes, captions, readable, srt
from .zones import Zones


class Facts(NamedTuple):
    """What is known at the end."""

    found: Findings
    stayed: Sequence[Event]
    """Events that the policy left alone."""
    left: dict[int, int]
    """Index of event to the number of looks in which text is still seen there."""
    turn: Turn
    duration_s: float
    zones: Zones


def papers(ctx: Context, params: Params, source: Video, result: Video, report: Report, facts: Facts) -> Outputs:
    """The step's outputs, given its result and those fields of the report that are not about events."""
    found = facts.found
    _fill_in(report, facts)
    out = Outputs(result, report)
    removed = captions(found.events, found.times, facts.duration_s, facts.turn)
    if removed:
        target = ctx.workspace / "boxes.json"
        target.write_bytes(boxes(removed, facts.turn, facts.duration_s))
        out.boxes = File(target)
    if text := srt(removed):
        target = ctx.workspace / "subtitles.srt"
        target.write_text(text, encoding="utf-8")
        out.subtitles = Subtitles(target)
    if params.page:
        target = ctx.workspace / "page.html"
        title = source.name or source.path.name
        cards = _cards(report, removed)
        moments = [((card.start_s + card.end_s) / 2, card.at) for card in cards]
        pictures = page.pictures(ctx, source.path, result.path, moments, facts.turn)
        target.write_text(page.page(title, report, cards, pictures), encoding="utf-8")
        out.page = File(target)
    return out


def _fill_in(report: Report, facts: Facts) -> None:
    found, turn = facts.found, facts.turn
    times = [*found.times, facts.duration_s]
    sure = readable([*found.events, *facts.stayed])
    report.events = []
    for i, e in enumerate(found.events):
        start, end, partly = _extent(e, facts)
        read = e.text if sure(e) else None
        seen = facts.left.get(i, 0)
        report.events.append(Removed(turn.shown_region(e.box), times[start], times[end], read, e.kind, seen, partly))
    report.stayed = [
        Stayed(turn.shown_region(e.box), times[e.start], times[e.end], e.text if sure(e) else None, e.kind)
        for e in facts.stayed
    ]
    report.looks, report.moving, report.doubtful = found.looks, found.moving, found.doubtful
    report.residual = len(facts.left)
    report.summary = summary(report)


def _extent(event: Event, facts: Facts) -> tuple[int, int, bool]:
    """The frames in which any of a text goes, from the first to one past the last, and whether some of it stays."""
    if event.erasure or not facts.zones.spare:
        return event.start, event.end, False
    shares = [float(facts.zones.gone(event.box, time).mean()) for time in facts.found.times[event.start : event.end]]
    goes = np.flatnonzero(shares)
    if not goes.size:
        return event.start, event.end, True
    return event.start + int(goes[0]), event.start + int(goes[-1]) + 1, min(shares) < 1 - tuning.VERIFY_PART


def _cards(report: Report, removed: Sequence[Caption]) -> list[Removed]:
    """What the page shows before and after: whole captions, not their lines, and erasures."""
    out = [e for e in report.events if e.kind == "erasure"]
    for caption in removed:
        seen = [
            e.still_seen
            for e in report.events
            if e.start_s < caption.end_s and e.end_s > caption.start_s and _within(e.at, caption.box)
        ]
        card = Removed(caption.box, caption.start_s, caption.end_s, caption.text, caption.kind, max(seen, default=0))
        out.append(card)
    return sorted(out, key=lambda card: card.start_s)


def _within(inner: Coordinates, outer: Coordinates) -> bool:
    """Whether the middle of one box lies in the other."""
    x, y = inner.x + inner.width / 2 - outer.x, inner.y + inner.height / 2 - outer.y
    return 0 <= x <= outer.width and 0 <= y <= outer.height


def summary(report: Report) -> str:
    """Plain words; what is left is said as plainly as what is gone."""
    parts = []
    erased = sum(e.kind == "erasure" for e in report.events)
    texts = len(report.events) - erased
    if not report.events:
        parts.append("No text to remove was found; the video is given back unchanged.")
    if texts:
        left = [e for e in report.events if e.still_seen]
        if left:
            when = ", ".join(f"{e.start_s:.1f} to {e.end_s:.1f} s" for e in left[:5])
            more = ", …" if len(left) > 5 else ""
            parts.append(
                f"The detector still sees text in {len(left)} of the {texts} places that were filled ({when}{more})."
            )
        else:
            checked = "none of it is seen in the result" if report.verified else "the result was not checked"
            parts.append(f"{texts} text(s) removed; {checked}.")
        captions_read = [e.text is not None for e in report.events if e.kind == "subtitle"]
        if captions_read and not any(captions_read):
            parts.append("None of the captions could be read, so that there is no file of subtitles.")
    if kept := sum(e.partly for e in report.events):
        parts.append(f"Of {kept} of them a part stays, or stays for some time, as the regions ask.")
    if erased:
        parts.append(f"{erased} region(s) erased.")
    if scene := sum(e.kind == "scene" for e in report.stayed):
        parts.append(f"{scene} text(s) taken for text of the scene and left alone; the policy 'all' removes them too.")
    if others := len(report.stayed) - scene:
        parts.append(f"{others} text(s) left alone, as the policy says.")
    if report.moving:
        parts.append("Text that moves was seen too, and left alone.")
    if report.dropped:
        parts.append(f"Not carried over: {'; '.join(report.dropped)}.")
    return " ".join(parts)
