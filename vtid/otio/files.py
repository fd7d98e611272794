"""Files of OpenTimelineIO. Its library is an extra, and only loaded here when such a file is met."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from vtid.domain.composition import Placed
from vtid.domain.merging import is_deep
from vtid.errors import InvalidInput, Problem, Unavailable
from vtid.otio.reading import Reader
from vtid.otio.writing import timeline_of

ENDING = ".otio"
_DEEPEST = 200
"""Levels; stacks in stacks, which some programs write, take some four each."""


class Imported(Struct, frozen=True):
    """A timeline as a composition document."""

    document: dict[str, Any]
    unmapped: list[str]
    """What the document does not say of it, each with its place."""


def import_from(path: Path) -> Imported:
    """Read a timeline. Files that it names relatively lie beside it, as do those of a document.

    Raises:
        InvalidInput: it cannot be read, or holds no timeline.
        Unavailable: the library is not installed.
    """
    otio = _library()
    try:
        # Its own reader goes down level by level without looking, and takes the process with it.
        if is_deep(json.loads(path.read_bytes()), _DEEPEST):
            raise _wrong(path, f"is nested more than {_DEEPEST} levels deep")
        found = otio.adapters.from_name("otio_json").read_from_file(str(path))
    except OSError as error:
        raise _wrong(path, f"cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise _wrong(path, f"is nested more than {_DEEPEST} levels deep") from error
    except (otio.exceptions.OTIOError, ValueError) as error:
        raise _wrong(path, f"is no OpenTimelineIO file: {' '.join(str(error).split())[:200]}") from error
    if isinstance(found, otio.schema.SerializableCollection):
        found = next((one for one in found if isinstance(one, otio.schema.Timeline)), found)
    if not isinstance(found, otio.schema.Timeline):
        raise _wrong(path, f"holds no timeline but a {type(found).__name__}")
    reader = Reader(otio)
    try:
        return Imported(reader.document(found), reader.unmapped)
    except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
        # The library takes anything: tracks that are null, a rate of 0.
        raise _wrong(path, f"holds a timeline that makes no sense: {error}") from error


def export_to(path: Path, document: Mapping[str, Any], fps: float, placed: Sequence[Placed]) -> list[str]:
    """Write a document as a timeline.

    Args:
        path: where to; replaced where it exists.
        document: with its files as the timeline is to name them.
        fps: of the film.
        placed: when its clips and sounds are seen and heard.

    Returns:
        What other programs will not read of it, each with its place.

    Raises:
        InvalidInput: it cannot be written there.
        Unavailable: the library is not installed.
    """
    otio = _library()
    timeline, unmapped = timeline_of(otio, document, fps, placed)
    try:
        path.write_text(timeline.to_json_string(indent=2), encoding="utf-8")
    except OSError as error:
        raise _wrong(path, f"cannot be written: {error.strerror}") from error
    return unmapped


def _library() -> Any:
    try:
        import opentimelineio  # noqa: PLC0415 - may be missing
    except ImportError:
        raise Unavailable(
            "Files of OpenTimelineIO need its library, which is not installed.",
            suggestion="Install it: pip install 'vtid[otio]'.",
        ) from None
    return opentimelineio


def _wrong(path: Path, words: str) -> InvalidInput:
    problem = Problem(str(path), words)
    return InvalidInput(str(problem), problems=[problem])
