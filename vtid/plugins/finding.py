"""Where plugins are: entry points of installed distributions, and folders with a pyproject.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from msgspec import Struct

from vtid.sdk import NAMESPACE

_NAME = re.compile(r"^[a-z][a-z0-9_]*$")
_MODULE = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")


class Found(Struct, frozen=True):
    """A plugin that has not been imported yet."""

    name: str
    source: str
    """For people: `entry point of demo 1.0`, or the folder."""
    module: str = ""
    path: Path | None = None
    """Where the module is imported from; None: from what is installed."""
    version: str = ""
    requires: tuple[str, ...] = ()
    """The distributions that it asks for."""
    problem: str | None = None
    """Why it cannot be loaded at all."""


def find(dirs: Iterable[Path], entry_points: Iterable[EntryPoint]) -> dict[str, Found]:
    """Every plugin once, by name: a folder wins over an entry point, an earlier folder over a later one."""
    found = {plugin.name: plugin for plugin in map(_from_entry_point, entry_points)}
    for directory in reversed(list(dirs)):
        found |= {plugin.name: plugin for plugin in _in_directory(directory)}
    return dict(sorted(found.items()))


def _from_entry_point(point: EntryPoint) -> Found:
    dist = point.dist
    label = f"{dist.name} {dist.version}" if dist else "an unknown distribution"
    return Found(
        name=point.name,
        source=f"entry point of {label}",
        module=point.value,
        version=dist.version if dist else "",
        problem=_wrong_name(point.name) or _wrong_module(point.value),
    )


def _in_directory(directory: Path) -> Iterator[Found]:
    """The plugins of one of `[plugins] dirs`. A directory that is not there has none."""
    if directory.is_dir():
        for folder in sorted(directory.iterdir()):
            if folder.is_dir() and not folder.name.startswith((".", "_")):
                yield _from_folder(folder)


def _from_folder(folder: Path) -> Found:
    try:
        raw = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        points = dict(raw["project"]["entry-points"][NAMESPACE])
        plugin = _described(folder, raw["project"], points.get(folder.name))
    except FileNotFoundError:
        return _broken(folder, "has no pyproject.toml")
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return _broken(folder, f"its pyproject.toml cannot be read: {error}")
    except (KeyError, TypeError, ValueError):
        wanted = f"[project.entry-points.{NAMESPACE}] with {folder.name} = MODULE"
        return _broken(folder, f"its pyproject.toml has no {wanted}")
    if list(points) != [folder.name]:
        names = ", ".join(map(str, points)) or "nothing"
        return _broken(
            folder, f"its entry point must be named {folder.name}, as its folder is; pyproject.toml names {names}"
        )
    return plugin


def _described(folder: Path, project: dict[str, Any], module: Any) -> Found:
    src = folder / "src"
    return Found(
        name=folder.name,
        source=str(folder),
        module=str(module),
        path=src if src.is_dir() else folder,
        version=str(project.get("version", "")),
        requires=tuple(r for r in map(str, project.get("dependencies", ())) if not re.match(r"vtid\b", r)),
        problem=_wrong_name(folder.name) or _wrong_module(module),
    )


def _broken(folder: Path, problem: str) -> Found:
    return Found(folder.name, str(folder), problem=problem)


def _wrong_name(name: str) -> str | None:
    return None if _NAME.match(name) else f'"{name}" cannot be its name: lower-case letters, digits and _'


def _wrong_module(module: Any) -> str | None:
    if isinstance(module, str) and _MODULE.match(module):
        return None
    return f'its entry point must name a module, not "{module}"'
