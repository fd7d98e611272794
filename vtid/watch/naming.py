"""Names: which files are meant, which belong together, what a sub-folder means, what results are called. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from string import Formatter

OWN = ".vtid"
"""The folder of vtid's own beside the files."""
UNFINISHED = tuple(
    f"*.{ending}"
    for ending in "part partial filepart crdownload download opdownload tmp temp !ut !qb aria2 lock swp".split()  # noqa: SIM905
)
"""Names that programs give to files which they are still writing."""
SYSTEM = (
    *("*~", "~*", "thumbs.db", "desktop.ini"),
    *("@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "$recycle.bin", "lost+found"),
)
"""What file systems, NAS boxes and editors leave about."""
SYSTEM_FOLDERS = ("system volume information", "network trash folder", "temporary items")
PLACEHOLDERS = ("stem", "ext", "pipeline", "step")

LONGEST = 255
"""Bytes that a name may have on the usual file systems."""
NOTE = ".txt"
"""Ending of the words beside a file that failed."""

KINDS = {
    "audio": ("wav", "mp3", "m4a", "aac", "flac", "ogg", "opus", "aif", "aiff"),
    "subtitles": ("srt", "vtt", "ass"),
    "image": ("png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff"),
    "video": ("mp4", "mov", "mkv", "webm", "avi", "m4v"),
}
PARAMS = ("toml", "json")


def ignored(path: str) -> str | None:
    """Why a file is never taken, whatever a hot folder includes; None where nothing speaks against it.

    Args:
        path: in the folder, with `/`.
    """
    *folders, name = path.split("/")
    for folder in folders:
        low = folder.lower()
        if folder.startswith("."):
            return f"{folder}/ is a hidden folder"
        if low in SYSTEM_FOLDERS or any(fnmatchcase(low, p) for p in SYSTEM):
            return f"{folder}/ is a folder of the system"
    if not _is_text(path):
        return "its name is not valid UTF-8, and could be told to nobody; rename it"
    low = name.lower()
    if name.startswith("."):
        return "it is a hidden file; rsync and others hide what is still on its way"
    if any(fnmatchcase(low, p) for p in UNFINISHED):
        return f"its ending says that it is not finished (.{low.rpartition('.')[2]})"
    if any(fnmatchcase(low, p) for p in SYSTEM):
        return "it is a file of the system or of an editor"
    return None


def _is_text(path: str) -> bool:
    """Whether a name can be stored and shown; the system takes any bytes for one."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def fitted(stem: str, room: int) -> str:
    """A stem of no more than so many bytes; one that was cut is told by a tag from others that begin like it."""
    data = stem.encode()
    if len(data) <= room:
        return stem
    tag = f"~{hashlib.sha256(data).hexdigest()[:8]}"
    return data[: max(0, room - len(tag))].decode(errors="ignore") + tag


def note_of(path: str) -> str:
    """Where the words beside a file are."""
    place = PurePosixPath(path)
    return str(place.with_name(f"{fitted(place.name, LONGEST - len(NOTE))}{NOTE}"))


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns means a file, in any case; a pattern with `/` is about its whole path."""
    low, name = path.lower(), path.rpartition("/")[2].lower()
    return any(fnmatchcase(low if "/" in p else name, p.lower()) for p in patterns)


def rule_for(path: str, patterns: Collection[str]) -> str | None:
    """Which pattern of sub-folders counts for a file: of several, the longest."""
    found = [p for p in patterns if fnmatchcase(path.lower(), p.lower())]
    return max(found, key=len, default=None)


def params_of(path: str) -> tuple[str, ...]:
    """The names that a file with params for this one may have."""
    return tuple(f"{path}.{ending}" for ending in PARAMS)


def companions(path: str, names: Collection[str], sources: Mapping[str, str], main: str) -> dict[str, str]:
    """Which files beside this one are inputs of its pipeline: source to path.

    Args:
        path: of the file.
        names: of all files in its folder, as paths.
        sources: of the pipeline: name to kind.
        main: the source that the file itself is.
    """
    base = path.rpartition(".")[0]
    found: dict[str, str] = {}
    for other in sorted(names, key=lambda n: (len(n), n)):
        if other == path or not other.startswith(f"{base}.") or "/" in other[len(base) :]:
            continue
        tag, _, ending = other[len(base) + 1 :].rpartition(".")
        kind = next((k for k, endings in KINDS.items() if ending.lower() in endings), "")
        named = tag.rpartition(".")[2].lower()
        wanted = [s for s in sources if s != main and s not in found]
        source = next((s for s in wanted if s.lower() == named), None)
        if source is None and kind != "video":  # another film of the same stem is a film of its own
            source = next((s for s in wanted if kind and kind in (sources[s], s)), None)
        if source is not None and sources[source] in (kind, "file"):
            found[source] = other
    return found


def is_kind(path: str, kind: str) -> bool:
    """Whether a file is of a kind, by its ending."""
    return path.rpartition(".")[2].lower() in KINDS[kind]


def result_name(template: str, original: str, filename: str, pipeline: str, step: str) -> str:
    """What a result is called; a stem that would make the name too long for a file system is cut.

    Args:
        template: with `{stem}`, `{ext}`, `{pipeline}`, `{step}`.
        original: the file that was dropped.
        filename: of the result, for its ending.
        pipeline: its name.
        step: that made it.
    """
    ext = PurePosixPath(filename).suffix.removeprefix(".")
    stem = PurePosixPath(original).stem
    others = {"ext": ext, "pipeline": pipeline, "step": step}
    taken = len(template.format(stem="", **others).encode())
    return template.format(stem=fitted(stem, LONGEST - taken), **others).rstrip(".")


def template_problem(template: str) -> str | None:
    """What is wrong with a template of names; None where nothing is."""
    try:
        fields = [f for _, f, spec, _ in Formatter().parse(template) if f is not None or spec]
    except ValueError as error:
        return f"is no template: {error}"
    known = ", ".join(f"{{{p}}}" for p in PLACEHOLDERS)
    for name in fields:
        if name not in PLACEHOLDERS:
            return f"{{{name}}} is not known here; known: {known}"
    if "stem" not in fields:
        return f"needs {{stem}}, or all results would have one name; known: {known}"
    if re.search(r"[/\\\x00-\x1f]", template):
        return "is the name of a file and not a path; results keep the sub-folder of their file anyway"
    return None


def candidates(name: str) -> Iterator[str]:
    """A name, and what to call the file where that is taken: `clip.mp4`, then `clip-2.mp4` and so on."""
    yield name
    path = PurePosixPath(name)
    for number in range(2, 10_000):
        tail = f"-{number}{path.suffix}"
        yield str(path.with_name(f"{fitted(path.stem, LONGEST - len(tail.encode()))}{tail}"))
