"""Documents of other editing programs, for `vtid compose`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from vtid.domain.composition import ASSET, WEB, with_files_renamed
from vtid.errors import Conflict, InvalidInput, Problem

OTIO, JSON = ".otio", ".json"


def imported(spec: Path) -> tuple[dict[str, Any], Sequence[str]]:
    """A timeline as a document, and what the document does not say of it. Raises as `vtid.otio.import_from` does."""
    from vtid.otio import import_from

    found = import_from(spec)
    return found.document, found.unmapped


def check_conversion(spec: Path, target: Path, *, overwrite: bool) -> None:
    """Raise what makes a conversion impossible, before any work."""
    if {spec.suffix.lower(), target.suffix.lower()} != {OTIO, JSON}:
        words = (
            f"writes a document (.json) as a timeline (.otio) or the other way round, not {spec.name} as {target.name}"
        )
        raise InvalidInput(f"--convert: {words}", problems=[Problem("--convert", words)])
    if target.exists() and not overwrite:
        raise Conflict(f"{target} exists already.", suggestion="Choose another name, or say --overwrite.")


def write_document(target: Path, document: dict[str, Any], spec: Path) -> None:
    """Write a document that was imported. Files are named as seen from where it will lie."""
    told = with_files_renamed(document, lambda name, _place, font: _seen_from(name, spec.parent, target.parent, font))
    try:
        target.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
    except OSError as error:
        words = f"cannot be written: {error.strerror}"
        raise InvalidInput(f"{target}: {words}", problems=[Problem(str(target), words)]) from error


def write_timeline(target: Path, document: dict[str, Any], spec: Path, report: dict[str, Any]) -> Sequence[str]:
    """Write a document that was checked as a timeline. Returns what other programs will not read of it."""
    from vtid.domain.composition import Placed
    from vtid.otio import export_to

    named = with_files_renamed(
        document,
        lambda name, _place, font: name if name.startswith(WEB) or font else str((spec.parent / name).resolve()),
    )
    placed = msgspec.convert(report["placed"], list[Placed])
    return export_to(target, named, report["fps"], placed)


def _seen_from(name: str, old: Path, new: Path, font: bool) -> str:
    if name.startswith((*WEB, ASSET)) or font:
        return name
    path = (old / name).resolve()
    return str(path.relative_to(new.resolve())) if path.is_relative_to(new.resolve()) else str(path)
