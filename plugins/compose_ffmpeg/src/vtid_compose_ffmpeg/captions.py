"""Subtitle files: burnt in as texts, or as a track of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from vtid.sdk import Caption, Captions, Context, InvalidInput, Overlay

from . import document as doc
from .complaints import Complaints
from .fonts import font_of
from .given import Given, file_named
from .layout import Laid
from .making import ANIMATION, SOUNDS, STILLS
from .text import overlay_of

_PLACES: dict[int, doc.Edge] = {
    1: "bottom-left", 2: "bottom", 3: "bottom-right", 4: "center-left", 5: "center", 6: "center-right",
    7: "top-left", 8: "top", 9: "top-right",
}  # fmt: skip
_LINES_OF_A_PICTURE = 20
_HERE = "captions"


def lines_of(
    ctx: Context, wanted: doc.Captions, laid: Laid, files: Mapping[str, Given], complaints: Complaints
) -> tuple[Caption, ...]:
    """The lines that come while the film lasts, at the times of the film."""
    given = file_named(wanted.url, f"{_HERE}.url", files, complaints)
    if given is None:
        return ()
    try:
        found = ctx.media.captions(given.path)
    except InvalidInput as error:
        complaints.add(f"{_HERE}.url", f"{given.name} {error.problems[0].message}", "unsupported_media")
        return ()
    end = float(laid.frames / laid.canvas.rate)
    moved = (replace(one, start_s=one.start_s + wanted.offset, end_s=one.end_s + wanted.offset) for one in found)
    seen = tuple(
        replace(one, start_s=max(0.0, one.start_s), end_s=min(end, one.end_s))
        for one in moved
        if one.start_s < end and one.end_s > 0
    )
    if not found:
        complaints.warn(f"{_HERE}.url", "holds no line that ends after it begins")
    elif not seen:
        complaints.warn(f"{_HERE}.url", f"none of the {len(found)} lines comes while the film lasts ({end:g} s)")
    return seen


def burnt(
    wanted: doc.Captions, lines: Sequence[Caption], laid: Laid, files: Mapping[str, Given], complaints: Complaints
) -> list[Overlay]:
    """The lines as drawings, each made when its time comes."""
    out = []
    for number, line in enumerate(lines):
        text = _text(wanted, line, laid)
        font = font_of(text, f"{_HERE} (line {number + 1})", files, complaints)
        if font and not complaints.problems:
            overlay = overlay_of(text, font, laid.canvas, laid.full, laid.frames, later=True)
            out += [overlay] if overlay else []
    return out


def _text(wanted: doc.Captions, line: Caption, laid: Laid) -> doc.Text:
    color = "#{:02X}{:02X}{:02X}".format(*line.color) if line.color else "#FFFFFF"
    return doc.Text(
        text=line.text,
        position=wanted.position or _PLACES[line.place],
        start_time=line.start_s,
        end_time=line.end_s,
        font_size=wanted.font_size or max(8, round(laid.full.height / _LINES_OF_A_PICTURE)),
        font_color=wanted.font_color or color,
        font=wanted.font,
        bold=(wanted.bold or line.bold) and wanted.font is None,
        max_width=wanted.max_width,
        outline=wanted.outline,
        outline_color=wanted.outline_color,
        box_color=wanted.box_color,
        box_opacity=wanted.box_opacity,
    )


def soft(wanted: doc.Captions, lines: Sequence[Caption], output: doc.Output, complaints: Complaints) -> Captions | None:
    """The lines as a track."""
    if output.format in (ANIMATION, *STILLS, *SOUNDS, "avi"):
        complaints.add(f"{_HERE}.mode", f"{output.format} holds no subtitle track; say burn, or another output.format")
    return Captions(tuple(lines), wanted.language) if lines else None
