"""`vtid users`: accounts, for whoever runs the daemon on this machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from vtid.cli.local import find_user, json_option, load_config, output, with_accounts
from vtid.errors import InvalidInput

if TYPE_CHECKING:
    from vtid.accounts import Accounts
    from vtid.domain.account import Movement, User

PAGE = 200


@click.group("users", invoke_without_command=True, help="Accounts. Without a command: list them.")
@json_option
@click.pass_context
def command(ctx: click.Context) -> None:
    """List where nothing else was said."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_users)


@command.command("list", help="Every account, newest first.")
@click.option("--text", help="Part of the address or the id.")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="How many at most.")
@json_option
@click.pass_context
def list_users(ctx: click.Context, text: str | None = None, limit: int = 1000) -> None:
    """Page by page, so that a long list costs the database no more than a short one."""
    from vtid.db import UserFilter

    async def act(accounts: Accounts) -> tuple[list[User], dict[str, int]]:
        found: list[User] = []
        before = None
        while page := await accounts.users.list(UserFilter(text, before=before, limit=min(PAGE, limit - len(found)))):
            found += page
            before = (page[-1].created_at, page[-1].id)
            if len(found) >= limit:
                break
        return found, await accounts.ledger.balances([u.id for u in found])

    found, balances = with_accounts(ctx, act)
    out, config = output(ctx), load_config(ctx)
    if out.as_json:
        out.json([_facts(user) | {"credits": balances[user.id]} for user in found])
        return
    rows = []
    for user in found:
        has = str(balances[user.id]) if config.tier(user.tier).metered else "not counted"
        state = "suspended" if user.suspended else "never logged in" if user.last_login_at is None else "ok"
        rows.append((user.email, user.role.value, user.tier, has, state, user.id))
    out.table(("E-MAIL", "ROLE", "TIER", "CREDITS", "STATE", "ID"), rows)


@command.command("add", help="Make an account, and print a link that logs its owner in once.")
@click.argument("email")
@click.option("--tier", default="free", show_default=True, help="A tier of vtid.toml.")
@click.option("--admin", is_flag=True, help="Make it an admin.")
@click.option("--password-stdin", is_flag=True, help="Read a password from standard input, and print no link.")
@json_option
@click.pass_context
def add_user(ctx: click.Context, email: str, tier: str, admin: bool, password_stdin: bool) -> None:
    """A password never stands in the arguments, where every process of the machine could read it."""
    from vtid.domain.account import Role

    role, password = Role.ADMIN if admin else Role.USER, _password(ctx, stdin=password_stdin, ask=False)

    async def act(accounts: Accounts) -> tuple[User, str | None]:
        user = await accounts.create(email, role=role, tier=tier, password=password)
        return user, None if password else await accounts.login_link(user.id)

    user, token = with_accounts(ctx, act)
    link = token and _link(ctx, token)
    if output(ctx).as_json:
        output(ctx).json(_facts(user) | {"login_link": link})
        return
    output(ctx).say(f"Made {user.email} ({user.role}, tier {user.tier}).")
    if link:
        _say_link(ctx, link)


@command.command("login-link", help="Print a link that logs somebody in once, and lets them choose a password.")
@click.argument("user")
@json_option
@click.pass_context
def login_link(ctx: click.Context, user: str) -> None:
    """For a new account, or a forgotten password."""

    async def act(accounts: Accounts) -> str:
        return await accounts.login_link((await find_user(accounts, user)).id)

    link = _link(ctx, with_accounts(ctx, act))
    if output(ctx).as_json:
        output(ctx).json({"login_link": link})
    else:
        _say_link(ctx, link)


@command.command("passwd", help="Choose a password for somebody; every login of theirs ends.")
@click.argument("user")
@click.option("--password-stdin", is_flag=True, help="Read it from standard input.")
@json_option
@click.pass_context
def set_password(ctx: click.Context, user: str, password_stdin: bool) -> None:
    """Asked for twice at a terminal."""
    password = _password(ctx, stdin=password_stdin, ask=True)
    assert password is not None

    async def act(accounts: Accounts) -> User:
        return await accounts.set_password((await find_user(accounts, user)).id, password)

    _say_changed(ctx, with_accounts(ctx, act), "has a new password; every login there was has ended")


@command.command("suspend", help="Shut somebody out, at once. Their jobs go on.")
@click.argument("user")
@json_option
@click.pass_context
def suspend(ctx: click.Context, user: str) -> None:
    """Keys stop working too, until `vtid users restore`."""
    _say_changed(ctx, _change(ctx, user, suspended=True), "is suspended")


@command.command("restore", help="Let somebody in again who was suspended.")
@click.argument("user")
@json_option
@click.pass_context
def restore(ctx: click.Context, user: str) -> None:
    """Their keys work again; logins do not."""
    _say_changed(ctx, _change(ctx, user, suspended=False), "may come in again")


@command.command("set", help="Change an account's address, tier or role.")
@click.argument("user")
@click.option("--email", help="Another address.")
@click.option("--tier", help="A tier of vtid.toml.")
@click.option("--role", type=click.Choice(["user", "admin"]), help="What it is for.")
@json_option
@click.pass_context
def set_user(ctx: click.Context, user: str, email: str | None, tier: str | None, role: str | None) -> None:
    """Change what is given."""
    from vtid.domain.account import Role

    found = _change(ctx, user, email=email, tier=tier, role=Role(role) if role else None)
    _say_changed(ctx, found, f"is {found.role.value}, tier {found.tier}")


@command.command("credits", help="Show an account's ledger; with an amount, give credits or (below zero) take some.")
@click.argument("user")
@click.argument("amount", type=int, required=False)
@click.option("--reason", help="Why; it stays in the ledger.")
@json_option
@click.pass_context
def credits_of(ctx: click.Context, user: str, amount: int | None, reason: str | None) -> None:
    """`vtid users credits ada@example.org --reason "a gift" -- 50`; the -- is for amounts below zero."""
    if amount is not None and not reason:
        raise InvalidInput("Say why: --reason stays in the ledger.")

    async def act(accounts: Accounts) -> tuple[list[Movement], int]:
        found = await find_user(accounts, user)
        if amount is not None:
            await accounts.ledger.grant(found.id, amount, f"{reason} (command line)")
        return list(await accounts.ledger.movements(found.id)), await accounts.ledger.balance(found.id)

    rows, balance = with_accounts(ctx, act)
    out = output(ctx)
    if out.as_json:
        out.json({"balance": balance, "movements": rows})
        return
    cells = [(_time(m.at), m.kind, f"{m.amount:+}", str(m.balance), m.job_id or "", m.reason) for m in rows]
    out.table(("WHEN", "WHAT", "AMOUNT", "BALANCE", "JOB", "REASON"), cells)
    out.say(f"Balance: {balance}")


def _change(ctx: click.Context, who: str, **changes: Any) -> User:
    async def act(accounts: Accounts) -> User:
        return await accounts.change((await find_user(accounts, who)).id, **changes)

    return with_accounts(ctx, act)


def _say_changed(ctx: click.Context, user: User, words: str) -> None:
    if output(ctx).as_json:
        output(ctx).json(_facts(user))
    else:
        output(ctx).say(f"{user.email} {words}.")


def _facts(user: User) -> dict[str, Any]:
    import msgspec

    facts: dict[str, Any] = msgspec.to_builtins(user)
    return {name: value for name, value in facts.items() if name != "generation"}


def _password(ctx: click.Context, *, stdin: bool, ask: bool) -> str | None:
    """A password from standard input or a terminal; None where neither was wished."""
    if stdin:
        return sys.stdin.readline().rstrip("\n")
    if not ask:
        return None
    if not sys.stdin.isatty():
        raise InvalidInput("There is no terminal to ask at; use --password-stdin.")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password


def _link(ctx: click.Context, token: str) -> str:
    config = load_config(ctx)
    return f"{(config.server.public_url or config.server.own_url()).rstrip('/')}/login?token={token}"


def _say_link(ctx: click.Context, link: str) -> None:
    hours = load_config(ctx).auth.login_link_hours
    output(ctx).say(f"This link logs them in once, within {hours} hours, and lets them choose a password:\n  {link}")


def _time(seconds: float) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
