"""What admins see and do: accounts, credits, everybody's jobs, the system."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.params import FromPath

from vtid.app import WORKER_SEEN_S, App
from vtid.db import JobFilter, UserFilter
from vtid.errors import Unavailable
from vtid.web import openapi, paging, reading
from vtid.web.account_schemas import (
    AdminJob,
    AdminJobPage,
    AdminStatsView,
    GrantJson,
    LedgerPage,
    LinkView,
    MovementView,
    NewUserJson,
    PageQuery,
    ServiceView,
    SystemView,
    UserChangesJson,
    UserPage,
    UserQuery,
    UserView,
    WorkerView,
    movement_view,
    user_view,
)
from vtid.web.given import Core, Who
from vtid.web.idempotency import IdempotencyKey, once
from vtid.web.routes.account import MOVEMENT, ledger_page, remove, whole
from vtid.web.routes.auth import USER
from vtid.web.routes.jobs import result_url
from vtid.web.schemas import JobQuery, iso, job_summary

TAGS = ["admin"]
ROOT = "/api/v1/admin"
AnyRequest = Request[Any, Any, Any]
JOB = openapi.JOB | {"user_id": "local"}
SYSTEM = {
    "status": "healthy",
    "version": "0.1.0",
    "services": {"db": {"status": "healthy", "latency_ms": 0.4, "detail": None}},
    "workers": [
        {
            "id": "media-1-412-5f2b0c9e",
            "host": "media-1",
            "slots": 2,
            "labels": [],
            "started_at": "2025-12-01T10:30:00.000Z",
            "seen_at": "2025-12-01T10:30:10.000Z",
        }
    ],
}


class AdminJobQuery(JobQuery, forbid_unknown_fields=True):
    """Which jobs to list; everybody's where no user is named."""

    user_id: str | None = None


@get(
    f"{ROOT}/stats",
    tags=TAGS,
    summary="Numbers",
    responses={
        200: openapi.answer(
            AdminStatsView,
            {"users": {"pro": 2}, "jobs": {"completed": 3}, "workers": 1, "queue_pending": 0},
            "The numbers",
        ),
        **openapi.problems(503),
    },
)
async def stats(core: Core) -> AdminStatsView:
    """Accounts by tier, jobs by state, workers, messages in the queue."""
    try:
        pending: int | None = await asyncio.to_thread(core.queue.pending)
    except Unavailable:
        pending = None
    workers = await core.jobs.workers(time.time() - WORKER_SEEN_S)
    return AdminStatsView(await core.accounts.users.counts(), await core.jobs.counts(), len(workers), pending)


# --- accounts


@get(
    f"{ROOT}/users",
    tags=TAGS,
    summary="List accounts",
    operation_class=openapi.operation(query=UserQuery),
    responses={200: openapi.answer(UserPage, {"users": [USER], "next": None}, "A page"), **openapi.problems(503)},
)
async def users(core: Core, request: AnyRequest) -> UserPage:
    """The newest accounts first."""
    wanted = reading.query(request, UserQuery)
    role = wanted.role.value if wanted.role else None
    before = paging.position(wanted.cursor)
    accounts = core.accounts
    found = await accounts.users.list(
        UserFilter(wanted.text, role, wanted.tier, wanted.suspended, before, limit=wanted.limit + 1)
    )
    page, following = paging.page(found, wanted.limit)
    balances = await accounts.ledger.balances([u.id for u in page])
    return UserPage([user_view(u, accounts.tier_of(u), balances[u.id]) for u in page], following)


@post(
    f"{ROOT}/users",
    tags=TAGS,
    summary="Make an account",
    operation_class=openapi.operation(body={"application/json": openapi.schema(NewUserJson)}),
    responses={201: openapi.answer(UserView, USER, "The account"), **openapi.problems(409, 413, 422, 503)},
)
async def make_user(
    core: Core, request: AnyRequest, who: Who, idempotency_key: IdempotencyKey = None
) -> Response[UserView]:
    """An account for somebody, with the first credits of its tier."""
    given = await reading.body(request, NewUserJson)

    async def make() -> Response[UserView]:
        user = await core.accounts.create(given.email, role=given.role, tier=given.tier, password=given.password)
        return Response(await whole(core, user), status_code=201, headers={"Location": f"{ROOT}/users/{user.id}"})

    return await once(core, request, who.user_id, idempotency_key, msgspec.to_builtins(given), make)


@get(
    f"{ROOT}/users/{{account_id:str}}",
    tags=TAGS,
    summary="One account",
    responses={200: openapi.answer(UserView, USER, "The account"), **openapi.problems(404, 503)},
)
async def get_user(core: Core, account_id: FromPath[str]) -> UserView:
    """An account, by its id."""
    return await whole(core, await core.accounts.users.get(reading.plain_id(account_id)))


@patch(
    f"{ROOT}/users/{{account_id:str}}",
    tags=TAGS,
    summary="Change an account",
    operation_class=openapi.operation(body={"application/json": openapi.schema(UserChangesJson)}),
    responses={200: openapi.answer(UserView, USER, "The account"), **openapi.problems(404, 409, 413, 503)},
)
async def change_user(core: Core, request: AnyRequest, account_id: FromPath[str]) -> UserView:
    """Another address, role or tier; `suspended` shuts somebody out at once, their jobs go on."""
    given = await reading.body(request, UserChangesJson)
    changes = msgspec.structs.asdict(given)
    return await whole(core, await core.accounts.change(reading.plain_id(account_id), **changes))


@delete(
    f"{ROOT}/users/{{account_id:str}}",
    tags=TAGS,
    summary="Remove an account",
    responses=openapi.problems(404, 409, 503),
)
async def remove_user(core: Core, account_id: FromPath[str]) -> None:
    """Remove an account with its jobs and files. Jobs that have not ended stand in the way."""
    await remove(core, reading.plain_id(account_id))


@get(
    f"{ROOT}/users/{{account_id:str}}/credits",
    tags=TAGS,
    summary="Credits of an account",
    operation_class=openapi.operation(query=PageQuery),
    responses={
        200: openapi.answer(LedgerPage, {"balance": 970, "movements": [MOVEMENT], "next": None}, "A page"),
        **openapi.problems(404, 503),
    },
)
async def credits_of(core: Core, request: AnyRequest, account_id: FromPath[str]) -> LedgerPage:
    """Every movement, newest first."""
    user = await core.accounts.users.get(reading.plain_id(account_id))
    return await ledger_page(core, request, user.id)


@post(
    f"{ROOT}/users/{{account_id:str}}/credits",
    tags=TAGS,
    summary="Give or take credits",
    operation_class=openapi.operation(body={"application/json": openapi.schema(GrantJson)}),
    responses={
        201: openapi.answer(MovementView, MOVEMENT | {"kind": "granted", "amount": 50}, "The movement"),
        **openapi.problems(404, 409, 413, 422, 503),
    },
)
async def grant(
    core: Core, request: AnyRequest, who: Who, account_id: FromPath[str], idempotency_key: IdempotencyKey = None
) -> Response[MovementView]:
    """Give credits, or take some (`amount` below zero), never more than there are; the reason stays in the ledger."""
    given = await reading.body(request, GrantJson)

    async def make() -> Response[MovementView]:
        reason = f"{given.reason} (by {who.user.email})"
        return Response(
            movement_view(await core.accounts.ledger.grant(reading.plain_id(account_id), given.amount, reason)),
            status_code=201,
        )

    return await once(core, request, who.user_id, idempotency_key, msgspec.to_builtins(given), make)


@post(
    f"{ROOT}/users/{{account_id:str}}/login-link",
    tags=TAGS,
    summary="Make a login link",
    responses={
        201: openapi.answer(
            LinkView,
            {"url": "http://localhost:8750/login?token=…", "expires_at": "2025-12-02T10:30:00.000Z"},
            "The link",
        ),
        **openapi.problems(404, 409, 422, 503),
    },
)
async def login_link(
    core: Core, request: AnyRequest, who: Who, account_id: FromPath[str], idempotency_key: IdempotencyKey = None
) -> Response[LinkView]:
    """A link that logs somebody in once and lets them choose a password: for a new account, or a forgotten password."""
    user = await core.accounts.users.get(reading.plain_id(account_id))

    async def make() -> Response[LinkView]:
        token = await core.accounts.login_link(user.id)
        base = (core.config.server.public_url or str(request.base_url)).rstrip("/")
        until = time.time() + core.config.auth.login_link_hours * 3600.0
        return Response(LinkView(f"{base}/login?token={token}", iso(until)), status_code=201)

    return await once(core, request, who.user_id, idempotency_key, {"user_id": user.id}, make)


# --- jobs and the system


@get(
    f"{ROOT}/jobs",
    tags=TAGS,
    summary="Everybody's jobs",
    operation_class=openapi.operation(query=AdminJobQuery),
    responses={200: openapi.answer(AdminJobPage, {"jobs": [JOB], "next": None}, "A page"), **openapi.problems(503)},
)
async def jobs(core: Core, request: AnyRequest) -> AdminJobPage:
    """The newest jobs first."""
    wanted = reading.query(request, AdminJobQuery)
    text, before = wanted.text or wanted.q, paging.position(wanted.cursor)
    found = await core.jobs.list(
        JobFilter(wanted.user_id, wanted.status, wanted.pipeline, text, before, limit=wanted.limit + 1)
    )
    page, following = paging.page(found, wanted.limit)
    views = [
        AdminJob(**msgspec.structs.asdict(job_summary(job, result_url(core, request, job))), user_id=job.user_id)
        for job in page
    ]
    return AdminJobPage(views, following)


@post(
    f"{ROOT}/jobs/{{job_id:str}}/cancel",
    tags=TAGS,
    status_code=200,
    summary="Cancel anybody's job",
    responses={200: openapi.answer(AdminJob, JOB, "The job"), **openapi.problems(404, 503)},
)
async def cancel(core: Core, request: AnyRequest, job_id: FromPath[str]) -> AdminJob:
    """Stop a job, also in the middle of a step. Cancelling an ended job changes nothing."""
    job = await core.jobs.cancel(reading.job_id(job_id))
    return AdminJob(**msgspec.structs.asdict(job_summary(job, result_url(core, request, job))), user_id=job.user_id)


@get(
    f"{ROOT}/system/health",
    tags=TAGS,
    summary="The system",
    responses={200: openapi.answer(SystemView, SYSTEM, "How it is"), **openapi.problems(503)},
)
async def system(core: Core) -> SystemView:
    """Everything that the daemon depends on, and its workers. 200 also where something is wrong: this page shows it."""
    return await _system(core)


async def _system(core: App) -> SystemView:
    checks = await core.health()
    services = {
        name: ServiceView("healthy" if c.ok else "unhealthy", c.latency_ms, c.detail) for name, c in checks.items()
    }
    found = await core.jobs.workers(time.time() - WORKER_SEEN_S) if checks["db"].ok else []
    workers = [
        WorkerView(w["id"], w["host"], w["slots"], w["labels"], iso(w["started_at"]), iso(w["seen_at"])) for w in found
    ]
    well = all(c.ok for c in checks.values())
    return SystemView("healthy" if well else "unhealthy", core.version, services, workers)


handlers = (
    stats,
    users,
    make_user,
    get_user,
    change_user,
    remove_user,
    credits_of,
    grant,
    login_link,
    jobs,
    cancel,
    system,
)
