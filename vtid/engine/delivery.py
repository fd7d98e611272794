"""The door out: what a job gives back, under the names that people see."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from vtid.domain.artifact import Artifact
from vtid.domain.job import Job, Result
from vtid.domain.pipeline import Deliver
from vtid.engine.layout import result_key
from vtid.errors import InvalidInput, NotFound, Problem, StepError
from vtid.storage import Storage
from vtid.storage.buckets import Buckets

_PLACES = "{user_id}, {job_id}, {pipeline}"


class Delivery:
    """Puts results where they belong.

    Args:
        storage: where artifacts lie, and results go.
        buckets: where pipelines may send them as well.
    """

    def __init__(self, storage: Storage, buckets: Buckets) -> None:
        self._storage = storage
        self._buckets = buckets

    def deliver(self, job: Job, made: Mapping[str, Artifact]) -> list[Result]:
        """Put a finished job's results in their place, each whole or not at all.

        Args:
            job: whose pipeline says what is delivered.
            made: reference (`clean.video`) to artifact, for those that exist.

        Raises:
            StepError: nothing that a [[deliver]] names exists, or a bucket is not open any more.
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
            self._storage.copy(artifact.key, key)
            sent = self._send(job, wanted, key, filename)
            results.append(Result(artifact.step_id, artifact.output, key, filename, artifact.kind, artifact.size, sent))
        return results

    def _send(self, job: Job, wanted: Deliver, key: str, filename: str) -> str | None:
        """Send a result to a bucket as well. Returns where it is."""
        if not wanted.to:
            return None
        try:
            bucket, folder = target_of(wanted, self._buckets, job.user_id, job.id, job.pipeline.name, "deliver.to")
        except InvalidInput as error:
            raise StepError(f"The result cannot be sent: {error.message}") from error
        target = f"{folder}{filename}"
        if self._there(bucket, target):  # somebody else's file is never written over; our own of an earlier try may be
            path = PurePath(filename)
            target = f"{folder}{path.stem}-{job.id[:8]}{path.suffix}"
        self._buckets.send(self._storage, key, bucket, target)
        return f"s3://{bucket}/{target}"

    def _there(self, bucket: str, key: str) -> bool:
        try:
            self._buckets.stat(bucket, key)
        except NotFound:
            return False
        return True


def target_of(
    wanted: Deliver, buckets: Buckets, user_id: str, job_id: str, pipeline: str, place: str
) -> tuple[str, str]:
    """The bucket, and the prefix with its `/`, that a `to` means for one job.

    Raises:
        InvalidInput: it names no bucket, or none that is open to the user.
    """
    values = {"user_id": user_id, "job_id": job_id, "pipeline": pipeline}
    url = re.sub(r"\{(\w+)\}", lambda m: values.get(m[1], m[0]), str(wanted.to)).rstrip("/")
    if left := re.search(r"\{(\w*)\}", url):
        message = f"{left[0]} is not known here; known: {_PLACES}"
        raise InvalidInput(f"{place}: {message}.", problems=[Problem(place, message, "unknown")])
    # A key is needed to ask; the bucket alone is a target too.
    bucket, key = buckets.locate(f"{url}/file", user_id, place)
    return bucket, key.removesuffix("file")


def destinations(results: Sequence[Result]) -> dict[str, Any]:
    """What a job's metadata say of where its results went."""
    sent = [result.sent_to for result in results if result.sent_to]
    return {"delivered": sent} if sent else {}
