"""Connections to addresses that were judged first.

A name is resolved once for each connection, every address that it leads to is judged, and the connection is made to one
of those: a name that means something else a moment later (DNS rebinding) changes nothing. Host header, SNI and
certificate go by the name all the same. Proxies that the environment names are not used: behind one, nobody here would
know what a name leads to.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, TypeVar

import httpcore
import httpx
from msgspec import Struct

from vtid.errors import InvalidInput, Problem
from vtid.net.addresses import Address, Reach, parse_address
from vtid.net.urls import refused

T = TypeVar("T")
Resolve = Callable[[str, int], list[str]]
SLICE_S = 0.5
"""How long a wait for the other side may be deaf to a cancel."""
CONNECT_S = 10.0
RESOLVE_S = 10.0
AGENT = "vtid"


class Broken(Exception):
    """The other side was not there, did not answer as it should, or broke off: later it may."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.after = after
        """Seconds that the other side asked to be left alone for."""


class Answer(Struct, frozen=True):
    """What came back, cut short."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Outbound:
    """Makes guarded connections.

    Args:
        reach: which addresses may be reached.
        resolve: name and port to addresses; the system's where None.
        context: of TLS; the usual roots of trust (`SSL_CERT_FILE` adds to them) where None.
    """

    def __init__(self, reach: Reach, resolve: Resolve | None = None, context: ssl.SSLContext | None = None) -> None:
        self.reach = reach
        self._resolve = resolve or _system_resolve
        self._context = context
        self._lock = threading.Lock()

    def judge(self, url: httpx.URL, field: str) -> None:
        """Look where a URL leads now, without going there. Blocks.

        Raises:
            InvalidInput: nobody knows its name.
            AddressRefused: it leads to no address that may be reached.
        """
        literal = parse_address(url.host)
        try:
            found = [literal] if literal else [parse_address(a) for a in self._resolve(url.host, url.port or 443)]
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            raise InvalidInput(f"{field}: {error}", problems=[Problem(field, str(error), "unknown_host")]) from None
        if not any(address and self.reach.permits(url.host, address) for address in found):
            raise refused(url.host, field)

    @contextmanager
    def session(self, *, seconds: float, idle_s: float, check: Callable[[], None] = lambda: None) -> Iterator[Outgoing]:
        """A few requests that belong together.

        Args:
            seconds: for all of it.
            idle_s: how long the other side may be silent.
            check: called at least twice a second; what it raises ends everything.
        """
        watch = _Watch(time.monotonic() + seconds, check)
        with self._lock:  # reading the roots of trust takes 20 ms, once
            self._context = self._context or httpx.create_ssl_context()
        transport = _Transport(self._context, _Backend(self.reach, self._resolve, watch))
        timeout = httpx.Timeout(idle_s, connect=CONNECT_S)
        with httpx.Client(transport=transport, timeout=timeout, headers={"User-Agent": AGENT}) as client:
            yield Outgoing(client)


class Outgoing:
    """Requests that go out through the guard. Redirects are the caller's to follow, or not."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    @contextmanager
    def get(self, url: httpx.URL, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """A response whose body was not read yet. Raises `Broken`, also from reading within the block."""
        with _in_words(url.host), self._client.stream("GET", url, headers=dict(headers)) as answer:
            yield answer

    def post(self, url: httpx.URL, content: bytes, headers: Mapping[str, str], most: int) -> Answer:
        """Send a body; of what comes back, the first `most` bytes. Raises `Broken`."""
        asked = dict(headers) | {"Accept-Encoding": "identity"}
        with _in_words(url.host), self._client.stream("POST", url, content=content, headers=asked) as answer:
            body = bytearray()
            for piece in answer.iter_raw():
                body += piece
                if len(body) >= most:
                    break
            return Answer(answer.status_code, answer.headers, bytes(body[:most]))


def phrase(status: int) -> str:
    """A status of HTTP as people know it."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


@contextmanager
def _in_words(host: str) -> Iterator[None]:
    try:
        yield
    except (httpx.ConnectTimeout, httpx.PoolTimeout):
        raise Broken(f"{host} does not answer") from None
    except httpx.TimeoutException:
        raise Broken(f"{host} fell silent") from None
    except httpx.ConnectError as error:
        raise Broken(f"{host} cannot be connected to: {_reason(error)}") from error
    except httpx.TransportError as error:
        raise Broken(f"The connection to {host} broke: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not valid ({cause.verify_message})"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__


class _Watch:
    """When a session has to end, and who may end it sooner."""

    def __init__(self, deadline: float, check: Callable[[], None]) -> None:
        self._deadline = deadline
        self._check = check

    def left(self, timeout: float | None) -> float:
        """Seconds that one wait may take. Raises what ends the session."""
        self._check()
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left if timeout is None else min(left, timeout)

    def sliced(self, wait: Callable[[float], T], timeout: float | None) -> T:
        """Wait in short turns, looking up between them."""
        end = time.monotonic() + self.left(timeout)
        while True:
            try:
                return wait(min(SLICE_S, max(0.001, end - time.monotonic())))
            except httpcore.ReadTimeout:
                self._check()
                if time.monotonic() >= end:
                    raise


class _Transport(httpx.HTTPTransport):
    """httpx's own, on a pool that connects through the guard; httpx has no argument for it."""

    def __init__(self, context: ssl.SSLContext, backend: httpcore.NetworkBackend) -> None:
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.ConnectionPool(ssl_context=context, network_backend=backend, max_connections=2)


class _Backend(httpcore.NetworkBackend):
    def __init__(self, reach: Reach, resolve: Resolve, watch: _Watch) -> None:
        self._reach = reach
        self._resolve = resolve
        self._watch = watch
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of the name that may be reached and answers."""
        last: Exception | None = None
        for address in self._judged(host, port):
            try:
                stream = self._inner.connect_tcp(
                    str(address), port, self._watch.left(timeout), local_address, socket_options
                )
                return _Stream(stream, self._watch)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        assert last is not None
        raise last

    def _judged(self, host: str, port: int) -> list[Address]:
        literal = parse_address(host)
        found = [literal] if literal else [a for a in map(parse_address, self._resolve(host, port)) if a]
        if not found:
            raise httpcore.ConnectError(f"there is no such name as {host}")
        allowed = [address for address in found if self._reach.permits(host, address)]
        if not allowed:
            raise refused(host, "")
        return allowed


class _Stream(httpcore.NetworkStream):
    """A connection that looks up from its waits."""

    def __init__(self, inner: httpcore.NetworkStream, watch: _Watch) -> None:
        self._inner = inner
        self._watch = watch

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What has come; waiting for it, as long as the session may."""
        return self._watch.sliced(lambda seconds: self._inner.read(max_bytes, seconds), timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it."""
        self._inner.write(buffer, self._watch.left(timeout))

    def close(self) -> None:
        """Close it."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Go on in TLS, for the name that was asked for."""
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, self._watch.left(timeout)), self._watch)

    def get_extra_info(self, info: str) -> Any:
        """What the connection knows of itself."""
        return self._inner.get_extra_info(info)


def _system_resolve(host: str, port: int) -> list[str]:
    """The system's resolver, which knows no time limit: asked from a thread that may be left behind."""
    found: list[list[str]] = []
    failed: list[OSError | UnicodeError] = []

    def ask() -> None:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.append(list(dict.fromkeys(str(info[4][0]) for info in infos)))
        except (OSError, UnicodeError) as error:
            failed.append(error)

    thread = threading.Thread(target=ask, name="vtid-resolve", daemon=True)
    thread.start()
    thread.join(RESOLVE_S)
    if failed:
        raise httpcore.ConnectError(f"the name {host} is not known") from failed[0]
    if not found:
        raise httpcore.ConnectTimeout(f"nobody says what {host} is")
    return found[0]
