"""What a job would cost, before it is submitted."""

from __future__ import annotations

from typing import Any

from litestar import Request, post

from vtid.accounts import pricing
from vtid.domain.account import Scope
from vtid.errors import InvalidInput, Problem
from vtid.web import openapi, reading
from vtid.web.account_schemas import EstimateJson, EstimateView
from vtid.web.given import Core, Who


@post(
    "/api/v1/jobs/estimate",
    tags=["jobs"],
    status_code=200,
    summary="What would a job cost?",
    opt={"scope": Scope.READ},  # it makes nothing
    operation_class=openapi.operation(body={"application/json": openapi.schema(EstimateJson)}),
    responses={
        200: openapi.answer(
            EstimateView, {"estimated_credits": 30, "credits_remaining": 970, "sufficient": True}, "The estimate"
        ),
        **openapi.problems(404, 413, 503),
    },
)
async def estimate(core: Core, request: Request[Any, Any, Any], who: Who) -> EstimateView:
    """Credits for a video that came in before, or for so many seconds of one; nothing is held back."""
    given = await reading.body(request, EstimateJson)
    pipeline = core.pipelines.get(given.pipeline)
    if given.asset_id is not None:
        seconds = pricing.longest([(await core.assets.get(reading.asset_id(given.asset_id), who.user_id)).info])
    elif given.seconds is not None:
        seconds = given.seconds
    else:
        words = "is missing; or say how many `seconds`"
        raise InvalidInput(f"asset_id {words}.", problems=[Problem("asset_id", words, "missing")])
    cost = core.intake.estimate(pipeline, seconds)
    if not core.accounts.tier_of(who.user).metered:
        return EstimateView(cost, None, sufficient=True)
    balance = await core.accounts.ledger.balance(who.user_id)
    return EstimateView(cost, balance, sufficient=balance >= cost)


handlers = (estimate,)
