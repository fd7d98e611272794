"""Pages of lists that grow while they are read: each begins after the last item of the one before."""

from __future__ import annotations

import base64
import binascii

import msgspec

from vtid.errors import InvalidInput, Problem


def cursor(at: float, last: str) -> str:
    """Where the next page begins, as clients give it back.

    Args:
        at: when the last item of this page was made, seconds since the epoch.
        last: its id, which breaks ties.
    """
    return base64.urlsafe_b64encode(msgspec.json.encode((at, last))).decode().rstrip("=")


def position(text: str) -> tuple[float, str]:
    """What `cursor` made it from.

    Raises:
        InvalidInput: it is no cursor.
    """
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        at, last = msgspec.json.decode(raw, type=tuple[float, str])
        if not (last.isascii() and last.isprintable()):
            raise ValueError
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        problem = Problem("cursor", "take it from `next` of a page")
        raise InvalidInput("This is not a cursor.", problems=[problem]) from error
    return at, last
