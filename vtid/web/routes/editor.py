"""The pro editor: lip-sync by segments, then text removal; and text removal alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath

from vtid.app import App
from vtid.domain.account import User as Account
from vtid.domain.job import Job
from vtid.engine.intake import Draft
from vtid.errors import Forbidden, InvalidInput, NotFound, Problem
from vtid.plugins import Status
from vtid.storage.hashing import HashingWriter
from vtid.web import editing, openapi, reading
from vtid.web.editor_schemas import SEGMENTS, ProFields, ProStatus, ProTaken
from vtid.web.given import Core, User, Who
from vtid.web.idempotency import IdempotencyKey, digest
from vtid.web.linking import link
from vtid.web.routes.jobs import result_url
from vtid.web.routes.submit import (
    ANSWERS,
    AUDIOS_ABOUT,
    FILE_ABOUT,
    MOST_AUDIOS,
    Wish,
    accept,
    audios,
    call_back,
    from_form,
    taken_in,
    use_audios,
)
from vtid.web.schemas import JobView, PlainFields, job_summary
from vtid.web.uploads import Form, receive

TAGS = ["editor"]
AnyRequest = Request[Any, Any, Any]
ROOT = "/api/v1/video-editors"
PROCESS = [f"{ROOT}/sync/pro-sync-process", f"{ROOT}/pro-sync-process", "/api/v1/sync/pro-sync-process"]
STATUS = [f"{ROOT}/pro-job/{{job_id:str}}/status", "/api/v1/sync/pro-job/{job_id:str}/status"]
PRO, CLEAN, BY_GHOSTCUT = "pro-sync", "remove-text", "-ghostcut"
GHOSTCUT = "inpaint_ghostcut"
DUBBED = "dub", "video"
"""Step and output of the lip-synced video."""
AUDIO_ABOUT = f"{AUDIOS_ABOUT} A file's name without its ending is a refId as well."
TAKEN = {
    "job_id": openapi.JOB_ID,
    "status": "queued",
    "message": "Job queued successfully",
    "segments_count": 2,
    "total_duration": 30.0,
    "estimated_credits": 30,
}
STANDS = {
    "job_id": openapi.JOB_ID,
    "status": "processing",
    "progress": 35,
    "message": "Lip-sync processing...",
    "output_url": None,
    "segments": SEGMENTS,
    "effects": [],
    "intermediate_url": None,
    "error": None,
    "metadata": {"segments_count": 1, "total_duration": 15.0},
}


def chosen(core: App, pipeline: str, user: Account) -> str:
    """The pipeline by the inpainter that the operator chose: GhostCut's, or the one of this machine.

    Left open, it is GhostCut's where its keys are set and the user's tier may use what the operator pays for.
    """
    wish = core.config.editor.inpainter
    ready = any(r.name == GHOSTCUT and r.status is Status.ENABLED for r in core.plugins.records)
    may = ready and core.accounts.tier_of(user).paid_steps
    return pipeline + BY_GHOSTCUT if wish == "ghostcut" or (wish == "auto" and may) else pipeline


@post(
    PROCESS,
    tags=TAGS,
    status_code=202,
    summary="Lip-sync by segments, then remove text",
    responses={
        202: openapi.answer(ProTaken, TAKEN, "Taken in"),
        **openapi.problems(400, 403, 404, 409, 413, 415, 422, 503, 507),
    },
    operation_class=openapi.operation(
        body={"multipart/form-data": openapi.form(ProFields, file=FILE_ABOUT, audio_files=AUDIO_ABOUT)}
    ),
)
async def process(
    core: Core, request: AnyRequest, who: Who, idempotency_key: IdempotencyKey = None
) -> Response[ProTaken]:
    """Give each segment of a video its sound and fit the mouths to it; then remove text where there are effects.

    Everything that can be known beforehand is judged before the job is taken in, and each complaint names its field.
    """
    pipeline = chosen(core, PRO, who.user)
    found = core.pipelines.get(pipeline)  # one that cannot run says so before gigabytes are sent
    most = core.accounts.tier_of(who.user).segments
    if not most:
        raise Forbidden(f"The tier {who.user.tier} has no pro jobs.", suggestion="Ask for a tier with segments.")
    await core.intake.require_paid(who.user_id, found)
    async with core.intake.draft(who.user_id) as draft:
        asked, given, form = await _read(core, request, draft, most)
        assets = await draft.examine()
        wanted, params = editing.judge(asked, assets)
        info = assets["video"].info
        seconds = round(info.duration_s, 3) if info else 0.0
        ids = {editing.source_reference(name): asset.id for name, asset in assets.items()}
        ids = wanted.sounds | ids  # a sound that is called "video" does not hide the video
        urls = {name: f"/api/v1/files/{asset_id}/content" for name, asset_id in ids.items()}
        draft.note({"segments_count": len(asked.segments), "total_duration": seconds, "assets": urls}, wanted)
        wish = Wish(pipeline, params, given.display_name or None, digest(request, form.digest))
        try:
            job, headers = await taken_in(core, draft, wish, idempotency_key)
        except InvalidInput as error:
            raise editing.in_the_clients_words(error) from error
    facts = job.metadata
    body = ProTaken(
        job.id,
        job.status,
        "Job queued successfully",
        facts["segments_count"],
        facts["total_duration"],
        job.estimated_credits,
    )
    return Response(body, status_code=202, headers=headers)


async def _read(core: App, request: AnyRequest, draft: Draft, most: int) -> tuple[editing.Asked, ProFields, Form]:
    """Files into the draft, fields into what is asked for. Raises `InvalidInput` with every complaint."""
    await core.intake.require_quota(draft.user_id, int(request.headers.get("content-length") or 0))

    async def open_video(filename: str, _fields: Mapping[str, str]) -> HashingWriter:
        return draft.writer("video", filename, "file")

    openers = {"file": open_video, "audio_files": audios(draft)}
    max_bytes = core.config.server.max_upload_mb << 20
    form = await receive(request, openers, max_bytes, often={"audio_files": MOST_AUDIOS})
    problems = list(form.problems)
    given = reading.convert(form.fields, ProFields, problems, strict=False)
    asked = editing.parse(form.fields, problems)
    if len(asked.segments) > most:
        words = f"has {len(asked.segments)} segments; your tier allows {most}"
        problems.append(Problem(editing.SEGMENTS, words, "too_many"))
    for field, other in (("file", "asset_id"), ("audio_files", "audio_asset_ids")):
        came, named = field in form.files, bool(form.fields.get(other))
        if came and named:
            problems.append(Problem(other, f"names what {field} brings; send one of them", "ambiguous"))
        elif not came and not named and not any(p.field == field for p in problems):
            problems.append(Problem(field, f"is missing; send it as a file, or name it by {other}", "missing"))
    call_back(draft, form.fields.get("callback_url"), problems)
    if problems or given is None:
        raise InvalidInput(str(problems[0]), problems=problems)
    await _use_assets(core, draft, given)
    return asked, given, form


async def _use_assets(core: App, draft: Draft, given: ProFields) -> None:
    """Files that came in before, in place of those of the form."""
    if given.asset_id:
        video = await core.assets.get(reading.asset_id(given.asset_id), draft.user_id)
        draft.use_asset("video", video, "asset_id")
    await use_audios(core, draft, given.audio_asset_ids)


@get(
    STATUS,
    tags=TAGS,
    summary="How a pro job stands",
    responses={200: openapi.answer(ProStatus, STANDS, "The job"), **openapi.problems(404, 503)},
)
async def status(core: Core, request: AnyRequest, user_id: User, job_id: FromPath[str]) -> ProStatus:
    """Its progress and its segments. Everything that is said of jobs holds for it under the same id."""
    job = await core.jobs.get(reading.job_id(job_id), user_id)
    if job.pipeline.name not in (PRO, PRO + BY_GHOSTCUT):
        raise NotFound(f"There is no pro job {job_id}.")
    wanted = await core.edits.of(job.id)
    summary = job_summary(job, result_url(core, request, job))
    return ProStatus(
        job_id=job.id,
        status=job.status,
        progress=job.progress,
        message=job.message,
        output_url=summary.output_url,
        segments=list(wanted.segments),
        effects=msgspec.to_builtins(wanted.regions),
        intermediate_url=await _intermediate(core, request, job),
        error=summary.error,
        metadata=job.metadata,
    )


async def _intermediate(core: App, request: AnyRequest, job: Job) -> str | None:
    """Where the lip-synced video is, once it is."""
    made = await core.jobs.artifacts(job.id)
    found = next((a for a in made if (a.step_id, a.output) == DUBBED), None)
    return link(core, request, found.key, found.filename) if found else None


@post(
    f"{ROOT}/ghostcut/simple-inpaint",
    tags=TAGS,
    status_code=202,
    summary="Remove text from a video, by the inpainter that the operator chose",
    responses=ANSWERS,
    operation_class=openapi.operation(body={"multipart/form-data": openapi.form(PlainFields, file=FILE_ABOUT)}),
)
async def simple_inpaint(
    core: Core, request: AnyRequest, who: Who, idempotency_key: IdempotencyKey = None
) -> Response[JobView]:
    """Upload a video and have its text removed: by GhostCut where its keys are set, else on this machine."""
    pipeline = chosen(core, CLEAN, who.user)
    await core.intake.require_paid(who.user_id, core.pipelines.get(pipeline))
    async with core.intake.draft(who.user_id) as draft:
        wish = await from_form(core, request, draft, pipeline)
        return await accept(core, request, draft, wish, idempotency_key)


handlers = (process, status, simple_inpaint)
