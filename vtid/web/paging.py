"""Keyset pages: a cursor says where the last page ended, so that each page costs the same."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Protocol, TypeVar

import msgspec

from vtid.errors import InvalidInput, Problem
from vtid.web.reading import MOST_ID


class Listed(Protocol):
    """Something of a list that is ordered by when it was made; the id breaks ties."""

    @property
    def id(self) -> str:
        """Of the thing."""

    @property
    def created_at(self) -> float:
        """Seconds since the epoch."""


T = TypeVar("T", bound=Listed)


def page(found: Sequence[T], limit: int) -> tuple[Sequence[T], str | None]:
    """The page, and the cursor of the next one, of what was asked for with one more than belongs on it."""
    shown = found[:limit]
    return shown, cursor(shown[-1].created_at, shown[-1].id) if len(found) > limit else None


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
