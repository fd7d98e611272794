"""What WebSockets and Socket.IO say of a job's events, in the words that front ends know."""

from __future__ import annotations

import time
from typing import Any

from vtid.domain.job import Event, Job, JobStatus
from vtid.web.schemas import iso

HOPELESS = frozenset({"invalid_input", "unreadable_media", "unsupported_media", "too_large", "address_refused"})
"""Failures that trying again does not mend."""
SURE_PERCENT = 5
"""Below this, how long a job has taken says nothing about how long it will take."""


class Standing:
    """How a job stands, brought up to date event by event.

    Args:
        job: as it stands now, or stood before the events that follow.
    """

    def __init__(self, job: Job) -> None:
        self.status = job.status.value
        self.progress = job.progress
        self.message = job.message
        self.started_at = job.started_at

    def take(self, event: Event) -> bool:
        """Take an event in. Whether anything that is told of a job changed by it."""
        before = (self.status, self.progress, self.message)
        data = event.data
        if event.type == "status":
            self.status = str(data.get("status", self.status))
            if self.status == JobStatus.PROCESSING and self.started_at is None:
                self.started_at = event.at
        elif event.type in ("progress", "step"):
            self.status = JobStatus.PROCESSING.value
        self.progress = int(data.get("progress", self.progress))
        self.message = str(data.get("message") or self.message)
        return before != (self.status, self.progress, self.message)

    @property
    def ended(self) -> bool:
        """Whether nothing is to be expected any more."""
        return JobStatus(self.status).ended

    def remaining(self, at: float) -> float | None:
        """Seconds that the job may still take, by what it took so far; None where that says nothing."""
        if self.started_at is None or self.ended or not SURE_PERCENT <= self.progress < 100:
            return None
        return round((at - self.started_at) * (100 - self.progress) / self.progress, 1)


class Teller:
    """Turns a job's events into the messages of its WebSocket.

    Args:
        job: as it stands.
        noun: `job_id` or `composition_id`.
        after: number of the last event that the client knows.
    """

    def __init__(self, job: Job, noun: str, after: int) -> None:
        self._id = job.id
        self._noun = noun
        self._sequence = after
        self.standing = Standing(job)

    def connected(self, token: str) -> dict[str, Any]:
        """The first message: how the job stands now, whatever is replayed after it."""
        now = self.standing
        return self._message(
            "connected",
            time.time(),
            status=now.status,
            overall_progress=now.progress,
            message=now.message,
            reconnection_token=token,
        )

    def heartbeat(self) -> dict[str, Any]:
        """That the line stands."""
        return self._message("heartbeat", time.time())

    def messages(self, event: Event) -> list[dict[str, Any]]:
        """What is said of an event; of log lines, nothing."""
        self._sequence = event.seq
        self.standing.take(event)
        now, data = self.standing, event.data
        if event.type == "status":
            said = [self._failure(event)] if data.get("error") else []
            status = {"status": now.status, "overall_progress": now.progress, "message": now.message}
            return [*said, self._message("status", event.at, **status)]
        if event.type in ("progress", "step"):
            fraction = data.get("step_progress", data.get("stage_progress"))
            if fraction is None and data.get("status") == "completed":
                fraction = 1.0
            return [
                self._message(
                    "progress",
                    event.at,
                    stage=data.get("stage") or data.get("step_id"),
                    percentage=None if fraction is None else round(fraction * 100, 2),
                    overall_progress=now.progress,
                    message=now.message,
                    estimated_time_remaining=now.remaining(event.at),
                )
            ]
        return []

    def _failure(self, event: Event) -> dict[str, Any]:
        error = event.data["error"]
        return self._message(
            "error",
            event.at,
            error_code=error["code"],
            error_message=error["message"],
            stage=error.get("step_id"),
            is_recoverable=error["code"] not in HOPELESS,
        )

    def _message(self, type_: str, at: float, **more: Any) -> dict[str, Any]:
        return {"type": type_, "timestamp": iso(at), self._noun: self._id, "sequence": self._sequence, **more}
