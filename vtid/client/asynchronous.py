"""The client to await: what it says and understands is in `vtid.client.talk`, beside its twin that waits."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx

from vtid import errors
from vtid.client import talk
from vtid.client.sync import may_arrive, opened
from vtid.client.talk import Asked, Event, Following, Job
from vtid.errors import Conflict, Unavailable


class AsyncClient:
    """A daemon; arguments and errors are those of `Client`."""

    def __init__(self, url: str, *, token: str | None = None, data: Path | None = None, retries: int = 3) -> None:
        self.url = talk.base_url(url)
        self._retries = retries
        self._http = httpx.AsyncClient(**talk.settings(self.url, token, data))

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    # --- jobs

    async def submit(
        self,
        pipeline: str,
        params: Mapping[str, Any] | None = None,
        *,
        file: str | os.PathLike[str] | None = None,
        url: str | None = None,
        asset_id: str | None = None,
        beside: Mapping[str, str | os.PathLike[str]] = MappingProxyType({}),
        display_name: str | None = None,
        callback_url: str | None = None,
        idempotency_key: str | None = None,
        sent: Callable[[int], None] | None = None,
    ) -> Job:
        """Make a job, as `Client.submit` does."""
        asked = talk.submission(
            pipeline,
            params or {},
            file=file,
            url=url,
            asset_id=asset_id,
            beside=beside,
            display_name=display_name,
            callback_url=callback_url,
            idempotency_key=idempotency_key,
            sent=sent,
        )
        return talk.decoded(await self._ask(asked))  # type: ignore[no-any-return]

    async def job(self, job_id: str) -> Job:
        """One job. Raises `NotFound`."""
        return talk.decoded(await self._ask(talk.on_job(job_id)))  # type: ignore[no-any-return]

    async def jobs(self, **filters: str | int | None) -> list[Job]:
        """The newest jobs: `status`, `pipeline`, `text`, `limit`."""
        return talk.decoded(await self._ask(talk.listing(filters)))["jobs"]  # type: ignore[no-any-return]

    async def all_jobs(self, **filters: str | int | None) -> AsyncIterator[Job]:
        """All jobs, the newest first, page by page."""
        cursor: str | None = None
        while True:
            page = talk.decoded(await self._ask(talk.listing(filters | {"cursor": cursor})))
            for job in page["jobs"]:
                yield job
            if not (cursor := page["next"]):
                return

    async def cancel(self, job_id: str) -> Job:
        """Cancel a job; an ended one stays as it is."""
        return talk.decoded(await self._ask(talk.on_job(job_id, "POST", "/cancel")))  # type: ignore[no-any-return]

    async def retry(self, job_id: str) -> Job:
        """Put a failed or cancelled job back. Raises `Conflict`."""
        asked = talk.on_job(job_id, "POST", "/retry", again=False)
        return talk.decoded(await self._ask(asked))  # type: ignore[no-any-return]

    async def delete(self, job_id: str) -> None:
        """Remove an ended job and its files. Raises `Conflict`."""
        await self._ask(talk.on_job(job_id, "DELETE", again=False))

    # --- following

    async def wait(self, job_id: str, told: Callable[[Event], None] = lambda _event: None) -> Job:
        """The job once it has ended, however it did; `told` hears of everything on the way."""
        async with contextlib.aclosing(self.follow(job_id)) as events:
            async for event in events:
                told(event)
        return await self.job(job_id)

    async def follow(self, job_id: str, after: str = "0") -> AsyncGenerator[Event, None]:
        """What happens to a job until it has ended; a lost connection is taken up where it broke."""
        way = Following(after, self.url)
        while True:
            try:
                final = await self._ended(job_id)  # asked before listening: then nothing can happen unheard
                way.reached()
                async with contextlib.aclosing(self._events(way.listen(job_id))) as events:
                    async for event in events:
                        way.heard(event)
                        yield event
                if final or (way.ending and await self._ended(job_id)):
                    return
            except Unavailable as error:
                way.broke(error)
            await asyncio.sleep(way.pause())

    async def _ended(self, job_id: str) -> bool:
        return (await self.job(job_id))["status"] in talk.ENDED

    async def _events(self, request: dict[str, Any]) -> AsyncGenerator[Event, None]:
        """The events of one connection."""
        lines, timeout = talk.Lines(), httpx.Timeout(talk.SILENCE_S, connect=talk.CONNECT_S)
        async with self._stream(**request, timeout=timeout) as answer:
            async for line in answer.aiter_lines():
                if event := lines.take(line):
                    yield event

    # --- files

    async def result(self, job: Job | str, target: str | os.PathLike[str]) -> Path:
        """Fetch a completed job's result into a file or a folder."""
        url = talk.result_url(await self.job(job) if isinstance(job, str) else job)
        return await self.download(url, talk.result_path(target, url))

    async def download(
        self, url: str, target: Path, got: Callable[[int, int], None] = lambda _done, _all: None
    ) -> Path:
        """Fetch a file: aside first, then renamed, so that what is visible is whole."""
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            async with self._stream(url) as answer:
                total = int(answer.headers.get("content-length", 0))
                with part.open("wb") as handle:
                    async for piece in answer.aiter_bytes(talk.CHUNK):
                        handle.write(piece)
                        got(handle.tell(), total)
            part.replace(target)
        except OSError as error:
            raise errors.StorageError(f"{target} cannot be written: {error.strerror}") from error
        finally:
            part.unlink(missing_ok=True)
        return target

    # --- HTTP

    async def _ask(self, asked: Asked) -> httpx.Response:
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                answer = await self._send(asked)
            except httpx.TransportError as error:
                if last or not asked.again or not may_arrive(error):
                    raise talk.away(self.url, error) from error
                await asyncio.sleep(talk.PAUSES_S[min(attempt, len(talk.PAUSES_S) - 1)])
                continue
            if not answer.is_error:
                return answer
            pause = talk.wait_for(answer, attempt)
            problem = talk.problem_of(answer)
            if isinstance(problem, Conflict) and attempt and asked.headers:
                pause = talk.PAUSES_S[-1]  # the first try is still being taken in
            if last or pause is None:
                raise problem
            await asyncio.sleep(pause)
        raise AssertionError  # the last attempt returns or raises

    async def _send(self, asked: Asked) -> httpx.Response:
        more: dict[str, Any] = {"headers": asked.headers, "params": asked.params}
        if not asked.files:
            return await self._http.request(asked.method, asked.path, json=asked.json, **more)
        with opened(asked) as files:
            return await self._http.request(asked.method, asked.path, data=asked.data, files=files, **more)

    @contextlib.asynccontextmanager
    async def _stream(self, url: str, **more: Any) -> AsyncIterator[httpx.Response]:
        try:
            for attempt in range(self._retries + 1):
                async with self._http.stream("GET", url, **more) as answer:
                    if not answer.is_error:
                        yield answer
                        return
                    await answer.aread()
                    pause = talk.wait_for(answer, attempt)
                    if pause is None or attempt == self._retries:
                        raise talk.problem_of(answer)
                await asyncio.sleep(pause)
        except httpx.TransportError as error:
            raise talk.away(self.url, error) from error
