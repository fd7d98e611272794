"""Several files in one request, a job of each."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import msgspec
from litestar import Request, Response, post

from vtid.app import App
from vtid.domain.job import Job
from vtid.engine.intake import Draft
from vtid.errors import Problem, VtidError
from vtid.storage.hashing import HashingWriter
from vtid.web import openapi, reading
from vtid.web.errors import HttpError
from vtid.web.file_schemas import BatchFields, BatchJson, BatchView, Refused
from vtid.web.given import Core, User
from vtid.web.idempotency import REPLAYED, IdempotencyKey, digest
from vtid.web.routes.jobs import ROOT, TAGS, result_url
from vtid.web.routes.submit import Wish, check_pipeline, is_json, taken_in
from vtid.web.schemas import job_summary
from vtid.web.uploads import receive

AnyRequest = Request[Any, Any, Any]
MOST_FILES = 50
EXAMPLE = {
    "jobs": [openapi.JOB | {"status": "queued", "progress": 0, "completed_at": None}],
    "refused": [{"file": "notes.txt", "status": 415, "detail": "notes.txt is not a media file."}],
}


class _Batch:
    """The drafts of a batch, each under its file's name."""

    def __init__(self, core: App, user_id: str, stack: AsyncExitStack) -> None:
        self.core = core
        self.user_id = user_id
        self.drafts: list[tuple[str, Draft]] = []
        self.refused: list[Refused] = []
        self._stack = stack
        self._next: Draft | None = None

    async def draft(self, name: str) -> Draft:
        draft = await self._stack.enter_async_context(self.core.intake.draft(self.user_id))
        self.drafts.append((name, draft))
        return draft

    async def submit(
        self, request: AnyRequest, key: str | None, pipeline: str, params: dict[str, Any]
    ) -> tuple[list[Job], bool]:
        """Make a job of each draft; what is wrong with one does no harm to the others.

        Returns:
            The jobs, and whether an earlier request with this key had made all of them.
        """
        jobs: list[Job] = []
        fresh = False
        for at, (name, draft) in enumerate(self.drafts):
            content = msgspec.json.encode([pipeline, params, at, _content(draft)]).decode()
            wish = Wish(pipeline, params, None, digest(request, content))
            try:
                job, headers = await taken_in(self.core, draft, wish, f"{key[:200]}#{at}" if key else None)
                jobs.append(job)
                fresh |= not REPLAYED.items() <= headers.items()
            except VtidError as error:
                self.refused.append(Refused(name, getattr(error, "http_status", error.status), error.message))
        return jobs, not fresh


def _content(draft: Draft) -> list[Any]:
    source = draft.sources["video"]
    return [source.filename, source.writer.sha256 if source.writer else source.key]


@post(
    f"{ROOT}/batch",
    tags=TAGS,
    status_code=202,
    summary="Submit several files",
    responses={
        202: openapi.answer(BatchView, EXAMPLE, "Taken in, but for those that are refused"),
        **openapi.problems(400, 403, 404, 409, 413, 415, 422, 503, 507),
    },
    operation_class=openapi.operation(
        body={
            "multipart/form-data": openapi.form(BatchFields, required="files", files="The videos, each as a part."),
            "application/json": openapi.schema(BatchJson),
        }
    ),
)
async def submit_batch(
    core: Core, request: AnyRequest, user_id: User, idempotency_key: IdempotencyKey = None
) -> Response[BatchView]:
    """Make a job of each of up to 50 files (multipart, `files` repeated; or JSON with their `asset_ids`).

    Each file is judged by itself: those that cannot be used are listed with the reason, the others become jobs. If none
    can be used, nothing is taken in; the answer has the status that they share, or 422.
    """
    async with AsyncExitStack() as stack:
        batch = _Batch(core, user_id, stack)
        pipeline, params = await (_from_json if is_json(request) else _from_form)(core, request, batch)
        jobs, replayed = await batch.submit(request, idempotency_key, pipeline, params)
        if not jobs:
            problems = [Problem(one.file, one.detail, "refused") for one in batch.refused]
            statuses = {one.status for one in batch.refused}
            status = statuses.pop() if len(statuses) == 1 else 422
            raise HttpError(status, "nothing_usable", "None of the files can be used.", problems=problems)
        body = BatchView([job_summary(job, result_url(core, request, job)) for job in jobs], batch.refused)
        return Response(body, status_code=202, headers=REPLAYED if replayed else {})


async def _from_form(core: App, request: AnyRequest, batch: _Batch) -> tuple[str, dict[str, Any]]:
    """Each file into a draft of its own, as it arrives."""
    await core.intake.require_quota(batch.user_id, int(request.headers.get("content-length") or 0))

    async def opener(filename: str, _fields: Mapping[str, str]) -> HashingWriter:
        return (await batch.draft(filename)).writer("video", filename)

    form = await receive(request, {"files": opener}, core.config.server.max_upload_mb << 20, most=MOST_FILES)
    problems = list(form.problems)
    if not batch.drafts and not any(p.field == "files" for p in problems):
        problems.append(Problem("files", "are missing; send each video as a part of this name", "missing"))
    given = reading.convert(form.fields, BatchFields, problems, strict=False)
    params = reading.parse_object(form.fields.get("params") or "{}", "params", problems)
    check_pipeline(core, form.fields.get("pipeline", ""), problems)
    assert given is not None
    return given.pipeline, params


async def _from_json(core: App, request: AnyRequest, batch: _Batch) -> tuple[str, dict[str, Any]]:
    raw, problems = await reading.json_object(request), list[Problem]()
    given = reading.convert(raw, BatchJson, problems)
    check_pipeline(core, str(raw.get("pipeline") or ""), problems)
    assert given is not None
    for asset_id in given.asset_ids:
        try:
            asset = await core.assets.get(reading.asset_id(asset_id), batch.user_id)
            draft = await batch.draft(asset_id)
            draft.use_asset("video", asset, "asset_ids")
        except VtidError as error:
            batch.drafts = [(name, d) for name, d in batch.drafts if name != asset_id]
            batch.refused.append(Refused(asset_id, error.status, error.message))
    return given.pipeline, given.params


handlers = (submit_batch,)
