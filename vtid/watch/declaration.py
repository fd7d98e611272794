"""What a hot folder may say of itself: `config/watch/NAME.toml`, read and checked with every problem at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from vtid.complaints import worded
from vtid.errors import Problem, did_you_mean
from vtid.watch import naming

VIDEOS = ("*.mp4", "*.mov", "*.mkv", "*.webm", "*.avi")


class Rule(Struct, frozen=True, forbid_unknown_fields=True, rename={"with_": "with"}, omit_defaults=True):
    """What a sub-folder means."""

    pipeline: str | None = None
    with_: dict[str, Any] = field(default_factory=dict)


class Declaration(Struct, frozen=True, kw_only=True, rename={"with_": "with"}):
    """The table [watch]. The description of a field is its documentation."""

    path: Annotated[str, Meta(min_length=1, description="The folder to watch, or s3://BUCKET/PREFIX/.")]
    pipeline: Annotated[str, Meta(description="What is done with each file.")]
    output: Annotated[str, Meta(min_length=1, description="Where results go, in the same sub-folders.")]
    with_: Annotated[dict[str, Any], Meta(description="Params of the pipeline.")] = field(default_factory=dict)
    owner: Annotated[
        str, Meta(description='Address or id of the account that the jobs are of; "" for the first admin.')
    ] = ""
    enabled: Annotated[bool, Meta(description="false: as if this file were not there.")] = True
    recursive: Annotated[bool, Meta(description="Whether sub-folders count.")] = True
    include: Annotated[tuple[str, ...], Meta(min_length=1, description="Names that are meant, in any case.")] = VIDEOS
    exclude: Annotated[tuple[str, ...], Meta(description="Names that are not.")] = ()
    settle_seconds: Annotated[
        float, Meta(ge=0, le=86_400, description="How long a file must not change before it is taken.")
    ] = 5.0
    on_done: Annotated[
        Literal["move", "keep", "delete"],
        Meta(
            description="The file after its result is delivered: moved to done/, left where it is (then nothing in the "
            "folder is ever touched), or deleted."
        ),
    ] = "move"
    duplicates: Annotated[
        Literal["skip", "move", "allow"],
        Meta(
            description="A file whose bytes were here before: left where it is, moved to duplicate/, or taken all the "
            "same."
        ),
    ] = "skip"
    work: Annotated[
        str, Meta(description='Where processing/, done/, failed/ and duplicate/ are; "" for .vtid in the folder.')
    ] = ""
    poll: Annotated[
        bool, Meta(description="Look instead of listen: for network shares; those that are known as such, always.")
    ] = False
    poll_seconds: Annotated[float, Meta(ge=0.05, le=3600, description="How often to look then.")] = 2.0
    trigger: Annotated[bool, Meta(description="Take a file only once NAME.toml or NAME.json lies beside it.")] = False
    name: Annotated[str, Meta(description="What results are called: {stem}, {ext}, {pipeline}, {step}.")] = (
        "{stem}.{pipeline}.{ext}"
    )
    collision: Annotated[
        Literal["suffix", "overwrite", "fail"],
        Meta(description="Where a file of that name is there: another name (-2), write over it, or fail."),
    ] = "suffix"
    priority: Annotated[int, Meta(ge=-100, le=100, description="Folders with a higher one come first.")] = 0
    subfolders: dict[str, Rule] = field(default_factory=dict)
    """Pattern of paths (`spanish/*`) to what is different there."""

    @property
    def bucket(self) -> bool:
        """Whether a bucket is watched and not a folder."""
        return self.path.startswith("s3://")


class Declared(Struct, frozen=True, kw_only=True):
    """A file that declares a hot folder, and what came of it."""

    name: str
    """Of the file, without its ending."""
    file: Path
    watch: Declaration | None = None
    """None where the text could not be read as one."""
    problems: list[Problem] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """The watched folder; of a bucket, nothing that is there."""
        assert self.watch
        return self._path(self.watch.path)

    @property
    def output(self) -> Path:
        """Where results go, on this machine."""
        assert self.watch
        return self._path(self.watch.output)

    @property
    def work(self) -> Path:
        """The folder of vtid's own."""
        assert self.watch
        return self._path(self.watch.work) if self.watch.work else self.folder / naming.OWN

    def _path(self, text: str) -> Path:
        """A path as it was written; a relative one is relative to the file that says it."""
        return Path(os.path.normpath(self.file.absolute().parent / Path(text).expanduser()))


def read(file: Path) -> Declared:
    """Read a declaration. Whether its pipeline and its owner exist is the business of `checking`."""
    problems: list[Problem] = []
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(Problem("", f"cannot be read: {error.strerror}", "unreadable", str(file)))
        return Declared(name=file.stem, file=file, problems=problems)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        problems.append(Problem("", f"not valid TOML: {error}", "toml", str(file)))
        return Declared(name=file.stem, file=file, problems=problems)
    for key in raw.keys() - {"watch"}:
        hint = did_you_mean(key, ["watch"]) or "; a hot folder has the tables [watch] and [watch.subfolders]"
        problems.append(Problem(key, f"unknown table{hint}", "unknown", str(file)))
    watch = _convert(raw.get("watch"), Declaration, "watch", str(file), problems)
    if watch is not None:
        problems += [Problem(f"watch.{key}", message, "invalid", str(file)) for key, message in _broken_rules(watch)]
    return Declared(name=file.stem, file=file, watch=watch, problems=problems)


def _convert(raw: Any, type_: type[Any], place: str, file: str, problems: list[Problem]) -> Any:
    """One table into its Struct, key by key, so that one wrong value hides no other; None after complaints."""
    if not isinstance(raw, dict):
        words = f"write it as a table: [{place}]" if raw is not None else f"the table [{place}] is missing"
        problems.append(Problem(place, words, "missing" if raw is None else "invalid", file))
        return None
    fields = {f.encode_name: f for f in msgspec.structs.fields(type_)}
    before = len(problems)
    for key in raw.keys() - fields.keys():
        hint = did_you_mean(key, fields) or f"; known: {', '.join(fields)}"
        problems.append(Problem(f"{place}.{key}", f"unknown key{hint}", "unknown", file))
    values: dict[str, Any] = {}
    for key, known in fields.items():
        if key not in raw:
            if known.required:
                problems.append(Problem(f"{place}.{key}", "is missing", "missing", file))
        elif key == "subfolders" and isinstance(raw[key], dict):
            rules = {p: _convert(r, Rule, f'{place}.subfolders."{p}"', file, problems) for p, r in raw[key].items()}
            values[key] = rules
        else:
            try:
                values[key] = msgspec.convert(raw[key], known.type)
            except msgspec.ValidationError as error:
                found = worded(error, known.type, f"{place}.{key}")
                problems.append(Problem(found.field, f"{found.message} (here: {raw[key]!r})", "invalid", file))
    if len(problems) > before:
        return None
    return type_(**{fields[k].name: v for k, v in values.items()})


def _broken_rules(watch: Declaration) -> Iterator[tuple[str, str]]:
    """Rules over several keys that types cannot say: the key at fault, and why."""
    if words := naming.template_problem(watch.name):
        yield "name", words
    if watch.on_done == "keep" and watch.duplicates == "move":
        yield "duplicates", 'cannot be "move" with on_done = "keep": nothing in the folder is touched then'
    if watch.bucket:
        if watch.work:
            yield "work", "is for folders; of a bucket, it is .vtid/ under the prefix"
        if "/" not in watch.path.removeprefix("s3://").rstrip("/") and not watch.path.endswith("/"):
            yield "path", "write a bucket as s3://BUCKET/ or s3://BUCKET/PREFIX/"
    elif watch.path.startswith("s3:") or "://" in watch.path:
        yield "path", f"{watch.path} is neither a folder nor s3://BUCKET/PREFIX/"
    if "://" in watch.output:
        yield "output", "is a folder; to send results to a bucket, the pipeline says so ([[deliver]] to)"
