"""The door out: what a job gives back, under the names that people see."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

from vtid.domain.artifact import Artifact
from vtid.domain.job import Job, Result
from vtid.engine.layout import result_key
from vtid.errors import StepError
from vtid.storage import Storage


def deliver(job: Job, made: Mapping[str, Artifact], storage: Storage) -> list[Result]:
    """Put a finished job's results in their place in storage, each whole or not at all.

    Args:
        job: whose pipeline says what is delivered.
        made: reference (`clean.video`) to artifact, for those that exist.
        storage: where all of it lies.

    Raises:
        StepError: nothing that a [[deliver]] names exists.
    """
    results: list[Result] = []
    for index, wanted in enumerate(job.pipeline.deliver):
        artifact = next((made[ref] for ref in wanted.references if ref in made), None)
        if artifact is None:
            raise StepError(f"There is nothing to deliver: none of {', '.join(wanted.references)} was made.")
        original, own = PurePath(job.original_filename), PurePath(artifact.filename)
        filename = wanted.name.format(
            stem=original.stem, suffix=own.suffix, pipeline=job.pipeline.name, step=artifact.step_id
        )
        key = result_key(job.user_id, job.id, index, filename)
        storage.copy(artifact.key, key)
        results.append(Result(artifact.step_id, artifact.output, key, filename, artifact.kind, artifact.size))
    return results
