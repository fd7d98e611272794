"""GhostCut over HTTP: the one module that knows its routes, its envelopes and its ways.

Everything is a POST whose very bytes are signed; business errors come with HTTP 200 and a code. Raises what a step may
raise: `RetryLater` where no answer came or the service failed within, `Busy`, `NeedsAttention`, `StepError`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import IO, Any, cast

import httpx

from vtid.sdk import NeedsAttention, RetryLater, StepError, Struct

from .failures import OK, Busy, Unsure, refusal
from .settings import Settings
from .signing import sign

GATEWAY = "/v-w-c/gateway/ve"
PAGE = 100
CHUNK = 1 << 20
LARGEST_RESULT = 4 << 30
"""Bytes; a result of more is none."""
_TIMEOUT = httpx.Timeout(30.0)


class Uploaded(Struct, frozen=True):
    """A video that GhostCut can fetch."""

    url: str
    key: str = ""
    """By which it can be deleted; empty where it lies elsewhere."""


class Ordered(Struct, frozen=True):
    """A task that GhostCut took."""

    id: str
    project: str
    at: float
    """When, seconds since the epoch."""


class Work(Struct, frozen=True):
    """How a task stands."""

    id: str
    project: str
    status: int
    """Below 1 it runs, 1 is done, above 1 it failed. Nothing else says so: failed ones are at 100 % too."""
    progress: float
    """Percent."""
    video_url: str
    detail: str
    points: float | None
    """Paid; None where the service does not say."""
    name: str
    url: str
    created_at: float | None


class Expired(Exception):
    """The address of a result holds no longer; a status query tells a fresh one."""


class GhostCut:
    """The service, for one account; a context manager, which holds connections while it is open.

    Args:
        settings: of the account.
        transport: in place of the network.
    """

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        self._settings = settings
        self._gateway = f"{settings.api_url.rstrip('/')}{GATEWAY}"
        self._again_s = settings.poll_seconds
        self._http = httpx.Client(timeout=_TIMEOUT, transport=transport, verify=_authorities(), follow_redirects=False)

    def __enter__(self) -> GhostCut:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    # --- tasks

    def create(self, body: dict[str, Any], at: float) -> Ordered:
        """Order a task. Costs money, and may not be repeated without looking whether it went through.

        Args:
            body: of the request, with one address in `urls`.
            at: now.

        Raises:
            RetryLater: it is not known whether the order arrived.
            Busy: it did not, and is welcome later.
            Unsure: it was refused in unknown words.
        """
        extra = {"uid": self._settings.uid} if self._settings.uid else {}
        answer = self._ask(f"work/{self._settings.create_route}", body | extra)
        with _read("an order"):
            return Ordered(str(answer["dataList"][0]["id"]), str(answer.get("idProject", "")), at)

    def status(self, task: str) -> Work | None:
        """How a task stands; None where the account does not know it (yet, or any more)."""
        answer = self._ask("work/status", {"idWorks": [int(task) if task.isdigit() else task]})
        return next((work for work in _works(answer) if work.id == task), None)

    def find(self, name: str, url: str, since: float) -> Work | None:
        """Look for a task by the name that it was given, or by the address of its video.

        Args:
            name: unique.
            url: of its video, for an answer that leaves names out.
            since: seconds since the epoch; older ones are not looked at.
        """
        seen: set[str] = set()
        for page in count():
            query = {"page": page, "pageSize": PAGE, "createTimeGreaterThanOrEqualTo": int(since * 1000)}
            works = {work.id: work for work in _works(self._ask("work/list", query))}
            for work in works.values():
                if work.name == name or (not work.name and work.url == url):
                    return work
            if works.keys() <= seen:  # none, or the last page over again
                break
            seen |= works.keys()
        return None

    def balance(self) -> float:
        """Points left on the account."""
        answer = self._ask("point/query", {"notZero": True, "isValid": True})
        with _read("the balance"):
            return float(sum(float(asset["pointBalance"]) for asset in answer["pointAssets"]))

    # --- files

    def upload(self, path: Path, name: str, told: Callable[[float], None]) -> Uploaded:
        """Upload a video, piece by piece.

        Args:
            path: of it.
            name: short and ASCII; unique.
            told: is called with the share that has gone out.
        """
        ticket = self._ask("file/upload/policy/apply", {"nonce": uuid.uuid4().hex, "materialFileType": "video"})
        with _read("an upload's ticket"):
            key = f"{ticket['dir']}{name}"
            form = {
                "key": key,
                "OSSAccessKeyId": ticket["accessid"],
                "policy": ticket["policy"],
                "signature": ticket["signature"],
                "callback": ticket["base64CallbackBody"],
                "success_action_status": "200",
            }
            host, url = str(ticket["host"]), f"{ticket['urlPrefix']}{name}"
        with path.open("rb") as raw, self._reached("The upload to GhostCut"):
            file = _Told(raw, path.stat().st_size, told)
            # The store behind the gateway gets neither key nor signature of the account.
            answer = self._http.post(host, data=form, files={"file": (name, cast("IO[bytes]", file))})
        self._require_stored(answer, file.digest.digest())
        return Uploaded(url, key)

    def _require_stored(self, answer: httpx.Response, digest: bytes) -> None:
        if answer.status_code != 200 or '"ok"' not in answer.text.lower():
            words = f"GhostCut's store did not take the upload (HTTP {answer.status_code}: {answer.text[:200]})"
            raise RetryLater(self._again_s, words)
        seen = answer.headers.get("Content-MD5")
        if seen and seen != base64.b64encode(digest).decode():
            raise RetryLater(self._again_s, "The video arrived damaged at GhostCut; uploading it again")

    def remove(self, key: str) -> None:
        """Delete an upload."""
        self._ask("file/remove", {"key": key})

    def download(self, url: str, target: Path, told: Callable[[float], None]) -> None:
        """Fetch a result, whole or not at all.

        Raises:
            Expired: the address holds no longer.
        """
        with (
            self._reached("The download from GhostCut"),
            self._http.stream("GET", url, follow_redirects=True) as answer,
        ):
            if answer.status_code in (401, 403, 404, 410):
                raise Expired(url)
            if answer.status_code != 200:
                raise RetryLater(self._again_s, f"GhostCut does not hand out the result (HTTP {answer.status_code})")
            size, done = int(answer.headers.get("Content-Length") or 0), 0
            with target.open("wb") as file:
                for piece in answer.iter_bytes(CHUNK):
                    done += len(piece)
                    if done > LARGEST_RESULT:
                        raise StepError(f"GhostCut's result is over {LARGEST_RESULT >> 30} GB; it was not taken.")
                    file.write(piece)
                    told(done / size if size else 0.5)

    # --- asking

    def _ask(self, route: str, body: dict[str, Any]) -> Any:
        """The body of the envelope that answers."""
        raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "AppKey": self._settings.api_key,
            "AppSign": sign(raw, self._settings.app_secret),
        }
        with self._reached("GhostCut"):
            answer = self._http.post(f"{self._gateway}/{route}", content=raw, headers=headers)
        return self._opened(answer)

    def _opened(self, answer: httpx.Response) -> Any:
        status = answer.status_code
        if status == 429:
            raise Busy(_seconds(answer.headers.get("Retry-After"), self._again_s), "GhostCut asks for a pause")
        if status >= 500:
            raise RetryLater(self._again_s, f"GhostCut failed within (HTTP {status})")
        if status in (401, 403):
            advice = "Check GHOSTCUT_API_KEY and GHOSTCUT_API_URL, and any proxy between."
            raise NeedsAttention(f"GhostCut does not let vtid in (HTTP {status}).", suggestion=advice)
        if status != 200:
            raise Unsure(f"GhostCut answered with HTTP {status}, which it should not; check GHOSTCUT_API_URL.")
        try:
            envelope = answer.json()
            code = int(envelope["code"])
        except (ValueError, TypeError, KeyError):
            raise RetryLater(self._again_s, "GhostCut answered with something that is no answer") from None
        if code != OK:
            raise refusal(code, str(envelope.get("msg", "")), str(envelope.get("trace", "")), again_s=self._again_s)
        return envelope.get("body")

    @contextmanager
    def _reached(self, what: str) -> Iterator[None]:
        """Errors of the network as a wait; what was sent may have arrived."""
        try:
            yield
        except httpx.HTTPError as error:
            raise RetryLater(self._again_s, f"{what} broke off ({type(error).__name__}); trying again") from error


@cache
def _authorities() -> ssl.SSLContext:
    """Whom certificates are believed by; reading them takes longer than a request."""
    return httpx.create_ssl_context()


class _Told:
    """A file that tells how far it was read, and sums it up."""

    def __init__(self, file: IO[bytes], size: int, told: Callable[[float], None]) -> None:
        self._file = file
        self._size = size
        self._done = 0
        self._tell = told
        self.digest = hashlib.md5()  # noqa: S324 - the store's own checksum

    def fileno(self) -> int:
        return self._file.fileno()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        self._done += len(data)
        self._tell(self._done / max(1, self._size))
        return data


@contextmanager
def _read(what: str) -> Iterator[None]:
    """An answer that is not shaped as documented."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise Unsure(f"GhostCut's answer to {what} is not as documented ({type(error).__name__}: {error}).") from error


def _works(answer: Any) -> Iterator[Work]:
    """The tasks of an answer. Ids come as numbers and as texts."""
    with _read("a status query"):
        for item in answer.get("content") or ():
            paid, created = item.get("paidPoint"), item.get("createTime")
            yield Work(
                id=str(item["id"]),
                project=str(item.get("idProject", "")),
                status=int(item["processStatus"]),
                progress=float(item.get("processProgress") or 0),
                video_url=str(item.get("videoUrl") or ""),
                detail=str(item.get("errorDetail") or item.get("error_detail") or ""),
                points=None if paid is None else float(paid),
                name=str(item.get("name") or ""),
                url=str(item.get("url") or ""),
                created_at=created / 1000 if isinstance(created, int) else None,
            )


def _seconds(text: str | None, default: float) -> float:
    try:
        return max(0.0, float(text or ""))
    except ValueError:
        return default
