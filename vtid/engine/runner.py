"""Running a job: its steps as their inputs become ready, until it is delivered, waits, or has failed.

The runner holds nothing that the database does not: kill it anywhere and another one, reading the same rows, goes on
with the step in hand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial

import structlog

from vtid.db import Claim, LeaseLost, Work
from vtid.domain.job import Failure, JobStatus, StepRun, StepStatus
from vtid.domain.pipeline import Step, holds
from vtid.engine.bridge import Bridge
from vtid.engine.control import Control, HandBack, Hands, Reason
from vtid.engine.delivery import Delivery, destinations
from vtid.engine.downloads import WAIT_S, WAITS, Downloads
from vtid.engine.fetching import Fetcher
from vtid.engine.layout import Workspaces
from vtid.engine.links import Pace
from vtid.engine.retry import Policy
from vtid.engine.standing import Standing
from vtid.engine.stepper import Stepper
from vtid.engine.steps import Outcome
from vtid.engine.telling import last_words, log_end, summary
from vtid.engine.wire import Done, Failed, Later, Suspend
from vtid.errors import Cancelled, NotFound, StepCrashed, StepFailed, Unavailable, VtidError

log = structlog.get_logger("vtid.job")
PARALLEL_STEPS = 4
"""Independent steps of one job that run at once."""
LABEL_WAIT_S = 2.0


class Runner:
    """Runs jobs, one call each.

    Args:
        work: this worker's view of the database.
        bridge: to both.
        delivery: of results.
        stepper: runs one step.
        workspaces: scratch folders.
        policy: the operator's numbers.
        fetcher: brings files that jobs have only the URLs of.
        downloads: where it does.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        work: Work,
        bridge: Bridge,
        delivery: Delivery,
        stepper: Stepper,
        workspaces: Workspaces,
        policy: Policy,
        fetcher: Fetcher,
        downloads: Downloads,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.work = work
        self.bridge = bridge
        self.delivery = delivery
        self.stepper = stepper
        self.workspaces = workspaces
        self.policy = policy
        self.fetcher = fetcher
        self.downloads = downloads
        self.clock = clock
        self._hands = Hands()

    @property
    def active(self) -> Collection[str]:
        """The jobs in hand."""
        return self._hands.jobs

    def stop(self, job_id: str, reason: Reason) -> None:
        """Press the stop button of a job in hand."""
        self._hands.stop(job_id, reason)

    def run(self, job_id: str) -> None:
        """Take a job as far as it goes now. Nothing happens when another worker has it or it is not due.

        One whose files are to be brought first is only begun with here: they come beside, and the job then goes on in
        a turn of its own.
        """
        claim = self.bridge.run(self.work.claim(job_id))
        if claim is None:
            return
        if not claim.fetches:
            self._turn(claim)
        elif not self.downloads.begin(claim.job.user_id, lambda: self._turn(claim)):
            self._settle(lambda: self.fetcher.wait(claim, WAIT_S, WAITS), job_id)

    def _turn(self, claim: Claim) -> None:
        job_id = claim.job.id
        with self._hands.hold(job_id) as control:
            turn = _Turn(self, claim, control)
            try:
                turn.run()
            except LeaseLost:
                log.warning("another worker took this job over", job_id=job_id)
            except HandBack:
                self._settle(turn.hand_back, job_id)
            except Cancelled:
                self._settle(turn.cancelled, job_id)
            except _FailedError as error:
                failed = error.failure
                self._settle(lambda: turn.failed(failed), job_id)
            except Unavailable as error:
                # The database was away. It is no fault of the job's: it goes on when the database is back.
                log.warning("let go of a job", job_id=job_id, reason=error.message)
                self._settle(turn.hand_back, job_id)
            except VtidError as error:
                failure = Failure(error.code, error.message, problems=error.problems, suggestion=error.suggestion)
                self._settle(lambda: turn.failed(failure), job_id)
            except Exception:  # the one place that catches everything: a bug of ours must not leave a job hanging
                log.exception("bug while running a job", job_id=job_id)
                failure = Failure("bug", "vtid itself failed while running this job; the log has the details.")
                self._settle(lambda: turn.failed(failure), job_id)

    def _settle(self, end: Callable[[], None], job_id: str) -> None:
        """Write a job's end; where even that fails, the lease runs out and another worker has a go."""
        try:
            end()
        except (LeaseLost, VtidError) as error:
            log.warning("could not write how a job ended", job_id=job_id, reason=str(error))


class _Turn:
    """One worker's turn at one job."""

    def __init__(self, runner: Runner, claim: Claim, control: Control) -> None:
        self.runner = runner
        self.standing = Standing(claim, runner.bridge.run)
        self.job = self.standing.job
        self.began = runner.clock()
        self.control = control
        self.policy = runner.policy
        self.bridge = runner.bridge
        self.work = runner.work
        self.pace = Pace(self.policy.progress_per_second)
        self.needs = self.job.pipeline.dependencies()
        self.runs, self.made = self.standing.runs, self.standing.made
        self.unsaved: dict[str, StepRun] = {}
        self.news: str | None = None
        """What to tell when the job is suspended; None when it waits for the same thing as before."""
        self.claim = claim
        self.assets = claim.assets

    # --- the graph

    def run(self) -> None:
        if self.claim.fetches:
            return self.runner.fetcher.take_turn(self.claim, self.control, self.pace)
        if gone := self.job.inputs.keys() - self.assets.keys():
            raise NotFound(f"The file {', '.join(sorted(gone))} of this job was deleted.")
        while (ready := self.ready()) and len(ready) == 1 and self.next_wake() is None:
            self.step(ready[0])  # a chain needs no threads
        if ready:
            self.run_side_by_side()
        return self.conclude()

    def run_side_by_side(self) -> None:
        futures: dict[Future[None], Step] = {}
        with ThreadPoolExecutor(PARALLEL_STEPS, thread_name_prefix=f"job-{self.job.id[:8]}") as pool:
            while True:
                for step in self.ready(busy={s.id for s in futures.values()}):
                    futures[pool.submit(self.step, step)] = step
                if not futures:
                    return
                wake_at = self.next_wake()
                pause = None if wake_at is None else max(0.01, wake_at - self.runner.clock())
                done, _ = wait(futures, pause, return_when=FIRST_COMPLETED)
                for future in done:
                    del futures[future]
                    self.joined(future, futures)

    def next_wake(self) -> float | None:
        """When the first of the waiting steps is due."""
        return min((r.wake_at or 0 for r in self.runs.values() if r.status is StepStatus.WAITING), default=None)

    def joined(self, future: Future[None], futures: dict[Future[None], Step]) -> None:
        """Take a step's thread back; a failure stops the others first."""
        error = future.exception()
        if error is None:
            return
        if not isinstance(error, Cancelled | LeaseLost | HandBack):
            self.control.stop(Reason.ABORTED)
        for other in wait(futures).done:
            other.exception()
        raise error

    def ready(self, busy: Collection[str] = ()) -> list[Step]:
        """The steps that can run now."""
        return [
            s
            for s in self.job.pipeline.steps
            if s.id not in busy
            and self.is_due(self.runs[s.id])
            and all(self.runs[n].status.ended for n in self.needs[s.id])
        ]

    def is_due(self, run: StepRun) -> bool:
        if run.status in (StepStatus.PENDING, StepStatus.RUNNING):
            return True
        return run.status is StepStatus.WAITING and (run.wake_at or 0) <= self.runner.clock()

    def conclude(self) -> None:
        """Every step has ended, or the rest waits."""
        if (wake_at := self.next_wake()) is not None:
            unsaved = self.unsaved.values()
            self.bridge.run(
                self.work.suspend(
                    self.job.id, wake_at, unsaved, job_progress=self.standing.percent(), message=self.news
                )
            )
            return
        results = self.runner.delivery.deliver(self.job, self.made)
        metadata = {r.step_id: r.outputs for r in self.runs.values() if r.outputs} | destinations(results)
        words = last_words(self.job, results) or summary(self.job, self.runs.values())
        self.bridge.run(self.work.complete(self.job.id, results, self.job.metadata | metadata, words))
        self.say(JobStatus.COMPLETED)
        self.runner.workspaces.remove(self.job.id)

    # --- one step

    def step(self, step: Step) -> None:
        """Run one step, or find out that it need not run."""
        run = self.runs[step.id]
        self.control.check()
        if not holds(step.when, self.standing.values()):
            return self.end_step(run, StepStatus.SKIPPED, "Not needed")
        if missing := set(step.labels) - self.policy.labels:
            # Another worker may have them: the job goes round until it meets one that does.
            return self.wait(
                run, LABEL_WAIT_S, f"Waiting for a worker with: {', '.join(sorted(missing))}", float("inf")
            )
        if run.lost > self.policy.max_lost:
            return self.step_failed(
                step, run, StepCrashed(f"it was given up: {run.lost} workers died while running it"), final=True
            )
        woken = run.status is StepStatus.WAITING and run.error is None and run.started_at is not None
        if not woken:
            run.attempt, run.started_at, run.error = run.attempt + 1, self.runner.clock(), None
        assert run.started_at is not None
        deadline = run.started_at + (step.timeout or self.policy.step_timeout_s)
        if self.runner.clock() >= deadline:
            return self.step_failed(
                step, run, StepCrashed(f"it took longer than {deadline - run.started_at:g} s"), final=False
            )
        if not woken:  # one that only looks whether its wait is over stays `waiting`, and leaves no trail
            run.status, run.wake_at = StepStatus.RUNNING, None
            self.save(run, step.title)
        try:
            outcome = self.runner.stepper.run(
                self.job,
                step,
                run,
                self.made,
                self.assets,
                self.control,
                deadline,
                self.pace,
                self.standing.percent_at(step),
                partial(self.standing.told, run, keep=partial(self.work.note, self.job.id, run)),
            )
            self.step_ended(step, run, outcome, deadline)
        except StepFailed as error:
            # What an author raised is final; a crash or a limit may pass when tried again.
            self.step_failed(step, run, error, final=not isinstance(error, StepCrashed))

    def step_ended(self, step: Step, run: StepRun, outcome: Outcome, deadline: float) -> None:
        match outcome:
            case Done(outputs=outputs):
                self.still_mine()
                artifacts, run.outputs = self.runner.stepper.keep(self.job, step, run, outputs, self.assets, self.made)
                self.made.update({f"{a.step_id}.{a.output}": a for a in artifacts})
                run.status, run.progress, run.ended_at = StepStatus.COMPLETED, 1.0, self.runner.clock()
                self.standing.learn(run, partial(self.work.complete_run, self.job.id, run, artifacts))
                self.runner.workspaces.remove(self.job.id, step.id)
            case Suspend(after=after, message=message) | Later(after=after, message=message):
                self.wait(run, after, step.says or message or step.title, deadline)
            case Failed(kind="bug") as failed:
                log.error("bug in a step", job_id=self.job.id, step_id=step.id, step=step.uses, trace=failed.trace)
                self.step_failed(step, run, StepCrashed(f"it has a bug: {failed.message}"), final=False)
            case Failed() as failed:
                error = StepFailed(failed.message, problems=failed.problems, suggestion=failed.suggestion)
                self.step_failed(step, run, error, final=failed.kind != "disk_full", code=failed.kind)

    def still_mine(self) -> None:
        """Raise unless this worker has the job: one that slept through its lease publishes nothing."""
        if self.runner.clock() - self.began > self.work.lease_s / 2 and self.bridge.run(
            self.work.orphaned([self.job.id])
        ):
            self.control.check()
            raise LeaseLost(self.job.id)

    def step_failed(self, step: Step, run: StepRun, error: StepFailed, *, final: bool, code: str | None = None) -> None:
        """Try again, go on without the step, or fail the job: as the pipeline says."""
        self.control.check()
        crashed = isinstance(error, StepCrashed)
        words = f"{step.title}: {error.message}" if crashed and not step.fails else error.message
        words = step.fails.replace("{reason}", words) if step.fails else words
        run.error = Failure(code or error.code, words, step.id, error.problems, error.suggestion)
        if not final and run.attempt <= step.retries:
            delay = self.policy.backoff.delay(run.attempt)
            message = f"{words}. Trying again in {delay:.0f} s (try {run.attempt + 1} of {step.retries + 1})."
            return self.wait(run, delay, message, deadline=float("inf"))
        if step.on_error == "continue":
            return self.end_step(run, StepStatus.SKIPPED, words)
        # Stored together with the job's end: one without the other would have the next worker go on with what follows.
        run.status, run.message, run.ended_at = StepStatus.FAILED, words, self.runner.clock()
        raise _FailedError(run.error)

    def wait(self, run: StepRun, after: float, message: str, deadline: float) -> None:
        """Suspend a step; its worker is free until it wakes."""
        told = run.status is StepStatus.WAITING and run.message == message
        run.status, run.message = StepStatus.WAITING, message
        run.wake_at = min(self.runner.clock() + after, deadline)
        self.unsaved[run.step_id] = run
        if not told:
            self.news = message
        self.runner.workspaces.remove(self.job.id, run.step_id)

    def end_step(self, run: StepRun, status: StepStatus, message: str) -> None:
        run.status, run.message, run.ended_at = status, message, self.runner.clock()
        self.save(run, None)

    def save(self, run: StepRun, message: str | None) -> None:
        self.bridge.run(self.work.save_run(self.job.id, run, job_progress=self.standing.percent(), message=message))

    # --- ends

    def failed(self, failure: Failure) -> None:
        broken = [run for run in self.runs.values() if run.status is StepStatus.FAILED]
        self.bridge.run(self.work.fail(self.job.id, failure, self.standing.percent(), broken))
        self.say(JobStatus.FAILED, reason=failure.message, code=failure.code)
        self.runner.workspaces.remove(self.job.id)

    def cancelled(self) -> None:
        self.bridge.run(self.work.cancelled(self.job.id, self.standing.percent()))
        self.say(JobStatus.CANCELLED)
        self.runner.workspaces.remove(self.job.id)

    def hand_back(self) -> None:
        self.bridge.run(self.work.hand_back(self.job.id))
        log.info("handed a job back", job_id=self.job.id)
        self.runner.workspaces.remove(self.job.id)

    def say(self, status: JobStatus, **more: object) -> None:
        log_end(self.job, self.runs.values(), self.assets, self.runner.clock(), status, **more)


class _FailedError(VtidError):
    """Carries a step's failure to the end of the job."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message, problems=failure.problems, suggestion=failure.suggestion)
        self.failure = failure
