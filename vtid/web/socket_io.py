"""Socket.IO for front ends that speak it: `subscribe_job` in, `job_update` out. The only importer of python-socketio.

A subscription is a place in the job's rows and nothing more. Rows are read when the client's line has room: one that
reads slowly makes nothing pile up here, and one that comes back says which update it saw last.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, suppress
from typing import Any

import socketio
import structlog
from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from vtid.app import App
from vtid.domain.account import Principal
from vtid.domain.account import Scope as Allowed
from vtid.domain.job import Job
from vtid.errors import InvalidInput, Problem, RateLimited, TooLarge, Unauthorized, VtidError
from vtid.web import reading
from vtid.web.auth import Gate, check
from vtid.web.errors import known, respond
from vtid.web.events import EventFeed
from vtid.web.guard import Guard
from vtid.web.live import Standing

log = structlog.get_logger("vtid.socket_io")
PATH = "/socket.io/"
MOST_BYTES = 64 * 1024
"""Of what a client says at once."""
MOST_JOBS = 100
"""That a client may follow at once."""
FULL = 32
"""Messages waiting for a client above which nothing more is read for it."""
SLOW_S = 20.0
NAMELESS_S = 10.0
"""How long a line may be open whose client does not say who it is."""
LOOK_S = 0.05


class SocketIO:
    """The Socket.IO side of the daemon.

    Args:
        core: the daemon, wired.
        feed: says when jobs have news.
        guard: says which origins may come.
        gate: knows who they are.
    """

    def __init__(self, core: App, feed: EventFeed, guard: Guard, gate: Gate) -> None:
        self._core = core
        self._feed = feed
        self._gate = gate
        self._following: dict[str, dict[str, asyncio.Task[None]]] = {}
        self._doorman: asyncio.Task[None] | None = None
        self._mind_until = 0.0
        self.server = socketio.AsyncServer(
            async_mode="asgi",
            cors_allowed_origins=lambda origin, environ: guard.allows_origin(origin, environ.get("HTTP_HOST", "")),
            max_http_buffer_size=MOST_BYTES,
            logger=False,
            engineio_logger=False,
        )
        self.server.on("connect", self._connect)
        self.server.on("disconnect", self._disconnect)
        self.server.on("subscribe_job", self._subscribe)
        self.server.on("unsubscribe_job", self._unsubscribe)

    def beside(self, app: ASGIApp) -> ASGIApp:
        """An application that serves Socket.IO at its path, and `app` everywhere else."""
        inner: ASGIApp = socketio.ASGIApp(self.server, app)

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if not scope.get("path", "").startswith(PATH):
                await inner(scope, receive, send)
                return
            if b"sid=" not in scope["query_string"]:
                if not await self._may_begin(scope, receive, send):
                    return
                self._mind_until = time.monotonic() + 2 * NAMELESS_S
                if self._doorman is None or self._doorman.done():
                    self._doorman = asyncio.create_task(self._mind_the_nameless())
            if scope["type"] != ScopeType.HTTP:
                await inner(scope, receive, send)
                return
            scope["path_template"] = PATH
            request: Request[Any, Any, Any] = Request(scope)
            length = request.headers.get("content-length", "")
            # The library would refuse a long message too, and then wait for ever for its sender to fetch what it has.
            if scope["method"] != "POST" or (length.isdigit() and int(length) <= MOST_BYTES):
                await inner(scope, receive, send)
                return
            words = f"A message may have {MOST_BYTES >> 10} KB, and must say its length."
            answer = respond(request, 413, TooLarge.code, "The message is too large", words)
            await answer.to_asgi_response(app=None, request=request)(scope, receive, send)

        return serve

    async def _may_begin(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Count a new line, of which nobody knows yet whose it is; one too many is told so."""
        try:
            await self._gate.count_stranger(scope)
        except RateLimited as error:
            if scope["type"] == ScopeType.HTTP:
                request: Request[Any, Any, Any] = Request(scope)
                await known(request, error).to_asgi_response(app=None, request=request)(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 4429, "reason": error.message})
            return False
        return True

    async def _mind_the_nameless(self) -> None:
        """Close lines on which nobody has said who they are; at it while there may be such."""
        since: dict[str, float] = {}
        while since or time.monotonic() < self._mind_until:
            await asyncio.sleep(NAMELESS_S / 10)
            lines, now = self.server.eio.sockets, time.monotonic()
            nameless = [i for i in lines if self.server.manager.sid_from_eio_sid(i, "/") is None]
            since = {i: since.get(i, now) for i in nameless}
            for line in [lines[i] for i, at in since.items() if now - at > NAMELESS_S]:
                with suppress(Exception):  # one that cannot be told is gone already
                    await line.close(wait=False, abort=True)

    async def close(self) -> None:
        """Let every client go: the daemon stops. They come back by themselves."""
        if self._doorman is not None:
            self._doorman.cancel()
        for line in list(self.server.eio.sockets.values()):
            with suppress(Exception):  # one that cannot be told is gone already
                await line.close(wait=False)

    # --- what clients say

    async def _connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        token = auth.get("token") if isinstance(auth, dict) else None
        headers = {k[5:].lower().replace("_", "-"): v for k, v in environ.items() if k.startswith("HTTP_")}
        try:
            principal = await self._gate.who(token if isinstance(token, str) else None, headers)
            check(principal, Allowed.READ, admin=False)
            await self._gate.count_line(principal)
        except VtidError as error:
            raise socketio.exceptions.ConnectionRefusedError(error.message, {"code": error.code}) from error
        await self.server.save_session(sid, {"who": principal})
        if self._line(sid) is None:  # it left while it was looked up; its goodbye found nothing to end
            raise socketio.exceptions.ConnectionRefusedError("gone")
        self._following[sid] = {"": asyncio.create_task(self._mind(sid, principal))}

    async def _mind(self, sid: str, principal: Principal) -> None:
        """Let a client go who would not be let in any more."""
        await self._gate.revoked(principal)
        await self._drop(sid)

    async def _disconnect(self, sid: str, _reason: str = "") -> None:
        for task in self._following.pop(sid, {}).values():
            task.cancel()
        line = self._line(sid)
        if line is not None:  # a poll that still waits would wait on, and the client with it
            line.queue.put_nowait(None)

    async def _subscribe(self, sid: str, data: Any = None) -> dict[str, Any]:
        """Follow a job. The answer says how it stands; `last_sequence` brings what was missed since."""
        try:
            job_id, after = _wanted(data)
            principal: Principal = (await self.server.get_session(sid))["who"]
            if not await self._core.accounts.still(principal):
                raise Unauthorized("What this line was opened with has been revoked.", suggestion="Log in again.")
            job = await self._core.jobs.get(reading.job_id(job_id), principal.user_id)
            if (following := self._following.get(sid)) is None:  # it left while the job was looked up
                raise Unauthorized("This line is closed.")
            if len(following) > MOST_JOBS and job.id not in following:
                raise InvalidInput(f"At most {MOST_JOBS} jobs can be followed at once.")
        except VtidError as error:
            told = {"code": error.code, "message": error.message}
            await self.server.emit("job_error", told | {"job_id": _given_id(data)}, to=sid)
            return {"ok": False, **told}
        if job.id in following:
            following[job.id].cancel()
        seq = job.event_seq if after is None else min(after, job.event_seq)
        following[job.id] = asyncio.create_task(self._follow(sid, job, seq))
        return {"ok": True, **_update(job.id, Standing(job), job.event_seq)}

    async def _unsubscribe(self, sid: str, data: Any = None) -> dict[str, Any]:
        task = self._following.get(sid, {}).pop(_given_id(data), None)
        if task is not None:
            task.cancel()
        return {"ok": task is not None}

    # --- what they are told

    async def _follow(self, sid: str, job: Job, after: int) -> None:
        standing = Standing(job)
        try:
            if await self._has_room(sid):
                await self.server.emit("job_update", _update(job.id, standing, after), to=sid)
            async with aclosing(self._feed.follow(job.id, after)) as events:
                async for event in events:
                    if event is None or not standing.take(event):
                        continue
                    if not await self._has_room(sid):
                        await self._drop(sid)
                        return
                    await self.server.emit("job_update", _update(job.id, standing, event.seq), to=sid)
        finally:
            mine = self._following.get(sid, {})
            if mine.get(job.id) is asyncio.current_task():
                del mine[job.id]

    def _line(self, sid: str) -> Any:
        """The client's connection, as Engine.IO has it; None when it is gone."""
        return self.server.eio.sockets.get(self.server.manager.eio_sid_from_sid(sid, "/"))

    async def _has_room(self, sid: str) -> bool:
        """Wait until the client has read most of what it was told; not for ever."""
        for _ in range(round(SLOW_S / LOOK_S)):
            line = self._line(sid)
            if line is None or line.closed or line.queue.qsize() < FULL:
                return True  # what is said to one that is gone goes nowhere
            await asyncio.sleep(LOOK_S)
        return False

    async def _drop(self, sid: str) -> None:
        """Cut the line of a client that does not read. It is not told to go away, so it comes back by itself."""
        log.info("a client was too slow", sid=sid)
        line = self._line(sid)
        if line is not None:
            await line.close(wait=False, abort=True)


def _given_id(data: Any) -> str:
    return str(data.get("job_id", "")) if isinstance(data, dict) else ""


def _wanted(data: Any) -> tuple[str, int | None]:
    """The job, and the last update that the client saw. Raises `InvalidInput`."""
    job_id, after = _given_id(data), data.get("last_sequence") if isinstance(data, dict) else None
    problems = [] if job_id else [Problem("job_id", "is missing: {job_id: …}", "missing")]
    if after is not None and (not isinstance(after, int) or isinstance(after, bool) or after < 0):
        problems.append(Problem("last_sequence", "must be the sequence of a job_update, a whole number"))
    if problems:
        raise InvalidInput(str(problems[0]), problems=problems)
    return job_id, after


def _update(job_id: str, standing: Standing, sequence: int) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "status": standing.status,
        "progress": standing.progress,
        "message": standing.message,
        "sequence": sequence,
    }
