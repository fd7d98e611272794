"""The doorbell: a queue that carries job ids and nothing else. The only importer of Huey.

Huey drops a message once a worker has taken it, whatever becomes of the worker; that is all right here, since the
database knows every job and the reconciler rings again.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huey import PriorityRedisHuey, SqliteHuey
from huey.consumer import Consumer
from huey.serializer import SignedSerializer

from vtid.errors import Unavailable

NAME = "vtid"
POLL_S = 0.2
"""The longest that an idle worker on SQLite takes to hear the bell."""

logging.getLogger("huey").setLevel(logging.ERROR)  # what matters is logged by the runner, once


class Queue:
    """Rings for jobs, and has workers listen.

    Args:
        url: `redis://…`, or `sqlite:///…` for a file.
        secret: signs the messages: Huey's are pickles, and only our own are to be opened.
    """

    def __init__(self, url: str, secret: bytes) -> None:
        serializer = SignedSerializer(secret=secret.hex())
        if url.startswith(("redis://", "rediss://", "unix://")):
            self._huey = PriorityRedisHuey(
                NAME, url=url, results=False, serializer=serializer, blocking=True, read_timeout=1
            )
        else:
            path = Path(url.removeprefix("sqlite:///"))
            with contextlib.suppress(OSError):  # where it cannot be made, the first bell says so
                path.touch(mode=0o600)
            # Without fsync: a bell that a power cut silences is rung again by the reconciler.
            self._huey = SqliteHuey(NAME, filename=str(path), results=False, serializer=serializer, fsync=False)
        self._handler: Callable[[str], None] = _nobody
        self._ring = self._huey.task(name="run_job")(self._run)

    def _run(self, job_id: str) -> None:
        self._handler(job_id)

    def ring(self, job_id: str, priority: int = 0) -> None:
        """Tell the workers of a job; bells of a higher priority are heard first.

        Raises:
            Unavailable: nobody was told; the job itself is safe then.
        """
        try:
            self._ring(job_id, priority=priority)
        except Exception as error:
            raise Unavailable(f"The queue does not answer: {error}") from error

    def pending(self) -> int:
        """How many bells nobody has heard yet."""
        try:
            return int(self._huey.pending_count())
        except Exception as error:
            raise Unavailable(f"The queue does not answer: {error}") from error

    def close(self) -> None:
        """Give the connections back."""
        storage = self._huey.storage
        if isinstance(self._huey, PriorityRedisHuey):
            storage.conn.connection_pool.disconnect()
        else:
            storage.close()

    def listen(self, handler: Callable[[str], None], threads: int) -> Listener:
        """Have `handler` called with each job id, in that many threads."""
        self._handler = handler
        return Listener(self._huey, threads)


def _nobody(job_id: str) -> None:
    raise RuntimeError(f"nobody listens for {job_id}")


class _EmbeddedConsumer(Consumer):  # type: ignore[misc]  # Huey has no types
    """Huey's consumer as a part of our process: signals are ours to handle."""

    def _set_signal_handlers(self) -> None:
        pass


class Listener:
    """Threads that listen for the bell."""

    def __init__(self, huey: Any, threads: int) -> None:
        self._consumer = _EmbeddedConsumer(
            huey,
            workers=threads,
            periodic=False,
            initial_delay=0.02,
            max_delay=POLL_S,
            check_worker_health=False,
            scheduler_interval=60,  # nothing is ever scheduled: waits are rows
        )

    def start(self) -> None:
        """Begin to listen."""
        self._consumer.start()

    def stop(self, wait_s: float) -> None:
        """Take no more jobs, and wait that long for the threads to come back."""
        self._consumer.stop_flag.set()
        deadline = time.monotonic() + wait_s
        for _, thread in self._consumer.worker_threads:
            thread.join(max(0.0, deadline - time.monotonic()))
