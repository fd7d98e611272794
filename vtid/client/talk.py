"""What both clients say and understand; nothing here opens a connection."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import msgspec
from msgspec import Struct

from vtid import errors
from vtid.errors import InvalidInput, Problem, Unavailable, VtidError

API = "/api/v1/jobs"
CHUNK = 1 << 20
CONNECT_S = 5.0
ANSWER_S = 60.0
"""A submitted file is probed before the answer comes."""
SILENCE_S = 45.0
"""An event stream sends something more often than this; a longer silence is a lost line."""
PATIENCE_S = 60.0
"""How long a follower waits for a daemon that went away: long enough for a restart."""
MOST_BREAKS = 30
"""A stream that breaks off so often without an event between is not going to say anything."""
PAUSES_S = (0.2, 0.5, 1.0, 2.0)
LONGEST_WAIT_S = 60.0
"""The longest `Retry-After` that is waited for."""
FIELDS = ("mask", "audio")
"""Files that have a form field of their own; all others are `file_NAME`."""
ENDED = ("completed", "failed", "cancelled")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
LOCAL_KEY = "local.key"
"""In the data folder: the key of whoever may read it, made by the daemon."""

Follower = Callable[[int], None]


Job = dict[str, Any]
"""A job as the daemon tells it: `job_id`, `status`, `progress`, `message`, `result_url`, `error`, `steps`, …"""


class Event(Struct, frozen=True):
    """Something that happened to a job."""

    seq: str
    type: str
    data: dict[str, Any]

    @property
    def is_ending(self) -> bool:
        """Whether it says that the job ended; a retry may have followed."""
        return self.type == "status" and self.data.get("status") in ENDED


class Silence(Unavailable):
    """The connection stands, and nothing comes."""


class Asked(Struct):
    """A request, to be sent by either client."""

    method: str
    path: str
    headers: dict[str, str] = {}
    params: dict[str, Any] = {}
    json: Any = None
    data: dict[str, str] = {}
    files: dict[str, Path] = {}
    """Form field to the file that it is; the request is a form then."""
    sent: Follower | None = None
    again: bool = True
    """Whether it does no harm when it arrives twice."""


# --- where, and as whom


def base_url(url: str) -> str:
    """An address as people write it, made a URL."""
    return (url if "://" in url else f"http://{url}").rstrip("/")


def local_key(data: Path | None) -> str | None:
    """The key that the daemon on this machine has left in its data folder for whoever may read it."""
    try:
        return (data / LOCAL_KEY).read_text(encoding="utf-8").strip() or None if data else None
    except OSError:
        return None


def find_token(given: str | None, env: Mapping[str, str], url: str, data: Path | None) -> str | None:
    """The token or API key to come with: as given, from `VTID_TOKEN` or `VTID_API_KEY`, or this machine's own."""
    named = given or env.get("VTID_TOKEN") or env.get("VTID_API_KEY")
    return named or (local_key(data) if httpx.URL(url).host in LOOPBACK else None)


class Bearer(httpx.Auth):
    """Shows a token to the daemon, and to nobody to whom a link of its leads."""

    def __init__(self, token: str | None, url: str) -> None:
        self._token = token
        self._home = _origin(httpx.URL(url))

    def auth_flow(self, request: httpx.Request) -> Any:
        """Add the header where it belongs."""
        if self._token and _origin(request.url) == self._home:
            request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def settings(url: str, token: str | None, data: Path | None) -> dict[str, Any]:
    """What an httpx client for a daemon is made with."""
    # A proxy that the environment names is for the world outside, and knows nothing of this machine's own ports.
    local = httpx.URL(url).host in LOOPBACK
    return {
        "base_url": url,
        "timeout": httpx.Timeout(ANSWER_S, connect=CONNECT_S),
        "trust_env": not local,
        "follow_redirects": True,
        "auth": Bearer(find_token(token, os.environ, url, data), url),
    }


# --- what is asked


def submission(
    pipeline: str,
    params: Mapping[str, Any],
    *,
    file: str | os.PathLike[str] | None,
    url: str | None,
    asset_id: str | None,
    beside: Mapping[str, str | os.PathLike[str]],
    display_name: str | None,
    callback_url: str | None,
    idempotency_key: str | None,
    sent: Follower | None,
) -> Asked:
    """A submit, of exactly one of a file, a URL and an asset.

    Raises:
        InvalidInput: of none, or of several; of files beside one that is not uploaded.
    """
    if sum(source is not None for source in (file, url, asset_id)) != 1:
        raise InvalidInput("Give exactly one of file, url and asset_id.")
    more = {"display_name": display_name, "callback_url": callback_url}
    extra = {name: value for name, value in more.items() if value}
    headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
    if beside and url is not None:
        raise InvalidInput("Files can go beside a file or an asset, not beside a URL.")
    if file is not None or beside:
        others = {name if name in FIELDS else f"file_{name}": Path(path) for name, path in beside.items()}
        files = ({"file": Path(file)} if file is not None else {}) | others
        known = {"asset_id": asset_id} if asset_id is not None else {}
        fields = {"pipeline": pipeline, "params": msgspec.json.encode(dict(params)).decode()} | known | extra
        return Asked("POST", f"{API}/submit", headers, data=fields, files=files, sent=sent)
    source = {"video_url": url} if url is not None else {"asset_id": asset_id}
    body = {"pipeline": pipeline, "params": dict(params)} | source | extra
    return Asked("POST", f"{API}/submit", headers, json=body)


def listing(filters: Mapping[str, str | int | None]) -> Asked:
    """A page of jobs."""
    return Asked("GET", f"{API}/", params={name: value for name, value in filters.items() if value is not None})


def on_job(job_id: str, method: str = "GET", act: str = "", *, again: bool = True) -> Asked:
    """Something about one job."""
    return Asked(method, f"{API}/{job_id}{act}", again=again)


def result_url(job: Mapping[str, Any]) -> str:
    """Where the job's result is. Raises `InvalidInput` where it has none."""
    url = job.get("result_url") or job.get("output_url")
    if not url:
        raise InvalidInput(
            f"Job {job['job_id']} has no result; has it completed, and does its pipeline deliver anything?"
        )
    return str(url)


def result_path(target: str | os.PathLike[str], url: str) -> Path:
    """The file that was named, or one in the folder that was named, called as the daemon calls the result."""
    path = Path(target)
    return path / (Path(unquote(urlsplit(url).path)).name or "result") if path.is_dir() else path


# --- what comes back


def decoded(answer: httpx.Response) -> Any:
    """The JSON of an answer; None of an empty one."""
    return msgspec.json.decode(answer.content) if answer.content else None


def wait_for(answer: httpx.Response, attempt: int) -> float | None:
    """How long the daemon asks to be left alone before the same again; None where it does not."""
    text = answer.headers.get("retry-after", "")
    if answer.status_code not in (429, 503) or not (
        text.isdigit() or answer.status_code == httpx.codes.TOO_MANY_REQUESTS
    ):
        return None
    return min(LONGEST_WAIT_S, float(text) if text.isdigit() else 2.0**attempt)


def away(url: str, error: Exception | None = None) -> Unavailable:
    """What an error of the line means for the person who reads it."""
    if isinstance(error, httpx.ReadTimeout):
        return Silence(f"The daemon at {url} took the request and does not answer.")
    if error and not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol):
        return Unavailable(f"The connection to the daemon at {url} broke: {error}")
    return Unavailable(f"no daemon answers at {url}; start one with `vtid serve`")


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
        suggestion = "Put a key into VTID_API_KEY; on the daemon's machine, `vtid keys create` makes one."
    if kind is errors.RateLimited:
        return errors.RateLimited(message, float(answer.headers.get("retry-after") or 1))
    return kind(message, problems=problems, suggestion=suggestion)


def _kind_of(code: str, status: int) -> type[VtidError]:
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, VtidError)]
    exact = [kind for kind in kinds if kind.code == code]
    return next(iter(exact or [kind for kind in kinds if kind.status == status]), VtidError)


class Lines:
    """Server-sent events, line by line; comments, which keep the line alive, are left out."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def take(self, line: str) -> Event | None:
        """The event that a line ends, if it ends one."""
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            known = self._fields.get("data")
            self._fields[name] = f"{known}\n{value}" if name == "data" and known is not None else value
            return None
        fields, self._fields = self._fields, {}
        if "data" not in fields:
            return None
        data = msgspec.json.decode(fields["data"])
        return Event(fields.get("id", ""), fields.get("event", "message"), data if isinstance(data, dict) else {})


class Following:
    """How it stands with following a job over lines that break.

    Args:
        after: the `seq` of the last event that is known.
        url: of the daemon, for what is said when it stays away.
    """

    def __init__(self, after: str, url: str) -> None:
        self.last = after
        self.ending = False
        self._url = url
        self._failures = 0
        self._away_since: float | None = None

    def reached(self) -> None:
        """The daemon is there."""
        self._away_since = None

    def heard(self, event: Event) -> None:
        """An event came."""
        self.last, self._failures, self.ending = event.seq or self.last, 0, event.is_ending

    def broke(self, error: Unavailable) -> None:
        """The line broke. Raises `Unavailable` when the daemon has stayed away for too long."""
        self._away_since = self._away_since or time.monotonic()
        if time.monotonic() - self._away_since > PATIENCE_S or self._failures >= MOST_BREAKS:
            raise away(self._url) from error

    def pause(self) -> float:
        """Seconds until the next try."""
        self._failures += 1
        return PAUSES_S[min(self._failures - 1, len(PAUSES_S) - 1)]

    def listen(self, job_id: str) -> dict[str, Any]:
        """The arguments of the request for what comes after the last event."""
        return {"url": f"{API}/{job_id}/events", "headers": {"Accept": "text/event-stream", "Last-Event-ID": self.last}}
