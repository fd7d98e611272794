"""Files beside the one that a pipeline gives: more of its outputs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vtid.cli.pairs import named
from vtid.errors import Conflict, InvalidInput, Problem, StorageError, did_you_mean

if TYPE_CHECKING:
    from vtid.domain.artifact import Artifact
    from vtid.domain.pipeline import Pipeline
    from vtid.domain.step import StepSpec
    from vtid.local import LocalRun

PAGE = "page"
"""The output, and the switch, of steps that can show what they did."""


class Wanted:
    """Outputs that are written beside the result, by their name: `subtitles`, or `clean.subtitles`."""

    def __init__(self, pairs: Sequence[str], report: Path | None) -> None:
        self._goals = named(pairs, "--also")
        self._report = report
        if report is not None:
            self._goals[PAGE] = report

    @property
    def names(self) -> list[str]:
        """Of the outputs."""
        return list(self._goals)

    def __bool__(self) -> bool:
        return bool(self._goals)

    def require(self, pipeline: Pipeline, specs: Mapping[str, StepSpec]) -> dict[str, bool]:
        """Refuse what the pipeline cannot give. Returns the params that have it make a page."""
        steps = {step.id: specs[step.uses] for step in pipeline.steps}
        known = [f"{id_}.{port.name}" for id_, spec in steps.items() for port in spec.outputs if port.kind != "value"]
        problems = [
            Problem("--report" if name == PAGE else "--also", self._unknown(name, pipeline.name, known))
            for name in self._goals
            if not any(_means(name, one) for one in known)
        ]
        if problems:
            raise InvalidInput(str(problems[0]), problems=problems)
        makers = [id_ for id_, spec in steps.items() if spec.output(PAGE) and PAGE in spec.param_names()]
        return {f"{id_}.{PAGE}": True for id_ in makers} if self._report is not None else {}

    def _unknown(self, name: str, pipeline: str, known: Sequence[str]) -> str:
        if name == PAGE:
            return f"no step of {pipeline} makes a report"
        hint = did_you_mean(name, [*known, *(one.partition(".")[2] for one in known)])
        return f'no step of {pipeline} gives "{name}"{hint or "; there are: " + ", ".join(known)}'

    def require_free(self, source: Path, goal: Path | None, *, several: bool, overwrite: bool) -> None:
        """Keep files that are there, before any work; those in a folder are seen to when they are written.

        Args:
            source: the file that is worked on.
            goal: the file that its result becomes, where one was named.
            several: whether the outputs' goals are folders.
            overwrite: files that are there may go, except the source.

        Raises:
            InvalidInput: two results would become one file, or one of them would take the source's place.
            Conflict: one exists, and `overwrite` was not said.
            StorageError: nothing can be written there.
        """
        taken = {_real(goal)} if goal else set()
        for path in () if several else self._goals.values():
            if not path.is_dir() and _real(path) in {*taken, _real(source)}:
                whose = "the source" if _real(path) == _real(source) else "another result"
                raise InvalidInput(
                    f"{path} is {whose}", problems=[Problem("--also", f"{path} is {whose}: give it another name")]
                )
            taken.add(_real(path))
        for path in self._goals.values():
            if path.is_file() and not several and not overwrite:
                raise Conflict(f"{path} exists already.", suggestion="Choose another name, or say --overwrite.")
            _require_writable(path)

    def write(self, local: LocalRun, job_id: str, source: Path, *, several: bool, overwrite: bool) -> dict[str, Path]:
        """Write them. Returns what was written where; what a job had no reason to make is not there."""
        made = local.artifacts(job_id) if self._goals else ()
        out = {}
        for name, goal in self._goals.items():
            artifact = _last(made, name)
            if artifact is not None:
                path = _path(goal, source, Path(artifact.filename).suffix, several=several)
                out[name] = local.write(artifact, path, overwrite=overwrite)
        return out


def _require_writable(path: Path) -> None:
    """Try whether a file or folder of this name can be made, where its first folder that is there already lies.

    Raises:
        StorageError: it cannot.
    """
    there = next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())
    folder = there.parent if there == path.absolute() and there.is_file() else there
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}", suggestion="Name another place for it."
        ) from error


def _real(path: Path) -> Path:
    """The same for all names of one file."""
    return Path(os.path.realpath(path))


def _means(name: str, full: str) -> bool:
    """Whether `subtitles` or `clean.subtitles` is meant by the one or the other."""
    return name in (full, full.partition(".")[2])


def _last(made: Sequence[Artifact], name: str) -> Artifact | None:
    """Of several steps that make such a thing, the last."""
    return next((a for a in reversed(made) if _means(name, f"{a.step_id}.{a.output}")), None)


def _path(goal: Path, source: Path, suffix: str, *, several: bool) -> Path:
    """The file that was named; in a folder, or for several inputs, one called as the input is."""
    return goal / f"{source.stem}{suffix}" if several or goal.is_dir() else goal
