"""Processing clips for the operator's own machines: a job for each, and one signed call when all have ended."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

from litestar import Request, Response, post

from vtid.app import App
from vtid.db import ClipOf
from vtid.domain.account import Role, Scope
from vtid.engine.intake import Draft
from vtid.errors import InvalidInput, Problem
from vtid.net import check_url
from vtid.web import openapi, reading
from vtid.web.clip_schemas import ClipJson, ClipsJson, ClipsTaken, ClipTaken, ProcessingOptions
from vtid.web.given import Core, User
from vtid.web.idempotency import IdempotencyKey, once
from vtid.web.schemas import iso

TAGS = ["internal"]
PIPELINE = "process-clip"
USUAL = 5
"""The priority of a request that names none."""
_SIDES = range(16, 8193)
"""Pixels that a side of a picture may have, as in the documents of films."""
AnyRequest = Request[Any, Any, Any]
BODY = {
    "clips": [{"clip_url": "https://example.org/one.mp4", "clip_id": "one"}],
    "operations": ["normalize", "thumbnail"],
    "callback_url": "https://example.org/hooks/clips",
    "processing_options": {"target_resolution": "1280x720", "thumbnail_sizes": ["320x180"]},
}
TAKEN = {
    "request_id": openapi.JOB_ID,
    "jobs": [{"job_id": openapi.JOB_ID, "clip_id": "one", "status": "queued", "queued_at": "2025-12-01T10:30:00.000Z"}],
    "total_clips": 1,
    "message": "1 clip queued",
}


@post(
    "/internal/v1/process-clips",
    tags=TAGS,
    status_code=202,
    summary="Process clips",
    opt={"scope": Scope.INTERNAL, "role": Role.ADMIN},
    responses={
        202: openapi.answer(ClipsTaken, TAKEN, "Taken in"),
        **openapi.problems(400, 403, 409, 413, 422, 503, 507),
    },
    operation_class=openapi.operation(body={"application/json": openapi.schema(ClipsJson) | {"example": BODY}}),
)
async def process_clips(
    core: Core, request: AnyRequest, user_id: User, idempotency_key: IdempotencyKey = None
) -> Response[ClipsTaken]:
    """Bring up to 100 clips to a size, codec, frame rate and loudness, and draw thumbnails: a job for each.

    When the last of them has ended, `callback_url` is told once, signed and retried as webhooks are:
    `{request_id, completed_at, results: [{clip_id, status, processed_url, thumbnails, metadata, error}],
    total_successful, total_failed}`. Needs a key of an admin with the scope `internal`.
    """
    wish = await reading.body(request, ClipsJson)

    async def make() -> Response[ClipsTaken]:
        return Response(await _taken(core, user_id, wish), status_code=202)

    return await once(core, request, user_id, idempotency_key, wish, make)


async def _taken(core: App, user_id: str, wish: ClipsJson) -> ClipsTaken:
    core.pipelines.get(PIPELINE)
    urls, told = _judged(core, user_id, wish)
    request_id = str(uuid.uuid4())
    async with AsyncExitStack() as stack:
        drafts = [await stack.enter_async_context(core.intake.draft(user_id)) for _ in wish.clips]
        names = [clip.clip_id or f"clip-{number}" for number, clip in enumerate(wish.clips, 1)]
        noted = [
            ClipOf(draft.job_id, name, clip.metadata)
            for draft, name, clip in zip(drafts, names, wish.clips, strict=True)
        ]
        await core.clips.begin(request_id, user_id, told, noted)
        jobs = await _submitted(core, request_id, user_id, wish, drafts, urls)
    for job_id in jobs if wish.priority > USUAL else ():
        core.ring(job_id, wish.priority)
    taken = [ClipTaken(job, name, "queued", iso(at)) for (job, at), name in zip(jobs.items(), names, strict=True)]
    many = "1 clip" if len(taken) == 1 else f"{len(taken)} clips"
    return ClipsTaken(request_id, taken, len(taken), f"{many} queued")


def _judged(core: App, user_id: str, wish: ClipsJson) -> tuple[Sequence[str], tuple[str, str] | None]:
    """The URLs of the clips, and who is told. Raises `InvalidInput` with every complaint."""
    problems: list[Problem] = []
    urls: list[str] = []
    told = None
    for number, clip in enumerate(wish.clips):
        place, url = f"clips[{number}].clip_url", clip.clip_url or clip.url
        if url is None or (clip.clip_url and clip.url):
            problems.append(Problem(place, "is missing" if url is None else "and url: give one of them", "missing"))
            continue
        try:
            urls.append(str(check_url(url, place, core.outbound.reach)))
        except InvalidInput as error:
            problems += error.problems
    ids = [clip.clip_id for clip in wish.clips if clip.clip_id]
    problems += [
        Problem(f"clips[{at}].clip_id", "is that of another clip too", "ambiguous")
        for at, clip in enumerate(wish.clips)
        if clip.clip_id and ids.count(clip.clip_id) > 1
    ]
    problems += _misfits(wish)
    try:
        if wish.callback_url:
            hook = core.registrar.callback(user_id, "", wish.callback_url)
            told = hook.url, hook.host
    except InvalidInput as error:
        problems += error.problems
    if problems:
        raise InvalidInput(str(problems[0]), problems=problems)
    return urls, told


def _misfits(wish: ClipsJson) -> Iterator[Problem]:
    """What is wrong with the options, by the names under which they came; the film's document has others."""
    options = wish.processing_options
    named = [("target_resolution", options.target_resolution)]
    named += [(f"thumbnail_sizes[{at}]", size) for at, size in enumerate(options.thumbnail_sizes)]
    for name, size in named:
        if size and "x" in size and not all(side in _SIDES for side in map(int, size.split("x"))):
            words = f"width and height must be {_SIDES[0]} to {_SIDES[-1]} pixels each"
            yield Problem(f"processing_options.{name}", words)
    if not options.target_resolution and any("resize" in _wanted(clip, wish) for clip in wish.clips):
        yield Problem("processing_options.target_resolution", "is missing: to what size to resize", "missing")
    if options.audio_codec and (options.audio_codec == "opus") != (options.video_codec == "vp9"):
        yield Problem("processing_options.audio_codec", "opus goes with vp9, aac with all others")


def _wanted(clip: ClipJson, wish: ClipsJson) -> set[str]:
    """The operations of a clip."""
    return {*(clip.operations if clip.operations is not None else wish.operations)}


async def _submitted(
    core: App, request_id: str, user_id: str, wish: ClipsJson, drafts: Sequence[Draft], urls: Sequence[str]
) -> dict[str, float]:
    """The jobs and when they were made: all of them, or none."""
    made: dict[str, float] = {}
    try:
        for draft, clip, url in zip(drafts, wish.clips, urls, strict=True):
            draft.use_url("video", url)
            job = await draft.submit(pipeline=PIPELINE, params=_params(clip, wish), display_name=clip.clip_id)
            made[job.id] = job.created_at
    except BaseException:
        await core.clips.forget(request_id)
        for job_id in made:
            await core.jobs.cancel(job_id, user_id)
        raise
    return made


def _params(clip: ClipJson, wish: ClipsJson) -> dict[str, Any]:
    """What the pipeline is to do with a clip."""
    wanted = _wanted(clip, wish)
    options = wish.processing_options
    pictures = bool(wanted & {"thumbnail", "extract_thumbnail"})
    widths = sorted({int(size.partition("x")[0]) for size in options.thumbnail_sizes})
    return {
        "film": _document(wanted, options),
        "thumbnails": pictures,
        "stills": {"at": [options.thumbnail_timestamp], "widths": widths},
    }


def _document(wanted: set[str], options: ProcessingOptions) -> dict[str, Any]:
    """A film of this one clip. What is not asked for stays as it is in the source."""
    output: dict[str, Any] = {"resolution": "source", "fps": "source"}
    codec = options.video_codec if wanted & {"convert_codec", "normalize"} else None
    if codec:
        output["codec"] = codec
    if codec == "vp9":
        output["format"] = "webm"
    if wanted & {"resize", "normalize"} and options.target_resolution:
        output["resolution"] = _size(options.target_resolution)
    if "normalize" in wanted and options.target_fps:
        output["fps"] = options.target_fps
    if options.crf is not None:
        output["quality"] = "high" if options.crf <= 20 else "low" if options.crf >= 26 else "medium"
    fit = "contain" if options.maintain_aspect_ratio else "stretch"
    sound = {"audio": {"normalize": True}} if wanted & {"normalize_audio"} else {}
    return {"clips": [{"video_url": "asset:video", "fit": fit}], "output": output} | sound


def _size(text: str) -> str | dict[str, int]:
    if "x" not in text:
        return text
    width, height = (int(side) // 2 * 2 for side in text.split("x"))
    return {"width": width, "height": height}


handlers = (process_clips,)
