"""The daemon: the API in this process, a worker process beside it, started again when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType

import structlog
import uvicorn

from vtid.app import App
from vtid.errors import Unavailable
from vtid.web import create_app

log = structlog.get_logger("vtid.daemon")
RESTART_S = (0.2, 0.5, 1, 2, 5, 10, 30)
"""Waits before a worker process that died is started again: longer each time, until one has lived a while."""
LIVED_S = 60.0


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
        self._stopping = False
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
        # The worker starts first: its imports take as long as ours, and they can overlap.
        keeper = asyncio.create_task(self._keep_worker()) if self._workers else None
        web = create_app(self._app)
        server = _Server(
            web.state.feed.close,
            uvicorn.Config(
                web,
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=5,
            ),
        )
        host, port = sock.getsockname()[:2]
        log.info("listening", url=f"http://{host}:{port}", data=str(config.data.path))
        with sock:
            await server.serve(sockets=[sock])
        self._stopping = True
        if keeper:
            await self._stop_worker()
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
        await self._app.close()
        return 0

    async def _keep_worker(self) -> None:
        failures = 0
        while not self._stopping:
            started = time.monotonic()
            self._worker = self._start_worker()
            await asyncio.to_thread(self._worker.wait)
            if self._stopping:
                return
            failures = 0 if time.monotonic() - started > LIVED_S else failures + 1
            pause = RESTART_S[min(failures, len(RESTART_S) - 1)]
            log.error(
                "the worker process died; its jobs go on in the next", code=self._worker.returncode, restart_s=pause
            )
            await asyncio.sleep(pause)

    def _start_worker(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "vtid.cli", *self._flags, "worker", "--with-parent"]
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


class _Server(uvicorn.Server):
    """Uvicorn, but event streams end as soon as a stop is asked for: it would wait for them."""

    def __init__(self, on_exit: Callable[[], None], config: uvicorn.Config) -> None:
        super().__init__(config)
        self._on_exit = on_exit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, also streams."""
        self._on_exit()
        super().handle_exit(sig, frame)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(1024)
    except OSError:
        sock.close()
        raise
    return sock
