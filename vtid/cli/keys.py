"""`vtid keys`: API keys, for whoever runs the daemon on this machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from vtid.cli.local import find_user, json_option, output, with_accounts
from vtid.errors import NotFound

if TYPE_CHECKING:
    from vtid.accounts import Accounts
    from vtid.domain.account import ApiKey

SCOPES = ("read", "write", "account", "admin", "internal")
USER_HELP = "Whose, by address or id; the first admin's where left out."
FIRST = "local"


@click.group("keys", invoke_without_command=True, help="API keys. Without a command: list the first admin's.")
@json_option
@click.pass_context
def command(ctx: click.Context) -> None:
    """List where nothing else was said."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_keys)


@command.command("create", help="Make a key. It is printed this once.")
@click.argument("name")
@click.option("--user", default=FIRST, help=USER_HELP)
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="What it is for; read and write where left out."
)
@click.option("--days", type=click.FloatRange(0, min_open=True), help="How long it works; without end where left out.")
@json_option
@click.pass_context
def create_key(ctx: click.Context, name: str, user: str, scopes: tuple[str, ...], days: float | None) -> None:
    """The key alone goes to standard output, for `KEY=$(vtid keys create ci)`."""
    from vtid.domain.account import USUAL_SCOPES, Scope

    wanted = [Scope(s) for s in scopes] or USUAL_SCOPES

    async def act(accounts: Accounts) -> tuple[ApiKey, str]:
        return await accounts.make_key((await find_user(accounts, user)).id, name, wanted, days)

    key, text = with_accounts(ctx, act)
    out = output(ctx)
    if out.as_json:
        out.json(_facts(key) | {"key": text})
        return
    out.say(text)


@command.command("list", help="Every key of a user, newest first.")
@click.option("--user", default=FIRST, help=USER_HELP)
@json_option
@click.pass_context
def list_keys(ctx: click.Context, user: str = FIRST) -> None:
    """Revoked ones too."""

    async def act(accounts: Accounts) -> list[ApiKey]:
        return list(await accounts.users.keys((await find_user(accounts, user)).id))

    keys = with_accounts(ctx, act)
    out = output(ctx)
    if out.as_json:
        out.json([_facts(key) for key in keys])
        return
    rows = [(k.id[:8], k.name, f"{k.prefix}…", ", ".join(k.scopes), _time(k.last_used_at), _state(k)) for k in keys]
    out.table(("ID", "NAME", "KEY", "SCOPES", "LAST USED", "STATE"), rows)


@command.command("revoke", help="End a key, by its id or the beginning of it.")
@click.argument("key_id")
@click.option("--user", default=FIRST, help=USER_HELP)
@json_option
@click.pass_context
def revoke_key(ctx: click.Context, key_id: str, user: str) -> None:
    """It stops working within a second, also in a daemon that runs."""

    async def act(accounts: Accounts) -> ApiKey:
        owner = await find_user(accounts, user)
        found = [k for k in await accounts.users.keys(owner.id) if k.id.startswith(key_id)]
        if len(found) != 1:
            how = "Several keys begin" if found else "No key begins"
            suggestion = "List them with: vtid keys list"
            raise NotFound(f"{how} with {key_id} among those of {owner.email}.", suggestion=suggestion)
        return await accounts.revoke_key(found[0].id)

    key = with_accounts(ctx, act)
    if output(ctx).as_json:
        output(ctx).json(_facts(key))
    else:
        output(ctx).say(f"Revoked {key.name} ({key.prefix}…).")


def _facts(key: ApiKey) -> dict[str, Any]:
    import msgspec

    facts: dict[str, Any] = msgspec.to_builtins(key)
    return facts


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if not key.holds(time.time()):
        return "expired"
    return "ok" if key.expires_at is None else f"until {_time(key.expires_at)}"


def _time(seconds: float | None) -> str:
    return "–" if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
