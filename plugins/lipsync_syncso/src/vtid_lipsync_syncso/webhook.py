"""Whether a webhook is Sync.so's."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping

from vtid.sdk import Callback, Forged, InvalidInput

WINDOW_S = 300.0
"""How old a webhook may be; the service says nothing of it."""


def verified(secret: str, headers: Mapping[str, str], body: bytes, clock: Callable[[], float] = time.time) -> Callback:
    """A genuine webhook: `Sync-Signature: t=SECONDS,v1=HEX`, HMAC-SHA256 of `SECONDS.BODY` over the bytes that came.

    Raises:
        Forged: the signature does not hold, or is too old.
        InvalidInput: it names no generation.
    """
    if not secret:
        raise Forged("Webhooks of Sync.so are not expected: webhook_secret is not set.")
    parts = dict(part.strip().partition("=")[::2] for part in headers.get("sync-signature", "").split(","))
    at, signed = parts.get("t", ""), parts.get("v1", "")
    good = hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
    if not at.isascii() or not at.isdigit() or not hmac.compare_digest(good.encode(), signed.encode()):
        raise Forged("The signature of this webhook does not hold.")
    if abs(clock() - int(at)) > WINDOW_S:
        raise Forged("This webhook is too old, or from the future.")
    try:
        news = json.loads(body)
        return Callback(key=f"{news['id']}:{news['status']}", reply=b"ok")
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput("This webhook names no generation.") from error
