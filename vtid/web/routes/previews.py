"""Previews: where text is in a video, and one picture without it. Jobs of one pipeline, told in their own words."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath

from vtid.app import App
from vtid.domain.job import Job
from vtid.engine.intake import Draft
from vtid.errors import InvalidInput, NotFound, Problem
from vtid.web import openapi, reading
from vtid.web.given import Core, User
from vtid.web.idempotency import IdempotencyKey, digest
from vtid.web.linking import link
from vtid.web.routes.submit import FILE_ABOUT, MASK_ABOUT, Wish, is_json, read_form, taken_in, use_assets
from vtid.web.schemas import PreviewFields, PreviewJson, PreviewView, preview_view

ROOT = "/api/v1/previews"
TAGS = ["previews"]
PIPELINE, STEP = "preview-text", "look"
AnyRequest = Request[Any, Any, Any]
EXAMPLE = {
    "preview_id": openapi.JOB_ID,
    "status": "completed",
    "progress": 100,
    "message": "Completed",
    "error": None,
    "still_url": "http://localhost:8750/files/…/still/holiday.png?expires=…&signature=…",
    "boxes_url": "http://localhost:8750/files/…/boxes/holiday.json?expires=…&signature=…",
    "report": {
        "found": [
            {
                "at": {"x": 0.2, "y": 0.86, "width": 0.6, "height": 0.1},
                "start_s": 11.2,
                "end_s": 13.84,
                "text": "Nobody knows the way",
                "confidence": 0.993,
                "kind": "subtitle",
                "goes": True,
            }
        ],
        "width": 1280,
        "height": 720,
        "start_s": 9.52,
        "end_s": 15.5,
        "at_s": 12.48,
        "detector": "rapidocr",
        "seconds": {"detect": 1.1, "still": 2.3},
    },
}


async def _view(core: App, request: AnyRequest, job: Job) -> PreviewView:
    made = await core.jobs.artifacts(job.id)
    return preview_view(job, STEP, {a.output: link(core, request, a.key, a.filename) for a in made})


@post(
    ROOT,
    tags=TAGS,
    status_code=202,
    summary="Preview the text of a video",
    responses={
        202: openapi.answer(PreviewView, EXAMPLE | {"status": "queued", "progress": 0, "report": None}, "Taken in"),
        **openapi.problems(400, 404, 409, 413, 415, 422, 503, 507),
    },
    operation_class=openapi.operation(
        body={
            "multipart/form-data": openapi.form(PreviewFields, file=FILE_ABOUT, mask=MASK_ABOUT),
            "application/json": openapi.schema(PreviewJson),
        }
    ),
)
async def submit_preview(
    core: Core, request: AnyRequest, user_id: User, idempotency_key: IdempotencyKey = None
) -> Response[PreviewView]:
    """Look for text in an uploaded video (multipart), or in that of an earlier job or file (JSON).

    Nothing is removed. With `at_s`, only the seconds around it are looked at, and the picture there comes without its
    text. Ask for the preview until it is `completed`.
    """
    async with core.intake.draft(user_id) as draft:
        if is_json(request):
            wish = await _from_json(core, request, draft)
        else:
            given, form = await read_form(core, request, draft, PreviewFields, PIPELINE)
            params = msgspec.json.decode(given.params or "{}", type=dict[str, Any])
            wish = _wish(given.at_s, params, given.display_name, digest(request, form.digest))
        job, headers = await taken_in(core, draft, wish, idempotency_key)
        headers |= {"Location": f"{ROOT}/{job.id}"}
        return Response(await _view(core, request, job), status_code=202, headers=headers)


async def _from_json(core: App, request: AnyRequest, draft: Draft) -> Wish:
    """What an earlier job was given, or another file that came in before, looked at (again)."""
    raw, problems = await reading.json_object(request), list[Problem]()
    given = reading.convert(raw, PreviewJson, problems)
    if given is not None and (given.job_id is None) == (given.asset_id is None):
        message = "is missing, and so is asset_id" if given.job_id is None else "names a video, and asset_id another"
        problems.append(Problem("job_id", f"{message}; give one of them", "missing"))
    if problems or given is None:
        raise InvalidInput(str(problems[0]), problems=problems)
    if given.job_id is not None:
        earlier = await core.jobs.get(reading.job_id(given.job_id), draft.user_id)
        for name in ("video", "mask"):
            if name in earlier.inputs:
                draft.use_asset(name, await core.assets.get(earlier.inputs[name], draft.user_id))
    await use_assets(core, draft, given)
    content = msgspec.json.encode(raw, order="deterministic").decode()
    return _wish(given.at_s, given.params, given.display_name, digest(request, content))


def _wish(at_s: float | None, params: dict[str, Any], display_name: str | None, mark: str) -> Wish:
    return Wish(PIPELINE, params | ({} if at_s is None else {"at_s": at_s}), display_name or None, mark)


@get(
    f"{ROOT}/{{preview_id:str}}",
    tags=TAGS,
    summary="One preview",
    responses={200: openapi.answer(PreviewView, EXAMPLE, "The preview"), **openapi.problems(404, 503)},
)
async def get_preview(core: Core, request: AnyRequest, user_id: User, preview_id: FromPath[str]) -> PreviewView:
    """How a preview stands, and what it found. To follow, cancel or delete it, use the routes of jobs."""
    job = await core.jobs.get(reading.job_id(preview_id), user_id)
    if job.pipeline.name != PIPELINE:
        raise NotFound(f"There is no preview {preview_id}.")
    return await _view(core, request, job)


handlers = (submit_preview, get_preview)
