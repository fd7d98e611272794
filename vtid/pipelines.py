"""The pipelines that there are: read, checked against the steps, and kept with what is wrong with them.

A broken file does not keep the daemon from starting; whoever asks for that pipeline is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct, field

from vtid import resources
from vtid.domain.pipeline import Pipeline, check, parse
from vtid.errors import NotFound, PipelineError, Problem, Unavailable, did_you_mean
from vtid.plugins import Plugins


class PipelineRecord(Struct, frozen=True, kw_only=True):
    """A pipeline file and what came of it."""

    name: str
    """Of the file, without its ending; the pipeline inside has the same."""
    file: Path
    title: str
    pipeline: Pipeline | None = None
    """None where the text could not be read as one."""
    problems: list[Problem] = field(default_factory=list)
    unavailable: str | None = None
    """Why it cannot run now, though nothing is wrong with it: a plugin of its steps cannot work."""

    @property
    def ready(self) -> bool:
        """Whether a job may be made of it."""
        return not self.problems and self.unavailable is None


class Pipelines:
    """All pipelines by name."""

    def __init__(self, records: Iterable[PipelineRecord]) -> None:
        self.records = tuple(records)

    def record(self, name: str) -> PipelineRecord:
        """The record of a pipeline, whatever its state.

        Raises:
            NotFound: there is none.
        """
        names = [record.name for record in self.records]
        if name not in names:
            hint = did_you_mean(name, names) or f"; there are: {', '.join(names) or 'none'}"
            raise NotFound(f'There is no pipeline "{name}"{hint}')
        return self.records[names.index(name)]

    def get(self, name: str) -> Pipeline:
        """A pipeline that can run.

        Raises:
            NotFound: there is none.
            PipelineError: its file has problems; all of them.
            Unavailable: a plugin of its steps cannot work now.
        """
        record = self.record(name)
        if record.problems or record.pipeline is None:
            message = f"Pipeline {name} has {len(record.problems)} problem(s): {'; '.join(map(str, record.problems))}"
            raise PipelineError(message, problems=record.problems)
        if record.unavailable:
            raise Unavailable(f"Pipeline {name} cannot run: {record.unavailable}")
        return record.pipeline


def load(dirs: Iterable[Path], plugins: Plugins) -> Pipelines:
    """Read every `*.toml` of the folders and of what is shipped; of two with one name, the earlier folder's counts.

    Args:
        dirs: the operator's. One that is not there is empty.
        plugins: whose steps the pipelines use.
    """
    files: dict[str, Path] = {}
    for directory in (*dirs, resources.pipelines_dir()):
        for file in directory.glob("*.toml"):
            files.setdefault(file.stem, file)
    return Pipelines(_record(file, plugins) for _, file in sorted(files.items()))


def _record(file: Path, plugins: Plugins) -> PipelineRecord:
    name = file.stem
    try:
        pipeline = parse(file.read_text(encoding="utf-8"), file=str(file))
    except PipelineError as error:
        return PipelineRecord(name=name, file=file, title=name, problems=error.problems)
    except (OSError, UnicodeDecodeError) as error:
        problem = Problem("", f"cannot be read: {error}", "unreadable", str(file))
        return PipelineRecord(name=name, file=file, title=name, problems=[problem])
    absent = _steps_of_failed_plugins(pipeline, plugins)
    problems = [p for p in check(pipeline, plugins.specs, file=str(file)) if p.field not in absent]
    if pipeline.name != name:
        message = f'"{pipeline.name}" must be the name of its file, "{name}"'
        problems.insert(0, Problem("pipeline.name", message, "invalid", str(file)))
    reasons = dict.fromkeys(r for s in pipeline.steps if s.uses in plugins.specs and (r := plugins.unavailable(s.uses)))
    reasons |= dict.fromkeys(absent.values())
    return PipelineRecord(
        name=name,
        file=file,
        title=pipeline.title,
        pipeline=pipeline,
        problems=problems,
        unavailable="; ".join(reasons) or None,
    )


def _steps_of_failed_plugins(pipeline: Pipeline, plugins: Plugins) -> dict[str, str]:
    """Complaints of `check` that are the plugin's fault and not the file's: their field, and the plugin's reason.

    Nobody knows the steps of a plugin that was not loaded, so the file cannot be blamed for naming one.
    """
    failed = {record.name for record in plugins.records if not record.usable}
    steps = [step for step in pipeline.steps if step.uses.partition(".")[0] in failed]
    return {f"step.{step.id}.uses": plugins.unavailable(step.uses) or "" for step in steps}
