"""Connections of strangers, on real sockets: half a head, half a body, silence, and too many of them."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests.conftest import PATIENCE_S, wait_until
from tests.web.daemon import Daemon
from vtid.daemon import _bind
from vtid.web import connections
from vtid.web.connections import Keeper

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Served:
    """An application that reads its body and says how long it was; `gone` counts the clients that left in the middle."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.gone = 0
        self.hold = threading.Event()

    def line(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_S, (source, 0))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/held":
            while not self.hold.is_set():
                await asyncio.sleep(0.02)
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone += 1
                return
            size, more = size + len(message["body"]), message["more_body"]
        body = str(size).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})


@contextmanager
def served(keeper: Keeper) -> Iterator[Served]:
    sock = _bind("127.0.0.1", 0)
    app = Served(sock.getsockname()[1])
    config = uvicorn.Config(app, **keeper.protocols(), lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[sock])))
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield app
    finally:
        app.hold.set()
        server.should_exit = True
        thread.join(PATIENCE_S)
        sock.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """Where silence is found out soon."""
    monkeypatch.setattr(connections, "LOOK_S", 0.05)
    with served(Keeper(100, 100, head_s=1.0, silence_s=1.0)) as app:
        yield app


def answer(line: socket.socket) -> tuple[bytes, bytes]:
    """The status and the body of one answer."""
    said = b""
    while b"\r\n\r\n" not in said:
        said += line.recv(65536)
    head, _, body = said.partition(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += line.recv(65536)
    return head[9:12], body


def everything(line: socket.socket) -> bytes:
    """What comes until the other side closes."""
    said = b""
    with line:
        while piece := line.recv(65536):
            said += piece
    return said


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "])
def test_half_a_head_is_not_waited_for(quick: Served, begun: bytes) -> None:
    line = quick.line()
    line.sendall(begun)
    said = everything(line)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert json.loads(said.partition(b"\r\n\r\n")[2])["code"] == "too_slow"


def test_nor_is_one_that_comes_byte_by_byte(quick: Served) -> None:
    line = quick.line()
    stop = threading.Event()

    def drip() -> None:
        line.sendall(b"GET / HTTP/1.1\r\n")
        for _ in iter(lambda: stop.wait(0.05), True):
            try:
                line.sendall(b"X: y\r\n")
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        assert wait_until(lambda: line.recv(100)).startswith(b"HTTP/1.1 408 ")
    finally:
        stop.set()
        thread.join()
        line.close()


def test_nor_is_the_second_head(quick: Served) -> None:
    line = quick.line()
    line.sendall(GET)
    assert answer(line) == (b"200", b"0")
    line.sendall(GET[:-2])
    assert everything(line).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_stalls_is_cut_off(quick: Served) -> None:
    line = quick.line()
    line.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
    assert everything(line) == b""
    wait_until(lambda: quick.gone == 1)


def test_what_goes_on_is_let_go_on() -> None:
    """A body that takes longer than any limit, without being silent for long; and an answer that takes its time.

    The limit is long beside the pauses: a busy machine adds to these.
    """
    with served(Keeper(100, 100, head_s=5.0, silence_s=5.0)) as app, app.line() as line, app.line() as held:
        held.sendall(GET.replace(b"/ ", b"/held ", 1))
        line.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60\r\n\r\n")
        for _ in range(60):
            app.hold.wait(0.1)
            line.sendall(b"x")
        assert answer(line) == (b"200", b"60")
        app.hold.set()
        assert answer(held) == (b"200", b"0")


def test_silence_that_is_ours_does_not_count(quick: Served) -> None:
    """Nothing is read while the application has not dealt with what came."""
    with quick.line() as line:
        line.sendall(b"POST /held HTTP/1.1\r\nHost: localhost\r\nContent-Length: 400000\r\n\r\n" + b"x" * 200_000)
        threading.Event().wait(2)  # several looks: had it counted, the line would be gone
        quick.hold.set()
        line.sendall(b"x" * 200_000)
        assert answer(line) == (b"200", b"400000")


# --- too many


def open_lines(stack: ExitStack, count: int, connect: Callable[[], socket.socket]) -> list[socket.socket]:
    lines = [stack.enter_context(connect()) for _ in range(count)]
    for line in lines:
        line.sendall(GET)
        assert answer(line)[0] == b"200"
    return lines


def test_one_connection_too_many_is_told_so() -> None:
    with served(Keeper(5, 5)) as app, ExitStack() as stack:
        lines = open_lines(stack, 5, app.line)
        said = everything(app.line())
        assert said.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 10" in said
        lines.pop().close()
        open_lines(stack, 1, app.line)


def test_one_address_does_not_take_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses of this machine stand for those of others here; the one that is a proxy's has no limit of its own."""
    monkeypatch.setattr(Keeper, "_is_friend", _without_loopback)
    with served(Keeper(20, 3, ["127.0.0.9"])) as app, ExitStack() as stack:
        open_lines(stack, 3, app.line)
        assert everything(app.line()).startswith(b"HTTP/1.1 503 ")
        open_lines(stack, 3, lambda: app.line("127.0.0.2"))
        open_lines(stack, 6, lambda: app.line("127.0.0.9"))


def _without_loopback(keeper: Keeper, home: str) -> bool:
    return any(str(network.network_address) == home for network in keeper._friends)


def test_this_machine_has_no_limit_of_its_own() -> None:
    with served(Keeper(20, 3)) as app, ExitStack() as stack:
        open_lines(stack, 10, app.line)


@pytest.mark.parametrize("friend", ["10.0.0.0/8", "10.1.2.3", "2001:db8::/32", "*"])
def test_networks_of_proxies(friend: str) -> None:
    keeper = Keeper(1, 1, [friend])
    homes = {home: keeper._is_friend(home) for home in ("10.1.2.3", "2001:db8:1:2::/64", "192.0.2.1")}
    assert homes["10.1.2.3"] == (friend.startswith("10.") or friend == "*")
    assert homes["2001:db8:1:2::/64"] == (friend.startswith("2001") or friend == "*")
    assert homes["192.0.2.1"] == (friend == "*")
    assert keeper._is_friend("::1/128")
    assert keeper._is_friend("127.0.0.1")


def test_a_daemon_that_strangers_play_with_logs_json_and_little(tmp_path: Path) -> None:
    """More connections than it takes, and nonsense on those that it does."""
    with Daemon(tmp_path, {}, workers=False, server__max_connections=20) as daemon:
        port = daemon.http.base_url.port
        with ExitStack() as stack:
            for _ in range(60):
                line = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S))
                line.sendall(b"NONSENSE\r\n\r\n")
        wait_until(lambda: daemon.http.get("/").status_code == 200)
        with ExitStack() as stack:
            lines = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(60)]
            assert any(line.recv(100).startswith(b"HTTP/1.1 503 ") for line in lines[-5:])
        daemon.terminate()
        lines_ = [text for text in daemon.log.read_text().splitlines() if text.startswith("{")]
        loose = [t for t in daemon.log.read_text().splitlines() if t.strip() and not t.startswith("{")]
        assert not [text for text in loose if "Invalid HTTP" in text or "Traceback" in text], loose
        found = [json.loads(text) for text in lines_]
        nonsense = [one for one in found if one["message"] == "Invalid HTTP request received."]
        assert len(nonsense) == 1
        assert {"timestamp", "level", "service"} <= nonsense[0].keys()
        assert nonsense[0]["metadata"]["logger"] == "uvicorn.error"
        assert len([one for one in found if one["message"].startswith("refused a connection")]) == 1
