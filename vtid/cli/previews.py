"""`vtid previews`: what an editor needs of a file, into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vtid.cli.local import json_option, load_config, output
from vtid.cli.output import Output
from vtid.cli.run import stop_once, watched
from vtid.errors import Conflict, InvalidInput, Problem, StepFailed

PIPELINES = {"video": "previews", "audio": "previews-audio"}
STILLS = "stills"


@click.command("previews", help="Prepare FILE for an editor: frame times, a proxy, a waveform, thumbnails, shots.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path), help="Where they go. Default: FILE.previews beside it."
)
@click.option(
    "--still", "stills", type=float, multiple=True, metavar="SECONDS", help="Only the picture there. Repeatable."
)
@click.option("--overwrite", is_flag=True, help="Replace what is in the folder.")
@json_option
@click.pass_context
def command(ctx: click.Context, *, file: Path, folder: Path | None, stills: tuple[float, ...], overwrite: bool) -> None:
    """Make them; tell what there is."""
    from vtid import logs
    from vtid.local import local_run
    from vtid.media import probe

    out = output(ctx)
    if not file.is_file():
        problem = Problem(str(file), "there is no such file")
        raise InvalidInput(str(problem), problems=[problem])
    kind = probe(file).kind
    if kind not in PIPELINES or (stills and kind != "video"):
        problem = Problem(str(file), f"is {'a still picture' if kind == 'image' else 'sound without a picture'}")
        raise InvalidInput(f"{problem}; give a video", problems=[problem])
    target = folder or file.with_name(f"{file.name}.previews")
    config = load_config(ctx)
    stop_once()
    logs.configure("error", config.logging.format, service="previews")
    with local_run(config, target) as local:
        params: dict[str, Any] = {"at": list(stills)} if stills else {}
        pipeline = STILLS if stills else PIPELINES[kind]
        if kind == "audio":
            submitted = local.submit(None, pipeline, params, {"audio": file})
        else:
            submitted = local.submit(file, pipeline, params)
        job = watched(local, out, submitted.id, file.name)
        if job.error:
            raise StepFailed(job.error.message, suggestion=job.error.suggestion)
        made = local.artifacts(job.id)
        if there := [one.filename for one in made if (target / one.filename).exists() and not overwrite]:
            raise Conflict(f"{target} holds {', '.join(there)} already.", suggestion="Say --overwrite, or -o.")
        paths = [local.write(one, target / one.filename, overwrite=overwrite) for one in made]
    _tell(out, target, paths, {step: told for step, told in job.metadata.items() if isinstance(told, dict)})


def _tell(out: Output, folder: Path, paths: list[Path], report: dict[str, Any]) -> None:
    if out.as_json:
        out.json({"folder": str(folder), "files": [path.name for path in paths], "report": report})
        return
    out.say(f"✓ {folder}")
    out.table(("FILE", "BYTES"), [(path.name, str(path.stat().st_size)) for path in paths])
