"""What a job costs: a credit is a second of output video, unless the configuration says otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vtid.domain.account import credits_for
from vtid.domain.artifact import Artifact, Video
from vtid.domain.job import Result
from vtid.domain.media import MediaInfo
from vtid.domain.pipeline import Pipeline
from vtid.domain.step import StepSpec


def estimate(
    pipeline: Pipeline, specs: Mapping[str, StepSpec], infos: Mapping[str, MediaInfo], per_second: float
) -> int:
    """Credits that a job will probably cost: its output is taken to be as long as its longest video.

    Args:
        pipeline: of the job.
        specs: of the steps that there are.
        infos: source to what is known of it.
        per_second: of output.
    """
    if not gives_video(pipeline, specs):
        return 0
    return credits_for(max((i.duration_s for i in infos.values() if i.video), default=0.0), per_second)


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


def cost(results: Sequence[Result], made: Mapping[str, Artifact], per_second: float) -> int:
    """Credits that a job did cost, by the first video that it delivered.

    Args:
        results: what it delivered.
        made: `step.output` to file.
        per_second: of output.
    """
    for result in results:
        artifact = made.get(f"{result.step_id}.{result.output}")
        if result.kind == Video.kind and artifact and artifact.info:
            return credits_for(artifact.info.duration_s, per_second)
    return 0
