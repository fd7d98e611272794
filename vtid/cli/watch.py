"""`vtid watch`: hot folders: how they are, pause, resume, look again; and what would happen to a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vtid.cli.local import json_option, load_config, output
from vtid.cli.remote import connect, url_option
from vtid.errors import ConfigError

if TYPE_CHECKING:
    from vtid.config import Config
    from vtid.pipelines import Pipelines
    from vtid.plugins import Plugins
    from vtid.watch import Declared

ROOT = "/api/v1/watches"


@click.group("watch", invoke_without_command=True, help="Hot folders. Without a command: list them.")
@url_option
@json_option
@click.pass_context
def command(ctx: click.Context) -> None:
    """List where nothing else was said."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_watches)


@command.command("list", help="Every hot folder: how it is, what waits, what was done.")
@url_option
@json_option
@click.pass_context
def list_watches(ctx: click.Context) -> None:
    """As the daemon tells it."""
    out = output(ctx)
    found: list[dict[str, Any]] = connect(ctx).get(ROOT)["watches"]
    if out.as_json:
        out.json(found)
        return
    if not found:
        out.say("There is no hot folder. Declare one in config/watch/; docs/hot-folders.md says how.")
        return
    columns = ("WATCH", "STATE", "WAITING", "AT WORK", "DONE", "FAILED", "DUPLICATES", "FOLDER")
    out.table(columns, [_row(watch) for watch in found])
    for watch in found:
        if watch["reason"]:
            out.say(f"\n{watch['name']} is {watch['state']}: {watch['reason']}")


def _row(watch: dict[str, Any]) -> tuple[str, ...]:
    files = watch["files"]
    going = sum(files.get(state, 0) for state in ("claimed", "submitted", "delivering", "leaving"))
    counts = (watch["waiting"], going, files.get("done", 0), files.get("failed", 0), files.get("duplicate", 0))
    return (watch["name"], watch["state"], *map(str, counts), str(watch["declared"].get("path", "")))


@command.command("show", help="One hot folder, and what became of its latest files.")
@click.argument("name")
@click.option("--state", help="Only files in this state: failed, done, duplicate, submitted …")
@url_option
@json_option
@click.pass_context
def show_watch(ctx: click.Context, name: str, state: str | None) -> None:
    """Its files, the newest first."""
    out, daemon = output(ctx), connect(ctx)
    watch = daemon.get(f"{ROOT}/{name}")
    files = daemon.get(f"{ROOT}/{name}/files", state=state)["files"]
    if out.as_json:
        out.json(watch | {"latest": files})
        return
    out.say(f"{watch['name']}  {watch['state']}" + (f": {watch['reason']}" if watch["reason"] else ""))
    held = {} if state else watch["held_back"]
    waits = [(path, "waiting", "", why) for path, why in held.items()]
    if not state and (others := watch["waiting"] - len(held)) > 0:
        out.say(f"{others} {'file waits' if others == 1 else 'files wait'} to have settled, or for a turn.")
    out.table(
        ("FILE", "STATE", "RESULT", "WHY"),
        [*waits, *((f["path"], f["state"], ", ".join(f["results"]), f["reason"] or "") for f in files)],
    )


def _act(ctx: click.Context, name: str, act: str, words: str) -> None:
    watch = connect(ctx).post(f"{ROOT}/{name}/{act}")
    out = output(ctx)
    if out.as_json:
        out.json(watch)
    else:
        out.say(words.format(name=watch["name"]))


@command.command("pause", help="Take no new files; those on their way go on.")
@click.argument("name")
@url_option
@json_option
@click.pass_context
def pause(ctx: click.Context, name: str) -> None:
    """Also for a watcher on another machine."""
    _act(ctx, name, "pause", "{name} takes no new files.")


@command.command("resume", help="Take files again.")
@click.argument("name")
@url_option
@json_option
@click.pass_context
def resume(ctx: click.Context, name: str) -> None:
    """Also for a watcher on another machine."""
    _act(ctx, name, "resume", "{name} takes files again.")


@command.command("rescan", help="Look through the whole folder at once, and accept it as it is.")
@click.argument("name")
@url_option
@json_option
@click.pass_context
def rescan(ctx: click.Context, name: str) -> None:
    """Also for a watcher on another machine."""
    _act(ctx, name, "rescan", "{name} is looked through.")


@command.command("test", help="Say what would happen to a file, and why. Touches nothing, needs no daemon.")
@click.argument("path", type=click.Path(path_type=Path))
@json_option
@click.pass_context
def test_path(ctx: click.Context, path: Path) -> None:
    """The same decisions as at work; exit code 1 where it would not be taken."""
    from vtid.watch import explain

    out = output(ctx)
    pipelines, plugins, declared = _declared(load_config(ctx))
    verdict = explain(path, declared, pipelines, plugins.specs)
    if out.as_json:
        out.json(verdict)
    else:
        out.say(f"{verdict.watch} {'takes' if verdict.taken else 'does not take'} {verdict.path}")
        for reason in verdict.because:
            out.say(f"  • {reason}")
        if verdict.taken:
            out.say(f"  pipeline: {verdict.pipeline}\n  params: {verdict.params or 'none'}\n  result: {verdict.result}")
    ctx.exit(0 if verdict.taken else 1)


@command.command("check", help="Check the declarations. Exit code 4 on problems.")
@json_option
@click.pass_context
def check(ctx: click.Context) -> None:
    """Every problem, with its file and key."""
    out = output(ctx)
    _, _, declared = _declared(load_config(ctx))
    problems = [problem for one in declared for problem in one.problems]
    if out.as_json:
        out.json({"ok": not problems, "watches": [d.name for d in declared], "problems": problems})
    for one in () if out.as_json else declared:
        off = "" if one.watch is None or one.watch.enabled else "  (not enabled)"
        out.say(f"{'✗' if one.problems else '✓'} {one.name}  {one.file}{off}")
        for problem in one.problems:
            out.say(f"    {problem.field}: {problem.message}")
    if not declared and not out.as_json:
        out.say("There is no declaration in the folders of [watches] dirs.")
    ctx.exit(ConfigError.exit_code if problems else 0)


@command.command("run", help="Run the hot folders of this machine until stopped; `vtid serve` does so by itself.")
@click.option("--data", type=click.Path(file_okay=False), help="The data folder.")
@click.option("--with-parent", type=int, hidden=True, help="End when the process of this id, which started it, does.")
@click.pass_context
def run(ctx: click.Context, data: str | None, with_parent: int | None) -> None:
    """Run until SIGTERM or SIGINT, then finish what is in hand."""
    import signal

    from vtid import logs
    from vtid.app import build
    from vtid.engine.bridge import Bridge
    from vtid.engine.child import die_with_parent
    from vtid.engine.processes import name_of_process
    from vtid.watch import Declarations
    from vtid.watch.watcher import Watcher

    if with_parent:
        die_with_parent(with_parent)
    config = load_config(ctx, data__path=data)
    logs.configure(config.logging.level, config.logging.format, service="watcher")
    app, bridge = build(config), Bridge()
    declarations = Declarations(config.watches.dirs, app.pipelines, app.plugins.specs)
    watcher = Watcher(app, bridge, declarations, name_of_process())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: watcher.stop())
    watcher.run()
    bridge.run(app.close())
    bridge.close()


def _declared(config: Config) -> tuple[Pipelines, Plugins, list[Declared]]:
    from vtid import pipelines, plugins
    from vtid.watch import load

    loaded = plugins.load(config)
    found = pipelines.load(config.pipelines.dirs, loaded)
    return found, loaded, load(config.watches.dirs, found, loaded.specs)
