"""The presets that there are: the operator's files and the shipped ones, each with what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vtid import resources
from vtid.domain.preset import Preset, Presets, parse
from vtid.errors import InvalidInput, Problem


def load(dirs: Iterable[Path] = ()) -> Presets:
    """Read every `*.toml` of the folders and of what is shipped; of two with one name, the earlier folder's counts.

    A broken file keeps nothing from starting; whoever asks for that preset is told.

    Args:
        dirs: the operator's. One that is not there is empty.
    """
    files: dict[str, Path] = {}
    for directory in (*dirs, resources.presets_dir()):
        for file in directory.glob("*.toml"):
            files.setdefault(file.stem, file)
    known: dict[str, Preset] = {}
    broken: dict[str, tuple[Problem, ...]] = {}
    for name, file in sorted(files.items()):
        try:
            known[name] = parse(name, file.read_text(encoding="utf-8"), str(file))
        except InvalidInput as error:
            broken[name] = tuple(error.problems)
        except (OSError, UnicodeDecodeError) as error:
            broken[name] = (Problem("", f"cannot be read: {error}", "unreadable", str(file)),)
    return Presets(known, broken, {name: str(file) for name, file in files.items()})
