"""The report as one HTML page: every text before and after, the figures, and what was left and why.

One file, nothing fetched: pictures lie in it as JPEG, style is in it, script there is none. Whatever comes from the
video or its name is escaped.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template
from typing import NamedTuple

import cv2
import numpy as np

from vtid.sdk import Context, Coordinates

from . import bounds
from .arrays import Pixels
from .geometry import Turn
from .report import Kind, Removed, Report

Where = Coordinates
KINDS: dict[Kind, str] = {
    "subtitle": "caption",
    "mark": "mark",
    "moving": "moving text",
    "scene": "text in the scene",
    "erasure": "erased region",
}


class Pair(NamedTuple):
    """A part of the picture, as JPEG."""

    before: bytes
    after: bytes


# --- pictures ---------------------------------------------------------------------------------------------------------


def pictures(
    ctx: Context, source: Path, result: Path, moments: Sequence[tuple[float, Where]], turn: Turn
) -> dict[int, Pair]:
    """Before and after at these moments, by their index; not all of them where there are very many.

    Args:
        ctx: of the step.
        source: before.
        result: after, frame by frame the same times.
        moments: time in seconds, and what to show, in fractions of the picture as shown.
        turn: how it is shown.
    """
    every = -(-len(moments) // bounds.PAGE_PAIRS) or 1
    wanted = sorted((time, i) for i, (time, _) in enumerate(moments) if i % every == 0)
    out: dict[int, Pair] = {}
    views = zip(_seen(ctx, source, wanted, turn), _seen(ctx, result, wanted, turn), strict=True)
    for (_, i), (before, after) in zip(wanted, views, strict=True):
        ctx.progress(0.99, "Drawing the page")
        out[i] = Pair(_jpeg(before, moments[i][1]), _jpeg(after, moments[i][1]))
    return out


def _seen(ctx: Context, path: Path, wanted: Sequence[tuple[float, int]], turn: Turn) -> Iterator[Pixels]:
    """The picture at each of these times, in order; what lies close together is decoded in one go."""
    at = 0
    while at < len(wanted):
        end = at + 1
        while end < len(wanted) and wanted[end][0] - wanted[end - 1][0] < bounds.PAGE_SEEK_S:
            end += 1
        begin = max(0.0, wanted[at][0] - 1.0)
        shown: Pixels | None = None
        for frame in ctx.media.frames(path, start_s=begin, end_s=wanted[end - 1][0] + 3600):
            while at < end and frame.time_s > wanted[at][0] and shown is not None:
                yield shown
                at += 1
            if at == end:
                break
            if frame.time_s <= wanted[at][0] or shown is None:
                shown = turn.upright(frame.bgr())
        while at < end and shown is not None:
            yield shown
            at += 1


def _jpeg(picture: Pixels, where: Where) -> bytes:
    """The part of the picture around a place, wide enough to tell where it is."""
    h, w = picture.shape[:2]
    wide = max(where.width * w * 1.2, bounds.PAGE_VIEW * w)
    high = max(where.height * h * 2.5, wide * 0.28)
    x = min(max((where.x + where.width / 2) * w, wide / 2), max(w - wide / 2, w / 2))
    y = min(max((where.y + where.height / 2) * h, high / 2), max(h - high / 2, h / 2))
    part = picture[max(0, round(y - high / 2)) : round(y + high / 2), max(0, round(x - wide / 2)) : round(x + wide / 2)]
    if part.shape[1] > bounds.PAGE_WIDTH:
        size = (bounds.PAGE_WIDTH, max(1, round(part.shape[0] * bounds.PAGE_WIDTH / part.shape[1])))
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA))
    good, data = cv2.imencode(".jpg", np.ascontiguousarray(part), [cv2.IMWRITE_JPEG_QUALITY, 82])
    assert good
    return data.tobytes()


# --- words ------------------------------------------------------------------------------------------------------------


def page(title: str, report: Report, cards: Sequence[Removed], pairs: dict[int, Pair]) -> str:
    """The whole page.

    Args:
        title: name of the video.
        report: of the step.
        cards: what is shown before and after: captions with all their lines.
        pairs: index of card to its pictures.
    """
    events = "".join(_event(card, pairs[i]) for i, card in enumerate(cards) if i in pairs)
    rest = len(cards) - len(pairs)
    if rest > 0:
        events += f"<p class=note>{rest} more are in the table below, without pictures.</p>"
    return PAGE.substitute(
        title=html.escape(title),
        summary=html.escape(report.summary),
        state="left" if report.residual else "clean",
        figures=_figures(report),
        events=events or "<p class=note>Nothing was removed.</p>",
        left=_left(report),
        table=_table(report),
    )


def clock(seconds: float) -> str:
    """`1:02:03.4`; hours only where there are any."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:{minutes:02}" if hours else f"{minutes}") + f":{rest // 10:02}.{rest % 10}"


def _words(event: Removed) -> str:
    if event.kind == "erasure":
        return "<span class=note>no text: a region or a mask</span>"
    return html.escape(event.text) if event.text else "<span class=note>could not be read</span>"


def _event(event: Removed, pair: Pair) -> str:
    when = f"{clock(event.start_s)} to {clock(event.end_s)}"
    seen = "<b class=bad>still seen</b>" if event.still_seen else ""
    images = "".join(
        f'<figure><img src="data:image/jpeg;base64,{base64.b64encode(data).decode()}" alt="{label}">'
        f"<figcaption>{label}</figcaption></figure>"
        for label, data in (("Before", pair.before), ("After", pair.after))
    )
    head = f"<h3>{_words(event)}</h3><p class=note>{when} · {KINDS[event.kind]} {seen}</p>"
    return f"<article>{head}<div class=pair>{images}</div></article>"


def _figures(report: Report) -> str:
    outside, spans = report.outside, report.spans
    rows = [
        ("Texts and regions removed", str(len(report.events))),
        (
            "Text still seen in the result",
            f"{report.residual} of {len(report.events)}" if report.verified else "not looked at",
        ),
        (
            "Changed away from what was painted",
            f"{outside.ppm:g} in a million (8×8 pixels, by more than 8 of 255 levels); {outside.most:g} levels at most"
            if outside
            else "not measured"
            if report.events
            else "nothing: the file is the one that came in",
        ),
        ("Frames painted", f"{report.frames_touched} of {report.frames}"),
    ]
    if spans:
        rows.append(
            (
                "Stretches copied bit for bit",
                f"{spans.copied}, {spans.frames_copied} frames; {spans.rendered} encoded anew",
            )
        )
    rows += [
        ("Detector", f"{report.detector}, {report.looks} frames looked at"),
        ("Encoder", report.encoder or "none"),
        *((f"Seconds: {stage}", f"{seconds:.1f}") for stage, seconds in report.seconds.items()),
    ]
    return "".join(f"<tr><th>{html.escape(name)}<td>{html.escape(value)}" for name, value in rows)


def _left(report: Report) -> str:
    """What was left, and why."""
    items = [
        f"<li>{clock(e.start_s)} to {clock(e.end_s)}: {_words(e)}, removed, but the detector still sees text there."
        for e in report.events
        if e.still_seen
    ]
    items += [
        f"<li>{clock(s.start_s)} to {clock(s.end_s)}: {html.escape(s.text or 'text that could not be read')}. "
        f"Left alone: it was taken for {KINDS[s.kind]}, which the policy keeps."
        for s in report.stayed
    ]
    if report.moving:
        items.append(f"<li>Text that moves was seen in {report.moving} places and could not be followed.")
    if report.doubtful:
        items.append(f"<li>{report.doubtful} places looked like text and could not be read as any.")
    return f"<ul>{''.join(items)}</ul>" if items else "<p>Nothing was left that the detector sees.</p>"


def _table(report: Report) -> str:
    rows = "".join(
        f"<tr><td>{clock(e.start_s)}<td>{clock(e.end_s)}<td>{KINDS[e.kind]}<td>{_words(e)}"
        f"<td>{e.at.x:.3f}, {e.at.y:.3f}, {e.at.width:.3f} × {e.at.height:.3f}<td>{'yes' if e.still_seen else 'no'}"
        for e in report.events
    )
    return f"<tr><th>From<th>To<th>What<th>Text<th>Where (fractions)<th>Still seen{rows}"


PAGE = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Text removed: $title</title>
<style>
:root { color-scheme: light dark; --ink: #1b1d21; --soft: #646a73; --paper: #f6f6f4; --card: #fff; --line: #dfe0dd;
  --good: #1c7c4a; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e6; --soft: #9a9fa8; --paper: #141517; --card: #1d1f22;
  --line: #33363b; --good: #61c893; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 2.5rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1rem; margin: 0; overflow-wrap: anywhere; white-space: pre-line; }
.summary { border-left: 4px solid var(--good); padding: .2rem 0 .2rem 1rem; margin: 1.25rem 0; font-size: 1.1rem; }
.summary.left { border-color: var(--bad); }
.note { color: var(--soft); font-weight: 400; margin: .1rem 0 .7rem; }
.bad { color: var(--bad); }
article, .scroll { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem;
  margin: 0 0 1rem; }
.scroll { overflow-x: auto; padding: .25rem 1rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: .75rem; }
figure { margin: 0; }
img { display: block; width: 100%; border-radius: 6px; background: #000; }
figcaption { color: var(--soft); font-size: .85rem; margin-top: .25rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .45rem .8rem .45rem 0; border-bottom: 1px solid var(--line); }
tr:last-child > * { border-bottom: 0; }
th { font-weight: 500; color: var(--soft); white-space: nowrap; }
@media print { article { break-inside: avoid; } }
</style></head><body>
<h1>$title</h1>
<p class="summary $state">$summary</p>
<h2>Figures</h2>
<div class=scroll><table>$figures</table></div>
<h2>Before and after</h2>
$events
<h2>What was left, and why</h2>
$left
<h2>All that was removed</h2>
<div class=scroll><table>$table</table></div>
</body></html>
""")
