"""What goes and what stays: every text gets a kind, and the policy says which kinds go.

The kinds come from evidence (`overlay`), from the film's cuts and from where a text stands. Proof counts first, either
way; what is left is a text that stands for the whole of a locked shot, about which time says nothing. It goes if it
looks like a caption or a mark of this film: in a caption's or a mark's usual place, level, or of the same height and in
the same row as a caption that was proven. A level sign, straight on, in a caption's place in a locked shot is taken for
a caption: only a region can say otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

from vtid.sdk import InvalidInput, Problem

from . import bounds
from .events import Event, Findings
from .geometry import Turn, area, meet, text_height
from .params import Looking, Policy
from .zones import Zones


def name_kinds(found: Findings, turn: Turn) -> None:
    """Give every event of a film its kind."""
    shots = [c for c in sorted(found.cuts) if 0 < c < len(found.times)]
    texts = [e for e in found.events if not e.erasure]
    verdicts = {id(e): _proof(e, texts, shots, len(found.times)) for e in texts}
    proven = [e for e in texts if verdicts[id(e)]]
    for event in texts:
        if event.motion is not None:
            event.kind = "moving"
        elif _is_overlay(event, verdicts[id(event)], proven, turn):
            event.kind = "mark" if _stays(event, found, turn) else "subtitle"
        else:
            event.kind = "scene"


def apply(found: Findings, policy: Policy, zones: Zones, turn: Turn) -> list[Event]:
    """Name the kinds, and leave among the findings only what goes. Returns what stays.

    With text regions only text inside them was looked for, and whoever draws one means all of it.
    """
    name_kinds(found, turn)
    goes = [e.erasure or bool(zones.text) or _goes(e, policy) for e in found.events]
    stay = [e for e, go in zip(found.events, goes, strict=True) if not go]
    found.events = [e for e, go in zip(found.events, goes, strict=True) if go]
    return stay


def looks(params: Looking, zones: Zones) -> bool:
    """Whether text is to be looked for at all."""
    return params.find_text and (params.policy != "regions" or bool(zones.text))


def require_regions(policy: Policy, zones: Zones, *, masked: bool) -> None:
    """With the policy "regions" there must be some. Raises `InvalidInput`."""
    if policy == "regions" and not (zones.text or zones.erase or masked):
        words = 'is "regions", and there is no text region, no erasure region and no mask: nothing would be done'
        raise InvalidInput(f"The policy {words}.", problems=[Problem("policy", words, "missing")])


def _goes(event: Event, policy: Policy) -> bool:
    if policy == "all":
        return True
    if policy == "static":
        return event.kind == "mark"
    return policy == "subtitles" and event.kind != "scene"


def _proof(event: Event, texts: Sequence[Event], cuts: Sequence[int], frames: int) -> bool | None:
    """True: laid over the picture for certain; False: in the scene for certain; None: time does not tell."""
    told = event.evidence
    if told is None or event.veil is not None:
        return True  # no sign in a scene is half-transparent at one opacity
    switched = False
    for trace, at in ((told.began, event.start), (told.ended, event.end)):
        if trace is None or at <= 0 or at >= frames or any(abs(c - at) <= bounds.AT_CUT for c in cuts):
            continue
        if trace.likeness > bounds.MOVED_LIKE and trace.off:
            if any(_laid_anew(event, other) for other in texts):
                continue
            if trace.off < bounds.SLID * text_height(event.box) or trace.around >= bounds.GONE_AROUND:
                return False
            switched = True  # it slid in or out over a picture that stood
        switched = switched or (trace.likeness < bounds.GONE_LIKE and trace.around < bounds.GONE_AROUND)
    if told.displaced > bounds.DISPLACED:
        return False
    over_cut = any(event.core_start + bounds.AT_CUT < c < event.core_end - bounds.AT_CUT for c in cuts)
    return True if switched or over_cut or told.moves_behind > bounds.BEHIND else None


def _laid_anew(event: Event, other: Event) -> bool:
    """Whether two texts follow each other in one row, of one height, and one is longer: captions grow word by word.

    Centred anew, their words are found elsewhere in the next frame, as those of a sign that moves; but a sign's length
    stays.
    """
    if min(abs(event.end - other.start), abs(other.end - event.start)) > bounds.ANEW_FRAMES:
        return False
    size, like = text_height(event.box), text_height(other.box)
    row, line = event.box[1] + event.box[3], other.box[1] + other.box[3]
    longer = abs((event.box[2] - event.box[0]) - (other.box[2] - other.box[0]))
    alike = abs(size - like) <= bounds.STYLE_HEIGHT * like and abs(row - line) <= bounds.ANEW_ROW * 2 * size
    return alike and longer >= bounds.ANEW_LONGER * size and area(meet(event.box, other.box)) > 0


def _is_overlay(event: Event, proof: bool | None, proven: Sequence[Event], turn: Turn) -> bool:
    if proof is not None:
        return proof
    if any(event.apart(p) <= bounds.LINE_FRAMES and _same_style(event, p, turn) for p in proven):
        return True  # a line of its caption; the slant of a few letters says little
    told = event.evidence
    if told is not None and abs(told.slant) > bounds.SLANT:
        return False
    return any(_same_style(event, p, turn) for p in proven) or _at_the_foot(event, turn) or in_a_corner(event, turn)


def _place(event: Event, turn: Turn) -> tuple[float, float, float, float]:
    """Centre, width and height in fractions of the picture as shown."""
    at = turn.shown_region(event.box)
    return at.x + at.width / 2, at.y + at.height / 2, at.width, at.height


def _same_style(event: Event, other: Event, turn: Turn) -> bool:
    """As high as a proven caption, and in its row or in the next."""
    size, like = text_height(event.box), text_height(other.box)
    (_, y, _, height), (_, row, _, _) = _place(event, turn), _place(other, turn)
    return abs(size - like) <= bounds.STYLE_HEIGHT * like and abs(y - row) <= bounds.STYLE_ROWS * height


def _at_the_foot(event: Event, turn: Turn) -> bool:
    """Where subtitles stand: centred, in the lowest part of the picture."""
    x, y, _, height = _place(event, turn)
    return abs(x - 0.5) <= bounds.FOOT_CENTRE and y >= bounds.FOOT and height <= bounds.FOOT_HEIGHT


def in_a_corner(event: Event, turn: Turn) -> bool:
    """Where stations put their marks."""
    x, y, _, height = _place(event, turn)
    return min(x, 1 - x) <= bounds.CORNER[0] and min(y, 1 - y) <= bounds.CORNER[1] and height <= bounds.FOOT_HEIGHT


def _stays(event: Event, found: Findings, turn: Turn) -> bool:
    """Whether it is there for longer than anybody needs to read it, or half-transparent, as marks are."""
    if event.veil is not None and event.veil.alone:
        return True
    times = found.times
    seconds = times[min(event.end, len(times) - 1)] - times[event.start]
    whole = event.end - event.start >= bounds.MARK_SHARE * len(times)
    return seconds >= bounds.MARK_S or (whole and not _at_the_foot(event, turn))
