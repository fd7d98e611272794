"""What would happen to a file, and why: the same decisions as at work, in words, with nothing touched."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from vtid.domain.step import StepSpec
from vtid.errors import NotFound, VtidError
from vtid.pipelines import Pipelines
from vtid.watch import naming
from vtid.watch.checking import Plan, merged, plan
from vtid.watch.declaration import Declaration, Declared
from vtid.watch.folder import seen_before
from vtid.watch.sidecars import read_params
from vtid.watch.whole import Unready, read_whole, writer_of


class Verdict(Struct):
    """What would happen to a file."""

    path: str
    watch: str
    taken: bool
    """Whether it would be taken, once it has settled."""
    because: list[str]
    pipeline: str | None = None
    params: dict[str, object] | None = None
    inputs: dict[str, str] | None = None
    result: str | None = None


def explain(path: Path, declared: Sequence[Declared], pipelines: Pipelines, specs: Mapping[str, StepSpec]) -> Verdict:
    """Say it. The file need not be there; what can only be seen on it is left out then.

    Raises:
        NotFound: no hot folder is meant.
    """
    path = Path(os.path.normpath(path.absolute()))
    homes = [d for d in declared if d.watch and not d.watch.bucket and d.folder.absolute() in path.parents]
    if not homes:
        places = ", ".join(str(d.folder) for d in declared if d.watch and not d.watch.bucket) or "there are none"
        raise NotFound(f"{path} lies in no hot folder.", suggestion=f"Hot folders: {places}.")
    home = max(homes, key=lambda d: len(d.folder.parts))
    assert home.watch
    relative = path.relative_to(home.folder.absolute()).as_posix()
    shown = os.fsencode(path).decode(errors="replace")
    verdict = Verdict(shown, home.name, taken=False, because=[])
    if not home.watch.enabled:
        verdict.because.append(f"{home.name} is not enabled")
    elif home.problems:
        verdict.because += [str(p) for p in home.problems]
    elif reason := refusal(home.watch, relative) or _no_file(home.folder, relative):
        verdict.because.append(reason)
    else:
        _explain_taking(verdict, home, relative, pipelines, specs)
    return verdict


def refusal(watch: Declaration, path: str) -> str | None:
    """Why a hot folder does not mean a file, by its name alone; None where it does."""
    if reason := naming.ignored(path):
        return reason
    if not watch.recursive and "/" in path:
        return "it lies in a sub-folder, and recursive = false"
    if not naming.matches(path, watch.include):
        return f"no pattern of include matches it ({', '.join(watch.include)})"
    if naming.matches(path, watch.exclude):
        return f"a pattern of exclude matches it ({', '.join(watch.exclude)})"
    return None


def _explain_taking(
    verdict: Verdict, home: Declared, path: str, pipelines: Pipelines, specs: Mapping[str, StepSpec]
) -> None:
    watch, because = home.watch, verdict.because
    assert watch
    try:
        found = plan(home, path, pipelines, specs)
    except VtidError as error:
        because.append(error.message)
        return
    because.append(
        f"it is meant by include; {found.rule} says what its sub-folder means"
        if found.rule
        else "it is meant by include"
    )
    local = home.folder / path
    names = beside(home.folder, path)
    given = [n for n in naming.params_of(path) if n in names]
    verdict.inputs = naming.companions(path, names, found.sources, found.main)
    verdict.pipeline, verdict.params = found.pipeline, dict(found.params)
    for name in given[:1]:
        try:
            verdict.params = dict(merged(found.params, read_params(home.folder / name)))
            because.append(f"{name} gives params")
        except VtidError as error:
            because.append(f"it would fail: {error.message}")
            return
    because += [f"{other} becomes its {source}" for source, other in verdict.inputs.items()]
    stem = naming.result_name(watch.name, path, f"x{Path(path).suffix}", found.pipeline, "step")
    verdict.result = str(home.output / Path(path).parent / stem)
    if watch.trigger and not given:
        because.append(f"it waits for {' or '.join(naming.params_of(Path(path).name))} (trigger = true)")
        return
    verdict.taken = True
    digest = _explain_content(verdict, local)
    earlier = seen_before(home.work, digest) if digest and watch.duplicates != "allow" else None
    if earlier:
        left = "left where it is" if watch.duplicates == "skip" else "moved to duplicate/"
        because.append(f"its bytes were here before, as {earlier}: it is {left}")
        verdict.taken = False
        return
    after = {"move": "goes to done/", "keep": "stays where it is", "delete": "is deleted"}[watch.on_done]
    because.append(f"it is taken {watch.settle_seconds:g} s after its last change, and {after} when its result is out")


def _explain_content(verdict: Verdict, local: Path) -> str | None:
    """What can be seen on the file itself. Returns its hash, where it could be read to its end."""
    if not local.exists():
        verdict.because.append("it is not there now: this is said by its name alone")
        return None
    try:
        if writer_of(local):
            verdict.because.append("a program has it open for writing now: it waits until that is over")
        return read_whole(local)
    except Unready as error:
        verdict.because.append(f"now it waits: {error}")
        return None


def _no_file(folder: Path, path: str) -> str | None:
    """Why something is no file of the folder's own; None where it is one, or is not there."""
    *above, name = Path(path).parts
    for part in above:
        folder /= part
        if folder.is_symlink():
            return f"it lies behind {folder}, which is a link to another place; links are not followed"
    place = folder / name
    if place.is_symlink():
        return "it is a link to another place; links are not followed, hard links count as files"
    if place.is_dir():
        return "it is a folder; the files in it are what is taken"
    return "it is no file with contents" if place.exists() and not place.is_file() else None


def beside(folder: Path, path: str) -> list[str]:
    """The files in the folder of a file, as paths in the hot folder."""
    parent = Path(path).parent
    place = folder / parent
    names = [p.name for p in place.iterdir() if p.is_file()] if place.is_dir() else []
    return [(parent / name).as_posix() for name in names]


__all__ = ["Plan", "Verdict", "beside", "explain", "refusal"]
