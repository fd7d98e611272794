"""A worker: listens for the bell, runs jobs, keeps its leases alive, and rings for jobs that others lost."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from vtid.db import Jobs, Work
from vtid.engine.bridge import Bridge
from vtid.engine.control import Reason
from vtid.engine.courier import Courier
from vtid.engine.housekeeping import Housekeeping
from vtid.engine.processes import is_alive, this_machine
from vtid.engine.runner import Runner
from vtid.errors import VtidError

log = structlog.get_logger("vtid.worker")
RECONCILE_S = 0.25
SWEEP_S = 3600.0
BACKLOG = 16
"""Bells in the queue for each slot, above which the reconciler adds none."""
KILL_S = 2.0
"""How long a stopped step's process may take to be gone."""


class Bell(Protocol):
    """What a worker needs of the queue; `vtid.tasks` has it."""

    def ring(self, job_id: str) -> None:
        """Tell the workers of a job."""

    def pending(self) -> int:
        """How many bells nobody has heard yet."""
        ...

    def listen(self, handler: Callable[[str], None], threads: int) -> Listening:
        """Have `handler` called for every job that is rung for."""
        ...


class Listening(Protocol):
    """Threads that listen."""

    def start(self) -> None:
        """Begin to listen."""

    def stop(self, wait_s: float) -> None:
        """Take no more, and wait that long for those at work."""


class Worker:
    """Runs jobs until it is stopped.

    Args:
        bell: the queue.
        runner: runs one job.
        work: this worker's view of the database.
        jobs: everybody's view of it.
        bridge: to both.
        housekeeping: done at the start and every hour.
        courier: tells others what happened to jobs.
        slots: jobs at once.
        labels: what this worker can do.
        tick_s: how often cancels are looked for.
        drain_s: how long running steps may go on after `stop`.
    """

    def __init__(
        self,
        bell: Bell,
        runner: Runner,
        work: Work,
        jobs: Jobs,
        bridge: Bridge,
        housekeeping: Housekeeping,
        courier: Courier,
        *,
        slots: int,
        labels: Sequence[str],
        tick_s: float,
        drain_s: float,
    ) -> None:
        self._bell = bell
        self._runner = runner
        self._work = work
        self._jobs = jobs
        self._bridge = bridge
        self._housekeeping = housekeeping
        self._courier = courier
        self._slots = slots
        self._labels = list(labels)
        self._tick_s = tick_s
        self._drain_s = drain_s
        self._listening = bell.listen(self._take, slots)
        self._stopped = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="vtid-heart", daemon=True)

    def start(self) -> None:
        """Show up, then begin to take jobs."""
        self._renew()  # a worker that cannot reach its database does not start
        self._quietly(self._reconcile)  # before sweeping: what dead workers held is nobody's then
        self._quietly(self._sweep)
        self._heart.start()
        self._courier.start()
        self._listening.start()
        log.info("worker started", worker=self._work.worker_id, slots=self._slots)

    def _take(self, job_id: str) -> None:
        if not self._stopped.is_set():
            self._runner.run(job_id)

    def stop(self) -> None:
        """Take no more jobs, let the running ones finish for a while, hand the rest back."""
        self._stopped.set()
        self._listening.stop(self._drain_s if self._runner.active else 0.5)
        for job_id in self._runner.active:
            self._runner.stop(job_id, Reason.STOPPING)
        deadline = time.monotonic() + KILL_S
        while self._runner.active and time.monotonic() < deadline:
            time.sleep(0.02)
        self._courier.stop()  # after the jobs: what is to be told of their ends is a row, and waits for the next worker
        self._heart.join(KILL_S)
        self._quietly(lambda: self._bridge.run(self._work.retire()))
        log.info("worker stopped", worker=self._work.worker_id)

    # --- the heart: one thread for all jobs in hand

    def _beat(self) -> None:
        renewed = reconciled = swept = time.monotonic()
        # It beats until the last job is out of hand, also while the worker drains.
        while not self._stopped.wait(self._tick_s) or self._runner.active:
            now = time.monotonic()
            self._quietly(self._look_for_cancels)
            if now - renewed > self._work.lease_s / 3:
                renewed = now
                self._quietly(self._renew)
            if now - reconciled > RECONCILE_S:
                reconciled = now
                self._quietly(self._reconcile)
            if now - swept > SWEEP_S:
                swept = now
                self._quietly(self._sweep)
            if self._stopped.is_set():
                time.sleep(self._tick_s)

    def _quietly(self, act: Callable[[], None]) -> None:
        """The heart goes on beating while the database is away, and over bugs of ours."""
        try:
            act()
        except VtidError as error:
            log.warning("the database did not answer", reason=error.message)
        except Exception:  # a worker without its heart would lose every job that it has
            log.exception("bug in the heart of a worker")

    def _sweep(self) -> None:
        self._housekeeping.sweep()
        self._courier.sweep()

    def _look_for_cancels(self) -> None:
        active = self._runner.active
        if not active:
            return
        for job_id in self._bridge.run(self._work.orphaned(active)):
            job = self._bridge.run(self._jobs.get(job_id))
            mine = job.worker_id == self._work.worker_id
            if mine and job.cancel_requested:
                self._runner.stop(job_id, Reason.CANCELLED)
            elif not mine and not job.status.ended:
                self._runner.stop(job_id, Reason.LOST)

    def _renew(self) -> None:
        self._bridge.run(
            self._work.renew(
                self._runner.active, host=this_machine(), pid=os.getpid(), slots=self._slots, labels=self._labels
            )
        )

    def _reconcile(self) -> None:
        if dead := self._bridge.run(self._work.bury(this_machine(), is_alive)):
            log.warning("took over from workers that died", workers=dead)
        # The bell queue is kept short, so that whoever waits longest is heard next and nobody is rung for twice.
        room = BACKLOG * self._slots - self._bell.pending()
        if room > 0:
            for job_id in self._bridge.run(self._work.due(room)):
                self._bell.ring(job_id)
