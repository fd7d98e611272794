"""`vtid check`: whether the daemon could start and work, with every problem at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct

from vtid.cli.local import json_option, output
from vtid.cli.output import Output
from vtid.errors import ConfigError, Problem, VtidError

if TYPE_CHECKING:
    from vtid.config import Config
    from vtid.pipelines import Pipelines
    from vtid.plugins import Plugins

AREAS = ("configuration", "plugins", "presets", "pipelines", "watches", "storage", "database", "queue")
ANSWER_S = 10.0
"""A database or queue that has not answered by then does not answer."""


class Finding(Struct, frozen=True):
    """Something to tell: a problem, or a note on what is as it should be and yet good to know."""

    area: str
    file: str | None
    field: str
    message: str
    problem: bool = True


@click.command(
    "check",
    help="Check the configuration, plugins, pipelines, hot folders, storage, database, queue. Exit code 4 on problems.",
)
@click.option("--show", is_flag=True, help="Print the configuration that holds, its secrets masked.")
@json_option
@click.pass_context
def command(ctx: click.Context, show: bool) -> None:
    """Tell all there is to tell; a problem in one place hides none in another."""
    from vtid import config as configuration

    out = output(ctx)
    config, problems = forgiving_load(ctx)
    findings = [Finding("configuration", p.file, p.field, p.message) for p in problems]
    findings += _all_findings(config)
    broken = [finding for finding in findings if finding.problem]
    if out.as_json:
        shown = {"configuration": configuration.masked(config)} if show else {}
        notes = [finding for finding in findings if not finding.problem]
        out.json({"ok": not broken, "file": config.file, "problems": broken, "notes": notes} | shown)
    else:
        if show:
            _say_config(out, configuration.masked(config))
        _say_findings(out, config, findings)
    ctx.exit(ConfigError.exit_code if broken else 0)


def forgiving_load(ctx: click.Context) -> tuple[Config, list[Problem]]:
    """The configuration with what is wrong in it; a broken setting has its default, so that the rest can be checked."""
    from vtid.config import loading

    given = ctx.find_root().obj["config"]
    file = loading._find(Path(given) if given else None, os.environ)
    loader = loading._Loader()
    if file:
        loader.read_file(file)
    loader.read_environment(os.environ)
    config = loader.build(file)
    return config, loader.problems


def _all_findings(config: Config) -> list[Finding]:
    from vtid import pipelines, plugins

    loaded = plugins.load(config)
    known = pipelines.load(config.pipelines.dirs, loaded)
    found = [
        *_folders(config),
        *_plugins(loaded, config),
        *_presets(loaded),
        *_pipelines(known),
        *_watches(config, known, loaded),
    ]
    for area, check in (("storage", _storage), ("database", _database), ("queue", _queue)):
        found += _tried(area, check, config)
    return found


def _folders(config: Config) -> Iterator[Finding]:
    """Folders that somebody named and that are not there; the defaults may be missing."""
    usual = {Path.cwd() / folder for folder in ("plugins", "config/pipelines", "config/presets", "config/watch")}
    parts = ("plugins", "pipelines", "presets", "watches")
    for name, section in ((part, getattr(config, part)) for part in parts):
        for folder in section.dirs:
            if not folder.is_dir() and folder not in usual:
                yield Finding("configuration", _file(config), f"{name}.dirs", f"there is no folder {folder}")


def _plugins(loaded: Plugins, config: Config) -> Iterator[Finding]:
    """A plugin that is switched off, or that says itself that it is not ready, is a note."""
    from vtid.models import Store, model_problems
    from vtid.plugins import Status

    models = Store(config.models_path, allow_non_commercial=config.models.allow_non_commercial)
    for record in loaded.records:
        if record.status is not Status.ENABLED:
            broken = record.status in (Status.MISCONFIGURED, Status.UNAVAILABLE)
            file = record.source if record.source != "configuration" else _file(config)
            yield Finding("plugins", file, record.name, f"{record.status}: {record.reason}", broken)
        for problem in model_problems(type(record.settings), record.settings_raw, models):
            yield Finding("plugins", _file(config), f"plugins.{record.name}.{problem.field}", problem.message)


def _presets(loaded: Plugins) -> Iterator[Finding]:
    for name, problems in loaded.presets.broken.items():
        for problem in problems:
            yield Finding("presets", problem.file or loaded.presets.files[name], problem.field, problem.message)


def _pipelines(loaded: Pipelines) -> Iterator[Finding]:
    for record in loaded.records:
        for problem in record.problems:
            yield Finding("pipelines", problem.file or str(record.file), problem.field, problem.message)
        if record.unavailable:
            message = f"cannot run: {record.unavailable}"
            yield Finding("pipelines", str(record.file), record.name, message, problem=False)


def _watches(config: Config, known: Pipelines, loaded: Plugins) -> Iterator[Finding]:
    """Hot folders that are declared wrongly. One that is not there now may be a share that comes later: a note."""
    from vtid.watch import load

    for declared in load(config.watches.dirs, known, loaded.specs):
        for problem in declared.problems:
            yield Finding("watches", str(declared.file), problem.field, problem.message)
        if declared.watch and declared.watch.enabled and not declared.watch.bucket and not declared.folder.is_dir():
            message = f"there is no folder {declared.folder} now"
            yield Finding("watches", str(declared.file), "watch.path", message, problem=False)


def _tried(area: str, check: Callable[[Config], None], config: Config) -> Iterator[Finding]:
    """What a check of something outside this process complains of."""
    place = "storage.bucket" if config.storage.is_s3 else "data.path"
    setting = place if area == "storage" else f"{area}.url"
    try:
        check(config)
    except VtidError as error:
        yield Finding(area, _file(config), setting, error.message)
    except TimeoutError:
        yield Finding(area, _file(config), setting, f"no answer within {ANSWER_S:g} s")
    except Exception as error:  # noqa: BLE001 - drivers raise families of errors of their own, all of them an answer here
        yield Finding(area, _file(config), setting, f"{type(error).__name__}: {error}")


def _storage(config: Config) -> None:
    """The data folder can be written and has room. What is not there yet is not made: a check changes nothing."""
    import shutil

    from vtid.errors import DiskFull, StorageError

    folder = nearest(config.data.path)
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(f"{config.data.path} cannot be written by this user")
    free, wanted = shutil.disk_usage(folder).free, config.limits.min_free_disk_mb << 20
    if free < wanted:
        raise DiskFull(f"{folder} has {free >> 20} MB free; limits.min_free_disk_mb asks for {wanted >> 20}")
    if config.storage.is_s3:
        from vtid.storage.opening import open_bucket

        open_bucket(config.storage).check()  # a few bytes, stored, read back and removed


def _database(config: Config) -> None:
    """It answers. An SQLite file that is not there yet is made at the first start."""
    from vtid.db import Database

    if not _missing_file(config.database_url):
        asyncio.run(asyncio.wait_for(_ping(Database(config.database_url)), ANSWER_S))


async def _ping(database: Any) -> None:
    try:
        await database.ping()
    finally:
        await database.close()


def _queue(config: Config) -> None:
    """It answers. The secret signs messages, and none is opened here."""
    from vtid.tasks import Queue

    if not _missing_file(config.queue_url):
        Queue(config.queue_url, b"none").pending()


def _missing_file(url: str) -> bool:
    return url.startswith("sqlite") and not Path(url.partition(":///")[2]).exists()


def nearest(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _file(config: Config) -> str | None:
    return str(config.file) if config.file else None


def _say_config(out: Output, masked: dict[str, Any]) -> None:
    """The configuration as vtid.toml would say it."""
    for section, table in masked.items():
        tables = {f"{section}.{name}": settings for name, settings in table.pop("tables", {}).items()}
        for name, settings in (({section: table} if table else {}) | tables).items():
            out.say(f"[{name}]")
            for key, value in settings.items():
                out.say(f"{key} = {_toml(value)}")
            out.say("")


def _toml(value: Any) -> str:
    """A value as TOML has it, where JSON has it the same; TOML has no null, an empty text stands for it."""
    import msgspec

    return msgspec.json.encode("" if value is None else value, enc_hook=str).decode()


def _say_findings(out: Output, config: Config, findings: list[Finding]) -> None:
    for area in AREAS:
        mine = [finding for finding in findings if finding.area == area]
        problems = [finding for finding in mine if finding.problem]
        about = f"  {config.file or 'no vtid.toml: the defaults hold'}" if area == "configuration" else ""
        out.say(f"{'✗' if problems else '✓'} {area}{about}")
        for finding in problems + [f for f in mine if not f.problem]:
            place = ": ".join(part for part in (_shown_file(finding, config), finding.field) if part)
            out.say(f"    {'' if finding.problem else 'note: '}{place}{': ' if place else ''}{finding.message}")
    count = sum(finding.problem for finding in findings)
    out.say(f"\n{count} problem{'' if count == 1 else 's'}." if count else "\nEverything is in order.")


def _shown_file(finding: Finding, config: Config) -> str | None:
    """The file, where it is not the one that the heading names, and where the field does not say it all."""
    if finding.file == _file(config) or finding.area == "plugins":
        return None
    return finding.file
