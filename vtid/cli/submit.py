"""`vtid submit`: a file and a pipeline for the daemon."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from vtid.cli.local import json_option, output
from vtid.cli.output import Output
from vtid.cli.pairs import input_option, param_option, parse_inputs, parse_params
from vtid.cli.remote import connect, url_option
from vtid.client.talk import result_path, result_url
from vtid.errors import Conflict, InvalidInput, Problem, StepFailed

if TYPE_CHECKING:
    from vtid.cli.remote import Remote


@click.command("submit", help="Make a job of SOURCE, a file or a URL, with PIPELINE.")
@click.argument("pipeline")
@click.argument("source", metavar="SOURCE")
@param_option
@input_option
@click.option("--name", "display_name", help="What to call the job.")
@click.option("--callback", "callback_url", metavar="URL", help="Have this URL told, signed, when the job has ended.")
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
    source: str,
    pairs: tuple[str, ...],
    beside: tuple[str, ...],
    display_name: str | None,
    callback_url: str | None,
    wait: bool,
    target: Path | None,
    overwrite: bool,
) -> None:
    """Upload, and where it is wanted wait and fetch; the job's id is the first thing that is said."""
    from vtid.cli.watching import ending, watch

    out = output(ctx)
    params, more = parse_params(pairs), parse_inputs(beside)
    file = None if source.startswith(("http://", "https://")) else Path(source)
    if file is None and more:
        words = "files can go beside a file, not beside a URL"
        raise InvalidInput(words, problems=[Problem("-i", words)])
    _require(file, target)
    if target and not target.is_dir():
        require_free(target, overwrite=overwrite)
    remote = connect(ctx)
    if file is None:
        job = remote.submit(pipeline, params, url=source, display_name=display_name, callback_url=callback_url)
    else:
        job = upload(
            out, remote, pipeline, file, params, beside=more, display_name=display_name, callback_url=callback_url
        )
    if not out.as_json:
        out.say(job["job_id"])
    if not wait and target is None:
        if out.as_json:
            out.json(job)
        return
    job = watch(out, remote, job["job_id"])
    saved = None
    if job["status"] == "completed" and target is not None:
        saved = fetch(out, remote, job, result_path(target, result_url(job)), overwrite=overwrite)
    if out.as_json:
        out.json(job | ({"saved": saved} if saved else {}))
    else:
        out.say(ending(job) + (f"\n{saved}" if saved else ""))
    ctx.exit(0 if job["status"] == "completed" else StepFailed.exit_code)


def upload(
    out: Output,
    remote: Remote,
    pipeline: str,
    file: Path,
    params: dict[str, Any],
    *,
    beside: Mapping[str, Path] = MappingProxyType({}),
    display_name: str | None = None,
    callback_url: str | None = None,
) -> dict[str, Any]:
    """Submit a file and those beside it, showing how much of them has gone out."""
    from vtid.cli.watching import transfer

    size = sum(one.stat().st_size for one in (file, *beside.values()))
    with transfer(out, f"uploading {file.name}", size) as show:
        return remote.submit(
            pipeline,
            params,
            file=file,
            beside=beside,
            display_name=display_name,
            callback_url=callback_url,
            sent=lambda count: show(count, size),
        )


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


def _require(file: Path | None, target: Path | None) -> None:
    """Refuse what can be seen to be wrong before anything is sent."""
    problems = [] if file is None or file.is_file() else [Problem(str(file), "there is no such file")]
    if target and not target.parent.is_dir():
        problems.append(Problem("--download", f"there is no folder {target.parent}"))
    if problems:
        raise InvalidInput("; ".join(map(str, problems)), problems=problems)
