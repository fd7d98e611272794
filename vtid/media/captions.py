"""Subtitle files: SRT, WebVTT and ASS, read by FFmpeg, which makes ASS of all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import av
from av.subtitles.subtitle import AssSubtitle

from vtid.domain.timeline import Caption
from vtid.errors import Problem, UnsupportedMedia

_READABLE = "srt,webvtt,ass"
_TAGS = re.compile(r"\{[^}]*\}")
_BREAK = re.compile(r"\\[Nn]")
_PLACE = re.compile(r"\\an([1-9])")
_BOLD = re.compile(r"\\b1")
_BOTTOM = 2


def captions(path: Path) -> tuple[Caption, ...]:
    """The lines of a subtitle file in order of time; of their styles, place, colour and bold letters.

    Raises:
        UnsupportedMedia: it is no subtitle file.
    """
    try:
        options = {"format_whitelist": _READABLE, "protocol_whitelist": "file"}
        with av.open(f"file:{path}", "r", container_options=options, metadata_errors="replace") as file:
            return tuple(sorted(_lines(file), key=lambda one: one.start_s))
    except (av.error.FFmpegError, UnicodeDecodeError, StopIteration) as error:
        words = "is no subtitle file that can be read; give SRT, WebVTT or ASS, in UTF-8"
        raise UnsupportedMedia(f"{path.name} {words}.", problems=[Problem("", words, "unsupported_media")]) from error


def _lines(file: av.container.InputContainer) -> Iterator[Caption]:
    stream = file.streams.subtitles[0]
    styles = _styles(bytes(stream.codec_context.extradata or b"").decode("utf-8", "replace"))
    for packet in file.demux(stream):
        if not packet.size or packet.pts is None:
            continue
        begin = float(packet.pts * packet.time_base)
        end = begin + float((packet.duration or 0) * packet.time_base)
        for event in packet.decode():
            if not isinstance(event, AssSubtitle):
                continue
            if (line := _line(bytes(event.ass).decode("utf-8", "replace"), begin, end, styles)) is not None:
                yield line


def _line(event: str, begin: float, end: float, styles: dict[str, Caption]) -> Caption | None:
    """`ReadOrder,Layer,Style,Name,MarginL,MarginR,MarginV,Effect,Text`, as FFmpeg hands events on."""
    fields = event.split(",", 8)
    if len(fields) < 9:
        return None
    marked = fields[8]
    text = _BREAK.sub("\n", _TAGS.sub("", marked)).replace("\\h", "\u00a0").strip()
    if not text or end <= begin:
        return None
    style = styles.get(fields[2], Caption(0, 0, ""))
    place = _PLACE.search(marked)
    return Caption(
        begin, end, text, int(place[1]) if place else style.place, style.color, style.bold or bool(_BOLD.search(marked))
    )


def _styles(header: str) -> dict[str, Caption]:
    """What an ASS file says of its styles, each as a line without text."""
    columns: list[str] = []
    found = {}
    for row in header.split("[Events]", maxsplit=1)[0].splitlines():
        kind, _, rest = row.partition(":")
        values = [each.strip() for each in rest.split(",")]
        if kind == "Format":
            columns = values
        elif kind == "Style" and len(values) == len(columns):
            style = dict(zip(columns, values, strict=True))
            place = style.get("Alignment", "2")
            found[style.get("Name", "")] = Caption(
                0,
                0,
                "",
                int(place) if place in "123456789" else _BOTTOM,
                _colour(style.get("PrimaryColour", "")),
                style.get("Bold", "0") not in ("0", ""),
            )
    return found


def _colour(text: str) -> tuple[int, int, int] | None:
    """`&HAABBGGRR`; None for white, which is what a file has that says nothing of colour."""
    match = re.fullmatch(r"&H([0-9A-Fa-f]{1,8})&?", text)
    if not match:
        return None
    value = int(match[1], 16)
    red, green, blue = value & 255, value >> 8 & 255, value >> 16 & 255
    return None if (red, green, blue) == (255, 255, 255) else (red, green, blue)
