"""Where a request may come from.

Until there are accounts, whoever reaches the port may use it. A page of somebody else's, open in a browser on this very
machine, reaches it too, and must not use it: neither by making its own name resolve to loopback (DNS rebinding: then
the page and the daemon are of one origin for the browser, and only the Host header tells), nor by posting across sites
(for a form, a browser asks nobody's leave).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from vtid.config import Config

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_PORT = re.compile(r":\d+$")


class Guard:
    """Says why a request is refused.

    Args:
        config: names the daemon's public address and the sites that may call it.
    """

    def __init__(self, config: Config) -> None:
        public = config.server.public_url
        self._hosts = LOOPBACK | ({_PORT.sub("", urlsplit(public).netloc).lower()} if public else set())
        self._origins = {_origin(url) for url in (*config.server.cors_origins, *([public] if public else []))}

    def refusal(self, method: str, headers: Mapping[str, str]) -> str | None:
        """Why this request is not served, or None when it is.

        Args:
            method: of HTTP; `WEBSOCKET` for a handshake, which browsers let any page begin.
            headers: names in lower case.
        """
        host = headers.get("host", "").lower()
        if _PORT.sub("", host) not in self._hosts:
            return f'This daemon does not answer to the name "{host}"; server.public_url adds one to localhost.'
        if method in SAFE_METHODS:
            return None
        origin = headers.get("origin")
        if origin is None:  # no browser, or an old one
            foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        else:
            foreign = not self.allows_origin(origin, host)
        return (
            "Pages of other sites may not use this daemon; server.cors_origins lists those that may."
            if foreign
            else None
        )

    def allows_origin(self, origin: str | None, host: str) -> bool:
        """Whether a page of this origin may use the daemon under this name."""
        # Compared as text: what a stranger sends as an origin need not be a URL.
        given = (origin or "").lower()
        return given.partition("://")[2] == host.lower() or given in self._origins


def _origin(url: str) -> str:
    """Scheme, host and port of a URL, as browsers send them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
