"""`vtid compose`: a film of clips, text and sound, as a document describes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec import Struct

from vtid.cli import otio
from vtid.cli.local import json_option, load_config, output
from vtid.cli.output import Output
from vtid.cli.run import stop_once, watched
from vtid.complaints import complaints
from vtid.domain.composition import ASSET, WEB, with_files_renamed
from vtid.domain.merging import filled, read_json, table
from vtid.errors import Conflict, InvalidInput, Problem, StepFailed, VtidError

if TYPE_CHECKING:
    from vtid.domain.job import Job
    from vtid.local import LocalRun
    from vtid.net import Reach

RENDER, CHECK = "compose", "compose-plan"
STEP = "film"
"""The id of the one step in both pipelines, with which complaints about its params begin."""


class _Film(Struct, frozen=True):
    """One to be made, or looked at."""

    document: dict[str, Any]
    """Each file in it is called `asset:N`."""
    files: dict[str, Path]
    """By the source of the job."""
    urls: dict[str, str]
    """The same for files that have to be fetched."""
    places: dict[str, str]
    """Where in the document each is named."""
    problems: list[Problem]
    """With files that are not there, and URLs that may not be fetched."""
    goal: Path | None = None


@click.command(
    "compose",
    help="Make the film that SPEC (JSON, or a timeline: .otio) describes. Files in it are looked for beside it.",
)
@click.argument("spec", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    "target",
    type=click.Path(path_type=Path),
    help="Where the film goes; a folder with --data. Default: beside SPEC.",
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="CSV or JSON with a row of values for each film: SPEC-1, SPEC-2 …"
)
@click.option(
    "--convert",
    "other",
    type=click.Path(path_type=Path),
    help="Only write SPEC as a timeline of OpenTimelineIO (.otio), or one of these as a document (.json).",
)
@click.option("--check", "checking", is_flag=True, help="Only say what is wrong with it, files and fonts included.")
@click.option("--explain", is_flag=True, help="Only say what would be copied, what rendered, and why.")
@click.option("--overwrite", is_flag=True, help="Replace a film that exists.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    spec: Path,
    target: Path | None,
    data: Path | None,
    other: Path | None,
    checking: bool,
    explain: bool,
    overwrite: bool,
) -> None:
    """Render, or only look; tell what came of it. All documents of a batch are read before the first film is made."""
    from vtid import logs
    from vtid.local import local_run
    from vtid.net import Reach

    out = output(ctx)
    raw, unmapped = otio.imported(spec) if spec.suffix.lower() == otio.OTIO else (_document(spec), ())
    if other is not None:
        otio.check_conversion(spec, other, overwrite=overwrite)
        if data is not None:
            raise _wrong("--convert", "takes one document, and no --data")
        if spec.suffix.lower() == otio.OTIO:
            otio.write_document(other, raw, spec)
            _tell_conversion(out, other, unmapped)
            return
    config = load_config(ctx)
    reach = Reach(config.net.allow)
    films: list[_Film] = []
    for number, values in enumerate(_rows(data), start=1):
        film = _film(spec, filled(raw, values, f"{data} row {number}" if data else ""), reach)
        wanted = _numbered(spec, target, number, film.document) if data else target
        goal = None if checking or explain or other else _goal(spec, wanted, film.document, overwrite=overwrite)
        films.append(msgspec.structs.replace(film, goal=goal))
    stop_once()
    logs.configure("error", config.logging.format, service="compose")
    reports = []
    with local_run(config, (films[0].goal or spec).absolute().parent) as local:
        _require_form(local, films)
        for film in films:
            job = _run(local, out, spec.name, film)
            if film.goal:
                local.deliver(job, 0, film.goal, overwrite=overwrite)
            report = job.metadata[STEP]["report"]
            reports.append(report | {"output": str(film.goal) if film.goal else None, "unmapped": list(unmapped)})
            if other is not None:
                _tell_conversion(out, other, otio.write_timeline(other, filled(raw), spec, report))
                return
            if not out.as_json:
                for words in unmapped:
                    out.say(f"  not in the film: {words}")
                _tell(out, report, film.goal, in_order=spec if checking else None)
    if out.as_json:
        out.json(reports if data else reports[0])


def _rows(data: Path | None) -> Sequence[dict[str, Any]]:
    """The rows of a batch; without one, a single row that says nothing."""
    if data is None:
        return [{}]
    try:
        return table(data.read_bytes(), data.name)
    except OSError as error:
        raise _wrong(str(data), f"cannot be read: {error.strerror}") from error


def _numbered(spec: Path, folder: Path | None, number: int, document: dict[str, Any]) -> Path:
    """Where a film of a batch goes."""
    settings = document.get("output")
    ending = settings.get("format", "mp4") if isinstance(settings, dict) else "mp4"
    if folder is not None and not folder.is_dir():
        raise _wrong("-o", f"{folder} is no folder; with --data there may be several films")
    return (folder or spec.parent) / f"{spec.stem}-{number}.{ending}"


def _run(local: LocalRun, out: Output, name: str, film: _Film) -> Job:
    """The job, done. Raises `InvalidInput` where the document is wrong, with its places as the document has them."""
    try:
        submitted = local.submit(None, RENDER if film.goal else CHECK, film.document, film.files, film.urls)
    except InvalidInput as error:
        raise _in_the_documents_words(error.message, error.problems, film) from error
    job = watched(local, out, submitted.id, name)
    if job.error and job.error.problems:
        raise _in_the_documents_words(job.error.message, job.error.problems, film)
    if job.error:
        raise StepFailed(job.error.message, suggestion=job.error.suggestion)
    return job


def _require_form(local: LocalRun, films: Sequence[_Film]) -> None:
    """Raise `InvalidInput` with all that can be said of a document before its files are looked at."""
    composer = local.app.plugins.specs[local.app.pipelines.get(CHECK).steps[0].uses]
    for film in films:
        if found := [*complaints(film.document, composer.params, ""), *film.problems]:
            raise _in_the_documents_words("", found, film)


def _in_the_documents_words(message: str, problems: Sequence[Problem], film: _Film) -> InvalidInput:
    """A complaint of the pipeline, or about one of its files, with the places of the document."""
    fetched = {f"{source}_url": place for source, place in film.places.items()} | film.places
    named = [
        Problem(
            fetched.get(one.field, one.field.removeprefix(f"{STEP}.").removeprefix("params.").removeprefix(".")),
            one.message,
            one.code,
        )
        for one in problems
    ]
    return InvalidInput(str(named[0]) if named else message, problems=named)


def _document(spec: Path) -> dict[str, Any]:
    """The document as it is written. Raises `InvalidInput` where it cannot be read or is no JSON."""
    try:
        document = read_json(spec.read_bytes(), str(spec))
    except OSError as error:
        raise _wrong(str(spec), f"cannot be read: {error.strerror}") from error
    if not isinstance(document, dict):
        raise _wrong(str(spec), "is no JSON object with clips in it")
    return document


def _film(spec: Path, document: dict[str, Any], reach: Reach) -> _Film:
    """The document with its files called `asset:N`, and these files."""
    from vtid.net import check_url

    found = _Film(document, {}, {}, {}, [])
    known: dict[str, str] = {}

    def named(value: str, place: str, machine: bool) -> str:
        path = spec.parent / value
        if not value or value.startswith(ASSET) or (machine and not value.startswith(WEB) and not _is_file(path)):
            return value
        source = f"file_{len(known) + 1}"
        try:
            if value.startswith(WEB):
                key = str(check_url(value, place, reach))
                found.urls[known.setdefault(key, source)] = key
            elif _is_file(path):
                key = str(path.resolve())
                found.files[known.setdefault(key, source)] = Path(key)
            else:
                found.problems.append(Problem(place, f"there is no file {path}", "unknown"))
                return value
        except InvalidInput as error:
            found.problems.extend(error.problems)
            return value
        found.places.setdefault(known[key], place)
        return ASSET + known[key].removeprefix("file_")

    return msgspec.structs.replace(found, document=with_files_renamed(document, named))


def _is_file(path: Path) -> bool:
    """Whether there is one that may be looked at; a name may be longer than names can be."""
    try:
        return path.is_file()
    except OSError:
        return False


def _goal(spec: Path, target: Path | None, document: dict[str, Any], *, overwrite: bool) -> Path:
    """Where the film goes; its ending is the document's format, and where that says none, the other way round."""
    output = document.setdefault("output", {})
    if not isinstance(output, dict):
        return target or spec.with_suffix(".mp4")
    if target and target.suffix and "format" not in output:
        output["format"] = target.suffix[1:].lower()
    ending = f".{output.get('format', 'mp4')}"
    goal = target or spec.with_suffix(ending)
    try:
        if goal.is_dir():
            goal /= spec.with_suffix(ending).name
        exists = goal.exists()
    except OSError as error:
        raise _wrong("-o", f"{goal} cannot be written: {error.strerror}") from error
    if goal.suffix.lower() != ending:
        raise _wrong("-o", f"the document's output.format is {ending[1:]}, so call it {goal.with_suffix(ending)}")
    if exists and not overwrite:
        raise Conflict(f"{goal} exists already.", suggestion="Choose another name, or say --overwrite.")
    return goal


def _wrong(place: str, words: str) -> VtidError:
    problem = Problem(place, words)
    return InvalidInput(str(problem), problems=[problem])


def _tell_conversion(out: Output, target: Path, unmapped: Sequence[str]) -> None:
    if out.as_json:
        out.json({"output": str(target), "unmapped": list(unmapped)})
        return
    out.say(f"✓ {target}.")
    for words in unmapped:
        out.say(f"  not mapped: {words}")


def _tell(out: Output, report: dict[str, Any], goal: Path | None, in_order: Path | None) -> None:
    if in_order:
        out.say(f"{in_order} is in order: {_facts(report)}.")
    elif goal:
        loud = f", {report['loudness']:.1f} LUFS" if report["loudness"] is not None else ""
        out.say(f"✓ {goal}: {_facts(report)}{loud}, {_maker(report)} in {report['seconds']:.1f} s.")
    else:
        out.say(f"It would be {_facts(report)}.")
    rows = [
        (f"{one['start_s']:.2f}", f"{one['end_s']:.2f}", "copied" if one["copied"] else "rendered", one["why"])
        for one in report["pieces"]
    ]
    if goal is None and in_order is None:
        out.table(("FROM", "TO", "", "WHY"), rows)
    _tell_warnings(out, report)


def _maker(report: dict[str, Any]) -> str:
    return f"by {report['encoder']}" if report["encoder"] else "copied bit for bit"


def _tell_warnings(out: Output, report: dict[str, Any]) -> None:
    for words in report["warnings"]:
        out.say(f"  note: {words}")


def _facts(report: dict[str, Any]) -> str:
    if not report["seen"]:
        return f"sound alone, {report['duration_s']:g} s"
    size = f"{report['width']}×{report['height']}"
    if report["frames"] == 1:
        return f"{size}, one picture"
    return f"{size}, {report['fps']:g} frames per second, {report['duration_s']:g} s, {report['frames']} frames"
