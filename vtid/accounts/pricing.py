"""What a job will probably cost: a credit is a second of output video, unless the configuration says otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vtid.domain.account import credits_for
from vtid.domain.artifact import Video
from vtid.domain.media import MediaInfo
from vtid.domain.pipeline import Pipeline
from vtid.domain.step import StepSpec


def estimate(pipeline: Pipeline, specs: Mapping[str, StepSpec], seconds: float, per_second: float) -> int:
    """Credits that a job will probably cost: its output is taken to be as long as its source.

    Args:
        pipeline: of the job.
        specs: of the steps that there are.
        seconds: of its longest video.
        per_second: of output.
    """
    return credits_for(seconds, per_second) if gives_video(pipeline, specs) else 0


def paid_steps(pipeline: Pipeline, specs: Mapping[str, StepSpec]) -> list[str]:
    """The steps of a pipeline of which each run costs the operator money, by name."""
    return sorted({step.uses for step in pipeline.steps if step.uses in specs and specs[step.uses].paid})


def longest(infos: Iterable[MediaInfo | None]) -> float:
    """Seconds that the longest video among files counts for."""
    return max((i.worth_s for i in infos if i and i.video), default=0.0)


def gives_video(pipeline: Pipeline, specs: Mapping[str, StepSpec]) -> bool:
    """Whether a pipeline delivers a video; one that gives a report only costs nothing."""
    uses = {step.id: step.uses for step in pipeline.steps}
    for deliver in pipeline.deliver:
        for reference in deliver.references:
            step, _, output = reference.partition(".")
            port = specs[uses[step]].output(output) if uses.get(step) in specs else None
            if port is not None and port.kind == Video.kind:
                return True
    return False
