"""The ways in: uploads and known files become jobs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response, post
from msgspec import Struct

from vtid.app import App
from vtid.domain.job import Job
from vtid.engine.intake import Draft
from vtid.errors import Conflict, InvalidInput, NotFound, Problem
from vtid.net import check_url
from vtid.storage.hashing import HashingWriter
from vtid.web import openapi, reading
from vtid.web.given import Core, User
from vtid.web.idempotency import REPLAYED, IdempotencyKey, digest, reserved
from vtid.web.routes.jobs import ROOT, TAGS, view
from vtid.web.schemas import JobView, PlainFields, SubmitFields, SubmitJson
from vtid.web.uploads import Form, Opener, receive

SOURCES = {"file": "video", "mask": "mask", "audio": "audio"}
"""Form fields that are files, and the source of the pipeline that each becomes."""
ASSETS = {"file": "asset_id", "mask": "mask_asset_id", "audio": "audio_asset_id"}
"""The fields that name a file which came in before, in place of these."""
FILE_ABOUT = "The video, unless `asset_id` names it."
MASK_ABOUT = "A picture or a video whose white is erased, for pipelines that take one."
AUDIO_ABOUT = "A sound, for pipelines that take one."
OTHERS = "file_"
OTHERS_ABOUT = "Any other file: `file_logo` is what the pipeline calls `source.logo`."
AUDIOS_ABOUT = "Sounds for segments, each as a part of this name: the refId of the first is `audio-1`."
MOST_AUDIOS = 50
TEXT_REMOVAL = "remove-text"
AnyRequest = Request[Any, Any, Any]
Fields = TypeVar("Fields", bound=PlainFields | SubmitFields)
ANSWERS = {
    202: openapi.answer(JobView, openapi.JOB_WITH_STEPS | {"status": "queued", "progress": 0}, "Taken in"),
    **openapi.problems(400, 404, 409, 413, 415, 422, 503, 507),
}


class Wish(Struct, frozen=True):
    """What a request asks for, beside its files."""

    pipeline: str
    params: dict[str, Any]
    display_name: str | None
    digest: str
    """Of the whole request."""
    seconds: float | None = None
    """Of the output, where that is known to differ from the longest video."""


@post(
    f"{ROOT}/submit",
    tags=TAGS,
    status_code=202,
    summary="Submit a job",
    responses=ANSWERS,
    operation_class=openapi.operation(
        body={
            "multipart/form-data": openapi.form(
                SubmitFields,
                file=FILE_ABOUT,
                mask=MASK_ABOUT,
                audio=AUDIO_ABOUT,
                audio_files=AUDIOS_ABOUT,
                prefixed={OTHERS: OTHERS_ABOUT},
            ),
            "application/json": openapi.schema(SubmitJson),
        }
    ),
)
async def submit(
    core: Core, request: AnyRequest, user_id: User, idempotency_key: IdempotencyKey = None
) -> Response[JobView]:
    """Make a job of an uploaded video (multipart), of one that came in before, or of one elsewhere (JSON).

    A `video_url` is fetched as the job's first work: what is wrong with it, the job says then.
    """
    async with core.intake.draft(user_id) as draft:
        if is_json(request):
            wish = await _from_json(core, request, draft)
        else:
            wish = await from_form(core, request, draft, None)
        return await accept(core, request, draft, wish, idempotency_key)


@post(
    "/api/v1/upload-and-process",
    tags=TAGS,
    status_code=202,
    summary="Remove text from a video",
    responses=ANSWERS,
    operation_class=openapi.operation(
        body={"multipart/form-data": openapi.form(PlainFields, file=FILE_ABOUT, mask=MASK_ABOUT, audio=AUDIO_ABOUT)}
    ),
)
async def upload_and_process(
    core: Core, request: AnyRequest, user_id: User, idempotency_key: IdempotencyKey = None
) -> Response[JobView]:
    """Upload a video and have its text removed, with defaults everywhere."""
    async with core.intake.draft(user_id) as draft:
        wish = await from_form(core, request, draft, TEXT_REMOVAL)
        return await accept(core, request, draft, wish, idempotency_key)


def is_json(request: AnyRequest) -> bool:
    """Whether the body says that it is JSON."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


async def accept(core: App, request: AnyRequest, draft: Draft, wish: Wish, key: str | None) -> Response[JobView]:
    """202 with the job that a wish makes."""
    job, headers = await taken_in(core, draft, wish, key)
    return Response(await view(core, request, job), status_code=202, headers=headers)


async def taken_in(core: App, draft: Draft, wish: Wish, key: str | None) -> tuple[Job, dict[str, str]]:
    """The job, and headers that say of it: a new one, or the one that the first request with this key made."""
    async with reserved(core, draft.user_id, key, wish.digest) as first:
        if first is not None and first.job_id is None:
            raise Conflict("The request with this Idempotency-Key made something else than a job; take a new key.")
        job = (
            await core.jobs.get(first.job_id, draft.user_id)
            if first is not None and first.job_id is not None
            else await draft.submit(
                pipeline=wish.pipeline,
                params=wish.params,
                display_name=wish.display_name,
                idempotency_key=key,
                seconds=wish.seconds,
            )
        )
    return job, {"Location": f"{ROOT}/{job.id}"} | (REPLAYED if first else {})


async def from_form(core: App, request: AnyRequest, draft: Draft, pipeline: str | None) -> Wish:
    """Files into the draft, fields into a wish; with `pipeline` None, a field names it.

    Raises:
        InvalidInput: with every complaint.
    """
    given, form = await read_form(core, request, draft, PlainFields if pipeline else SubmitFields, pipeline)
    params = msgspec.json.decode(given.params or "{}", type=dict[str, Any])
    return Wish(pipeline or form.fields["pipeline"], params, given.display_name or None, digest(request, form.digest))


async def read_form(
    core: App, request: AnyRequest, draft: Draft, fields: type[Fields], pipeline: str | None
) -> tuple[Fields, Form]:
    """Files into the draft, and the fields of a form, checked. Raises `InvalidInput` with every complaint."""
    await core.intake.require_quota(draft.user_id, int(request.headers.get("content-length") or 0))
    openers = {field: _opener(draft, source, field) for field, source in SOURCES.items()}
    often, prefixed = dict[str, int](), dict[str, Callable[[str], Opener]]()
    if fields is SubmitFields:
        openers, often = openers | {"audio_files": audios(draft)}, {"audio_files": MOST_AUDIOS}
        prefixed = {OTHERS: lambda name: _opener(draft, name, OTHERS + name)}
    form = await receive(request, openers, core.config.server.max_upload_mb << 20, often=often, prefixed=prefixed)
    problems = [*form.problems, *_missing(form)]
    given = reading.convert(form.fields, fields, problems, strict=False)
    reading.parse_object(form.fields.get("params") or "{}", "params", problems)
    call_back(draft, form.fields.get("callback_url"), problems)
    check_pipeline(core, pipeline or form.fields.get("pipeline", ""), problems)
    assert given is not None
    await use_assets(core, draft, given)
    return given, form


def _opener(draft: Draft, source: str, field: str) -> Opener:
    async def opener(filename: str, _fields: Mapping[str, str]) -> HashingWriter:
        return draft.writer(source, filename, field)

    return opener


def audios(draft: Draft) -> Opener:
    """Puts sounds into a draft as `audio_1`, `audio_2` and so on, in the order in which they come."""
    count = itertools.count(1)

    async def opener(filename: str, _fields: Mapping[str, str]) -> HashingWriter:
        number = next(count)
        return draft.writer(f"audio_{number}", filename, f"audio_files[{number - 1}]")

    return opener


async def use_audios(core: App, draft: Draft, given: str | Sequence[str] | None) -> None:
    """Take sounds that came in before into a draft, named as `audios` does.

    Args:
        core: the daemon.
        draft: of the job.
        given: their ids; of a form, with commas between.
    """
    ids = [text.strip() for text in (given.split(",") if isinstance(given, str) else given or ()) if text.strip()]
    if len(ids) > MOST_AUDIOS:
        problem = Problem("audio_asset_ids", f"names {len(ids)} files; at most {MOST_AUDIOS} are taken", "too_many")
        raise InvalidInput(str(problem), problems=[problem])
    for number, text in enumerate(ids, 1):
        asset = await core.assets.get(reading.asset_id(text), draft.user_id)
        draft.use_asset(f"audio_{number}", asset, f"audio_asset_ids[{number - 1}]")


def _missing(form: Form) -> Iterator[Problem]:
    """Of each file and the field that names one instead: neither, or both."""
    for field, other in (ASSETS | {"audio_files": "audio_asset_ids"}).items():
        if field in form.files and form.fields.get(other):
            yield Problem(other, f"names a file, and {field} brings another; send one of them", "ambiguous")
    if (
        "file" not in form.files
        and not form.fields.get("asset_id")
        and not any(p.field == "file" for p in form.problems)
    ):
        yield Problem("file", "is missing; send the video as the form field `file`, or its `asset_id`", "missing")


async def use_assets(core: App, draft: Draft, given: Struct) -> None:
    """Take files that came in before into a draft, by the ids that were given."""
    for field, name in ASSETS.items():
        if asset_id := getattr(given, name, None):
            asset = await core.assets.get(reading.asset_id(asset_id), draft.user_id)
            draft.use_asset(SOURCES[field], asset, name)
    await use_audios(core, draft, getattr(given, "audio_asset_ids", None))


async def _from_json(core: App, request: AnyRequest, draft: Draft) -> Wish:
    """The same from a JSON body that names a file which came in before, or says where one is."""
    raw, problems = await reading.json_object(request), list[Problem]()
    given = reading.convert(raw, SubmitJson, problems)
    url = raw.get("video_url")
    in_bucket = isinstance(url, str) and url.startswith("s3://")
    if (raw.get("asset_id") is None) == (url is None):
        problems.append(Problem("asset_id", "give either asset_id or video_url: which file?", "missing"))
    elif isinstance(url, str) and not in_bucket:
        _use_url(core, draft, url, problems)
    call_back(draft, raw.get("callback_url"), problems)
    check_pipeline(core, str(raw.get("pipeline") or ""), problems)
    assert given is not None
    await use_assets(core, draft, given)
    for name, asset_id in given.files.items():
        place = f"files.{name}"
        asset = await core.assets.get(reading.asset_id(asset_id), draft.user_id)
        draft.use_asset(name, asset, place)
    if in_bucket:
        await draft.use_bucket("video", str(url))
    content = msgspec.json.encode(raw, order="deterministic").decode()
    return Wish(given.pipeline, given.params, given.display_name, digest(request, content))


def _use_url(core: App, draft: Draft, url: str, problems: list[Problem]) -> None:
    """Have the job fetch its video. What only the other side can tell becomes the job's error."""
    try:
        draft.use_url("video", str(check_url(url, "video_url", core.outbound.reach)))
    except InvalidInput as error:
        problems += error.problems


def call_back(draft: Draft, url: object, problems: list[Problem]) -> None:
    """Have a URL told of the job's end, where one was given."""
    try:
        if url and isinstance(url, str):
            draft.call_back(url)
    except InvalidInput as error:
        problems += error.problems


def check_pipeline(core: App, pipeline: str, problems: list[Problem]) -> None:
    """Raise what was found, and whether there is no such pipeline, together."""
    try:
        if pipeline:
            core.pipelines.record(pipeline)
    except NotFound as error:
        problem = Problem("pipeline", error.message, "unknown")
        if not problems:
            raise NotFound(error.message, problems=[problem]) from error
        problems.append(problem)
    if problems:
        raise InvalidInput(str(problems[0]), problems=problems)


handlers = (submit, upload_and_process)
