"""Signed links to stored files: whoever has one gets the file from the daemon, until it expires."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable
from urllib.parse import quote, urlencode


class Links:
    """Makes links, and knows its own.

    Args:
        secret: signs them.
        base_url: of the daemon that serves them; without it they are paths.
        clock: seconds since the epoch.
    """

    def __init__(self, secret: bytes, base_url: str = "", clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._base_url = base_url.rstrip("/")
        self._clock = clock

    def url(self, key: str, *, ttl_s: float, filename: str | None = None) -> str:
        """`/files/KEY?expires=…&signature=…`, served by `vtid serve`."""
        expires = str(int(self._clock() + ttl_s))
        query = {"expires": expires, "signature": self.sign(key, expires, filename or "")}
        if filename:
            query["name"] = filename
        return f"{self._base_url}/files/{quote(key)}?{urlencode(query)}"

    def verify(self, key: str, *, expires: str, signature: str, filename: str = "") -> bool:
        """Whether a link is ours and has not expired."""
        good = hmac.compare_digest(self.sign(key, expires, filename).encode(), signature.encode())
        return good and expires.isdigit() and self._clock() < int(expires)

    def sign(self, key: str, expires: str, filename: str) -> str:
        """The signature over all that a link says."""
        return hmac.new(self._secret, f"{key}\n{expires}\n{filename}".encode(), hashlib.sha256).hexdigest()
