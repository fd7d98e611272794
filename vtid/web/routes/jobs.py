"""Jobs: look, follow, cancel, retry, delete."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request, Response, delete, get, post
from litestar.background_tasks import BackgroundTask
from litestar.params import FromPath
from litestar.response import Stream

from vtid.app import App
from vtid.db import JobFilter
from vtid.domain.job import Job
from vtid.web import openapi, paging, reading
from vtid.web.events import as_stream
from vtid.web.given import Core, User
from vtid.web.linking import link
from vtid.web.schemas import EventsQuery, FileView, JobList, JobQuery, JobView, job_summary, job_view

TAGS = ["jobs"]
ROOT = "/api/v1/jobs"
AnyRequest = Request[Any, Any, Any]
FILE = {
    "step_id": "clean",
    "output": "video",
    "kind": "video",
    "filename": "holiday.mp4",
    "size": 1048576,
    "url": openapi.JOB["result_url"],
}


def _job(*statuses: int, description: str = "The job") -> dict[int, Any]:
    return {200: openapi.answer(JobView, openapi.JOB_WITH_STEPS, description), **openapi.problems(*statuses)}


async def view(core: App, request: AnyRequest, job: Job) -> JobView:
    """A job with its steps, and a signed URL of its result."""
    return job_view(job, await core.jobs.runs(job.id), result_url(core, request, job))


def result_url(core: App, request: AnyRequest, job: Job) -> str | None:
    """Where the job's result is: the first of what it delivered."""
    return link(core, request, job.results[0].key, job.results[0].filename) if job.results else None


# --- look


@get(
    [ROOT, f"{ROOT}/"],
    tags=TAGS,
    summary="List jobs",
    operation_class=openapi.operation(query=JobQuery),
    responses={
        200: openapi.answer(JobList, {"jobs": [openapi.JOB], "next": "WzE3NjQ1ODUwMDAuMCwi…"}, "A page"),
        **openapi.problems(400, 503),
    },
)
async def list_jobs(core: Core, request: AnyRequest, user_id: User) -> JobList:
    """The newest jobs first, without their steps."""
    wanted = reading.query(request, JobQuery)
    before = paging.position(wanted.cursor)
    text = wanted.text or wanted.q
    found = await core.jobs.list(
        JobFilter(user_id, wanted.status, wanted.pipeline, text, before, limit=wanted.limit + 1)
    )
    page, following = paging.page(found, wanted.limit)
    return JobList([job_summary(job, result_url(core, request, job)) for job in page], following)


@get(f"{ROOT}/{{job_id:str}}", tags=TAGS, summary="One job", responses=_job(404, 503))
async def get_job(core: Core, request: AnyRequest, user_id: User, job_id: FromPath[str]) -> JobView:
    """How a job stands, and where its result is."""
    job, runs = await core.jobs.with_runs(reading.job_id(job_id), user_id)
    return job_view(job, runs, result_url(core, request, job))


@get(
    f"{ROOT}/{{job_id:str}}/files",
    tags=TAGS,
    summary="Files that a job made",
    responses={200: openapi.answer(list[FileView], [FILE], "The files"), **openapi.problems(404, 503)},
)
async def get_files(core: Core, request: AnyRequest, user_id: User, job_id: FromPath[str]) -> list[FileView]:
    """Everything that the steps made, intermediates too, with signed URLs."""
    job = await core.jobs.get(reading.job_id(job_id), user_id)
    return [
        FileView(a.step_id, a.output, a.kind, a.filename, a.size, link(core, request, a.key, a.filename))
        for a in await core.jobs.artifacts(job.id)
    ]


@get(
    f"{ROOT}/{{job_id:str}}/events",
    tags=TAGS,
    summary="Follow a job",
    media_type="text/event-stream",
    operation_class=openapi.operation(
        query=EventsQuery, headers={"Last-Event-ID": "The `id` of the last event that arrived."}
    ),
    responses=openapi.problems(400, 404, 503),
)
async def get_events(core: Core, request: AnyRequest, user_id: User, job_id: FromPath[str]) -> Response[Any]:
    """Server-Sent Events until the job has ended: `status`, `step`, `progress`, `log`; resumes after `Last-Event-ID`.

    204 when the job has ended and nothing came after that id: by it a browser's `EventSource` knows not to come back.
    """
    told = reading.query(request, EventsQuery, last_event_id=request.headers.get("last-event-id"))
    job = await core.jobs.get(reading.job_id(job_id), user_id)
    after = min(told.last_event_id, job.event_seq)
    if after and after == job.event_seq and job.status.ended:
        return Response(None, status_code=204)
    stream = as_stream(request.app.state.feed.follow(job.id, after))
    # Proxies that gather a response before they send it on would hold the events back.
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    # Of a reader that left while it was being sent something, nobody else would tell the stream.
    return Stream(stream, media_type="text/event-stream", headers=headers, background=BackgroundTask(stream.aclose))


# --- decide


@post(
    f"{ROOT}/{{job_id:str}}/cancel", tags=TAGS, status_code=200, summary="Cancel a job", responses=_job(403, 404, 503)
)
async def cancel(core: Core, request: AnyRequest, user_id: User, job_id: FromPath[str]) -> JobView:
    """Stop a job, also in the middle of a step. Cancelling an ended job changes nothing."""
    return await view(core, request, await core.jobs.cancel(reading.job_id(job_id), user_id))


@post(
    f"{ROOT}/{{job_id:str}}/retry",
    tags=TAGS,
    status_code=200,
    summary="Retry a job",
    responses=_job(403, 404, 409, 503),
)
async def retry(core: Core, request: AnyRequest, user_id: User, job_id: FromPath[str]) -> JobView:
    """Run a failed or cancelled job again from the first step that did not complete."""
    job = await core.jobs.retry(reading.job_id(job_id), user_id)
    await asyncio.to_thread(core.ring, job.id)
    return await view(core, request, job)


@delete(f"{ROOT}/{{job_id:str}}", tags=TAGS, summary="Delete a job", responses=openapi.problems(403, 404, 409, 503))
async def delete_job(core: Core, user_id: User, job_id: FromPath[str]) -> None:
    """Remove an ended job and its files."""
    await core.removal.job(reading.job_id(job_id), user_id)


handlers = (list_jobs, get_job, get_files, get_events, cancel, retry, delete_job)
