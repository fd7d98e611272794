"""The daemon: the API in this process, a worker and a watcher beside it, started again when they die."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog
import uvicorn

from vtid.accounts import FirstStart, prepare
from vtid.app import App
from vtid.errors import Unavailable
from vtid.web import create_app
from vtid.web.connections import Keeper

log = structlog.get_logger("vtid.daemon")
RESTART_S = (0.2, 0.5, 1, 2, 5, 10, 30)
"""Waits before a process that died is started again: longer each time, until one has lived a while."""
LIVED_S = 60.0
NEEDED_S = 2.0
"""How often it is asked whether a process that was not needed yet is now."""
IO_THREADS = 64
"""For files on their way in and out, which mostly wait; the default of a few per core would have them queue up."""
SWITCH_S = 0.0005
"""A thread that reads the database lets go of the interpreter's lock with every row; behind a busy event loop it got it
back after 5 ms, which is Python's default, and everybody who asked waited for it."""


class Daemon:
    """Serves until it is told to stop.

    Args:
        app: wired.
        config_flags: that lead a worker process to the same configuration.
        workers: whether to run one beside the API.
    """

    def __init__(self, app: App, *, config_flags: Sequence[str], workers: bool) -> None:
        self._app = app
        self._flags = list(config_flags)
        self._workers = workers
        self._stopping = asyncio.Event()

    def run(self) -> int:
        """Serve, and return the exit code."""
        return asyncio.run(self._serve())

    async def _serve(self) -> int:
        config = self._app.config
        try:
            sock = _bind(config.server.host, config.server.port)
        except OSError as error:
            raise Unavailable(
                f"Port {config.server.port} of {config.server.host} cannot be had: {error.strerror}.",
                suggestion="Stop what listens there, or choose another with --port.",
            ) from error
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(IO_THREADS, "vtid-io"))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        # They start first: their imports take as long as ours, and they can overlap.
        beside = self._beside()
        keepers = [asyncio.create_task(process.keep(self._stopping)) for process in beside]
        await asyncio.sleep(0)
        first = await prepare(self._app.accounts, config.data.path)
        await self._app.callbacks.rouse()
        web = create_app(self._app)
        server = _Server(
            uvicorn.Config(
                web,
                **Keeper.of(config).protocols(),
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                # Without a proxy, what a client says of where it comes from is only what it says.
                proxy_headers=bool(config.server.trusted_proxies),
                forwarded_allow_ips=list(config.server.trusted_proxies),
                timeout_graceful_shutdown=round(config.server.drain_seconds),
            ),
        )
        _settle()
        host, port = sock.getsockname()[:2]
        log.info("listening", url=f"http://{host}:{port}", data=str(config.data.path))
        if first:
            _welcome(first, config.server.public_url or config.server.own_url(port))
        with sock:
            serving = asyncio.create_task(server.serve(sockets=[sock]))
            await asyncio.wait(
                (serving, told := asyncio.create_task(self._stopping.wait())), return_when=asyncio.FIRST_COMPLETED
            )
            # Steps and requests drain side by side; streams would never end by themselves.
            told.cancel()
            self._stopping.set()
            web.state.feed.close()
            server.should_exit = True
            await asyncio.gather(serving, *(process.stop(config.server.drain_seconds) for process in beside))
        for keeper in keepers:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
        await self._app.close()
        return 0

    def _beside(self) -> list[Beside]:
        """The processes beside this one: a worker, and a watcher once hot folders are declared."""
        data = str(self._app.config.data.path)
        found = [Beside(("worker",), "its jobs go on in the next")] if self._workers else []
        found.append(Beside(("watch", "run"), "its files go on in the next", needed=self._has_hot_folders))
        for process in found:
            process.command = [sys.executable, "-m", "vtid.cli", *self._flags, *process.words]
            process.command += ["--with-parent", str(os.getpid()), "--data", data]
        return found

    def _has_hot_folders(self) -> bool:
        return any(file for folder in self._app.config.watches.dirs for file in folder.glob("*.toml"))


class Beside:
    """A process beside the API, started again when it dies.

    Args:
        words: of the command that it runs.
        solace: what becomes of its work when it dies.
        needed: asked every few seconds; it is started once there is work for it.
    """

    def __init__(self, words: Sequence[str], solace: str, needed: Callable[[], bool] = lambda: True) -> None:
        self.words = tuple(words)
        self._needed = needed
        self.command: list[str] = []
        self._solace = solace
        self._process: subprocess.Popen[bytes] | None = None

    async def keep(self, stopping: asyncio.Event) -> None:
        """Start it, and start it again, until the daemon stops."""
        while not self._needed():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), NEEDED_S)
            if stopping.is_set():
                return
        failures = 0
        while not stopping.is_set():
            started = time.monotonic()
            self._process = self._start()
            await asyncio.to_thread(self._process.wait)
            if stopping.is_set():
                return
            failures = 0 if time.monotonic() - started > LIVED_S else failures + 1
            pause = RESTART_S[min(failures, len(RESTART_S) - 1)]
            what = f"the {self.words[0]} process died; {self._solace}"
            log.error(what, code=self._process.returncode, restart_s=pause)
            await asyncio.sleep(pause)

    def _start(self) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C in a terminal reaches the API, which stops it in good order.
        return subprocess.Popen(self.command, start_new_session=True)

    async def stop(self, drain_s: float) -> None:
        """Let it drain; past its time it is ended, and its work is taken up by the next."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, drain_s + 5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _welcome(first: FirstStart, url: str) -> None:
    """Tell how to log in. On standard output: logs are kept, and this is nobody's business but the reader's."""
    link = f"{url.rstrip('/')}/login?token={first.token}"
    words = f"\nFirst start. To log in as {first.email}, once, and choose a password, open:\n\n    {link}\n"
    print(words, flush=True)


class _Server(uvicorn.Server):
    """Uvicorn, but signals are the daemon's: it would end this process by the signal before the worker has drained."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


def _settle() -> None:
    """Set the interpreter up for serving, once everything that lives as long as the process is there.

    The garbage collector walked over all of that again and again, which cost a seventh of every request; now it is out
    of its sight. What requests make is mostly gone by counting references, so that it looks less often than by default.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    sys.setswitchinterval(SWITCH_S)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio goes by it: to a socket of protocol 0 it sends without TCP_NODELAY, and each
    # answer then waits 40 ms for the client's delayed acknowledgement of its headers.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(1024)
    except OSError:
        sock.close()
        raise
    return sock
