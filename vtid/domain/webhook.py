"""Webhooks: who wants to hear of what, and each telling on its way there."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct

from vtid.domain.job import JobStatus

LINK = "$link"
"""Marks a place in a payload where a link is put when it is sent: `{"$link": {"key", "filename"}}`."""


class HookEvent(StrEnum):
    """What is told."""

    COMPLETED = "job.completed"
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"
    CLIPS = "clips.completed"
    """All clips of one request are processed."""
    TEST = "webhook.test"
    """Sent when its owner asks for it."""

    @classmethod
    def of(cls, status: JobStatus) -> HookEvent:
        """What is told of a job that ended so."""
        return cls(f"job.{status.value}")


JOB_EVENTS = (HookEvent.COMPLETED, HookEvent.FAILED, HookEvent.CANCELLED)


class Webhook(Struct, kw_only=True):
    """A receiver. Times are seconds since the epoch, UTC."""

    id: str
    user_id: str
    url: str
    """Sealed."""
    host: str
    events: list[str]
    job_id: str | None = None
    """Set where a job calls back; None where a user wants to hear of all jobs."""
    description: str = ""
    enabled: bool = True
    reason: str | None = None
    """Why vtid disabled it."""
    failing_since: float | None = None
    created_at: float = 0.0
    updated_at: float = 0.0

    @property
    def key_owner(self) -> str:
        """Whose secrets sign what goes there."""
        return self.id if self.job_id is None else callback_owner(self.user_id)


def callback_owner(user_id: str) -> str:
    """Whose secrets sign what a user's jobs call back."""
    return f"user:{user_id}"


class DeliveryState(StrEnum):
    """How a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up; it can be replayed."""


class Delivery(Struct, kw_only=True):
    """One event on its way to one receiver."""

    id: str
    """What the receiver knows it by, in every attempt."""
    user_id: str
    webhook_id: str
    job_id: str | None
    event: str
    url: str
    """Sealed, as it was when the event happened."""
    host: str
    key_owner: str
    payload: dict[str, Any]
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    """Since it was made or replayed."""
    next_at: float | None = None
    status: int | None = None
    """Of HTTP, in the last answer."""
    error: str | None = None
    created_at: float = 0.0
    ended_at: float | None = None


class Attempt(Struct, frozen=True):
    """One try at a delivery."""

    at: float
    seconds: float
    status: int | None = None
    error: str | None = None
    """None where the receiver took it."""
    body: str = ""
    """How the answer began."""
    number: int = 0


class Verdict(Struct, frozen=True):
    """What becomes of a delivery after an attempt."""

    attempt: Attempt
    retry_at: float | None = None
    """None: it was taken, or is given up."""
    disable: str | None = None
    """Why its webhook is to be disabled."""


def state_after(verdict: Verdict) -> DeliveryState:
    """How a delivery stands after an attempt."""
    if verdict.attempt.error is None:
        return DeliveryState.DELIVERED
    return DeliveryState.FAILED if verdict.retry_at is None else DeliveryState.PENDING
