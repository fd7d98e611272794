"""WebSockets: one job each. What they say is in `vtid.web.live`, when they say it in `vtid.web.events`."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import aclosing, suppress
from typing import Any

import msgspec
import structlog
from litestar import WebSocket, websocket
from litestar.exceptions import WebSocketException
from litestar.params import FromPath
from msgspec import Struct

from vtid.app import App
from vtid.domain.account import Principal, Scope
from vtid.domain.job import Job
from vtid.errors import InvalidInput, Problem, Unauthorized, VtidError
from vtid.web import reading
from vtid.web.auth import Gate, check
from vtid.web.events import EventFeed
from vtid.web.given import Core
from vtid.web.live import Teller

log = structlog.get_logger("vtid.sockets")
AnySocket = WebSocket[Any, Any, Any]
HEARTBEAT_S = 30.0
SLOW_S = 20.0
"""How long a reader may take for one message before its line is closed; it can come back and misses nothing."""
TOKEN_S = 3600
REVOKED = 4401
DONE, AGAIN, SLOW, STOPS = 1000, 1011, 1013, 1012
"""The job has ended; the line broke inside; the reader was too slow; the daemon stops. After all but the first a
client does well to come back."""


@websocket("/ws/jobs/{job_id:str}")
async def follow_job(socket: AnySocket, core: Core, job_id: FromPath[str]) -> None:
    """Follow a job."""
    await _serve(socket, core, job_id, "job_id")


@websocket(["/api/v1/ws/compositions/{composition_id:str}", "/ws/compositions/{composition_id:str}"])
async def follow_composition(socket: AnySocket, core: Core, composition_id: FromPath[str]) -> None:
    """Follow a composition, which is a job."""
    await _serve(socket, core, composition_id, "composition_id")


async def _serve(socket: AnySocket, core: App, job_id: str, noun: str) -> None:
    await socket.accept()
    feed: EventFeed = socket.app.state.feed
    gate: Gate = socket.app.state.gate
    try:
        who, until = await _who(socket, gate, core, job_id)
        job = await core.jobs.get(reading.job_id(job_id), who.user_id)
        after = _after(socket, job)
    except VtidError as error:
        await _refuse(socket, error, job_id, noun)
        return
    teller = Teller(job, noun, after)
    token = core.sealer.seal(msgspec.json.encode(_Again(job.id, who, until)).decode())
    telling = asyncio.create_task(_tell(socket, feed, job, teller, after, token))
    listening = asyncio.create_task(_listen(socket))
    minding = asyncio.create_task(gate.revoked(who))
    tasks = (telling, listening, minding)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if telling.done():
            code, reason = telling.result()
            await _close(socket, code, reason)
        elif minding.done():
            await _close(socket, REVOKED, "unauthorized")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Again(Struct):
    """What a reconnection token holds."""

    job: str
    who: Principal
    until: float
    """Seconds since the epoch; the same for every token of the line that began with a credential."""


async def _who(socket: AnySocket, gate: Gate, core: App, job_id: str) -> tuple[Principal, float]:
    """Who asks: by a token of an earlier connection to the same job, or as with every request; and until when."""
    if again := _known(core, socket.query_params.get("reconnection_token"), job_id):
        if not await core.accounts.still(again.who):
            raise Unauthorized("This token has been revoked.", suggestion="Log in again.")
        await gate.count_line(again.who)
        return again.who, again.until
    headers = {k.lower(): v for k, v in socket.headers.items()}
    try:
        principal = await gate.who(socket.query_params.get("token"), headers)
    except Unauthorized:
        await gate.count_stranger(socket.scope)
        raise
    check(principal, Scope.READ, admin=False)
    await gate.count_line(principal)
    return principal, time.time() + TOKEN_S


def _known(core: App, given: str | None, job_id: str) -> _Again | None:
    opened = core.sealer.unexpired(given, TOKEN_S) if given else None
    with suppress(msgspec.MsgspecError):
        again = msgspec.json.decode(opened or b"null", type=_Again | None)
        if again and again.job == reading.job_id(job_id) and again.until > time.time():
            return again
    return None


def _after(socket: AnySocket, job: Job) -> int:
    """The number of the last event that the client knows: the newest, unless it says another."""
    text = socket.query_params.get("last_sequence")
    if not text:
        return job.event_seq
    if not re.fullmatch("[0-9]{1,18}", text):
        problem = Problem("last_sequence", "must be the sequence of a message, a whole number")
        raise InvalidInput(str(problem), problems=[problem])
    return min(int(text), job.event_seq)


async def _refuse(socket: AnySocket, error: VtidError, job_id: str, noun: str) -> None:
    """Say why, and close: a browser is told no more of a handshake that failed than that it did."""
    told = {"error_code": error.code, "error_message": error.message, "stage": None, "is_recoverable": False}
    with suppress(WebSocketException, RuntimeError):
        await socket.send_text(msgspec.json.encode({"type": "error", noun: job_id, **told}).decode())
    await _close(socket, 4000 + error.status, error.code)


async def _tell(
    socket: AnySocket, feed: EventFeed, job: Job, teller: Teller, after: int, token: str
) -> tuple[int, str]:
    """Say what happens to the job. Returns with which code and words to close."""
    try:
        await _send(socket, teller.connected(token))
        async with aclosing(feed.follow(job.id, after, HEARTBEAT_S)) as events:
            async for event in events:
                for message in [teller.heartbeat()] if event is None else teller.messages(event):
                    await _send(socket, message)
    except TimeoutError:
        log.info("a reader was too slow", job_id=job.id)
        return SLOW, "too slow; come back with last_sequence"
    except (WebSocketException, RuntimeError, OSError):  # it left while it was being told
        return DONE, ""
    if feed.closed:
        return STOPS, "the daemon stops; come back with last_sequence"
    return (DONE, "the job has ended") if teller.standing.ended else (AGAIN, "come back with last_sequence")


async def _send(socket: AnySocket, message: dict[str, Any]) -> None:
    async with asyncio.timeout(SLOW_S):
        await socket.send_text(msgspec.json.encode(message).decode())


async def _listen(socket: AnySocket) -> None:
    """Until the client leaves. What it says is not listened to."""
    with suppress(WebSocketException, RuntimeError):
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return


async def _close(socket: AnySocket, code: int, reason: str) -> None:
    with suppress(WebSocketException, RuntimeError, OSError, TimeoutError):
        async with asyncio.timeout(SLOW_S):
            await socket.close(code=code, reason=reason)


handlers = (follow_job, follow_composition)
