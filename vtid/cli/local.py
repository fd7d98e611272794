"""Configuration and application for the commands that work on this machine."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vtid import config
from vtid.cli.output import Output
from vtid.config import Config

if TYPE_CHECKING:
    from vtid.accounts import Accounts
    from vtid.domain.account import User

T = TypeVar("T")


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


def with_accounts(ctx: click.Context, act: Callable[[Accounts], Awaitable[T]]) -> T:
    """What `act` does with the accounts of the daemon whose data lies here; the daemon may run meanwhile or not."""
    import asyncio

    from vtid.app import accounts_of

    async def run() -> T:
        async with accounts_of(load_config(ctx)) as accounts:
            return await act(accounts)

    return asyncio.run(run())


async def find_user(accounts: Accounts, who: str) -> User:
    """The account with an e-mail address or an id. Raises `NotFound`."""
    from vtid.errors import NotFound

    found = await accounts.users.by_email(who)
    if found:
        return found[0]
    try:
        return await accounts.users.get(who)
    except NotFound:
        message = f'There is no account "{who}".'
        raise NotFound(message, suggestion="List them with: vtid users list") from None
