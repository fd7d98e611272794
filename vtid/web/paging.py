"""Keyset pages: a cursor says where the last page ended, so that each page costs the same."""

from __future__ import annotations

import base64
import binascii

import msgspec

from vtid.errors import InvalidInput, Problem
from vtid.web.reading import MOST_ID


def cursor(at: float, last: str) -> str:
    """Names the last entry of a page, for the next one to begin behind."""
    return base64.urlsafe_b64encode(msgspec.json.encode((at, last))).decode().rstrip("=")


def position(text: str | None) -> tuple[float, str] | None:
    """What a cursor names; None where none was given. Raises `InvalidInput`."""
    if not text:
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        at, last = msgspec.json.decode(raw, type=tuple[float, str])
    except (binascii.Error, ValueError, msgspec.DecodeError):
        at, last = 0.0, "\0"
    if len(last) > MOST_ID or not last.isprintable():
        raise InvalidInput("This is not a cursor.", problems=[Problem("cursor", "take it from `next` of a page")])
    return at, last
