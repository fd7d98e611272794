"""`vtid submit`: a file and a pipeline for the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vtid.cli.local import json_option, output
from vtid.cli.output import Output
from vtid.cli.remote import connect, url_option
from vtid.errors import Conflict, InvalidInput, Problem, StepFailed

if TYPE_CHECKING:
    from vtid.cli.remote import Remote


@click.command("submit", help="Upload FILE to the daemon and make a job of it with PIPELINE.")
@click.argument("pipeline")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-p",
    "--param",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the pipeline; JSON, text, or @file.json. Repeatable.",
)
@click.option("--name", "display_name", help="What to call the job.")
@click.option("--wait", is_flag=True, help="Follow the job to its end; exit code 1 unless it completes.")
@click.option(
    "--download",
    "target",
    type=click.Path(path_type=Path),
    help="Fetch the result to this file or folder; waits for it.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that --download would write over.")
@url_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    pipeline: str,
    file: Path,
    pairs: tuple[str, ...],
    display_name: str | None,
    wait: bool,
    target: Path | None,
    overwrite: bool,
) -> None:
    """Upload, and where it is wanted wait and fetch; the job's id is the first thing that is said."""
    from vtid.cli.run import parse_params
    from vtid.cli.watching import ending, watch

    out = output(ctx)
    params = parse_params(pairs)
    _require(file, target)
    if target and not target.is_dir():
        require_free(target, overwrite=overwrite)
    remote = connect(ctx)
    job = upload(out, remote, pipeline, file, params, display_name=display_name)
    if not out.as_json:
        out.say(job["job_id"])
    if not wait and target is None:
        if out.as_json:
            out.json(job)
        return
    job = watch(out, remote, job["job_id"])
    saved = None
    if job["status"] == "completed" and target is not None:
        saved = fetch(out, remote, job, _target(target, job, file), overwrite=overwrite)
    if out.as_json:
        out.json(job | ({"saved": saved} if saved else {}))
    else:
        out.say(ending(job) + (f"\n{saved}" if saved else ""))
    ctx.exit(0 if job["status"] == "completed" else StepFailed.exit_code)


def upload(
    out: Output, remote: Remote, pipeline: str, file: Path, params: dict[str, Any], *, display_name: str | None = None
) -> dict[str, Any]:
    """Submit a file, showing how much of it has gone out."""
    from vtid.cli.watching import transfer

    size = file.stat().st_size
    with transfer(out, f"uploading {file.name}", size) as show:
        return remote.submit(pipeline, file, params, display_name=display_name, sent=lambda count: show(count, size))


def fetch(out: Output, remote: Remote, job: dict[str, Any], target: Path, *, overwrite: bool) -> Path:
    """Download a job's result, showing how much of it has come. Raises `Conflict` where it would write over a file."""
    from vtid.cli.watching import transfer

    require_free(target, overwrite=overwrite)
    with transfer(out, f"downloading {target.name}", 0) as show:
        return remote.download(result_url(job), target, show)


def require_free(target: Path, *, overwrite: bool) -> None:
    """Keep a file that is there: into the folder of the source, a result may come back under the source's own name."""
    if target.exists() and not overwrite:
        raise Conflict(f"{target} exists already.", suggestion="Choose another name, or say --overwrite.")


def result_url(job: dict[str, Any]) -> str:
    """Where the job's result is. Raises `InvalidInput` where it has none."""
    url = job.get("result_url") or job.get("output_url")
    if not url:
        raise InvalidInput(f"Job {job['job_id']} has no result: its pipeline delivers nothing.")
    return str(url)


def _require(file: Path, target: Path | None) -> None:
    """Refuse what can be seen to be wrong before anything is sent."""
    problems = [] if file.is_file() else [Problem(str(file), "there is no such file")]
    if target and not target.parent.is_dir():
        problems.append(Problem("--download", f"there is no folder {target.parent}"))
    if problems:
        raise InvalidInput("; ".join(map(str, problems)), problems=problems)


def _target(target: Path, job: dict[str, Any], file: Path) -> Path:
    """The file that was named, or one in the folder that was named, called as the daemon calls the result."""
    if not target.is_dir():
        return target
    from urllib.parse import unquote, urlsplit

    name = Path(unquote(urlsplit(result_url(job)).path)).name
    return target / (name or file.name)
