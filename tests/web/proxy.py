"""A reverse proxy: what the world reaches a daemon by, at an address that stays while the daemon comes and goes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from tests.conftest import PATIENCE_S

OWN = {"host", "connection", "content-length", "transfer-encoding"}
"""Headers that belong to one connection."""


class Proxy:
    """Hands requests on."""

    def __init__(self) -> None:
        self.target: Callable[[], str | None] = lambda: None
        """Says where the daemon is now; None while it is not there."""
        self.url = ""
        self.statuses: list[int] = []
        """Of everything that was handed on, in order."""


@contextmanager
def proxy() -> Iterator[Proxy]:
    """One for the length of the block."""
    made = Proxy()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {k: v for k, v in self.headers.items() if k.lower() not in OWN}
            try:
                base = made.target() or ""
                url = f"{base}{self.path}"
                answer = httpx.request(
                    self.command, url, content=body, headers=headers, trust_env=False, timeout=PATIENCE_S
                )
                status, text = answer.status_code, answer.content
            except (httpx.HTTPError, httpx.InvalidURL):
                status, text = 502, b"nobody there"
            made.statuses.append(status)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = pass_on

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
