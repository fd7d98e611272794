"""Files with params that lie beside a video: `clip.mp4.toml`, or `clip.mp4.json`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from vtid.errors import InvalidInput, Problem

MOST = 1 << 20


def read_params(file: Path) -> dict[str, Any]:
    """The params that a file gives; an empty one gives none, and counts all the same as the word to begin.

    Raises:
        InvalidInput: it cannot be read, or is no table of params.
    """
    return parse_params(file.name, load(file))


def load(file: Path) -> bytes:
    """What it holds; of one that is too large, enough to tell. Raises `InvalidInput` where it cannot be read."""
    try:
        with file.open("rb") as handle:
            return handle.read(MOST + 1)
    except OSError as error:
        raise _refused(file, f"cannot be read: {error.strerror}") from error


def parse_params(name: str, data: bytes) -> dict[str, Any]:
    """The same of what a file holds. Raises `InvalidInput`."""
    file = Path(name)
    if len(data) > MOST:
        raise _refused(file, f"is larger than {MOST >> 10} KB")
    if not data.strip():
        return {}
    try:
        text = data.decode("utf-8")
        found = tomllib.loads(text) if file.suffix == ".toml" else msgspec.json.decode(text)
    except (tomllib.TOMLDecodeError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refused(file, f"is not valid {file.suffix[1:].upper()}: {error}") from error
    if not isinstance(found, dict):
        raise _refused(file, "must be a table of params")
    return found


def _refused(file: Path, words: str) -> InvalidInput:
    return InvalidInput(f"{file.name} {words}.", problems=[Problem(file.name, words)])
