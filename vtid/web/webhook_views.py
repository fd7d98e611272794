"""What goes over the wire about webhooks and their deliveries."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from vtid.domain.webhook import JOB_EVENTS, Attempt, Delivery, DeliveryState, Webhook
from vtid.web import openapi
from vtid.web.schemas import iso

JobEvent = Annotated[
    str, Meta(pattern=r"^job\.(completed|failed|cancelled)$", examples=["job.completed", "job.failed", "job.cancelled"])
]
Url = Annotated[str, Meta(min_length=1, max_length=4096, description="http(s), on the public internet.")]
Description = Annotated[str, Meta(max_length=200)]


class WebhookView(Struct):
    """A webhook."""

    webhook_id: str
    url: str
    description: str
    events: list[str]
    enabled: bool
    reason: Annotated[str | None, Meta(description="Why vtid disabled it.")]
    failing_since: Annotated[str | None, Meta(description="Since when nothing could be delivered.")]
    created_at: str
    updated_at: str


class NewWebhookView(WebhookView):
    """A webhook just made."""

    secret: Annotated[str, Meta(description="Signs what is sent there. It is not told again.")]


class SecretView(Struct):
    """A new secret."""

    secret: Annotated[str, Meta(description="It is not told again.")]
    message: str


class WebhookList(Struct):
    """All webhooks."""

    webhooks: list[WebhookView]


class AttemptView(Struct):
    """One try at a delivery."""

    number: int
    at: str
    seconds: float
    status: Annotated[int | None, Meta(description="Of HTTP; null where no answer came.")]
    error: Annotated[str | None, Meta(description="Null where the receiver took it.")]
    body: Annotated[str, Meta(description="How the answer began.")]


class DeliveryView(Struct):
    """One event on its way to one receiver."""

    delivery_id: Annotated[str, Meta(description="What the receiver knows as `webhook-id`, in every attempt.")]
    webhook_id: Annotated[str | None, Meta(description="Null for what a job calls back.")]
    job_id: str | None
    event: str
    host: str
    state: DeliveryState
    attempts: Annotated[int, Meta(description="Since it was made or replayed.")]
    next_attempt_at: str | None
    status: Annotated[int | None, Meta(description="Of HTTP, in the last answer.")]
    error: str | None
    created_at: str
    ended_at: str | None


class FullDeliveryView(DeliveryView):
    """One delivery with every try at it."""

    log: list[AttemptView]


class DeliveryList(Struct):
    """A page of deliveries, newest first."""

    deliveries: list[DeliveryView]
    next: Annotated[str | None, Meta(description="Give it back as `cursor` for the next page; null on the last.")]


class WebhookJson(Struct, forbid_unknown_fields=True):
    """A webhook to make."""

    url: Url
    events: Annotated[list[JobEvent], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: [event.value for event in JOB_EVENTS]
    )
    description: Description = ""


class WebhookChanges(Struct, forbid_unknown_fields=True):
    """What to change; the rest stays."""

    url: Url | UnsetType = UNSET
    events: Annotated[list[JobEvent], Meta(min_length=1)] | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class DeliveryQuery(Struct, forbid_unknown_fields=True):
    """Which deliveries to list."""

    webhook_id: Annotated[str, Meta(max_length=36)] | None = None
    job_id: Annotated[str, Meta(max_length=36)] | None = None
    state: DeliveryState | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(max_length=200, description="`next` of the page before.")] | None = None


WEBHOOK = {
    "webhook_id": openapi.JOB_ID,
    "url": "https://hooks.example.com/vtid",
    "description": "",
    "events": [event.value for event in JOB_EVENTS],
    "enabled": True,
    "reason": None,
    "failing_since": None,
    "created_at": "2025-12-01T10:30:00.000Z",
    "updated_at": "2025-12-01T10:30:00.000Z",
}
SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"  # noqa: S105 - an example for the documents
DELIVERY = {
    "delivery_id": "msg_1f0e3dad99908345f7439f8ffabdffc4",
    "webhook_id": openapi.JOB_ID,
    "job_id": openapi.JOB_ID,
    "event": "job.completed",
    "host": "hooks.example.com",
    "state": "pending",
    "attempts": 1,
    "next_attempt_at": "2025-12-01T10:31:17.800Z",
    "status": 500,
    "error": "hooks.example.com answers 500 Internal Server Error",
    "created_at": "2025-12-01T10:31:12.500Z",
    "ended_at": None,
}
TRIED = {
    "number": 1,
    "at": "2025-12-01T10:31:12.800Z",
    "seconds": 0.21,
    "status": 500,
    "error": DELIVERY["error"],
    "body": "",
}


def webhook_facts(url: str, webhook: Webhook) -> dict[str, Any]:
    """The fields of a view of a webhook, with its URL opened."""
    return {
        "webhook_id": webhook.id,
        "url": url,
        "description": webhook.description,
        "events": webhook.events,
        "enabled": webhook.enabled,
        "reason": webhook.reason,
        "failing_since": _time(webhook.failing_since),
        "created_at": iso(webhook.created_at),
        "updated_at": iso(webhook.updated_at),
    }


def delivery_facts(one: Delivery) -> dict[str, Any]:
    """The fields of a view of a delivery."""
    return {
        "delivery_id": one.id,
        "webhook_id": None if one.key_owner.startswith("user:") else one.webhook_id,
        "job_id": one.job_id,
        "event": one.event,
        "host": one.host,
        "state": one.state,
        "attempts": one.attempts,
        "next_attempt_at": _time(one.next_at),
        "status": one.status,
        "error": one.error,
        "created_at": iso(one.created_at),
        "ended_at": _time(one.ended_at),
    }


def attempt_view(one: Attempt) -> AttemptView:
    """A try at a delivery as its owner sees it."""
    return AttemptView(one.number, iso(one.at), one.seconds, one.status, one.error, one.body)


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else iso(seconds)
