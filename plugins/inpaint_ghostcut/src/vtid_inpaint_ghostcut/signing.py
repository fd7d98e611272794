"""The one signature that GhostCut has, for requests and callbacks alike: MD5 over the MD5 of the exact bytes.

It holds neither time nor nonce, so whoever has seen a request can send it again: a callback is therefore only ever a
reason to ask.
"""

from __future__ import annotations

import hashlib
import hmac


def sign(body: bytes, secret: str) -> str:
    """`AppSign` of a request, or `Callback-Sign` of a callback: 32 lower-case hexadecimal digits.

    Args:
        body: exactly as it is on the wire.
        secret: AppSecret.
    """
    inner = hashlib.md5(body).hexdigest()  # noqa: S324 - the vendor's scheme; there is no other
    return hashlib.md5(f"{inner}{secret}".encode()).hexdigest()  # noqa: S324


def is_genuine(body: bytes, signature: str, secret: str) -> bool:
    """Whether whoever signed these bytes has the secret. Takes as long for a wrong signature as for the right one."""
    return hmac.compare_digest(sign(body, secret).encode(), signature.strip().lower().encode())
