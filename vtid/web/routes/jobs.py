"""Jobs: submit, look, follow, cancel, retry, delete."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.params import Parameter
from litestar.response import ServerSentEvent

from vtid.app import App
from vtid.db import JobFilter
from vtid.domain.job import Job, JobStatus
from vtid.errors import InvalidInput, Problem, did_you_mean
from vtid.web.errors import HttpError
from vtid.web.events import as_messages
from vtid.web.schemas import FileView, JobList, JobView, SubmitAsset, job_view
from vtid.web.uploads import Form, read_text, receive

TAGS = ["jobs"]
ROOT = "/api/v1/jobs"
SOURCES = {"file": "video"}
TEXT_REMOVAL = "remove-text"
AnyRequest = Request[Any, Any, Any]
IdempotencyKey = Annotated[
    str | None,
    Parameter(
        header="Idempotency-Key", max_length=255, description="A repeat with the same key gives the first answer."
    ),
]


async def view(core: App, request: AnyRequest, job: Job) -> JobView:
    """A job with its steps, and a signed URL of its result."""
    url = None
    if job.results:
        result = job.results[0]
        url = link(core, request, result.key, result.filename)
    return job_view(job, await core.jobs.runs(job.id), url)


def link(core: App, request: AnyRequest, key: str, filename: str) -> str:
    """A signed URL, whole: under the public address, or the one that this request came to."""
    url = core.storage.signed_url(key, ttl_s=core.config.storage.url_ttl_seconds, filename=filename)
    return url if url.startswith("http") else f"{str(request.base_url).rstrip('/')}{url}"


# --- submit


@asynccontextmanager
async def reserved(
    core: App, request: AnyRequest, user_id: str, key: str | None, digest: str
) -> AsyncIterator[str | None]:
    """Hold an idempotency key while a job is made; yields the id of the job that the first request made."""
    if key is None:
        yield None
        return
    same = hashlib.sha256(f"{request.url.path} {digest}".encode()).hexdigest()
    try:
        first = await core.jobs.reserve(user_id, key, same)
    except InvalidInput as error:
        raise HttpError(422, "idempotency_key_reused", error.message) from error
    try:
        yield first
    except BaseException:
        if first is None:
            await core.jobs.forget(user_id, key)
        raise


def accepted(body: JobView, *, replayed: bool) -> Response[JobView]:
    """202, with where to look."""
    headers = {"Location": f"{ROOT}/{body.job_id}"} | ({"Idempotency-Replayed": "true"} if replayed else {})
    return Response(body, status_code=202, headers=headers)


async def submit_form(
    core: App, request: AnyRequest, user_id: str, key: str | None, pipeline: str | None
) -> Response[JobView]:
    """A job from a multipart body; with `pipeline` None the body names it."""
    async with core.intake.draft(user_id) as draft:
        form = await receive(request, draft, SOURCES, core.config.server.max_upload_mb << 20)
        name, params = _wishes(form, pipeline)
        async with reserved(core, request, user_id, key, form.digest) as first:
            if first is not None:
                return accepted(await view(core, request, await core.jobs.get(first, user_id)), replayed=True)
            display_name = form.fields.get("display_name") or None
            job = await draft.submit(pipeline=name, params=params, display_name=display_name, idempotency_key=key)
    return accepted(await view(core, request, job), replayed=False)


def _wishes(form: Form, pipeline: str | None) -> tuple[str, dict[str, Any]]:
    """Pipeline and params of a form, or every complaint about its fields."""
    known = {"params", "display_name"} | (set() if pipeline else {"pipeline"})
    problems = [
        Problem(
            name,
            f"unknown field{did_you_mean(name, [*known, *SOURCES]) or '; known: ' + ', '.join(sorted(known))}",
            "unknown",
        )
        for name in form.fields.keys() - known
    ]
    if "file" not in form.files:
        problems.append(Problem("file", "the video is missing; send it as the form field `file`", "missing"))
    name = pipeline or form.fields.get("pipeline", "")
    if not name:
        problems.append(Problem("pipeline", "which pipeline? GET /api/v1/pipelines lists them", "missing"))
    params: Any = {}
    try:
        params = msgspec.json.decode(form.fields.get("params") or "{}")
        if not isinstance(params, dict):
            problems.append(Problem("params", "must be a JSON object", "invalid"))
    except msgspec.DecodeError as error:
        problems.append(Problem("params", f"is not valid JSON: {error}", "invalid"))
    if problems:
        raise InvalidInput(str(problems[0]), problems=problems)
    return name, params


async def submit_asset(core: App, request: AnyRequest, user_id: str, key: str | None) -> Response[JobView]:
    """A job from a JSON body."""
    raw = await read_text(request)
    try:
        wish = msgspec.json.decode(raw, type=SubmitAsset)
    except msgspec.DecodeError as error:
        message, _, place = str(error).partition(" - at `$")
        raise InvalidInput(
            f"The body is not right: {error}", problems=[Problem(place.strip(".`") or "body", message)]
        ) from error
    if wish.video_url:
        message = "fetching from a URL comes with a later release; upload the file"
        raise InvalidInput(message, problems=[Problem("video_url", message, "not_supported")])
    if not wish.asset_id:
        raise InvalidInput("asset_id is missing.", problems=[Problem("asset_id", "which file?", "missing")])
    async with core.intake.draft(user_id) as draft:
        async with reserved(core, request, user_id, key, hashlib.sha256(raw).hexdigest()) as first:
            if first is not None:
                return accepted(await view(core, request, await core.jobs.get(first, user_id)), replayed=True)
            draft.use_asset("video", await core.jobs.asset(wish.asset_id, user_id))
            job = await draft.submit(
                pipeline=wish.pipeline, params=wish.params, display_name=wish.display_name, idempotency_key=key
            )
    return accepted(await view(core, request, job), replayed=False)


@post(f"{ROOT}/submit", tags=TAGS, status_code=202, summary="Submit a job", request_max_body_size=None)
async def submit(
    core: App, request: AnyRequest, user_id: str, idempotency_key: IdempotencyKey = None
) -> Response[JobView]:
    """Make a job: multipart `file`, `pipeline`, `params` (a JSON object), `display_name`; or JSON with `asset_id`."""
    if request.headers.get("content-type", "").lower().startswith("application/json"):
        return await submit_asset(core, request, user_id, idempotency_key)
    return await submit_form(core, request, user_id, idempotency_key, None)


@post(
    "/api/v1/upload-and-process",
    tags=TAGS,
    status_code=202,
    summary="Remove text from a video",
    request_max_body_size=None,
)
async def upload_and_process(
    core: App, request: AnyRequest, user_id: str, idempotency_key: IdempotencyKey = None
) -> Response[JobView]:
    """Upload a video as `file` and have its text removed, with defaults everywhere."""
    return await submit_form(core, request, user_id, idempotency_key, TEXT_REMOVAL)


# --- look


@get([ROOT, f"{ROOT}/"], tags=TAGS, summary="List jobs")
async def list_jobs(
    core: App,
    request: AnyRequest,
    user_id: str,
    status: JobStatus | None = None,
    pipeline: str | None = None,
    text: Annotated[
        str | None, Parameter(max_length=200, description="Part of a file name, display name or id.")
    ] = None,
    limit: Annotated[int, Parameter(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Parameter(description="`next` of the page before.")] = None,
) -> JobList:
    """The newest jobs first."""
    before = _position(cursor) if cursor else None
    found = await core.jobs.list(JobFilter(user_id, status, pipeline, text, before, limit + 1))
    page = found[:limit]
    following = _cursor(page[-1]) if len(found) > limit else None
    return JobList([await view(core, request, j) for j in page], following)


def _cursor(job: Job) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((job.created_at, job.id))).decode().rstrip("=")


def _position(cursor: str) -> tuple[float, str]:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(raw, type=tuple[float, str])
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise InvalidInput(
            "This is not a cursor.", problems=[Problem("cursor", "take it from `next` of a page")]
        ) from error


@get(f"{ROOT}/{{job_id:str}}", tags=TAGS, summary="One job")
async def get_job(core: App, request: AnyRequest, user_id: str, job_id: str) -> JobView:
    """How a job stands, and where its result is."""
    return await view(core, request, await core.jobs.get(job_id, user_id))


@get(f"{ROOT}/{{job_id:str}}/files", tags=TAGS, summary="Files that a job made")
async def get_files(core: App, request: AnyRequest, user_id: str, job_id: str) -> list[FileView]:
    """Everything that the steps made, intermediates too, with signed URLs."""
    await core.jobs.get(job_id, user_id)
    return [
        FileView(a.step_id, a.output, a.kind, a.filename, a.size, link(core, request, a.key, a.filename))
        for a in await core.jobs.artifacts(job_id)
    ]


@get(f"{ROOT}/{{job_id:str}}/events", tags=TAGS, summary="Follow a job", media_type="text/event-stream")
async def get_events(
    core: App,
    request: AnyRequest,
    user_id: str,
    job_id: str,
    last: Annotated[int | None, Parameter(header="Last-Event-ID", ge=0)] = None,
    last_event_id: Annotated[int, Parameter(ge=0, description="As the header, for clients that cannot send it.")] = 0,
) -> ServerSentEvent:
    """Server-Sent Events until the job ends: `status`, `step`, `progress`, `log`; resumes after `Last-Event-ID`."""
    await core.jobs.get(job_id, user_id)
    feed = request.app.state.feed
    return ServerSentEvent(as_messages(feed.follow(job_id, last if last is not None else last_event_id)))


# --- decide


@post(f"{ROOT}/{{job_id:str}}/cancel", tags=TAGS, status_code=200, summary="Cancel a job")
async def cancel(core: App, request: AnyRequest, user_id: str, job_id: str) -> JobView:
    """Stop a job, also in the middle of a step. Cancelling an ended job changes nothing."""
    return await view(core, request, await core.jobs.cancel(job_id, user_id))


@post(f"{ROOT}/{{job_id:str}}/retry", tags=TAGS, status_code=200, summary="Retry a job")
async def retry(core: App, request: AnyRequest, user_id: str, job_id: str) -> JobView:
    """Run a failed or cancelled job again from the first step that did not complete."""
    job = await core.jobs.retry(job_id, user_id)
    core.ring(job.id)
    return await view(core, request, job)


@delete(f"{ROOT}/{{job_id:str}}", tags=TAGS, summary="Delete a job")
async def delete_job(core: App, user_id: str, job_id: str) -> None:
    """Remove an ended job and its files."""
    await core.delete_job(job_id, user_id)


handlers = (submit, upload_and_process, list_jobs, get_job, get_files, get_events, cancel, retry, delete_job)
