"""`vtid models`: add, list, remove and check the model files that steps may use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vtid.cli.local import json_option, load_config, output
from vtid.errors import InvalidInput, Problem, did_you_mean

if TYPE_CHECKING:
    from vtid.config import Config
    from vtid.models import Record, Standing, Store
    from vtid.models.store import Inspect
    from vtid.sdk import ModelKind


@click.group("models", invoke_without_command=True, help="Add, list, remove and check models. Without a command: list.")
@json_option
@click.pass_context
def command(ctx: click.Context) -> None:
    """List where nothing else was said."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_models)


@command.command("add", help="Try a model file, copy it to the models, and write down its licence. Downloads nothing.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--kind", required=True, help="What it is for; `vtid models kinds` lists them.")
@click.option("--name", required=True, help='What jobs call it: "model:NAME".')
@click.option("--license", "licence", required=True, help="SPDX identifier (Apache-2.0), or the licence's name.")
@click.option("--source", default="", help="Where the file comes from, for the record.")
@click.option(
    "--commercial/--non-commercial", default=None, help="What the licence allows, where its name alone does not say."
)
@json_option
@click.pass_context
def add_model(
    ctx: click.Context, file: Path, kind: str, name: str, licence: str, source: str, commercial: bool | None
) -> None:
    """Add a model; it is run once on a small array first."""
    from vtid.models import allows_commerce

    out = output(ctx)
    config = load_config(ctx)
    record = _store(config).add(
        file,
        _kind(config, kind).inspect,
        name=name,
        kind=kind,
        licence=licence,
        commercial=allows_commerce(licence, commercial),
        source=source,
    )
    if out.as_json:
        out.json(record)
        return
    out.say(f"Added {record.name}: {record.kind}, {_terms(record)}, {record.size / 1e6:.1f} MB.")
    for port, words in record.layout.items():
        out.say(f"  {port}: {words}")
    out.say(f'Jobs name it "model:{record.name}".')


@command.command("list", help="Every model: what it is for, its licence, and whether it can be used.")
@json_option
@click.pass_context
def list_models(ctx: click.Context) -> None:
    """Every model, usable or not."""
    out = output(ctx)
    standings = list(_store(load_config(ctx)).standings())
    if out.as_json:
        out.json([_facts(standing) for standing in standings])
        return
    if not standings:
        out.say("There are no models. vtid needs none; docs/models.md says what one may add.")
        return
    rows = [_row(standing) for standing in standings]
    out.table(("MODEL", "KIND", "LICENCE", "SIZE", "SOURCE", "STATE"), rows)


@command.command("kinds", help="What models can be used for.")
@json_option
@click.pass_context
def list_kinds(ctx: click.Context) -> None:
    """The kinds that the plugins know."""
    out = output(ctx)
    kinds = _kinds(load_config(ctx))
    if out.as_json:
        out.json([{"name": kind.name, "about": kind.about} for kind in kinds.values()])
        return
    out.table(("KIND", "WHAT IT IS"), [(kind.name, kind.about) for kind in kinds.values()])


@command.command("remove", help="Delete a model. Jobs that name it fail from then on.")
@click.argument("name")
@json_option
@click.pass_context
def remove_model(ctx: click.Context, name: str) -> None:
    """Delete a model."""
    out = output(ctx)
    _store(load_config(ctx)).remove(name)
    if out.as_json:
        out.json({"removed": name})
    else:
        out.say(f"Removed {name}.")


@command.command("check", help="Compare every model with its record, and try it. Exit code 1 where one cannot be used.")
@json_option
@click.pass_context
def check_models(ctx: click.Context) -> None:
    """SHA-256, licence, and one run each."""
    out = output(ctx)
    config = load_config(ctx)
    kinds = _kinds(config)

    def inspect(record: Record) -> Inspect | None:
        kind = kinds.get(record.kind)
        return kind.inspect if kind else None

    standings = list(_store(config).standings(inspect))
    bad = [standing for standing in standings if standing.problem]
    if out.as_json:
        out.json({"ok": not bad, "models": [_facts(standing) for standing in standings]})
    else:
        for standing in standings:
            out.say(f"✗ {standing.name}: {standing.problem}" if standing.problem else f"✓ {standing.name}")
        if not standings:
            out.say("There are no models.")
    ctx.exit(1 if bad else 0)


def _store(config: Config) -> Store:
    from vtid.models import Store

    return Store(config.models_path, allow_non_commercial=config.models.allow_non_commercial)


def _kinds(config: Config) -> dict[str, ModelKind]:
    from vtid import plugins

    return plugins.load(config).model_kinds


def _kind(config: Config, name: str) -> ModelKind:
    kinds = _kinds(config)
    if name not in kinds:
        known = f"known: {', '.join(kinds)}" if kinds else "no plugin that is loaded uses models"
        words = f'there is no kind of model "{name}"{did_you_mean(name, kinds) or "; " + known}'
        raise InvalidInput(f"--kind: {words}", problems=[Problem("--kind", words)])
    return kinds[name]


def _terms(record: Record) -> str:
    return record.licence if record.commercial else f"{record.licence} (non-commercial)"


def _row(standing: Standing) -> tuple[str, ...]:
    record, state = standing.record, standing.problem or "ok"
    if record is None:
        return (standing.name, "–", "–", "–", "–", state)
    size = f"{record.size / 1e6:.1f} MB"
    return (record.name, record.kind, _terms(record), size, record.source or "–", state)


def _facts(standing: Standing) -> dict[str, object]:
    import msgspec

    record = msgspec.to_builtins(standing.record) if standing.record else {"name": standing.name}
    return {**record, "usable": not standing.problem, "problem": standing.problem}
