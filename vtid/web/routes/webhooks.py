"""Webhooks: who is told when jobs end, and the log of what was told."""

from __future__ import annotations

import re
from typing import Any

from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath
from msgspec import UNSET, Struct

from vtid.db import DeliveryFilter
from vtid.errors import NotFound
from vtid.web import openapi, paging, reading
from vtid.web.auth import ACCOUNT
from vtid.web.given import Core, User
from vtid.web.idempotency import IdempotencyKey, once
from vtid.web.webhook_views import (
    DELIVERY,
    SECRET,
    TRIED,
    WEBHOOK,
    DeliveryList,
    DeliveryQuery,
    DeliveryView,
    FullDeliveryView,
    NewWebhookView,
    SecretView,
    WebhookChanges,
    WebhookJson,
    WebhookList,
    WebhookView,
    attempt_view,
    delivery_facts,
    webhook_facts,
)

ROOT = "/api/v1/webhooks"
DELIVERIES = "/api/v1/webhook-deliveries"
TAGS = ["webhooks"]
AnyRequest = Request[Any, Any, Any]
_DELIVERY_ID = re.compile(r"^msg_[0-9a-f]{32}$")


def _json(type_: type[Struct]) -> Any:
    return openapi.operation(body={"application/json": openapi.schema(type_)})


# --- webhooks


@post(
    ROOT,
    tags=TAGS,
    opt=ACCOUNT,
    status_code=201,
    summary="Make a webhook",
    operation_class=_json(WebhookJson),
    responses={
        201: openapi.answer(NewWebhookView, WEBHOOK | {"secret": SECRET}, "Made; its secret is shown this once"),
        **openapi.problems(400, 409, 413, 422, 503),
    },
)
async def add(core: Core, request: AnyRequest, user_id: User, idempotency_key: IdempotencyKey = None) -> Response[Any]:
    """Have a URL told when jobs end: signed as Standard Webhooks says, retried for three days."""
    given = await reading.body(request, WebhookJson)

    async def make() -> Response[NewWebhookView]:
        made, secret = await core.registrar.add(user_id, given.url, given.events, given.description)
        view = NewWebhookView(**webhook_facts(core.sealer.open(made.url), made), secret=secret)
        return Response(view, status_code=201, headers={"Location": f"{ROOT}/{made.id}"})

    return await once(core, request, user_id, idempotency_key, given, make)


@get(
    ROOT,
    tags=TAGS,
    summary="List webhooks",
    responses={200: openapi.answer(WebhookList, {"webhooks": [WEBHOOK]}, "All of them"), **openapi.problems(503)},
)
async def list_webhooks(core: Core, user_id: User) -> WebhookList:
    """Every webhook, without secrets."""
    found = await core.webhooks.list(user_id)
    return WebhookList([WebhookView(**webhook_facts(core.sealer.open(one.url), one)) for one in found])


@get(
    f"{ROOT}/{{webhook_id:str}}",
    tags=TAGS,
    summary="One webhook",
    responses={200: openapi.answer(WebhookView, WEBHOOK, "The webhook"), **openapi.problems(404, 503)},
)
async def get_webhook(core: Core, user_id: User, webhook_id: FromPath[str]) -> WebhookView:
    """How it stands."""
    found = await core.webhooks.get(reading.one_id(webhook_id, "webhook"), user_id)
    return WebhookView(**webhook_facts(core.sealer.open(found.url), found))


@patch(
    f"{ROOT}/{{webhook_id:str}}",
    tags=TAGS,
    opt=ACCOUNT,
    summary="Change a webhook",
    operation_class=_json(WebhookChanges),
    responses={200: openapi.answer(WebhookView, WEBHOOK, "As it is now"), **openapi.problems(400, 404, 413, 503)},
)
async def change(core: Core, request: AnyRequest, user_id: User, webhook_id: FromPath[str]) -> WebhookView:
    """Change its URL, events or description, disable or enable it. Disabling gives up what is on its way."""
    given = await reading.body(request, WebhookChanges)
    changes = {name: getattr(given, name) for name in given.__struct_fields__ if getattr(given, name) is not UNSET}
    wanted = reading.one_id(webhook_id, "webhook")
    await core.webhooks.get(wanted, user_id)
    if "url" in changes:
        changes["url"], changes["host"] = await core.registrar.judged(changes["url"])
    found = await core.webhooks.change(wanted, user_id, **changes)
    return WebhookView(**webhook_facts(core.sealer.open(found.url), found))


@delete(
    f"{ROOT}/{{webhook_id:str}}",
    tags=TAGS,
    opt=ACCOUNT,
    summary="Delete a webhook",
    responses=openapi.problems(404, 503),
)
async def delete_webhook(core: Core, user_id: User, webhook_id: FromPath[str]) -> None:
    """Remove it, with its log and what is on its way."""
    await core.webhooks.delete(reading.one_id(webhook_id, "webhook"), user_id)


@post(
    f"{ROOT}/{{webhook_id:str}}/rotate-secret",
    tags=TAGS,
    opt=ACCOUNT,
    status_code=200,
    summary="A new secret for a webhook",
    responses={
        200: openapi.answer(SecretView, {"secret": SECRET, "message": "…"}, "Shown this once"),
        **openapi.problems(404, 503),
    },
)
async def rotate(core: Core, user_id: User, webhook_id: FromPath[str]) -> SecretView:
    """Make a new secret. For a day, what is sent carries signatures by both."""
    found = await core.webhooks.get(reading.one_id(webhook_id, "webhook"), user_id)
    return SecretView(await core.registrar.rotate(found), OVERLAP)


@post(
    f"{ROOT}/callback-secret",
    tags=TAGS,
    opt=ACCOUNT,
    status_code=200,
    summary="A new secret for callbacks",
    responses={
        200: openapi.answer(SecretView, {"secret": SECRET, "message": "…"}, "Shown this once"),
        **openapi.problems(503),
    },
)
async def rotate_callbacks(core: Core, user_id: User) -> SecretView:
    """Make a new secret for what jobs call back (`callback_url`). For a day, signatures by both are sent."""
    return SecretView(await core.registrar.rotate_callbacks(user_id), OVERLAP)


OVERLAP = "The secret before this one stays valid for 24 hours."


@post(
    f"{ROOT}/{{webhook_id:str}}/test",
    tags=TAGS,
    opt=ACCOUNT,
    status_code=202,
    summary="Try a webhook",
    responses={
        202: openapi.answer(DeliveryView, DELIVERY | {"event": "webhook.test", "job_id": None}, "On its way"),
        **openapi.problems(404, 409, 422, 503),
    },
)
async def try_webhook(
    core: Core, request: AnyRequest, user_id: User, webhook_id: FromPath[str], idempotency_key: IdempotencyKey = None
) -> Response[Any]:
    """Send `webhook.test`; ask for the delivery to see what came of it."""

    async def make() -> Response[DeliveryView]:
        sent = await core.webhooks.test(reading.one_id(webhook_id, "webhook"), user_id)
        return Response(DeliveryView(**delivery_facts(sent)), status_code=202)

    return await once(core, request, user_id, idempotency_key, None, make)


# --- deliveries


@get(
    DELIVERIES,
    tags=TAGS,
    summary="List deliveries",
    operation_class=openapi.operation(query=DeliveryQuery),
    responses={
        200: openapi.answer(DeliveryList, {"deliveries": [DELIVERY], "next": None}, "A page"),
        **openapi.problems(400, 503),
    },
)
async def list_deliveries(core: Core, request: AnyRequest, user_id: User) -> DeliveryList:
    """What was sent, is on its way, or was given up; the newest first."""
    wanted = reading.query(request, DeliveryQuery)
    before = paging.position(wanted.cursor)
    found = await core.deliveries.list(
        DeliveryFilter(user_id, wanted.webhook_id, wanted.job_id, wanted.state, before, wanted.limit + 1)
    )
    page, following = paging.page(found, wanted.limit)
    return DeliveryList([DeliveryView(**delivery_facts(one)) for one in page], following)


@get(
    f"{DELIVERIES}/{{delivery_id:str}}",
    tags=TAGS,
    summary="One delivery",
    responses={
        200: openapi.answer(FullDeliveryView, DELIVERY | {"log": [TRIED]}, "The delivery"),
        **openapi.problems(404, 503),
    },
)
async def get_delivery(core: Core, user_id: User, delivery_id: FromPath[str]) -> FullDeliveryView:
    """One delivery, with every try at it."""
    found, tries = await core.deliveries.get(_known(delivery_id), user_id)
    return FullDeliveryView(**delivery_facts(found), log=[attempt_view(one) for one in tries])


@post(
    f"{DELIVERIES}/{{delivery_id:str}}/replay",
    tags=TAGS,
    opt=ACCOUNT,
    status_code=202,
    summary="Send a delivery again",
    responses={
        202: openapi.answer(DeliveryView, DELIVERY | {"attempts": 0}, "On its way"),
        **openapi.problems(404, 409, 422, 503),
    },
)
async def replay(
    core: Core, request: AnyRequest, user_id: User, delivery_id: FromPath[str], idempotency_key: IdempotencyKey = None
) -> Response[Any]:
    """Send it once more, under the same `webhook-id`, with retries as at first."""

    async def make() -> Response[DeliveryView]:
        sent = await core.deliveries.replay(_known(delivery_id), user_id)
        return Response(DeliveryView(**delivery_facts(sent)), status_code=202)

    return await once(core, request, user_id, idempotency_key, None, make)


def _known(delivery_id: str) -> str:
    """The id in a path. Raises `NotFound` where no delivery can have it."""
    if not _DELIVERY_ID.match(delivery_id):
        raise NotFound(f"There is no delivery {delivery_id}.")
    return delivery_id


handlers = (
    add,
    list_webhooks,
    get_webhook,
    change,
    delete_webhook,
    rotate,
    rotate_callbacks,
    try_webhook,
    list_deliveries,
    get_delivery,
    replay,
)
