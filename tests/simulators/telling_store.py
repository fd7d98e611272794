"""A door before an object store whose server tells of new objects, as MinIO's `ListenNotification` does.

Everything but that one question is handed on as it came. What is told, and how, is what MinIO documents and its clients
read: `text/event-stream`, a line of JSON for each event, blank lines in between to show that the server is alive.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.conftest import wait_until
from tests.simulators.object_store import ObjectStore


class TellingStore(ObjectStore):
    """The same store, by way of the door.

    Attributes:
        listeners: how many are told now.
    """

    def __init__(self, behind: ObjectStore, endpoint: str) -> None:
        super().__init__(endpoint)
        self.behind = behind
        self.listeners = 0
        self.lists = 0
        """How often somebody listed a bucket."""
        self._news = threading.Condition()
        self._events: list[tuple[str, str]] = []
        self._hung_up = 0

    def hang_up(self) -> None:
        """End every conversation, as a server that is started again."""
        with self._news:
            self._hung_up += 1
            self._news.notify_all()
        wait_until(lambda: self.listeners == 0)

    def stored(self, bucket: str, key: str) -> None:
        with self._news:
            self._events.append((bucket, key))
            self._news.notify_all()

    def tell(self, handler: BaseHTTPRequestHandler, bucket: str, prefix: str) -> None:
        """Answer without end."""
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        with self._news:
            at, hung_up = len(self._events), self._hung_up
            self.listeners += 1
        try:
            while self._hung_up == hung_up:
                with self._news:
                    self._news.wait(0.2)
                    new, at = self._events[at:], len(self._events)
                lines = [json.dumps(_event(b, k)) for b, k in new if b == bucket and k.startswith(prefix)]
                handler.wfile.write("".join(f"{line}\n" for line in lines or [" "]).encode())
        except OSError:
            pass  # the listener went
        finally:
            self.listeners -= 1


def _event(bucket: str, key: str) -> dict[str, Any]:
    record = {"eventName": "s3:ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}
    return {"EventName": "s3:ObjectCreated:Put", "Key": f"{bucket}/{key}", "Records": [record]}


@contextlib.contextmanager
def telling_store(behind: ObjectStore) -> Iterator[TellingStore]:
    """Open a door before a store for the length of the block."""

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            asked = urlsplit(self.path)
            bucket, _, key = asked.path.lstrip("/").partition("/")
            query = parse_qs(asked.query)
            if "events" in query:
                self.close_connection = True
                store.tell(self, bucket, query.get("prefix", [""])[0])
                return
            store.lists += "list-type" in query
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            server = http.client.HTTPConnection(urlsplit(behind.endpoint).netloc, timeout=30)
            server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():  # the host too: it is part of what is signed
                server.putheader(name, value)
            server.endheaders(body)
            found = server.getresponse()
            data = found.read()
            self.send_response(found.status)
            for name, value in found.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "date", "server"):
                    self.send_header(name, value)
            if found.getheader("Content-Length") is None:
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            server.close()
            if self.command == "PUT" and key and found.status == 200:
                store.stored(bucket, key)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    store = TellingStore(behind, f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
