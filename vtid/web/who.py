"""Who is at the other end of a connection that is not a plain request: a WebSocket, Socket.IO."""

from __future__ import annotations

from collections.abc import Mapping

EVERYBODY = "local"


async def who(token: str | None, headers: Mapping[str, str]) -> str:
    """The id of who asks. Everybody is one user until there are accounts, which come in here.

    Args:
        token: as the connection carries it beside its headers: `?token=`, or Socket.IO's `auth.token`.
        headers: of the handshake, names in lower case.

    Raises:
        VtidError: nobody, or not any more.
    """
    del token, headers
    return EVERYBODY
