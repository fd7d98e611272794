"""Configuration and application for the commands that work on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from vtid import config
from vtid.cli.output import Output
from vtid.config import Config


def output(ctx: click.Context) -> Output:
    """Where this command writes."""
    out: Output = ctx.find_root().obj["output"]
    return out


def load_config(ctx: click.Context, **overrides: Any) -> Config:
    """The configuration that holds, with the command's own flags on top (`server__port=9000`)."""
    path = ctx.find_root().obj["config"]
    flags = {name.replace("__", "."): value for name, value in overrides.items()}
    return config.load(Path(path) if path else None, os.environ, overrides=flags)


def json_option(command: Any) -> Any:
    """`--json` after the command as well as before it."""

    def switch(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value:
            output(ctx).as_json = True

    return click.option("--json", is_flag=True, expose_value=False, callback=switch, help="Write JSON, for scripts.")(
        command
    )
