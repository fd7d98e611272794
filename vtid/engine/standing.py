"""How a job in hand stands: its steps, what they told and made, and how far it has come in percent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from vtid.db import Claim
from vtid.domain.artifact import Artifact
from vtid.domain.job import Job, StepRun, StepStatus
from vtid.domain.pipeline import Step

DONE = (StepStatus.COMPLETED, StepStatus.SKIPPED)


class Keep(Protocol):
    """Stores what a step told, with the job's metadata."""

    def __call__(self, *, job_progress: int, metadata: Mapping[str, Any]) -> Coroutine[Any, Any, None]:
        """In one transaction."""


class Standing:
    """The facts of one turn at a job. Steps that run side by side share it.

    Args:
        claim: the job as it was taken.
        run: carries a coroutine out.
    """

    def __init__(self, claim: Claim, run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self.job: Job = claim.job
        self.runs: dict[str, StepRun] = {r.step_id: r for r in claim.runs}
        self.made: dict[str, Artifact] = {f"{a.step_id}.{a.output}": a for a in claim.artifacts}
        self.assets = claim.assets
        self._run = run
        self._learning = threading.Lock()

    def values(self) -> dict[str, object]:
        """What conditions may refer to."""
        values: dict[str, object] = {f"job.{k}": v for k, v in self.job.params.items()}
        values |= {f"source.{k}": v for k, v in self.assets.items()}
        done = [r for r in self.runs.values() if r.status is StepStatus.COMPLETED]  # others may have told some of it
        values |= {f"{r.step_id}.{k}": v for r in done for k, v in r.outputs.items()}
        return values | self.made

    # --- how far

    def percent(self) -> int:
        """The job's progress: how far the first step that is not done has come in its range; never backwards."""
        open_ = next((s for s in self.job.pipeline.steps if self.runs[s.id].status not in DONE), None)
        if open_ is None:
            reached = 99.0
        else:
            low, high = open_.progress or (0, 100)
            reached = low + (high - low) * self.runs[open_.id].progress if self.runs[open_.id].attempt else 0.0
        self.job.progress = max(self.job.progress, min(99, int(reached)))
        return self.job.progress

    def percent_at(self, step: Step) -> Callable[[float], int]:
        """The job's progress as one step comes along."""

        def at(fraction: float) -> int:
            self.runs[step.id].progress = fraction
            return self.percent()

        return at

    # --- what steps tell

    def told(self, run: StepRun, outputs: Mapping[str, Any], keep: Keep) -> None:
        """Store outputs that a step tells before its end; of those that are known already, nothing is written."""
        if outputs.items() <= run.outputs.items():
            return
        run.outputs = run.outputs | dict(outputs)
        self.learn(run, keep)

    def learn(self, run: StepRun, keep: Keep) -> None:
        """Add a step's outputs to the job's metadata, under the step and by the pipeline's names, and store it."""
        with self._learning:  # steps side by side write the same column
            if run.outputs:
                self.job.metadata |= {run.step_id: run.outputs} | self.job.pipeline.facts(run.step_id, run.outputs)
            self._run(keep(job_progress=self.percent(), metadata=self.job.metadata))
