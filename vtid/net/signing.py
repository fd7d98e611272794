"""Signatures of webhooks, as Standard Webhooks has them (https://www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"


def new_secret() -> str:
    """A secret to share with a receiver."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def signed_headers(valid: Iterable[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers by which a receiver knows who sent a body, and when.

    Args:
        valid: secrets; a receiver needs to know one of them.
        message_id: the same in every attempt.
        timestamp: of this attempt, seconds since the epoch.
        body: as it is sent.
    """
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    marks = []
    for secret in valid:
        key = base64.b64decode(secret.removeprefix(PREFIX))
        marks.append("v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode())
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": " ".join(marks)}
