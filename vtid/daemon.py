"""The daemon: the API in this process, a worker process beside it, started again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog
import uvicorn

from vtid.accounts import FirstStart, prepare
from vtid.app import App
from vtid.errors import Unavailable
from vtid.web import create_app

log = structlog.get_logger("vtid.daemon")
RESTART_S = (0.2, 0.5, 1, 2, 5, 10, 30)
"""Waits before a worker process that died is started again: longer each time, until one has lived a while."""
LIVED_S = 60.0
IO_THREADS = 64
"""For files on their way in and out, which mostly wait; the default of a few per core would have them queue up."""


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
        self._worker: subprocess.Popen[bytes] | None = None

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
        # The worker starts first: its imports take as long as ours, and they can overlap.
        keeper = asyncio.create_task(self._keep_worker()) if self._workers else None
        await asyncio.sleep(0)
        first = await prepare(self._app.accounts, config.data.path)
        web = create_app(self._app)
        server = _Server(
            uvicorn.Config(
                web,
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
        host, port = sock.getsockname()[:2]
        log.info("listening", url=f"http://{host}:{port}", data=str(config.data.path))
        if first:
            _welcome(first, config.server.public_url or f"http://{_reachable(host)}:{port}")
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
            await asyncio.gather(serving, self._stop_worker())
        if keeper:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
        await self._app.close()
        return 0

    async def _keep_worker(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            self._worker = self._start_worker()
            await asyncio.to_thread(self._worker.wait)
            if self._stopping.is_set():
                return
            failures = 0 if time.monotonic() - started > LIVED_S else failures + 1
            pause = RESTART_S[min(failures, len(RESTART_S) - 1)]
            log.error(
                "the worker process died; its jobs go on in the next", code=self._worker.returncode, restart_s=pause
            )
            await asyncio.sleep(pause)

    def _start_worker(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "vtid.cli", *self._flags, "worker", "--with-parent", str(os.getpid())]
        command += ["--data", str(self._app.config.data.path)]
        # A session of its own: Ctrl-C in a terminal reaches this process, which stops the worker in good order.
        return subprocess.Popen(command, start_new_session=True)

    async def _stop_worker(self) -> None:
        """Let it drain; past its time it is ended, and its jobs are taken up by the next worker."""
        if self._worker is None or self._worker.poll() is not None:
            return
        self._worker.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._worker.wait, self._app.config.server.drain_seconds + 5)
        except subprocess.TimeoutExpired:
            self._worker.kill()
            self._worker.wait()


def _welcome(first: FirstStart, url: str) -> None:
    """Tell how to log in. On standard output: logs are kept, and this is nobody's business but the reader's."""
    link = f"{url.rstrip('/')}/login?token={first.token}"
    words = f"\nFirst start. To log in as {first.email}, once, and choose a password, open:\n\n    {link}\n"
    print(words, flush=True)


def _reachable(host: str) -> str:
    """An address of this machine at which a daemon answers that listens on all of them."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - looked for, not listened on
    return f"[{host}]" if ":" in host else host


class _Server(uvicorn.Server):
    """Uvicorn, but signals are the daemon's: it would end this process by the signal before the worker has drained."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


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
