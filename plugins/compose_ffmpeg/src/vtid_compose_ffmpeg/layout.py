"""From a document to a timeline: all rounding, all checks against the files, every complaint at its place. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from vtid.sdk import (
    Canvas,
    Captions,
    Clip,
    Footage,
    MediaInfo,
    Mix,
    Overlay,
    Placed,
    Placing,
    Plain,
    Presets,
    Still,
    Struct,
    Timeline,
    Transition,
    Writing,
    excerpt,
)

from . import document as doc
from .automatic import is_auto, shares
from .complaints import Complaints
from .fit import canvas_of, colour, placing_of, shrunk
from .given import Given, Seen, file_named
from .making import SOUNDS, part_of, writing_of
from .placed import placed_of
from .sounds import Heard, lasting, sounds_of
from .times import TOLERANCE_S, exact, nearest


class Laid(Struct, frozen=True):
    """A film, ready to be rendered once its text is drawn."""

    canvas: Canvas
    full: Canvas
    """As it was asked for, in the pixels of which texts are measured; smaller is the canvas of a preview."""
    frames: int
    """Of the whole film."""
    part: tuple[int, int]
    """Its frames that come out."""
    main: tuple[Clip, ...]
    above: tuple[Clip, ...]
    mix: Mix | None
    writing: Writing
    warnings: tuple[str, ...]
    placed: tuple[Placed, ...]

    def timeline(self, overlays: Sequence[Overlay], captions: Captions | None = None) -> Timeline:
        """With its text, as much of it as comes out."""
        whole = Timeline(self.canvas, self.frames, self.main, self.above, tuple(overlays), self.mix, captions)
        return whole if self.part == (0, self.frames) else excerpt(whole, *self.part)


def lay_out(film: doc.Composition, files: Mapping[str, Given], presets: Presets) -> Laid:
    """Find out what is seen and heard when.

    Args:
        film: a document.
        files: by the names under which the document has them.
        presets: what a quality means.

    Raises:
        InvalidInput: with every problem.
    """
    complaints = Complaints()
    infos = [_info(one, number, files, complaints) for number, one in enumerate(film.clips)]
    full = canvas_of(film, infos, complaints)
    preset = presets.known.get(film.output.quality)
    canvas = shrunk(full, preset.lines) if preset and preset.lines else full
    main = _track(film, 0, infos, canvas, complaints, files=files)
    if all(one.track for one in film.clips):
        complaints.add("clips", "none is on track 0, which the film is as long as")
    frames = max((one.last for one in main), default=0)
    above = [
        seen
        for track in sorted({one.track for one in film.clips} - {0})
        for seen in _track(film, track, infos, canvas, complaints, frames)
    ]
    above = [_within(one, frames, complaints) for one in above if one.first < frames]
    heard = sounds_of(film.audio, Heard(canvas, frames, [*main, *above]), files, complaints)
    part = part_of(film.output, canvas, frames, complaints)
    if film.output.format in SOUNDS and heard is None:
        complaints.add("output.format", f"there is no sound in the film for a {film.output.format}")
    writing = writing_of(film.output, main[0].info if main else None, presets, complaints)
    complaints.raise_any()
    return Laid(
        canvas=canvas,
        full=full,
        frames=frames,
        part=part,
        main=tuple(_clip(one, files, canvas) for one in main),
        above=tuple(_clip(one, files, canvas) for one in above),
        mix=heard,
        writing=writing,
        warnings=tuple(complaints.warnings),
        placed=tuple(placed_of(film, [*main, *above], heard, canvas, files)),
    )


def _info(clip: doc.Clip, number: int, files: Mapping[str, Given], complaints: Complaints) -> MediaInfo | None:
    """The facts of a clip's file, after all that can be said about the clip without the others."""
    here = f"clips[{number}]"
    named = [name for name in ("video_url", "image_url", "color") if getattr(clip, name) is not None]
    if len(named) != 1:
        wrong = "names nothing to be seen" if not named else f"has {' and '.join(named)}"
        complaints.add(here, f"{wrong}; give one of video_url, image_url, color")
        return None
    for name in ("crop", "position"):
        box: doc.Box | None = getattr(clip, name)
        if box and (box.x + box.width > 1.0001 or box.y + box.height > 1.0001):
            complaints.add(f"{here}.{name}", "reaches past the picture: x + width and y + height are at most 1")
    if clip.image_url is None and clip.zoom != 1:
        complaints.add(f"{here}.zoom", "is for images only")
    if clip.video_url is None:
        for name, plain in (
            ("speed", 1.0),
            ("trim_start", 0.0),
            ("trim_end", None),
            ("fade_in", 0.0),
            ("fade_out", 0.0),
        ):
            if getattr(clip, name) != plain:
                complaints.add(
                    f"{here}.{name}", f"is for videos only, and this is {'an image' if clip.image_url else 'a colour'}"
                )
    if clip.source is None:
        return None
    given = file_named(clip.source, f"{here}.{named[0]}", files, complaints)
    info = given.info if given else None
    if given and info is None:
        complaints.add(f"{here}.{named[0]}", given.refusal)
    elif info and clip.video_url and info.kind == "image":
        complaints.add(f"{here}.video_url", "is a still picture; call it image_url")
    elif info and clip.image_url and info.kind != "image":
        complaints.add(f"{here}.image_url", "is no still picture; call it video_url")
    else:
        return info
    return None


def _track(
    film: doc.Composition,
    track: int,
    infos: Sequence[MediaInfo | None],
    canvas: Canvas,
    complaints: Complaints,
    film_frames: int | None = None,
    files: Mapping[str, Given] | None = None,
) -> list[Seen]:
    """The clips of one track, one behind another."""
    out: list[Seen] = []
    end = Fraction(0)
    shared = _shared(film, infos, canvas, files or {}, complaints) if track == 0 else {}
    for number, clip in enumerate(film.clips):
        if clip.track != track:
            continue
        here = f"clips[{number}]"
        start = exact(clip.start_time) if clip.start_time is not None else end
        if out and start < end - TOLERANCE_S:
            complaints.add(
                f"{here}.start_time", f"overlaps clips[{out[-1].number}], which ends at {float(end):g} s", "overlap"
            )
        room = film_frames / canvas.rate - start if film_frames is not None else shared.get(number)
        length = _length(clip, here, infos[number], start, room, complaints)
        if length is None or length <= 0:
            continue
        wanted = _entry(clip, here, track, out, canvas, complaints)
        first, frames = nearest(start * canvas.rate), 0
        if wanted:
            frames = nearest((start + length) * canvas.rate) - first
            entry = min(wanted, frames // 2, out[-1].frames // 2)
            if not entry:
                complaints.warn(f"{here}.transition", "is left out: one of its clips has only one frame")
            elif entry < wanted:
                seconds = f"{float(entry / canvas.rate):.2f} s"
                complaints.warn(f"{here}.transition.duration", f"is cut to {seconds}, half of the shorter clip")
            start -= entry / canvas.rate
            first -= entry
        else:
            entry = 0
        frames = max(1, nearest((start + length) * canvas.rate) - first)
        out.append(Seen(number, clip, infos[number], exact(clip.trim_start), first, frames, entry))
        end = start + length
    return out


def _shared(
    film: doc.Composition,
    infos: Sequence[MediaInfo | None],
    canvas: Canvas,
    files: Mapping[str, Given],
    complaints: Complaints,
) -> dict[int, Fraction]:
    """Seconds of the clips of the main track that are as long as there is time."""
    unheard = Complaints()

    def length(number: int) -> Fraction | None:
        clip = film.clips[number]
        start = exact(clip.start_time or 0.0)
        return _length(clip, "", infos[number], start, None, unheard)

    return shares(film.clips, canvas.rate, lasting(film.audio, files), length, complaints)


def _entry(
    clip: doc.Clip, here: str, track: int, before: Sequence[Seen], canvas: Canvas, complaints: Complaints
) -> int:
    """Frames of its transition, as wished."""
    if clip.transition is None:
        return 0
    if track:
        complaints.add(f"{here}.transition", "only clips of track 0 have one")
    elif not before:
        complaints.add(f"{here}.transition", "there is no clip before it from which it could lead")
    elif clip.start_time is not None:
        complaints.add(f"{here}.start_time", "leave it out: a clip with a transition begins where that does")
    else:
        return max(1, nearest(exact(clip.transition.duration) * canvas.rate))
    return 0


def _length(
    clip: doc.Clip,
    here: str,
    info: MediaInfo | None,
    start: Fraction,
    room: Fraction | None,
    complaints: Complaints,
) -> Fraction | None:
    """Seconds for which a clip is seen; None where that cannot be said. Pictures without a length take the room."""
    asked, place = None, ""
    if clip.end_time is not None and clip.duration is not None:
        complaints.add(f"{here}.duration", "give this or end_time")
    if clip.end_time is not None:
        asked, place = exact(clip.end_time) - start, f"{here}.end_time"
        if asked <= 0:
            complaints.add(place, f"is not after the beginning ({float(start):g} s)")
            return None
    elif clip.duration is not None and not isinstance(clip.duration, str):
        asked, place = exact(clip.duration), f"{here}.duration"
        if asked <= 0:
            complaints.add(place, "is too short: less than a millionth of a second")
            return None
    if clip.source is None and clip.color is None:  # which was complained of
        return None
    if clip.video_url is None:
        if asked is None and room is None and not is_auto(clip):
            complaints.add(f"{here}.duration", "say how long it is seen, or auto", "missing")
        return asked if asked is not None else room
    if info is None:
        return None
    return _of_source(clip, here, exact(info.duration_s), asked, place, complaints)


def _of_source(
    clip: doc.Clip, here: str, whole: Fraction, asked: Fraction | None, place: str, complaints: Complaints
) -> Fraction | None:
    """Seconds that a stretch of a source lasts."""
    begin, speed = exact(clip.trim_start), exact(clip.speed)
    past = f"past the end of the source ({float(whole):g} s)"
    if whole <= 0:
        complaints.add(f"{here}.video_url", "holds nothing: it lasts 0 s")
        return None
    if begin >= whole:
        complaints.add(f"{here}.trim_start", past, "past_end")
        return None
    end = exact(clip.trim_end) if clip.trim_end is not None else None
    if end is not None and end <= begin:
        complaints.add(f"{here}.trim_end", f"is not after trim_start ({float(begin):g} s)")
        return None
    if end is not None and end > whole + TOLERANCE_S:
        complaints.add(f"{here}.trim_end", past, "past_end")
        return None
    gives = ((min(end, whole) if end is not None else whole) - begin) / speed
    if asked is None:
        return gives
    if asked > gives + TOLERANCE_S:
        least = f"the source gives {float(gives):g} s between trim_start and trim_end" if end is not None else past
        complaints.add(place, least, "past_end")
        return None
    if end is not None and asked < gives - TOLERANCE_S:
        complaints.add(place, f"is {float(asked):g} s, and trim_end makes it {float(gives):g} s; leave one out")
        return None
    return min(asked, gives) if asked > gives else asked


def _within(seen: Seen, frames: int, complaints: Complaints) -> Seen:
    """Cut where the film ends."""
    if seen.last <= frames:
        return seen
    complaints.warn(f"clips[{seen.number}]", "is cut where track 0 ends")
    return Seen(seen.number, seen.clip, seen.info, seen.trim, seen.first, frames - seen.first, seen.entry)


def _clip(seen: Seen, files: Mapping[str, Given], canvas: Canvas) -> Clip:
    """As the renderer takes it."""
    clip, info = seen.clip, seen.info
    picture: Footage | Still | Plain
    if clip.source is None or info is None or not info.video:
        picture = Plain(colour(clip.color or clip.background))
    elif clip.image_url:
        picture = Still(files[clip.source].path, clip.zoom)
    else:
        film = info.video[0]
        aspect = Fraction(film.sample_aspect) or Fraction(1)
        picture = Footage(files[clip.source].path, seen.trim, exact(clip.speed), aspect, film.mirrored)
    entry = None
    if seen.entry and clip.transition:
        entry = Transition(doc.TRANSITIONS[clip.transition.type], seen.entry)
    placing: Placing = placing_of(clip, canvas)
    return Clip(picture, seen.first, seen.frames, placing, entry, name=f"clips[{seen.number}]")
