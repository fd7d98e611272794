"""What GhostCut calls back: one task, signed as requests are; to be answered with something, or it calls again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from vtid.sdk import Callback, Forged, InvalidInput, Struct

from .settings import Settings
from .signing import is_genuine

REPLY = b"ok"
"""An empty body would count as a failure, and the call come again every half an hour."""


class _News(Struct, rename="camel"):
    """Enough of a task to tell one piece of news from another. A task that was made again has another address."""

    id: int | str
    process_status: int
    video_url: str | None = None


def read(settings: Settings, headers: Mapping[str, str], body: bytes) -> Callback:
    """A genuine callback.

    Args:
        settings: with the secret.
        headers: names in lower case.
        body: as it came.

    Raises:
        Forged: whoever signed it does not know the secret.
        InvalidInput: it is no task.
    """
    if not settings.app_secret or not is_genuine(body, headers.get("callback-sign", ""), settings.app_secret):
        raise Forged("Callback-Sign does not hold.")
    try:
        news = msgspec.json.decode(body, type=_News)
    except msgspec.DecodeError as error:
        raise InvalidInput(f"This is no task of GhostCut's: {error}") from error
    address = hashlib.sha256((news.video_url or "").encode()).hexdigest()[:16]
    return Callback(f"{news.id}:{news.process_status}:{address}", REPLY)
