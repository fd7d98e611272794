"""The first start: one admin, a link that logs them in once, and a key for the command line of this machine.

Whoever can read the data folder can read the database and its secret too: the key that lies there gives them nothing
that they could not take.
"""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from pathlib import Path

from msgspec import Struct

from vtid.accounts.accounts import Accounts
from vtid.config import OWNER_TIER
from vtid.domain.account import EVERY_SCOPE, Role
from vtid.errors import Conflict, Forbidden, NotFound, Unauthorized

FIRST_ID = "local"
"""Of the first admin: the owner of the jobs that there were before there were accounts."""
FIRST_EMAIL = "admin@localhost"
KEY_FILE = "local.key"


class FirstStart(Struct, frozen=True):
    """What there is to tell after a first start."""

    email: str
    token: str
    """Logs in once."""


async def prepare(accounts: Accounts, data: Path) -> FirstStart | None:
    """Make the first admin where there is nobody, and the key of this machine where it does not work.

    Args:
        accounts: to look among.
        data: the data folder.

    Returns:
        What to tell where an admin was made, else None.
    """
    first = await _first_admin(accounts) if await accounts.users.is_empty() else None
    await _keep_local_key(accounts, data / KEY_FILE)
    return first


def local_key(data: Path) -> str | None:
    """The key of this machine, where there is one and this user may read it."""
    try:
        return (data / KEY_FILE).read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


async def _first_admin(accounts: Accounts) -> FirstStart | None:
    try:
        user = await accounts.create(FIRST_EMAIL, role=Role.ADMIN, tier=OWNER_TIER, id_=FIRST_ID)
    except Conflict:  # another process of a first start was faster
        return None
    return FirstStart(user.email, await accounts.login_link(user.id))


async def _keep_local_key(accounts: Accounts, path: Path) -> None:
    known = local_key(path.parent)
    if known:
        with contextlib.suppress(Unauthorized):
            with contextlib.suppress(Forbidden):  # its account is suspended, which another key would not change
                await accounts.principal(known)
            return
    try:
        await accounts.users.get(FIRST_ID)
    except NotFound:  # whoever runs this daemon has removed that account: a person has to make a key
        return
    name = f"{socket.gethostname()}:{path.parent.absolute()}"[-200:]
    for lost in await accounts.users.keys(FIRST_ID):
        if lost.name == name and lost.revoked_at is None:
            await accounts.revoke_key(lost.id)
    _, text = await accounts.make_key(FIRST_ID, name, EVERY_SCOPE)
    staged = path.with_suffix(f".{uuid.uuid4().hex}")
    staged.touch(mode=0o600)
    staged.write_text(f"{text}\n", encoding="ascii")
    os.replace(staged, path)  # noqa: PTH105 - whole or not there, and never readable by others
