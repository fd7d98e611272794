"""The daemon over HTTP: its errors as ours, uploads in a stream, events that survive a lost line."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import click
import httpx
import msgspec
from msgspec import Struct

from vtid import errors
from vtid.cli.local import load_config, own_address
from vtid.errors import Conflict, NotFound, Problem, Unavailable, VtidError

API = "/api/v1/jobs"
CHUNK = 1 << 20
CONNECT_S = 5.0
ANSWER_S = 60.0
"""A submitted file is probed before the answer comes."""
SILENCE_S = 45.0
"""An event stream sends something more often than this; a longer silence is a lost line."""
QUIET_S, REPLAY_S = 1.0, 3.0
"""After so long without an event, or so long in all, a listener has been told what there was to tell."""
PATIENCE_S = 60.0
"""How long a follower waits for a daemon that went away: long enough for a restart."""
MOST_BREAKS = 30
"""A stream that breaks off so often without an event between is not going to say anything."""
PAUSES_S = (0.2, 0.5, 1.0, 2.0)
SHORTEST_PREFIX = 4
ID_LENGTH = 36
ENDED = ("completed", "failed", "cancelled")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
KEY_NAME = "VTID_API_KEY"


class Event(Struct, frozen=True):
    """Something that happened to a job."""

    seq: str
    type: str
    data: dict[str, Any]


def url_option(command: Any) -> Any:
    """`--url`, before or after the name of a sub-command."""

    def keep(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
        if value:
            ctx.find_root().obj["url"] = value

    words = "The daemon's address. Default: VTID_URL, or host and port of vtid.toml."
    return click.option("--url", expose_value=False, callback=keep, help=words)(command)


def connect(ctx: click.Context) -> Remote:
    """The daemon that this command is meant for; closed when the command ends."""
    url = ctx.find_root().obj.get("url") or os.environ.get("VTID_URL")
    url = url or own_address(load_config(ctx))
    return ctx.with_resource(Remote(url, os.environ.get(KEY_NAME) or _local_key(ctx, url)))


def _local_key(ctx: click.Context, url: str) -> str | None:
    """The key that a daemon on this machine left for it. It goes nowhere else."""
    from vtid.accounts.first_start import local_key

    return local_key(load_config(ctx).data.path) if _is_local(url) else None


def _is_local(url: str) -> bool:
    return httpx.URL(_whole(url)).host in LOOPBACK


def _whole(url: str) -> str:
    return (url if "://" in url else f"http://{url}").rstrip("/")


class Remote:
    """A daemon.

    Args:
        url: where it listens.
        key: an API key, or an access token.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = _whole(url)
        timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
        # A proxy that the environment names is for the world outside, and knows nothing of this machine's own ports.
        env = not _is_local(self.url)
        auth = _Key(self.url, key) if key else None
        self._http = httpx.Client(base_url=self.url, timeout=timeout, trust_env=env, follow_redirects=True, auth=auth)

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    # --- jobs

    def submit(
        self,
        pipeline: str,
        file: Path,
        params: Mapping[str, Any],
        *,
        display_name: str | None = None,
        sent: Callable[[int], None] = lambda _count: None,
    ) -> dict[str, Any]:
        """Upload a file and make a job of it.

        Args:
            pipeline: its name.
            file: read as it is sent, never held in memory.
            params: of the pipeline.
            display_name: of the job.
            sent: told how many bytes have gone out so far.
        """
        form = {"pipeline": pipeline, "params": msgspec.json.encode(dict(params)).decode()}
        form |= {"display_name": display_name} if display_name else {}
        with file.open("rb") as handle:
            upload: Any = _Counted(handle, sent)
            return self._json("POST", f"{API}/submit", data=form, files={"file": (file.name, upload)})

    def job(self, job_id: str) -> dict[str, Any]:
        """One job."""
        return self._json("GET", f"{API}/{job_id}")

    def jobs(self, **filters: str | int | None) -> list[dict[str, Any]]:
        """The newest jobs."""
        wanted = {name: value for name, value in filters.items() if value is not None}
        answer = self._json("GET", f"{API}/", params=wanted)
        found: list[dict[str, Any]] = answer["jobs"]
        return found

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Cancel a job."""
        return self._json("POST", f"{API}/{job_id}/cancel")

    def retry(self, job_id: str) -> dict[str, Any]:
        """Put a failed or cancelled job back."""
        return self._json("POST", f"{API}/{job_id}/retry")

    def delete(self, job_id: str) -> None:
        """Remove an ended job and its files."""
        self._request("DELETE", f"{API}/{job_id}")

    def resolve(self, prefix: str) -> str:
        """The id of the one job that begins so.

        Raises:
            NotFound: no job does, or the prefix is too short to mean one.
            Conflict: several do.
        """
        if len(prefix) >= ID_LENGTH:
            return prefix
        if len(prefix) < SHORTEST_PREFIX:
            raise NotFound(f'"{prefix}" is too short for a job; give at least {SHORTEST_PREFIX} characters of its id.')
        prefix = prefix.lower()
        found = [job["job_id"] for job in self.jobs(text=prefix, limit=100) if job["job_id"].startswith(prefix)]
        if not found:
            raise NotFound(f"There is no job {prefix}….", suggestion="List the jobs with: vtid jobs")
        if len(found) > 1:
            raise Conflict(f"Several jobs begin with {prefix}: {', '.join(found)}. Give more of the id.")
        return str(found[0])

    # --- files

    def download(self, url: str, target: Path, got: Callable[[int, int], None] = lambda _done, _all: None) -> Path:
        """Fetch a file: aside first, then renamed, so that what is visible is whole.

        Args:
            url: absolute or relative to the daemon.
            target: where to; a file there is replaced.
            got: told how many bytes have come, of how many (0: unknown).
        """
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with self._stream("GET", url) as answer, part.open("wb") as handle:
                total = int(answer.headers.get("content-length", 0))
                for piece in answer.iter_bytes(CHUNK):
                    handle.write(piece)
                    got(handle.tell(), total)
            part.replace(target)
        except OSError as error:
            raise errors.StorageError(f"{target} cannot be written: {error.strerror}") from error
        finally:
            part.unlink(missing_ok=True)
        return target

    # --- events

    def follow(self, job_id: str, after: str = "0") -> Iterator[Event]:
        """What happens to a job until it has ended; a lost connection is taken up where it broke.

        Raises:
            Unavailable: the daemon stayed away for longer than `PATIENCE_S`.
        """
        last, failures, ending = after, 0, False
        away_since: float | None = None
        while True:
            try:
                final = self._ended(job_id)  # asked before listening: then nothing can happen unheard
                away_since = None
                for event in self._events(job_id, last, SILENCE_S):
                    last, failures, ending = event.seq or last, 0, _is_ending(event)
                    yield event
                if final or (ending and self._ended(job_id)):
                    return  # the daemon closes the stream after the last event, and not at an ending before a retry
            except Unavailable as error:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > PATIENCE_S or failures >= MOST_BREAKS:
                    raise self._away() from error
            time.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
            failures += 1

    def events(self, job_id: str) -> Iterator[Event]:
        """What has happened to a job up to now: what a new listener is told before it grows quiet."""
        self.job(job_id)
        deadline = time.monotonic() + REPLAY_S
        with contextlib.suppress(_Silence):
            for event in self._events(job_id, "0", QUIET_S):
                yield event
                if time.monotonic() > deadline:
                    return

    def _ended(self, job_id: str) -> bool:
        """Whether the job has ended for good: an ending that was told may lie before a retry."""
        return self.job(job_id)["status"] in ENDED

    def _events(self, job_id: str, last: str, silence_s: float) -> Iterator[Event]:
        """The events of one connection."""
        headers = {"Accept": "text/event-stream", "Last-Event-ID": last}
        timeout = httpx.Timeout(silence_s, connect=CONNECT_S)
        with self._stream("GET", f"{API}/{job_id}/events", headers=headers, timeout=timeout) as answer:
            yield from parse_events(answer.iter_lines())

    # --- HTTP

    def _json(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = msgspec.json.decode(self._request(method, path, **more).content)
        return answer

    def _request(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.TransportError as error:
            raise self._away(error) from error
        if answer.is_error:
            raise problem_of(answer)
        return answer

    @contextlib.contextmanager
    def _stream(self, method: str, path: str, **more: Any) -> Iterator[httpx.Response]:
        try:
            with self._http.stream(method, path, **more) as answer:
                if answer.is_error:
                    answer.read()
                    raise problem_of(answer)
                yield answer
        except httpx.TransportError as error:
            raise self._away(error) from error

    def _away(self, error: Exception | None = None) -> Unavailable:
        if isinstance(error, httpx.ReadTimeout):
            return _Silence(f"The daemon at {self.url} took the request and does not answer.")
        if error and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol):
            return Unavailable(f"The connection to the daemon at {self.url} broke: {error}")
        return Unavailable(f"no daemon answers at {self.url}; start one with `vtid serve`")


class _Key(httpx.Auth):
    """Shows the key to the daemon, and to nobody whom a link of its leads to."""

    def __init__(self, url: str, key: str) -> None:
        self._origin = _origin(httpx.URL(url))
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if _origin(request.url) == self._origin:
            request.headers["Authorization"] = f"Bearer {self._key}"
        yield request


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


class _Silence(Unavailable):
    """The connection stands, and nothing comes."""


class _Counted:
    """A file that tells how much of it was read; httpx sends it piece by piece."""

    def __init__(self, handle: IO[bytes], sent: Callable[[int], None]) -> None:
        self._handle = handle
        self._sent = sent
        self.fileno = handle.fileno  # its size goes into the request's length

    def read(self, size: int = -1) -> bytes:
        data = self._handle.read(size)
        self._sent(self._handle.tell())
        return data


def problem_of(answer: httpx.Response) -> VtidError:
    """The error that a problem document stands for, with the exit code that it has on this machine too."""
    try:
        told = msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        told = None
    if not isinstance(told, dict):
        said = f"{answer.status_code} {answer.reason_phrase}"
        return Unavailable(f"{answer.url.host} answers {said}, and not as vtid does.")
    code = str(told.get("type", "")).rpartition(":")[2]
    kind = _kind_of(code, answer.status_code)
    problems = [
        Problem(str(p.get("field", "")), str(p.get("message", "")), str(p.get("code", "invalid")))
        for p in told.get("errors") or ()
    ]
    message = str(told.get("detail") or told.get("title") or f"HTTP {answer.status_code}")
    suggestion = told.get("suggested_action")
    if kind is errors.Unauthorized:
        suggestion = f"Put a key into {KEY_NAME}; on the daemon's machine, `vtid keys create` makes one."
    if kind is errors.RateLimited:
        return errors.RateLimited(message, float(answer.headers.get("retry-after") or 1))
    return kind(message, problems=problems, suggestion=suggestion)


def _kind_of(code: str, status: int) -> type[VtidError]:
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, VtidError)]
    exact = [kind for kind in kinds if kind.code == code]
    return next(iter(exact or [kind for kind in kinds if kind.status == status]), VtidError)


def _is_ending(event: Event) -> bool:
    """Whether it says that the job ended; a retry may have followed."""
    return event.type == "status" and event.data.get("status") in ENDED


def parse_events(lines: Iterator[str]) -> Iterator[Event]:
    """Server-sent events; comments, which keep the line alive, are left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and "data" in fields else value
            continue
        if "data" in fields:
            data = msgspec.json.decode(fields["data"])
            yield Event(fields.get("id", ""), fields.get("event", "message"), data if isinstance(data, dict) else {})
        fields = {}
