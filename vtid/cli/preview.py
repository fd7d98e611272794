"""`vtid preview`: where text is in a video and what it says, and one picture without it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vtid.cli.local import json_option, load_config, output
from vtid.cli.output import Output
from vtid.cli.pairs import input_option, param_option, parse_inputs, parse_params
from vtid.cli.run import stop_once, watched
from vtid.errors import Conflict, InvalidInput, Problem, StepFailed

if TYPE_CHECKING:
    from vtid.domain.job import Job

PIPELINE = "preview-text"


@click.command("preview", help="Say where text is in VIDEO and what it says; with --at, show a picture without it.")
@click.argument("video", type=click.Path(path_type=Path))
@click.option("--at", type=float, metavar="SECONDS", help="Look around this time only, and clean the picture there.")
@click.option(
    "-o", "--output", "target", type=click.Path(path_type=Path), help="Where the picture goes (PNG). Needs --at."
)
@param_option
@input_option
@click.option("--overwrite", is_flag=True, help="Replace a picture that exists.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    video: Path,
    at: float | None,
    target: Path | None,
    pairs: tuple[str, ...],
    beside: tuple[str, ...],
    overwrite: bool,
) -> None:
    """Look; print a table, or the report as JSON; write the picture."""
    from vtid import logs
    from vtid.local import local_run

    out = output(ctx)
    params = parse_params(pairs) | ({"at_s": at} if at is not None else {})
    more = parse_inputs(beside)
    _require(video, at, target)
    config = load_config(ctx)
    stop_once()
    logs.configure("error", config.logging.format, service="preview")
    place = (target or video.with_name(f"{video.stem}.preview.png")) if at is not None else None
    if place and place.exists() and not overwrite:
        raise Conflict(f"{place} exists already.", suggestion="Choose another name, or say --overwrite.")
    with local_run(config, place.parent if place else _scratch(video)) as local:
        job = watched(local, out, local.submit(video, PIPELINE, params, more).id, video.name)
        if job.error:
            raise StepFailed(job.error.message, suggestion=job.error.suggestion)
        if place:
            local.deliver(job, 0, place, overwrite=overwrite)
    _tell(out, job, place)


def _scratch(video: Path) -> Path:
    """Beside the video, where it needs no copy; elsewhere if nothing can be written there."""
    return video.parent if os.access(video.parent, os.W_OK) else Path(tempfile.gettempdir())


def _require(video: Path, at: float | None, target: Path | None) -> None:
    problems = [] if video.is_file() else [Problem(str(video), "there is no such file")]
    if target and at is None:
        problems.append(Problem("-o", "a picture needs a time: say --at SECONDS"))
    if target and target.suffix.lower() != ".png":
        problems.append(Problem("-o", f"the picture is a PNG; call it {target.with_suffix('.png')}"))
    if problems:
        raise InvalidInput(str(problems[0]), problems=problems)


def _tell(out: Output, job: Job, picture: Path | None) -> None:
    report: dict[str, Any] = job.metadata["look"]["report"]
    if out.as_json:
        out.json(report | {"still": str(picture) if picture else None})
        return
    rows = [
        (
            f"{one['start_s']:.2f}",
            f"{one['end_s']:.2f}",
            one["kind"],
            "goes" if one["goes"] else "stays",
            (one["text"] or "(not read)").replace("\n", " / "),
        )
        for one in report["found"]
    ]
    if rows:
        out.table(("FROM", "TO", "WHAT", "", "TEXT"), rows)
    else:
        out.say("No text was found.")
    if picture:
        out.say(f"The picture at {report['at_s']:.2f} s without it: {picture}")
