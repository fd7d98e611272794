"""A server of somebody else's, on a real socket: each test says what it does, down to the bytes."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


Act = Callable[[Asked, socket.socket], None]


class Origin:
    """Hands each connection's request to `act`, then closes it."""

    def __init__(self, act: Act, address: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.act = act
        self.asked: list[Asked] = []
        self._tls = tls
        self._sock = socket.create_server((address, port), backlog=64)
        self.port = self._sock.getsockname()[1]
        self.url = f"http://{address}:{self.port}"
        self._threads: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        self._closing = threading.Event()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._sock.accept()
                thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            asked = self._read(sock)
            if asked:
                self.asked.append(asked)
                self.act(asked, sock)
        except OSError:  # whoever asked went away
            pass
        finally:
            sock.close()

    @staticmethod
    def _read(sock: socket.socket) -> Asked | None:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = sock.recv(65536)
            if not piece:
                return None
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            body += sock.recv(65536)
        return Asked(method, path, headers, body)

    def wait(self, seconds: float = 20) -> None:
        """Hold a connection open until the test is over."""
        self._closing.wait(seconds)

    def close(self) -> None:
        self._closing.set()
        # Closing alone does not wake the accept.
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        self._thread.join()


@contextmanager
def origin(act: Act, **options: object) -> Iterator[Origin]:
    made = Origin(act, **options)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.close()


def say(sock: socket.socket, status: str = "200 OK", body: bytes = b"", **headers: str) -> None:
    """An answer, with its length unless it is said."""
    told = {"content-length": str(len(body)), "connection": "close"} | {
        k.replace("_", "-"): v for k, v in headers.items()
    }
    head = "".join(f"{k}: {v}\r\n" for k, v in told.items() if v)
    sock.sendall(f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body)


def serves(content: bytes, *, cut_at: list[int] | None = None, etag: str | None = None, **headers: str) -> Act:
    """A server of one file that knows ranges; `cut_at` are the offsets at which the next connections break off."""
    mark = etag if etag is not None else f'"{hashlib.md5(content).hexdigest()}"'

    def act(asked: Asked, sock: socket.socket) -> None:
        start = 0
        wanted = asked.headers.get("range", "")
        more = ({"etag": mark} if mark else {}) | headers
        if wanted and asked.headers.get("if-range") == mark:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            more["content-range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        end = cut_at.pop(0) if cut_at else len(content)
        told = {"content-length": str(len(content) - start)} | more
        say(sock, "206 Partial Content" if start else "200 OK", content[start:end], **told)

    return act
