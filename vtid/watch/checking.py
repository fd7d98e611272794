"""The hot folders that there are: declarations read, checked against pipelines and against each other.

A broken file does not keep the others from their work; whoever looks is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from vtid.domain.pipeline import freeze
from vtid.domain.step import StepSpec
from vtid.errors import InvalidInput, NotFound, PipelineError, Problem, Unavailable
from vtid.pipelines import Pipelines
from vtid.watch import naming
from vtid.watch.declaration import Declared, Rule, read


class Plan(Struct, frozen=True):
    """What is done with one file of a hot folder."""

    pipeline: str
    params: dict[str, Any]
    sources: dict[str, str]
    """Name of what the pipeline takes to its kind."""
    main: str
    """The source that the dropped file itself is."""
    rule: str | None = None
    """The pattern of sub-folders that counted."""


def load(dirs: Iterable[Path], pipelines: Pipelines, specs: Mapping[str, StepSpec]) -> list[Declared]:
    """Every declaration of the folders, checked, by name; of two with one name, that of the earlier folder."""
    files: dict[str, Path] = {}
    for folder in dirs:
        for file in folder.glob("*.toml"):
            files.setdefault(file.stem, file)
    found = [checked(read(file), pipelines, specs) for _, file in sorted(files.items())]
    return [_apart(one, found[:at]) for at, one in enumerate(found)]


def checked(declared: Declared, pipelines: Pipelines, specs: Mapping[str, StepSpec]) -> Declared:
    """The same with what is wrong about its pipelines, its params and where its results go."""
    if declared.watch is None:
        return declared
    watch = declared.watch
    rules = {"watch": Rule(watch.pipeline, {}), **{f'watch.subfolders."{p}"': r for p, r in watch.subfolders.items()}}
    problems = list(declared.problems)
    for place, rule in rules.items():
        name, params = rule.pipeline or watch.pipeline, merged(watch.with_, rule.with_)
        if rule.pipeline and rule.pipeline != watch.pipeline:
            params = dict(rule.with_)  # another pipeline has other params
        for key, message in _wrong(name, params, pipelines, specs):
            problems.append(Problem(f"{place}.{key}", message, "invalid", str(declared.file)))
    if not watch.bucket and _within(declared.output, declared.folder) and not _within(declared.output, declared.work):
        words = "lies in the watched folder: results would be taken for new files; choose one outside"
        problems.append(Problem("watch.output", words, "invalid", str(declared.file)))
    return msgspec.structs.replace(declared, problems=problems)


def _wrong(
    name: str, params: Mapping[str, Any], pipelines: Pipelines, specs: Mapping[str, StepSpec]
) -> Iterator[tuple[str, str]]:
    """What is wrong about a pipeline and its params: the key at fault, and why."""
    try:
        frozen, _ = freeze(pipelines.get(name), specs, params)
    except InvalidInput as error:
        yield from ((f"with.{p.field}", p.message) for p in error.problems)
    except Unavailable:
        return  # nothing is wrong with the file; its jobs wait until the plugin can work
    except (NotFound, PipelineError) as error:
        yield "pipeline", error.message
    else:
        if not frozen.sources():
            yield "pipeline", f"{name} takes no file"


def _apart(declared: Declared, others: Sequence[Declared]) -> Declared:
    """The same, with a complaint where an earlier hot folder sees the same files."""
    watch = declared.watch
    if watch is None or watch.bucket or not watch.enabled:
        return declared
    for other in others:
        if other.watch is None or other.watch.bucket or not other.watch.enabled:
            continue
        inner = other.watch.recursive and _within(declared.folder, other.folder)
        outer = watch.recursive and _within(other.folder, declared.folder)
        if inner or outer or declared.folder.absolute() == other.folder.absolute():
            words = f"{declared.folder} and that of {other.name} ({other.folder}) hold the same files; part them"
            problem = Problem("watch.path", words, "overlap", str(declared.file))
            return msgspec.structs.replace(declared, problems=[*declared.problems, problem])
    return declared


def _within(path: Path, folder: Path) -> bool:
    return path.absolute() == folder.absolute() or folder.absolute() in path.absolute().parents


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Params, of which some say more: a table is merged key by key."""
    found = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = found[key] | value if both else value
    return found


def plan(declared: Declared, path: str, pipelines: Pipelines, specs: Mapping[str, StepSpec]) -> Plan:
    """What is done with a file.

    Args:
        declared: its hot folder.
        path: in it.
        pipelines: that there are.
        specs: of their steps.

    Raises:
        NotFound, PipelineError, Unavailable: about the pipeline.
        InvalidInput: about the params.
    """
    watch = declared.watch
    assert watch
    pattern = naming.rule_for(path, watch.subfolders)
    rule = watch.subfolders[pattern] if pattern else Rule()
    name, params = rule.pipeline or watch.pipeline, merged(watch.with_, rule.with_)
    if name != watch.pipeline:
        params = dict(rule.with_)
    frozen, _ = freeze(pipelines.get(name), specs, params)
    sources: dict[str, str] = {}
    for step in frozen.steps:
        for port_name, refs in step.inputs.items():
            port = specs[step.uses].input(port_name)
            for ref in [refs] if isinstance(refs, str) else refs:
                if ref.startswith("source.") and port:
                    sources.setdefault(ref.partition(".")[2], port.kind)
    main = "video" if "video" in sources else next(iter(sources), "video")
    return Plan(name, params, sources, main, pattern)
