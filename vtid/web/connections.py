"""Connections: how many there may be, and how long one may be silent.

Strangers open them without a login. What they hold open costs a file each of those that the process may have, so there
is a limit for all and one for each address; and who has begun a request has to go on with it. Uvicorn itself ends only
silence between two requests. Beside `vtid.daemon` the only importer of uvicorn.
"""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, Protocol, cast

import structlog
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol

from vtid.config import Config
from vtid.logs import Seldom
from vtid.web.auth import household

log = structlog.get_logger("vtid.connections")
HEAD_S = 20.0
"""For the head of a request, from the first byte or, of the first request, from the connection on."""
SILENCE_S = 30.0
"""How long nothing may come of a body that is waited for, and how long a line that is being closed may take for it."""
LOOK_S = 1.0
MOST_FILES = 65_536
"""Of open files; some machines allow a billion, and what walks over all of them would never end."""
MOST_LINES = 10_000
MOST_OF_ONE = 256


def _answer(status: str, code: str, detail: str) -> bytes:
    body = f'{{"type":"about:blank","title":"{status[4:]}","status":{status[:3]},"code":"{code}","detail":"{detail}"}}'
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Retry-After: 10\r\nConnection: close\r\n\r\n{body}".encode()


BUSY = _answer("503 Service Unavailable", "too_many_connections", "There are too many connections; come back soon.")
SLOW = _answer("408 Request Timeout", "too_slow", f"The head of a request has to come within {HEAD_S:g} seconds.")


def raise_file_limit() -> int:
    """Let this process have as many files open as the system grants. Returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return MOST_FILES if soft == resource.RLIM_INFINITY else min(soft, MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


class _Line(Protocol):
    """A connection on which HTTP is spoken."""

    def is_overdue(self, now: float) -> bool:
        """Whether it has been silent for too long."""
        ...

    def give_up(self) -> None:
        """Close it."""


class Keeper:
    """Counts connections, and closes those that are silent.

    Args:
        most: connections at once.
        most_of_one: of one address; of an IPv6 address, of its network.
        friends: addresses and networks for which that does not hold, such as reverse proxies; `*` for any.
        head_s: see `HEAD_S`.
        silence_s: see `SILENCE_S`.
    """

    def __init__(
        self,
        most: int,
        most_of_one: int,
        friends: Collection[str] = (),
        *,
        head_s: float = HEAD_S,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._friends = list(_networks(friends))
        self.head_s = head_s
        self.silence_s = silence_s
        self._lines: dict[Any, _Line | None] = {}
        """By transport; None once it is a WebSocket, which has pings of its own."""
        self._of: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None
        self._seldom = Seldom()

    @classmethod
    def of(cls, config: Config) -> Keeper:
        """As the settings say, or as the number of files allows that this process may have open."""
        server, files = config.server, raise_file_limit()
        most = server.max_connections or min(MOST_LINES, files // 3)  # most need a second file: an upload, a download
        of_one = server.max_connections_per_address or max(1, min(MOST_OF_ONE, most // 4))
        return cls(most, of_one, server.trusted_proxies)

    def admit(self, transport: asyncio.BaseTransport, line: _Line | None) -> bool:
        """Whether a connection may stay; one that is known already has become a WebSocket."""
        if transport in self._lines:
            self._lines[transport] = line
            return True
        home = _home(transport)
        if len(self._lines) >= self._most or (self._of[home] >= self._most_of_one and not self._is_friend(home)):
            if (more := self._seldom.passes("refused")) is not None:
                log.warning("refused a connection: there are too many", open=len(self._lines), held_back=more)
            return False
        self._lines[transport] = line
        self._of[home] += 1
        self._timer = self._timer or asyncio.get_running_loop().call_later(LOOK_S, self._look)
        return True

    def leave(self, transport: asyncio.BaseTransport) -> None:
        """A connection is gone."""
        if transport in self._lines:
            del self._lines[transport]
            home = _home(transport)
            self._of[home] -= 1
            if not self._of[home]:
                del self._of[home]

    def _is_friend(self, home: str) -> bool:
        try:
            network = ip_network(home)
        except ValueError:  # no address: a socket file, which only this machine's users reach
            return True
        inside = (f for f in self._friends if f.version == network.version)
        return bool(network.is_loopback) or any(network.subnet_of(f) for f in inside)  # type: ignore[arg-type]

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for line in [found for found in self._lines.values() if found is not None and found.is_overdue(now)]:
            line.give_up()
        self._timer = loop.call_later(LOOK_S, self._look) if self._lines else None

    def protocols(self) -> dict[str, Any]:
        """Uvicorn's `http` and `ws`, kept by this one."""
        mine = {"keeper": self}
        return {"http": type("KeptHttp", (_Http,), mine), "ws": type("KeptWebSocket", (_WebSocket,), mine)}


class _Together:
    """Sends what is written in one turn of the event loop at once.

    Uvicorn writes the head of an answer and then its body: two system calls and two packets for an answer of a few
    hundred bytes, and with each call whoever waits for the interpreter's lock takes it.

    Args:
        inner: the connection.
        loop: whose turns count.
    """

    MOST = 64 * 1024
    """Bytes that are held back; more is sent at once, so that a slow reader is felt where it is asked."""

    def __init__(self, inner: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._inner = inner
        self._loop = loop
        self._held = bytearray()
        self._later: asyncio.Handle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """As a transport has it."""
        if len(data) >= self.MOST:
            self.flush()
            self._inner.write(data)
            return
        if self._later is None:
            self._later = self._loop.call_soon(self.flush)
        self._held += data
        if len(self._held) >= self.MOST:
            self.flush()

    def writelines(self, parts: Iterable[bytes]) -> None:
        """As a transport has it."""
        self.write(b"".join(parts))

    def write_eof(self) -> None:
        """As a transport has it."""
        self.flush()
        self._inner.write_eof()

    def close(self) -> None:
        """As a transport has it."""
        self.flush()
        self._inner.close()

    def abort(self) -> None:
        """As a transport has it."""
        self._held.clear()
        self._inner.abort()

    def flush(self) -> None:
        """Send now: nothing more comes in this turn."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._held:
            held, self._held = self._held, bytearray()
            self._inner.write(held)


class _Http(AutoHTTPProtocol):  # type: ignore[valid-type, misc]
    """A connection as uvicorn has it, whichever parser that found."""

    keeper: Keeper

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._began: float | None = self.loop.time()
        self._heard = self._began
        transport = cast("asyncio.Transport", _Together(transport, self.loop))
        self._refused = not self.keeper.admit(transport, self)
        if self._refused:
            transport.write(BUSY)
            transport.close()
        else:
            super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._heard = self.loop.time()
        if self._began is None and self._is_between():
            self._began = self._heard
        super().data_received(data)
        if not self._is_between():
            self._began = None

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._refused:
            self.keeper.leave(self.transport)
            super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self.transport.flush()
        super().on_response_complete()

    def _is_between(self) -> bool:
        """Whether the head of a request is what comes next."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def is_overdue(self, now: float) -> bool:
        if self.transport.is_closing():  # what is left to send is not fetched
            return bool(now - self._heard > self.keeper.silence_s)
        if self._is_between():
            return self._began is not None and now - self._began > self.keeper.head_s
        if self.flow.read_paused:  # the silence is ours: nothing is read until what came is dealt with
            self._heard = now
        return bool(self.cycle.more_body) and now - self._heard > self.keeper.silence_s

    def give_up(self) -> None:
        if self._is_between() and not self.transport.is_closing():
            self.transport.write(SLOW)
            self.transport.close()
        else:
            self.transport.abort()


class _WebSocket(AutoWebSocketsProtocol):  # type: ignore[valid-type, misc]
    """The same after its handshake."""

    keeper: Keeper

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.keeper.admit(transport, None)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.keeper.leave(self.transport)
        super().connection_lost(exc)


def _home(transport: asyncio.BaseTransport) -> str:
    peer = transport.get_extra_info("peername")
    return household(str(peer[0])) if isinstance(peer, tuple) else ""


def _networks(entries: Collection[str]) -> Iterator[IPv4Network | IPv6Network]:
    for entry in entries:
        if entry == "*":
            yield from (ip_network("0.0.0.0/0"), ip_network("::/0"))
            continue
        try:
            yield ip_network(entry, strict=False)
        except ValueError:  # the path of a socket file
            continue
