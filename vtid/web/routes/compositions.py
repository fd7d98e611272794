"""Compositions: films as documents describe them. Jobs of one pipeline, told in their own words."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.params import FromPath

from vtid.app import App
from vtid.db import Editing, JobFilter
from vtid.domain.job import Job, JobStatus
from vtid.domain.merging import VALUES, filled
from vtid.errors import Conflict, InvalidInput, NotFound, Problem
from vtid.web import composing, openapi, reading
from vtid.web.composition_examples import DOCUMENT, DOWNLOAD, METADATA, STATUS, VIEW
from vtid.web.composition_schemas import (
    CancelledView,
    CompositionJson,
    CompositionList,
    CompositionMetadata,
    CompositionQuery,
    CompositionStatus,
    CompositionView,
    DownloadView,
    composition_view,
    metadata_view,
    status_view,
)
from vtid.web.given import Core, User
from vtid.web.idempotency import IdempotencyKey, digest
from vtid.web.linking import link
from vtid.web.routes.jobs import result_url
from vtid.web.routes.submit import Wish, call_back, taken_in
from vtid.web.schemas import iso

ROOT = "/api/v1/compositions"
TAGS = ["compositions"]
PIPELINE = "compose"
AnyRequest = Request[Any, Any, Any]
BODY = openapi.schema(CompositionJson) | {"example": DOCUMENT}
SCHEMA = {"title": "Composition", "$ref": "#/$defs/Composition"}
STOPPED = {"cancelled": 1, "composition_ids": [openapi.JOB_ID]}


def _answers(type_: Any, example: Any, description: str, *statuses: int) -> dict[int, Any]:
    return {200: openapi.answer(type_, example, description), **openapi.problems(404, 503, *statuses)}


# --- in


@post(
    [ROOT, f"{ROOT}/"],
    tags=TAGS,
    status_code=202,
    summary="Compose a film",
    responses={
        202: openapi.answer(CompositionView, VIEW, "Taken in"),
        **openapi.problems(400, 403, 404, 409, 413, 422, 503, 507),
    },
    operation_class=openapi.operation(
        body={"application/json": openapi.schema(CompositionJson) | {"example": DOCUMENT}}
    ),
)
async def submit_composition(
    core: Core, request: AnyRequest, user_id: User, idempotency_key: IdempotencyKey = None
) -> Response[CompositionView]:
    """Make a film as the document says. `GET /api/v1/compositions/schema` has all of its fields.

    A file is an http(s) URL, which is fetched as the job's first work, an `asset_id`, `asset:NAME` of a file that was
    uploaded under this name, or `s3://BUCKET/KEY`. Every complaint names its field; what only a file that must be
    fetched can tell becomes the job's error. `{{name}}` in any text stands for one of `fields`, or for what `values`
    says instead.
    """
    raw = await reading.json_object(request)
    problems: list[Problem] = []
    callback = raw.pop("callback_url", None)
    mark = digest(request, msgspec.json.encode([raw, callback], order="deterministic").decode())
    values = raw.pop(VALUES, None)
    async with core.intake.draft(user_id) as draft:
        if callback is not None and not isinstance(callback, str):
            problems.append(Problem("callback_url", "must be a URL", "invalid"))
        call_back(draft, callback, problems)
        try:
            asked = await composing.read(core, draft, filled(raw, values, VALUES))
        except InvalidInput as error:
            problems += error.problems
            raise InvalidInput(str(problems[0]), problems=problems) from error
        if problems:
            raise InvalidInput(str(problems[0]), problems=problems)
        draft.note({"composition": {"request": asked.shown, "files": dict(asked.files)}}, Editing())
        title = (asked.document.get("title") or "")[:200] or None
        wish = Wish(PIPELINE, asked.document, title, mark, asked.seconds)
        try:
            job, headers = await taken_in(core, draft, wish, idempotency_key)
        except InvalidInput as error:
            raise composing.in_the_documents_words(error) from error
        headers |= {"Location": f"{ROOT}/{job.id}"}
        return Response(_view(core, request, job), status_code=202, headers=headers)


@get(
    f"{ROOT}/schema",
    tags=TAGS,
    summary="The JSON Schema of a composition",
    responses={200: openapi.answer(dict[str, Any], SCHEMA, "JSON Schema")},
)
async def get_schema(core: Core) -> dict[str, Any]:
    """What a document may hold, each field with its type, its bounds and its meaning (JSON Schema 2020-12)."""
    return composing.schema(core)


# --- look


@get(
    [ROOT, f"{ROOT}/"],
    tags=TAGS,
    summary="List compositions",
    operation_class=openapi.operation(query=CompositionQuery),
    responses=_answers(CompositionList, {"compositions": [VIEW], "total": 1, "offset": 0, "limit": 20}, "A page", 400),
)
async def list_compositions(core: Core, request: AnyRequest, user_id: User) -> CompositionList:
    """The newest first."""
    wanted = reading.query(request, CompositionQuery)
    these = JobFilter(user_id, wanted.status_filter, PIPELINE, limit=wanted.limit, offset=wanted.offset)
    found = await core.jobs.list(these)
    total = await core.jobs.count(these)
    return CompositionList([_view(core, request, job) for job in found], total, wanted.offset, wanted.limit)


@get(
    f"{ROOT}/{{composition_id:str}}",
    tags=TAGS,
    summary="One composition",
    responses=_answers(CompositionView, VIEW, "The composition"),
)
async def get_composition(
    core: Core, request: AnyRequest, user_id: User, composition_id: FromPath[str]
) -> CompositionView:
    """How it stands, and where the film is once it is done."""
    return _view(core, request, await _job(core, composition_id, user_id))


@get(
    f"{ROOT}/{{composition_id:str}}/status",
    tags=TAGS,
    summary="How a composition stands, stage by stage",
    responses=_answers(CompositionStatus, STATUS, "Its stages"),
)
async def get_status(core: Core, user_id: User, composition_id: FromPath[str]) -> CompositionStatus:
    """Its stages: when each began and ended. To follow it live, use the WebSocket or the events of jobs."""
    job = await _job(core, composition_id, user_id)
    return status_view(job, await core.jobs.runs(job.id))


@get(
    f"{ROOT}/{{composition_id:str}}/metadata",
    tags=TAGS,
    summary="All that is known of a composition",
    responses=_answers(CompositionMetadata, METADATA, "The document, its files, what came of it"),
)
async def get_metadata(
    core: Core, request: AnyRequest, user_id: User, composition_id: FromPath[str]
) -> CompositionMetadata:
    """The document as it was sent, the files that went in, what came out, and what was done otherwise than asked."""
    job = await _job(core, composition_id, user_id)
    assets = await core.assets.of(job.inputs.values())
    return metadata_view(job, assets, result_url(core, request, job))


@get(
    f"{ROOT}/{{composition_id:str}}/download",
    tags=TAGS,
    summary="Where the film is",
    responses=_answers(DownloadView, DOWNLOAD, "A signed link", 409),
)
async def get_download(core: Core, request: AnyRequest, user_id: User, composition_id: FromPath[str]) -> DownloadView:
    """A link that serves the film to whoever has it, with HTTP Range, until it expires; 409 while there is none."""
    job = await _job(core, composition_id, user_id)
    if not job.results:
        raise Conflict(f"This composition is {job.status.value}; there is no film to download.")
    film = job.results[0]
    ttl_s = core.config.storage.url_ttl_seconds
    return DownloadView(
        link(core, request, film.key, film.filename),
        iso(time.time() + ttl_s),
        film.size,
        film.filename.rpartition(".")[2],
        film.filename,
    )


# --- decide


@post(
    f"{ROOT}/{{composition_id:str}}/cancel",
    tags=TAGS,
    status_code=200,
    summary="Cancel a composition",
    responses=_answers(CompositionView, VIEW, "The composition", 403),
)
async def cancel(core: Core, request: AnyRequest, user_id: User, composition_id: FromPath[str]) -> CompositionView:
    """Stop it, also while it renders. Cancelling an ended one changes nothing."""
    job = await _job(core, composition_id, user_id)
    return _view(core, request, await core.jobs.cancel(job.id, user_id))


@post(
    f"{ROOT}/cancel-all",
    tags=TAGS,
    status_code=200,
    summary="Cancel all compositions",
    responses=_answers(CancelledView, STOPPED, "Those that had not ended", 403),
)
async def cancel_all(core: Core, user_id: User) -> CancelledView:
    """Stop every composition of yours that has not ended."""
    stopped: list[str] = []
    for status in (JobStatus.QUEUED, JobStatus.PROCESSING):
        wanted = JobFilter(user_id, status, PIPELINE, limit=100)
        while found := await core.jobs.list(wanted):
            for job in found:
                if job.id not in stopped:  # one that a worker took meanwhile is met twice
                    await core.jobs.cancel(job.id, user_id)
                    stopped.append(job.id)
            wanted = msgspec.structs.replace(wanted, before=(found[-1].created_at, found[-1].id))
    return CancelledView(len(stopped), stopped)


@delete(
    f"{ROOT}/{{composition_id:str}}",
    tags=TAGS,
    summary="Delete a composition",
    responses=openapi.problems(403, 404, 409, 503),
)
async def delete_composition(core: Core, user_id: User, composition_id: FromPath[str]) -> None:
    """Remove an ended composition and its film."""
    job = await _job(core, composition_id, user_id)
    await core.removal.job(job.id, user_id)


async def _job(core: App, composition_id: str, user_id: str) -> Job:
    job = await core.jobs.get(reading.one_id(composition_id, "composition"), user_id)
    if job.pipeline.name != PIPELINE:
        raise NotFound(f"There is no composition {composition_id}.")
    return job


def _view(core: App, request: AnyRequest, job: Job) -> CompositionView:
    return composition_view(job, result_url(core, request, job))


handlers = (
    submit_composition,
    get_schema,
    list_compositions,
    get_composition,
    get_status,
    get_metadata,
    get_download,
    cancel,
    cancel_all,
    delete_composition,
)
