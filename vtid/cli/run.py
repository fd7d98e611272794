"""`vtid run`: a pipeline on files, without a daemon."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from vtid.cli.extras import Wanted
from vtid.cli.local import json_option, load_config, output
from vtid.cli.output import Output
from vtid.cli.pairs import input_option, param_option, parse_inputs, parse_params
from vtid.errors import Conflict, InvalidInput, Problem, VtidError

if TYPE_CHECKING:
    from vtid.domain.job import Job
    from vtid.local import LocalRun

MEDIA = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".ts", ".mpg", ".mpeg", ".wmv", ".flv"}


def plan(inputs: Sequence[Path], target: Path | None) -> list[tuple[Path, Path | None]]:
    """Which file goes where: each input with its target, a folder (ending unknown yet) or a file.

    Raises:
        InvalidInput: inputs that are not there, folders without media, one target file for several inputs.
    """
    problems: list[Problem] = []
    found: list[tuple[Path, Path]] = []  # the file, and its folder relative to the input that named it
    for path in inputs:
        if path.is_dir():
            files = sorted(p for p in path.rglob("*") if p.suffix.lower() in MEDIA and not _hidden(p.relative_to(path)))
            found += [(p, p.parent.relative_to(path)) for p in files]
            if not files:
                problems.append(Problem(str(path), "there is no video in this folder"))
        elif path.is_file():
            found.append((path, Path()))
        else:
            problems.append(Problem(str(path), "there is no such file"))
    if target and len(found) > 1 and (target.is_file() or target.suffix.lower() in MEDIA):
        problems.append(Problem("-o", f"{len(found)} inputs need a folder, and {target} is a file"))
    problems += _collisions(found) if target else []
    if problems:
        raise InvalidInput(str(problems[0]), problems=problems)
    several = len(found) > 1 or any(p.is_dir() for p in inputs)
    if target is None or (not several and not target.is_dir() and target.suffix):
        return [(p, target) for p, _ in found]
    return [(p, target / inside / "") for p, inside in found] if several else [(found[0][0], target)]


def _collisions(found: Sequence[tuple[Path, Path]]) -> list[Problem]:
    """Inputs of one name that would go to one place: a result is never lost to another."""
    first: dict[Path, Path] = {}
    problems = []
    for path, inside in found:
        other = first.setdefault(inside / path.name, path)
        if other is not path:
            problems.append(Problem(str(path), f"its result would have the same name as that of {other}"))
    return problems


def without_results(work: list[tuple[Path, Path | None]], names: Sequence[str]) -> list[tuple[Path, Path | None]]:
    """The same without files that are results of others among them, left there by an earlier run.

    Args:
        work: which file goes where.
        names: the templates of the pipeline's [[deliver]] tables.
    """
    made = {
        source.parent / name.format(stem=source.stem, suffix=source.suffix, pipeline="", step="")
        for source, _ in work
        for name in names
        if name != "{stem}{suffix}"
    }
    return [(source, goal) for source, goal in work if source not in made]


def stop_once() -> None:
    """Have the first Ctrl-C or SIGTERM cancel, and leave the cancelling in peace."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


@click.command("run", help="Run PIPELINE on INPUTS (files or folders), here and now, without a daemon.")
@click.argument("pipeline")
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path),
    help="A file, or a folder for several inputs. Default: beside each input.",
)
@param_option
@input_option
@click.option(
    "--also",
    multiple=True,
    metavar="NAME=FILE",
    help="Write another output of a step too: subtitles=out.srt. For several inputs, a folder.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Write a page (HTML) that shows what was done, where a step makes one. For several inputs, a folder.",
)
@click.option("--overwrite", is_flag=True, help="Replace results that exist.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    pipeline: str,
    inputs: tuple[Path, ...],
    target: Path | None,
    pairs: tuple[str, ...],
    beside: tuple[str, ...],
    also: tuple[str, ...],
    report: Path | None,
    overwrite: bool,
) -> None:
    """Process each input; go on after a bad one; exit with the first failure's code."""
    from vtid import logs
    from vtid.local import local_run

    out = output(ctx)
    params = parse_params(pairs)
    more, wanted = parse_inputs(beside), Wanted(also, report)
    work = plan(inputs, target)
    config = load_config(ctx)
    stop_once()
    logs.configure("error", config.logging.format, service="run")
    near = _folder_for(target) if target else work[0][0].parent
    code = 0
    rows: list[dict[str, Any]] = []
    with local_run(config, near) as local:
        known = local.app.pipelines.get(pipeline)
        params |= wanted.require(known, local.app.plugins.specs)
        if any(path.is_dir() for path in inputs):
            work = without_results(work, [d.name for d in known.deliver])
        task = _Task(local, out, pipeline, params, more, wanted, several=len(work) > 1, overwrite=overwrite)
        for source, goal in work:
            row = task.one(source, goal)
            rows.append(row)
            code = code or row.pop("exit_code")
    if out.as_json:
        out.json(rows if len(rows) > 1 else rows[0])
    elif len(rows) > 1:
        done = sum(r["status"] == "completed" for r in rows)
        failed = len(rows) - done
        out.say(f"{done} of {len(rows)} files done{f', {failed} failed' if failed else ''}.")
    ctx.exit(code)


def _folder_for(target: Path) -> Path:
    """The folder that a target is or lies in."""
    return target.parent if target.suffix and not target.is_dir() else target


class _Task(Struct):
    """What is done to each file."""

    local: LocalRun
    out: Output
    pipeline: str
    params: dict[str, Any]
    more: dict[str, Path]
    wanted: Wanted
    several: bool
    overwrite: bool

    def one(self, source: Path, goal: Path | None) -> dict[str, Any]:
        """Run one file; tell how it went; never raise for the file's own faults."""
        started = time.monotonic()
        row: dict[str, Any] = {"input": str(source), "output": None, "status": "failed", "exit_code": 0}
        try:
            if goal and goal.suffix and goal.is_file() and not self.overwrite:
                raise Conflict(f"{goal} exists already.", suggestion="Choose another name, or say --overwrite.")
            named = goal if goal and goal.suffix and not goal.is_dir() else None
            self.wanted.require_free(source, named, several=self.several, overwrite=self.overwrite)
            if named:
                self.local.require_ending(self.pipeline, named)
            job = self.local.submit(source, self.pipeline, self.params, self.more)
            job = watched(self.local, self.out, job.id, source.name)
            row |= {
                "status": job.status.value,
                "message": job.message,
                "steps": self.local.steps(job.id),
                "metadata": job.metadata,
            }
            if job.error:
                row |= {"error": job.error, "exit_code": 1}
                self.out.err.print(f"✗ {source.name}: {job.error.message}", style="red", markup=False)
            else:
                self._deliver(row, job, source, goal)
                row["seconds"] = round(time.monotonic() - started, 2)
                self._say(row, source, job.message)
        except VtidError as error:
            row |= {
                "status": "failed",
                "error": {"code": error.code, "message": error.message, "errors": error.problems},
                "exit_code": error.exit_code,
            }
            if not self.out.as_json:
                self.out.err.print(f"✗ {source.name}:", style="red", end=" ", markup=False)
                self.out.error(error)
        return row

    def _deliver(self, row: dict[str, Any], job: Job, source: Path, goal: Path | None) -> None:
        paths = [
            self.local.deliver(job, i, _target(source, goal, r.filename), overwrite=self.overwrite)
            for i, r in enumerate(job.results)
        ]
        row["output"] = str(paths[0]) if paths else None
        also = self.wanted.write(self.local, job.id, source, several=self.several, overwrite=self.overwrite)
        if self.wanted:
            row["also"] = {name: str(also[name]) if name in also else None for name in self.wanted.names}

    def _say(self, row: dict[str, Any], source: Path, message: str) -> None:
        lines = [f"✓ {source.name} → {row['output'] or 'nothing'}  ({row['seconds']:.1f} s)", f"  {message}"]
        lines += [f"  {name} → {path or 'nothing: this run made none'}" for name, path in row.get("also", {}).items()]
        self.out.say("\n".join(lines))


def watched(local: LocalRun, out: Output, job_id: str, name: str) -> Job:
    """Run a job under a progress bar; where nobody watches, without one."""
    if out.as_json or not out.err.is_terminal:
        return local.finish(job_id)
    columns = (
        TextColumn("{task.fields[name]}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=out.err, transient=True) as bar:
        task = bar.add_task("", total=100, name=name)
        return local.finish(job_id, lambda job: bar.update(task, completed=job.progress, description=job.message))


def _target(source: Path, goal: Path | None, filename: str) -> Path:
    """Where a result goes: the file that was named, or under its own name into the folder."""
    if goal is None:
        return source.parent / filename
    return goal if goal.suffix and not goal.is_dir() else goal / filename
