"""`vtid pipelines`: which there are, what they do, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vtid.cli.local import json_option, load_config, output
from vtid.cli.output import Output
from vtid.cli.plugins import params_of, say_params, shown
from vtid.errors import ConfigError, InvalidInput, Problem

if TYPE_CHECKING:
    from vtid.domain.pipeline import Pipeline, Step
    from vtid.pipelines import PipelineRecord, Pipelines
    from vtid.plugins import Plugins


@click.group("pipelines", invoke_without_command=True, help="List, show and check pipelines. Without a command: list.")
@json_option
@click.pass_context
def command(ctx: click.Context) -> None:
    """List where nothing else was said."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_pipelines)


@command.command("list", help="Every pipeline, those that cannot run included, with the reason.")
@json_option
@click.pass_context
def list_pipelines(ctx: click.Context) -> None:
    """Every pipeline, ready or not."""
    out = output(ctx)
    records = _load(ctx)[0].records
    if out.as_json:
        out.json([_facts(record) for record in records])
        return
    if not records:
        out.say("There is no pipeline in the folders of [pipelines] dirs.")
        return
    out.table(("PIPELINE", "STATUS", "TITLE"), [(r.name, status(r), r.title) for r in records])
    for record in records:
        if record.problems:
            out.say(f"\n{record.name} is broken:\n" + "\n".join(f"  • {p}" for p in record.problems))
        elif record.unavailable:
            out.say(f"\n{record.name} is unavailable: {record.unavailable}")


@command.command("show", help="One pipeline: its steps, how they are wired, its params with their defaults.")
@click.argument("name")
@json_option
@click.pass_context
def show_pipeline(ctx: click.Context, name: str) -> None:
    """One pipeline in full."""
    out = output(ctx)
    pipelines, plugins = _load(ctx)
    record = pipelines.record(name)
    if out.as_json:
        steps = [_step_facts(record.pipeline, s, plugins) for s in record.pipeline.steps] if record.pipeline else []
        about = {"params": record.pipeline.params, "deliver": record.pipeline.deliver} if record.pipeline else {}
        out.json(_facts(record) | about | {"steps": steps})
        return
    out.say(f"{record.name}  {status(record)}\n{record.title}\n{record.file}")
    for problem in record.problems:
        out.say(f"  • {problem}")
    if record.unavailable:
        out.say(f"  unavailable: {record.unavailable}")
    if record.pipeline:
        _say_pipeline(out, record.pipeline, plugins)


@command.command("check", help="Check the pipelines that are named, or all that there are. Exit code 4 on problems.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@json_option
@click.pass_context
def check_pipelines(ctx: click.Context, files: tuple[Path, ...]) -> None:
    """Every problem, each with its file and key."""
    out = output(ctx)
    records = _records_of(ctx, files) if files else list(_load(ctx)[0].records)
    problems = [problem for record in records for problem in record.problems]
    if out.as_json:
        facts = [_facts(record) for record in records]
        out.json({"ok": not problems, "pipelines": facts, "problems": [_problem_facts(p) for p in problems]})
    else:
        for record in records:
            _say_verdict(out, record)
    ctx.exit(ConfigError.exit_code if problems else 0)


def status(record: PipelineRecord) -> str:
    """A pipeline's state in a word."""
    if record.problems:
        return "broken"
    return "unavailable" if record.unavailable else "ready"


def _load(ctx: click.Context) -> tuple[Pipelines, Plugins]:
    from vtid import pipelines, plugins

    config = load_config(ctx)
    loaded = plugins.load(config)
    return pipelines.load(config.pipelines.dirs, loaded), loaded


def _records_of(ctx: click.Context, files: tuple[Path, ...]) -> list[PipelineRecord]:
    """Records of files that may lie anywhere.

    Raises:
        InvalidInput: a file is not there or is no .toml, all of them told.
    """
    from vtid import pipelines, plugins

    problems = [Problem(str(f), "there is no such file") for f in files if not f.is_file()]
    problems += [Problem(str(f), "a pipeline is a .toml file") for f in files if f.is_file() and f.suffix != ".toml"]
    if problems:
        raise InvalidInput("; ".join(map(str, problems)), problems=problems)
    loaded = plugins.load(load_config(ctx))
    return [pipelines.load([file.parent], loaded).record(file.stem) for file in files]


def _facts(record: PipelineRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "title": record.title,
        "description": record.pipeline.description if record.pipeline else "",
        "status": status(record),
        "file": record.file,
        "unavailable": record.unavailable,
        "problems": [_problem_facts(p) for p in record.problems],
    }


def _problem_facts(problem: Problem) -> dict[str, Any]:
    return {"file": problem.file, "field": problem.field, "message": problem.message, "code": problem.code}


def _say_verdict(out: Output, record: PipelineRecord) -> None:
    if record.problems:
        out.say(f"✗ {record.name}  {record.file}")
        for problem in record.problems:
            out.say(f"    {problem.field or 'the file'}: {problem.message}")
    elif record.unavailable:
        out.say(f"✓ {record.name}  nothing is wrong with it, yet it cannot run: {record.unavailable}")
    else:
        out.say(f"✓ {record.name}")


def _wiring(pipeline: Pipeline, step: Step, plugins: Plugins) -> dict[str, list[str]]:
    """Input to where it comes from, what vtid adds by itself included."""
    from vtid.domain.pipeline import wire

    spec = plugins.specs.get(step.uses)
    if spec is None:
        return {name: [refs] if isinstance(refs, str) else refs for name, refs in step.inputs.items()}
    wired: dict[str, list[str]] = {}
    for port in spec.inputs:
        said = step.inputs.get(port.name)
        refs = [said] if isinstance(said, str) else said or wire(pipeline, step, port, plugins.specs)
        if refs:
            wired[port.name] = refs
    return wired


def _step_facts(pipeline: Pipeline, step: Step, plugins: Plugins) -> dict[str, Any]:
    spec = plugins.specs.get(step.uses)
    return {
        "id": step.id,
        "title": step.title or step.id,
        "uses": step.uses,
        "when": step.when,
        "inputs": _wiring(pipeline, step, plugins),
        "outputs": spec.outputs if spec else [],
        "with": step.with_,
        "bind": step.bind,
        "params": list(params_of(spec)) if spec else [],
        "retries": step.retries,
        "on_error": step.on_error,
        "labels": step.labels,
    }


def _say_pipeline(out: Output, pipeline: Pipeline, plugins: Plugins) -> None:
    if pipeline.description:
        out.say(f"\n{pipeline.description}")
    for step in pipeline.steps:
        _say_step(out, pipeline, step, plugins)
    if pipeline.params:
        out.say("\nparams of the job")
    for name, param in pipeline.params.items():
        out.say(f"    {name}  (default {shown(param.default)})" + (f"\n        {param.help}" if param.help else ""))
    for deliver in pipeline.deliver:
        out.say(f"\ndelivers  {' or '.join(deliver.references)}  as {deliver.name}")


def _say_step(out: Output, pipeline: Pipeline, step: Step, plugins: Plugins) -> None:
    out.say(f"\nstep {step.id}  uses {step.uses}" + (f", when {step.when}" if step.when else ""))
    for name, refs in _wiring(pipeline, step, plugins).items():
        out.say(f"    {name} ← {' or '.join(refs)}")
    for name, ref in step.bind.items():
        out.say(f"    {name} ← {ref}")
    if spec := plugins.specs.get(step.uses):
        say_params(out, spec, step.with_)
