"""What the composer and others agree on: how a document names files, and how is told what is seen when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

ASSET = "asset:"
"""With which a document names a file that comes along."""

WEB = ("http://", "https://")
"""With which it names one that has to be fetched."""

FILES = ("video_url", "image_url", "music_url", "voiceover_url", "url")
"""Fields that name a file. So may `font`, which may also be the name of a font of the machine that renders."""

FONT = "font"


class Placed(Struct, frozen=True):
    """A clip or a sound with its times, in seconds."""

    place: str
    """In the document: `clips[0]`, `audio.music`, `audio.tracks[1]`."""
    start_s: float
    """Of the film, to the frame."""
    end_s: float
    source_start_s: float = 0.0
    source_s: float | None = None
    """How long its file is; None of pictures and colours."""
    heard: bool = False
    """Whether its file's own sound is."""
    entry_s: float = 0.0
    """How long it and the clip before are both seen."""


def with_files_renamed(document: Any, named: Callable[[str, str, bool], str], place: str = "") -> Any:
    """The same document with every name of a file replaced.

    Args:
        document: as JSON gives it, right or wrong.
        named: takes a name, its place (`clips[2].video_url`), and whether it may be a font of the machine; gives the
            name that stands there instead.
        place: of the document.
    """
    if isinstance(document, list):
        return [with_files_renamed(each, named, f"{place}[{number}]") for number, each in enumerate(document)]
    if not isinstance(document, dict):
        return document
    out = {}
    for name, each in document.items():
        here = f"{place}.{name}" if place else name
        if isinstance(each, str) and (name in FILES or name == FONT):
            out[name] = named(each, here, name == FONT)
        else:
            out[name] = with_files_renamed(each, named, here)
    return out
