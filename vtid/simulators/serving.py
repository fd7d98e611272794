"""What the simulated services have in common: a server, a ledger, moods that can be changed while it runs.

`GET /simulator` shows the moods and the ledger, `PATCH /simulator` with a JSON object changes moods. These two routes
are the simulator's own; everything else is the service's.
"""

from __future__ import annotations

import abc
import json
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Protocol
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Struct, field

from vtid.complaints import complaints
from vtid.errors import InvalidInput, did_you_mean

MOST_JSON = 1 << 20
PIECE = 1 << 18
CALL_S = 10.0
"""How long a receiver of a callback may take."""


class Hangup(Exception):
    """The connection is closed without an answer: to be raised by a service that loses one."""


class Body(Protocol):
    """What can be read from."""

    def read(self, count: int) -> bytes:
        """The next bytes, at most so many."""
        ...


class Request(Struct):
    """What came in."""

    method: str
    path: str
    query: Mapping[str, Sequence[str]]
    pairs: Sequence[tuple[str, str]]
    """The headers as they were sent, doubles included; names in lower case."""
    stream: Body
    length: int
    """Of the body, in bytes."""

    def header(self, name: str) -> str:
        """The first value of a header; "" where there is none."""
        return next((value for key, value in self.pairs if key == name), "")

    def headers(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.pairs if key == name]

    def body(self, most: int = MOST_JSON) -> bytes:
        """The bytes of the body as they came; never more than `most`."""
        return self.stream.read(min(self.length, most))

    def save(self, path: Path) -> int:
        """Write the body to a file, piece by piece; returns how many bytes came."""
        left = self.length
        with path.open("wb") as file:
            while left and (piece := self.stream.read(min(left, PIECE))):
                file.write(piece)
                left -= len(piece)
        return self.length - left


class Answer(Struct):
    """What goes out: bytes, or a file."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    file: Path | None = None
    cut_at: int | None = None
    """Bytes of the file after which the connection breaks."""

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Answer:
        """A JSON body; `Retry_After="2"` becomes the header `Retry-After`."""
        named = {"Content-Type": "application/json"} | {k.replace("_", "-"): v for k, v in headers.items()}
        return cls(status, msgspec.json.encode(value), named)


class Simulator(abc.ABC):
    """A simulated service on a port of this machine.

    Args:
        folder: for what is uploaded to it and what it makes.
        host: to listen on.
        port: to listen on; 0 takes a free one.
        url: how its clients reach it, where that is not by host and port.
        moods: how it behaves, by name.
    """

    name: ClassVar[str]
    Moods: ClassVar[type[Struct]]
    """A Struct whose fields each have a default and a description."""

    def __init__(
        self, folder: Path, *, host: str = "127.0.0.1", port: int = 0, url: str | None = None, **moods: Any
    ) -> None:
        self.folder = folder
        self.moods: Any = self.Moods()
        self.ledger: list[dict[str, Any]] = []
        """What was charged, a row each, in order."""
        self.lock = threading.RLock()
        self.work = ThreadPoolExecutor(2, thread_name_prefix=f"{self.name}-work")
        self.change(moods)
        self._server = _Server((host, port), _handler_of(self))
        self.url = url or f"http://{host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name=self.name)
        self._thread.start()

    def __enter__(self) -> Simulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.work.shutdown(cancel_futures=True)

    @abc.abstractmethod
    def answer(self, request: Request) -> Answer:
        """Answer as the service does. Raises `Hangup` to lose the answer."""

    @abc.abstractmethod
    def environment(self) -> dict[str, str]:
        """Variables by which vtid finds this simulator in place of the service."""

    def change(self, moods: Mapping[str, Any]) -> None:
        """Change how it behaves from now on.

        Raises:
            InvalidInput: there is no such mood, or not with this value.
        """
        known = {f.name: f.type for f in msgspec.structs.fields(self.Moods)}
        for name, value in moods.items():
            if name not in known:
                hint = did_you_mean(name, known) or f"; there are: {', '.join(known)}"
                raise InvalidInput(f"{self.name} knows no mood {name}{hint}")
            for problem in complaints(value, known[name], name):
                raise InvalidInput(str(problem), problems=[problem])
            setattr(self.moods, name, msgspec.convert(value, known[name], strict=False))

    def charge(self, **facts: Any) -> None:
        """Write down that something was charged."""
        with self.lock:
            self.ledger.append(facts)

    def control(self, request: Request) -> Answer:
        """The simulator's own route."""
        if request.method == "PATCH":
            try:
                self.change(msgspec.json.decode(request.body(), type=dict[str, Any]))
            except (InvalidInput, msgspec.DecodeError) as error:
                return Answer.json({"error": str(error)}, 400)
        with self.lock:
            return Answer.json({"moods": self.moods, "ledger": self.ledger})


def post(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes] | None:
    """Call a URL back; status and body of the answer, or None where nobody answered."""
    asked = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")  # noqa: S310 - a simulator's
    try:
        with urllib.request.urlopen(asked, timeout=CALL_S) as got:  # noqa: S310
            return got.status, got.read(MOST_JSON)
    except urllib.error.HTTPError as error:
        return error.code, error.read(MOST_JSON)
    except OSError:
        return None


def fetch(url: str, target: Path, most: int) -> bool:
    """Fetch a file by its URL, as a service does with its inputs; whether it could be had."""
    try:
        with urllib.request.urlopen(url, timeout=CALL_S) as got, target.open("wb") as file:  # noqa: S310
            while piece := got.read(PIECE):
                file.write(piece)
                if file.tell() > most:
                    return False
            return True
    except (OSError, ValueError):
        return False


class _Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        """Clients are killed in mid-sentence here."""


def _handler_of(simulator: Simulator) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def serve(self) -> None:
            address = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            pairs = [(name.lower(), value) for name, value in self.headers.items()]
            counted = _Counted(self.rfile, length)
            query = parse_qs(address.query, keep_blank_values=True)
            request = Request(self.command, address.path, query, pairs, counted, length)
            act: Callable[[Request], Answer] = simulator.control if address.path == "/simulator" else simulator.answer
            try:
                answer = act(request)
            except Hangup:
                self.close_connection = True
                return
            if counted.left:  # it was not read: the next request would begin in the middle of it
                self.close_connection = True
            self.reply(answer)

        def reply(self, answer: Answer) -> None:
            self.send_response(answer.status)
            size = answer.file.stat().st_size if answer.file else len(answer.body)
            for name, value in (answer.headers | {"Content-Length": str(size)}).items():
                self.send_header(name, value)
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            if self.command == "HEAD":
                return
            if answer.file:
                with answer.file.open("rb") as file:
                    if answer.cut_at is None:
                        shutil.copyfileobj(file, self.wfile, PIECE)
                    else:
                        self.wfile.write(file.read(answer.cut_at))
                        self.close_connection = True
            else:
                self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = serve  # noqa: N815 - the library's names

        def log_message(self, *args: object) -> None:
            pass

    return Handler


class _Counted:
    """A body that says how much of it nobody has read."""

    def __init__(self, stream: Any, length: int) -> None:
        self._stream = stream
        self.left = length

    def read(self, count: int) -> bytes:
        piece: bytes = self._stream.read(min(count, self.left))
        self.left -= len(piece)
        return piece


def as_json(text: bytes | str) -> Any:
    """JSON, or None where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None
