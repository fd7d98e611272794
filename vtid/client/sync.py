"""The client that waits."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import httpx

from vtid import errors
from vtid.client import talk
from vtid.client.talk import Asked, Event, Following, Job
from vtid.errors import Conflict, Unavailable


class Client:
    """A daemon.

    Args:
        url: where it listens.
        token: an access token or API key; else `VTID_TOKEN`, `VTID_API_KEY`, or the key in `data`.
        data: the data folder of a daemon on this machine.
        retries: how often a request is sent again after the line broke, or when the daemon asked for patience
            (429, 503 with `Retry-After`). A submit carries an `Idempotency-Key`, so that it makes one job all the same.
    """

    def __init__(self, url: str, *, token: str | None = None, data: Path | None = None, retries: int = 3) -> None:
        self.url = talk.base_url(url)
        self._retries = retries
        self._http = httpx.Client(**talk.settings(self.url, token, data))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    # --- jobs

    def submit(
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
        """Make a job of a file, which is uploaded; of a URL, which the daemon fetches; or of a file that it has.

        Args:
            pipeline: its name.
            params: of the pipeline.
            file: read as it is sent, never held in memory.
            url: http(s), that the daemon can reach.
            asset_id: of a file that came in before.
            beside: more files that are uploaded, by what the pipeline calls them: `{"audio": "voice.wav"}`.
            display_name: of the job.
            callback_url: told when the job has ended.
            idempotency_key: a repeat with the same key gives the first job; one of its own where None.
            sent: told how many bytes of all files have gone out so far.

        Raises:
            InvalidInput: with every complaint (`UnsupportedMedia`, `MediaError`, `TooLarge` among them).
            NotFound: there is no such pipeline.
            Unavailable: no daemon answers, or it cannot work now.
        """
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
        return talk.decoded(self._ask(asked))  # type: ignore[no-any-return]

    def job(self, job_id: str) -> Job:
        """One job. Raises `NotFound`."""
        return talk.decoded(self._ask(talk.on_job(job_id)))  # type: ignore[no-any-return]

    def jobs(self, **filters: str | int | None) -> list[Job]:
        """The newest jobs: `status`, `pipeline`, `text`, `limit`."""
        return talk.decoded(self._ask(talk.listing(filters)))["jobs"]  # type: ignore[no-any-return]

    def all_jobs(self, **filters: str | int | None) -> Iterator[Job]:
        """All jobs, the newest first, page by page."""
        cursor: str | None = None
        while True:
            page = talk.decoded(self._ask(talk.listing(filters | {"cursor": cursor})))
            yield from page["jobs"]
            if not (cursor := page["next"]):
                return

    def cancel(self, job_id: str) -> Job:
        """Cancel a job; an ended one stays as it is."""
        return talk.decoded(self._ask(talk.on_job(job_id, "POST", "/cancel")))  # type: ignore[no-any-return]

    def retry(self, job_id: str) -> Job:
        """Put a failed or cancelled job back. Raises `Conflict`."""
        return talk.decoded(self._ask(talk.on_job(job_id, "POST", "/retry", again=False)))  # type: ignore[no-any-return]

    def delete(self, job_id: str) -> None:
        """Remove an ended job and its files. Raises `Conflict`."""
        self._ask(talk.on_job(job_id, "DELETE", again=False))

    # --- following

    def wait(self, job_id: str, told: Callable[[Event], None] = lambda _event: None) -> Job:
        """The job once it has ended, however it did; `told` hears of everything on the way."""
        for event in self.follow(job_id):
            told(event)
        return self.job(job_id)

    def follow(self, job_id: str, after: str = "0") -> Iterator[Event]:
        """What happens to a job until it has ended; a lost connection is taken up where it broke.

        Raises:
            Unavailable: the daemon stayed away for longer than a restart takes.
        """
        way = Following(after, self.url)
        while True:
            try:
                final = self._ended(job_id)  # asked before listening: then nothing can happen unheard
                way.reached()
                for event in self._events(way.listen(job_id), talk.SILENCE_S):
                    way.heard(event)
                    yield event
                if final or (way.ending and self._ended(job_id)):
                    return  # the daemon closes the stream after the last event, and not at an ending before a retry
            except Unavailable as error:
                way.broke(error)
            time.sleep(way.pause())

    def _ended(self, job_id: str) -> bool:
        """Whether the job has ended for good: an ending that was told may lie before a retry."""
        return self.job(job_id)["status"] in talk.ENDED

    def _events(self, request: dict[str, Any], silence_s: float) -> Iterator[Event]:
        """The events of one connection."""
        lines, timeout = talk.Lines(), httpx.Timeout(silence_s, connect=talk.CONNECT_S)
        with self._stream(**request, timeout=timeout) as answer:
            for line in answer.iter_lines():
                if event := lines.take(line):
                    yield event

    # --- files

    def result(self, job: Job | str, target: str | os.PathLike[str]) -> Path:
        """Fetch a completed job's result.

        Args:
            job: it, or its id.
            target: a file, which is replaced, or a folder.

        Raises:
            InvalidInput: it has none.
        """
        url = talk.result_url(self.job(job) if isinstance(job, str) else job)
        return self.download(url, talk.result_path(target, url))

    def download(self, url: str, target: Path, got: Callable[[int, int], None] = lambda _done, _all: None) -> Path:
        """Fetch a file: aside first, then renamed, so that what is visible is whole.

        Args:
            url: absolute or relative to the daemon.
            target: where to; a file there is replaced.
            got: told how many bytes have come, of how many (0: unknown).
        """
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with self._stream(url) as answer, part.open("wb") as handle:
                total = int(answer.headers.get("content-length", 0))
                for piece in answer.iter_bytes(talk.CHUNK):
                    handle.write(piece)
                    got(handle.tell(), total)
            part.replace(target)
        except OSError as error:
            raise errors.StorageError(f"{target} cannot be written: {error.strerror}") from error
        finally:
            part.unlink(missing_ok=True)
        return target

    # --- HTTP

    def _ask(self, asked: Asked) -> httpx.Response:
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                answer = self._send(asked)
            except httpx.TransportError as error:
                if last or not asked.again or not may_arrive(error):
                    raise talk.away(self.url, error) from error
                time.sleep(talk.PAUSES_S[min(attempt, len(talk.PAUSES_S) - 1)])
                continue
            if not answer.is_error:
                return answer
            pause = talk.wait_for(answer, attempt)
            problem = talk.problem_of(answer)
            if isinstance(problem, Conflict) and attempt and asked.headers:
                pause = talk.PAUSES_S[-1]  # the first try is still being taken in
            if last or pause is None:
                raise problem
            time.sleep(pause)
        raise AssertionError  # the last attempt returns or raises

    def _send(self, asked: Asked) -> httpx.Response:
        more: dict[str, Any] = {"headers": asked.headers, "params": asked.params}
        if not asked.files:
            return self._http.request(asked.method, asked.path, json=asked.json, **more)
        with opened(asked) as files:
            return self._http.request(asked.method, asked.path, data=asked.data, files=files, **more)

    @contextlib.contextmanager
    def _stream(self, url: str, **more: Any) -> Iterator[httpx.Response]:
        try:
            for attempt in range(self._retries + 1):
                with self._http.stream("GET", url, **more) as answer:
                    if not answer.is_error:
                        yield answer
                        return
                    answer.read()
                    pause = talk.wait_for(answer, attempt)
                    if pause is None or attempt == self._retries:
                        raise talk.problem_of(answer)
                time.sleep(pause)
        except httpx.TransportError as error:
            raise talk.away(self.url, error) from error


@contextlib.contextmanager
def opened(asked: Asked) -> Iterator[dict[str, Any]]:
    """The files of a request as httpx takes them; how much of all has gone out is told."""
    gone: dict[str, int] = {}

    def counting(field: str) -> Callable[[int], None]:
        def count(size: int) -> None:
            gone[field] = size
            if asked.sent:
                asked.sent(sum(gone.values()))

        return count

    with contextlib.ExitStack() as stack:
        yield {
            field: (path.name, Counted(stack.enter_context(path.open("rb")), counting(field)))
            for field, path in asked.files.items()
        }


class Counted:
    """A file that tells how much of it was read; httpx sends it piece by piece."""

    def __init__(self, handle: IO[bytes], sent: Callable[[int], None]) -> None:
        self._handle = handle
        self._sent = sent
        self.fileno = handle.fileno  # its size goes into the request's length

    def read(self, size: int = -1) -> bytes:
        """The next piece."""
        data = self._handle.read(size)
        self._sent(self._handle.tell())
        return data


def may_arrive(error: httpx.TransportError) -> bool:
    """Whether the same again may do better: the line broke, and somebody was there."""
    nobody = httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol
    return not isinstance(error, nobody | httpx.ReadTimeout)
