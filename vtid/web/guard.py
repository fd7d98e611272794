"""Where a request may come from.

A page of somebody else's, open in a browser that is logged in here, reaches the daemon too, and must not use it:
neither by making its own name resolve to the daemon's address (DNS rebinding: then the page and the daemon are of one
origin for the browser, and only the Host header tells), nor by posting across sites (for a form, a browser asks
nobody's leave).
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from vtid import config as settings
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
        self._public = _origin(public) if public else None
        # In a network people come by this machine's address, which no stranger's name can be made to look like.
        self._by_address = config.server.host not in settings.LOOPBACK
        if self._by_address:
            self._hosts |= {socket.gethostname().lower()}
        self._origins = {_origin(url) for url in (*config.server.cors_origins, *([public] if public else []))}

    def refusal(self, method: str, headers: Mapping[str, str]) -> str | None:
        """Why this request is not served, or None when it is.

        Args:
            method: of HTTP; `WEBSOCKET` for a handshake, which browsers let any page begin.
            headers: names in lower case.
        """
        host = headers.get("host", "").lower()
        name = _PORT.sub("", host)
        if name not in self._hosts and not (self._by_address and _is_address(name)):
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

    def is_own_page(self, headers: Mapping[str, str]) -> bool:
        """Whether a browser says that a page of this daemon sent the request. What says nothing is no such page."""
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site") == "same-origin"
        host = headers.get("host", "").lower()
        return origin.lower() in (f"http://{host}", f"https://{host}", self._public)

    def allows_origin(self, origin: str | None, host: str) -> bool:
        """Whether a page of this origin may use the daemon under this name."""
        # Compared as text: what a stranger sends as an origin need not be a URL.
        given = (origin or "").lower()
        return given.partition("://")[2] == host.lower() or given in self._origins


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _origin(url: str) -> str:
    """Scheme, host and port of a URL, as browsers send them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
