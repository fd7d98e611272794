"""Keyset pages: a cursor says where the last page ended, so that each page costs the same."""

from __future__ import annotations

import base64
import binascii
from uuid import UUID

import msgspec

from vtid.errors import InvalidInput, Problem


def cursor(created_at: float, id_: str) -> str:
    """Names the last entry of a page."""
    return base64.urlsafe_b64encode(msgspec.json.encode((created_at, id_))).decode().rstrip("=")


def position(text: str) -> tuple[float, str]:
    """What a cursor names. Raises `InvalidInput`."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        at, last = msgspec.json.decode(raw, type=tuple[float, str])
        return at, str(UUID(last))
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise InvalidInput(
            "This is not a cursor.", problems=[Problem("cursor", "take it from `next` of a page")]
        ) from error
