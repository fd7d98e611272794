"""The files that came with a document, and the clips once their place in time is known."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from vtid.sdk import MediaInfo, Struct, did_you_mean

from . import document as doc
from .complaints import Complaints


class Given(Struct, frozen=True):
    """A file that came with the document."""

    path: Path
    name: str
    """As people call it."""
    info: MediaInfo | None
    """None for what is no media, such as a font."""
    wrong: str = ""
    """Why it is none."""

    @property
    def refusal(self) -> str:
        """In words, where it is no media and was to be."""
        return f"{self.name} is no media file{self.wrong and f': {self.wrong}'}"


class Seen(Struct, frozen=True):
    """A clip with its place in time, to the frame."""

    number: int
    """Its place in the document."""
    clip: doc.Clip
    info: MediaInfo | None
    trim: Fraction
    first: int
    frames: int
    entry: int = 0
    """Frames of its transition."""

    @property
    def last(self) -> int:
        """Lies outside."""
        return self.first + self.frames


def file_named(name: str, place: str, files: Mapping[str, Given], complaints: Complaints) -> Given | None:
    """The file that a document means by a name; None, and a complaint, where there is none."""
    found = files.get(name)
    if found is None:
        hint = did_you_mean(name, files) or (
            f"; there are {', '.join(sorted(files))}" if files else "; none came with it"
        )
        complaints.add(place, f'there is no file "{name}"{hint}', "unknown")
    return found
