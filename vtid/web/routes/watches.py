"""Hot folders: how they are, what became of their files; pause, resume, look again. For admins."""

from __future__ import annotations

import time
from typing import Annotated, Any

from litestar import Request, get, post
from litestar.params import FromPath
from msgspec import Meta, Struct

from vtid.app import App
from vtid.db import WatchFileFilter
from vtid.domain.account import Role
from vtid.domain.watch import FileState, WatchFile, WatchRecord, WatchState
from vtid.web import openapi, paging, reading
from vtid.web.given import Core
from vtid.web.schemas import iso

TAGS = ["hot folders"]
ROOT = "/api/v1/watches"
ADMINS: dict[str, Any] = {"role": Role.ADMIN}
AnyRequest = Request[Any, Any, Any]


class WatchView(Struct):
    """A hot folder."""

    name: str
    state: WatchState
    reason: Annotated[str | None, Meta(description="Why it is degraded or broken.")]
    paused: bool
    waiting: Annotated[int, Meta(description="Files in the folder that are not taken yet.")]
    held_back: Annotated[
        dict[str, str], Meta(description="Some of these that had their turn and were not ready: path to why.")
    ]
    files: Annotated[dict[str, int], Meta(description="Files that were taken, by state.")]
    scanned_at: Annotated[str | None, Meta(description="When all of it was looked through.")]
    declared: Annotated[dict[str, Any], Meta(description="What its file says.")]


class WatchList(Struct):
    """Every hot folder, by name."""

    watches: list[WatchView]


class WatchFileView(Struct):
    """A file that a hot folder has taken."""

    path: str
    state: FileState
    reason: str | None
    job_id: str | None
    size: int
    results: Annotated[list[str], Meta(description="Where its results are, in the output folder.")]
    kept_at: Annotated[str | None, Meta(description="Where the file lies now, in the folder of vtid's own.")]
    tries: Annotated[int, Meta(description="Attempts that failed for a reason that passes.")]
    next_at: str | None
    settled_at: str
    claimed_at: str
    ended_at: str | None


class WatchFilePage(Struct):
    """A page of files, the newest first."""

    files: list[WatchFileView]
    next: Annotated[str | None, Meta(description="Give it back as `cursor` for the next page; null on the last.")]


class WatchFileQuery(Struct, forbid_unknown_fields=True):
    """Which files to list."""

    state: FileState | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 50
    cursor: str | None = None


WATCH = {
    "name": "remove-text",
    "state": "ok",
    "reason": None,
    "paused": False,
    "waiting": 2,
    "held_back": {"notes.mp4": "it is not whole (notes.mp4 is not a media file.); it is waited for another 40 s"},
    "files": {"submitted": 1, "done": 12, "failed": 1},
    "scanned_at": "2025-12-01T10:30:00.000Z",
    "declared": {"path": "/srv/media/in", "pipeline": "remove-text", "output": "/srv/media/out"},
}
FILE = {
    "path": "monday/talk.mp4",
    "state": "done",
    "reason": None,
    "job_id": openapi.JOB_ID,
    "size": 1048576,
    "results": ["monday/talk.remove-text.mp4"],
    "kept_at": "done/monday/talk.mp4",
    "tries": 0,
    "next_at": None,
    "settled_at": "2025-12-01T10:30:00.000Z",
    "claimed_at": "2025-12-01T10:30:00.200Z",
    "ended_at": "2025-12-01T10:31:12.500Z",
}
ONE = {200: openapi.answer(WatchView, WATCH, "The hot folder"), **openapi.problems(404, 503)}


def _view(record: WatchRecord, counts: dict[str, int]) -> WatchView:
    now = time.time()
    state = record.shown(now)
    reason = "no watcher runs it now" if state is WatchState.STOPPED else record.reason
    return WatchView(
        record.name,
        state,
        reason,
        record.paused,
        record.waiting,
        record.held_back,
        counts,
        iso(record.scanned_at) if record.scanned_at else None,
        record.declared,
    )


def _file_view(file: WatchFile) -> WatchFileView:
    return WatchFileView(
        file.path,
        file.state,
        file.reason,
        file.job_id,
        file.size,
        file.targets,
        file.kept_at,
        file.tries,
        iso(file.next_at) if file.next_at else None,
        iso(file.settled_at),
        iso(file.claimed_at),
        iso(file.ended_at) if file.ended_at else None,
    )


async def _counted(core: App, record: WatchRecord) -> WatchView:
    return _view(record, (await core.watches.counts()).get(record.name, {}))


@get(
    ROOT,
    tags=TAGS,
    summary="List hot folders",
    opt=ADMINS,
    responses={200: openapi.answer(WatchList, {"watches": [WATCH]}, "The hot folders"), **openapi.problems(503)},
)
async def watches(core: Core) -> WatchList:
    """Every hot folder that was ever run, by name."""
    counts = await core.watches.counts()
    return WatchList([_view(record, counts.get(record.name, {})) for record in await core.watches.list()])


@get(f"{ROOT}/{{name:str}}", tags=TAGS, summary="One hot folder", opt=ADMINS, responses=ONE)
async def get_watch(core: Core, name: FromPath[str]) -> WatchView:
    """A hot folder, by its name."""
    return await _counted(core, await core.watches.get(_name(name)))


@get(
    f"{ROOT}/{{name:str}}/files",
    tags=TAGS,
    summary="Files of a hot folder",
    opt=ADMINS,
    operation_class=openapi.operation(query=WatchFileQuery),
    responses={
        200: openapi.answer(WatchFilePage, {"files": [FILE], "next": None}, "A page"),
        **openapi.problems(404, 503),
    },
)
async def watch_files(core: Core, request: AnyRequest, name: FromPath[str]) -> WatchFilePage:
    """What became of the files that it took, the newest first."""
    wanted = reading.query(request, WatchFileQuery)
    await core.watches.get(_name(name))
    before = paging.position(wanted.cursor)
    found = await core.watches.files(WatchFileFilter(name, wanted.state, before, limit=wanted.limit + 1))
    shown = found[: wanted.limit]
    following = paging.cursor(shown[-1].claimed_at, shown[-1].id) if len(found) > wanted.limit else None
    return WatchFilePage([_file_view(file) for file in shown], following)


@post(f"{ROOT}/{{name:str}}/pause", status_code=200, tags=TAGS, summary="Pause", opt=ADMINS, responses=ONE)
async def pause(core: Core, name: FromPath[str]) -> WatchView:
    """Take no new files; those on their way go on."""
    return await _counted(core, await core.watches.pause(_name(name), paused=True))


@post(f"{ROOT}/{{name:str}}/resume", status_code=200, tags=TAGS, summary="Resume", opt=ADMINS, responses=ONE)
async def resume(core: Core, name: FromPath[str]) -> WatchView:
    """Take files again."""
    return await _counted(core, await core.watches.pause(_name(name), paused=False))


@post(f"{ROOT}/{{name:str}}/rescan", status_code=200, tags=TAGS, summary="Look again", opt=ADMINS, responses=ONE)
async def rescan(core: Core, name: FromPath[str]) -> WatchView:
    """Look through the whole folder at once, and accept it as it is, should it have lost what vtid keeps there."""
    return await _counted(core, await core.watches.ask_rescan(_name(name)))


def _name(text: str) -> str:
    return reading.plain_id(text)


handlers = (watches, get_watch, watch_files, pause, resume, rescan)
