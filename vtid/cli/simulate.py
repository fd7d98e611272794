"""`vtid simulate`: a service that a plugin talks to, simulated on this machine."""

from __future__ import annotations

import importlib
import signal
import tempfile
import threading
from pathlib import Path
from typing import Any

import click
import msgspec

from vtid.cli.local import json_option, output
from vtid.errors import InvalidInput
from vtid.simulators import SIMULATORS, Simulator


@click.command("simulate", help="Simulate a service in the cloud, to try its plugin without an account.")
@click.argument("service", type=click.Choice(list(SIMULATORS)))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on; 0 takes a free one.")
@click.option("--url", help="How its clients reach it, where that is not by host and port.")
@click.option(
    "--mood", "moods", multiple=True, metavar="NAME=VALUE", help="How it behaves: webhook=twice. --moods lists all."
)
@click.option("--moods", "list_moods", is_flag=True, help="List what it can be made to do, and end.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, *, service: str, host: str, port: int, url: str | None, moods: tuple[str, ...], list_moods: bool
) -> None:
    """Serve until SIGTERM or SIGINT."""
    say = output(ctx)
    module, _, name = SIMULATORS[service].partition(":")
    kind: type[Simulator] = getattr(importlib.import_module(module), name)
    known = _described(kind)
    if list_moods:
        if say.as_json:
            say.json(known)
        else:
            for mood, told in known.items():
                one_of = f"\n    One of: {', '.join(map(str, told.values))}." if told.values else ""
                default = str(told.default).lower() if isinstance(told.default, bool) else told.default
                say.say(f"{mood} = {default}\n    {told.about}{one_of}")
        return
    over = threading.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: over.set())
    with (
        tempfile.TemporaryDirectory(prefix=f"vtid-{service}-") as folder,
        kind(Path(folder), host=host, port=port, url=url, **_parsed(moods)) as simulator,
    ):
        if say.as_json:
            say.json({"url": simulator.url, "environment": simulator.environment()})
        else:
            say.say(f"{service} is simulated at {simulator.url}; for the daemon:\n")
            for variable, value in simulator.environment().items():
                say.say(f"export {variable}={value}")
            say.say(f"\nWhat it charged and how it behaves: curl {simulator.url}/simulator")
        over.wait()


class Mood(msgspec.Struct, omit_defaults=True):
    """What a simulator can be made to do."""

    default: Any
    about: str
    values: list[Any] = []
    """That it takes, where it is a choice."""


def _described(kind: type[Simulator]) -> dict[str, Mood]:
    """Every mood, by its name."""
    schema = msgspec.json.schema(kind.Moods)["$defs"][kind.Moods.__name__]["properties"]
    return {
        name: Mood(about.get("default"), about.get("description", ""), _values(about)) for name, about in schema.items()
    }


def _values(about: dict[str, Any]) -> list[Any]:
    return [one for option in (about, *about.get("anyOf", ())) for one in option.get("enum", ())]


def _parsed(moods: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in moods]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise InvalidInput(f"--mood takes NAME=VALUE, not {wrong[0]}")
    return {name: value for name, _, value in pairs}
