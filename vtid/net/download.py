"""A file from a URL into a folder. What has come is kept: a later attempt, in another process too, goes on from it.

Going on is safe only where the server can say that its file is still the same (`ETag`, or a `Last-Modified` that is old
enough to mean something); where it cannot, the file comes from its start.
"""

from __future__ import annotations

import errno
import hashlib
import mimetypes
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import IO

import httpx
import msgspec
from msgspec import Struct

from vtid.errors import DiskFull, InvalidInput, Problem, StorageError, TooLarge
from vtid.net.outbound import Broken, Outbound, Outgoing, phrase
from vtid.net.urls import check_url, filename_of

REDIRECTS = 5
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the same request may do later."""
SYNC_BYTES = 16 << 20
"""What has come is forced to the disk this often; a power cut costs no more."""
PACE_S = 30.0
"""Over how long the pace of a server is looked at; before the first look it has as long again to come up to it."""
_RANGE = re.compile(r"^bytes (\d+)-(\d+)/(\d+)$")


class Limits(Struct, frozen=True):
    """What a download may take."""

    max_bytes: int
    seconds: float = 6 * 3600.0
    """For one attempt."""
    idle_s: float = 30.0
    """How long the server may be silent."""
    least_rate: float = 64 * 1024.0
    """Bytes a second, over half a minute: a server that sends less is holding us. 0: as slowly as it likes."""


class TooSlow(Broken):
    """The other side sends next to nothing."""


class Fetched(Struct, frozen=True):
    """A file that has come."""

    path: Path
    size: int
    filename: str
    """As the server calls it, or the URL; never empty."""


class _State(Struct):
    """What is known of the file in the folder."""

    mark: str
    """Of the URL; the URL itself may carry a key."""
    validator: str = ""
    """For `If-Range`; empty where going on is not safe."""
    kept: int = 0
    """Bytes that are on the disk for certain."""
    total: int | None = None
    filename: str = ""


class Download:
    """One file.

    Args:
        outbound: the way out.
        limits: that hold.
        folder: of this file alone; made when it is not there. The caller removes it.
        field: the place that complaints about the URL name.
        require_room: raises `DiskFull` unless so many bytes fit.
    """

    def __init__(
        self,
        outbound: Outbound,
        limits: Limits,
        folder: Path,
        *,
        field: str,
        require_room: Callable[[int], None] = lambda _size: None,
    ) -> None:
        self._outbound = outbound
        self._limits = limits
        self._path = folder / "body"
        self._note = folder / "state.json"
        self._field = field
        self._require_room = require_room

    @property
    def kept(self) -> int:
        """Bytes that have come so far, over all attempts."""
        return self._path.stat().st_size if self._path.exists() else 0

    def run(
        self,
        url: str,
        *,
        check: Callable[[], None] = lambda: None,
        got: Callable[[int, int | None], None] = lambda _done, _all: None,
    ) -> Fetched:
        """Get the file, or the rest of it.

        Args:
            url: of it.
            check: called often; what it raises ends the attempt.
            got: told how many bytes have come, of how many (None: unknown).

        Raises:
            Broken: the line broke or the server is busy; what has come is kept for the next attempt.
            InvalidInput: there is no such file to be had (`AddressRefused`, `TooLarge` among them).
            DiskFull: there is no room for it.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        state = self._known(url)
        limits = self._limits
        with self._outbound.session(seconds=limits.seconds, idle_s=limits.idle_s, check=check) as out:
            try:
                return self._attempt(out, url, state, got)
            except _StaleError:
                return self._attempt(out, url, self._forget(url), got)

    # --- what is there already

    def _known(self, url: str) -> _State:
        try:
            state = msgspec.json.decode(self._note.read_bytes(), type=_State)
            if state.mark == _mark(url) and state.validator and self._path.stat().st_size >= state.kept:
                return state
        except (OSError, msgspec.DecodeError):
            pass
        return self._forget(url)

    def _forget(self, url: str) -> _State:
        self._path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        return _State(_mark(url))

    def _keep(self, state: _State, handle: IO[bytes]) -> None:
        """Force to the disk what has come, then say so."""
        handle.flush()
        os.fsync(handle.fileno())
        state.kept = handle.tell()
        aside = self._note.with_suffix(".new")
        aside.write_bytes(msgspec.json.encode(state))
        aside.replace(self._note)

    # --- one attempt

    def _attempt(self, out: Outgoing, asked: str, state: _State, got: Callable[[int, int | None], None]) -> Fetched:
        url = check_url(asked, self._field, self._outbound.reach)
        headers = {"Accept-Encoding": "identity"}
        if state.kept:
            headers |= {"Range": f"bytes={state.kept}-", "If-Range": state.validator}
        for _hop in range(REDIRECTS + 1):
            with out.get(url, headers) as answer:
                if answer.has_redirect_location:
                    url = self._next(url, answer)
                    continue
                start = self._begin(answer, state)
                state.filename = _filename(answer, asked)
                size = self._receive(answer, state, start, got)
            return Fetched(self._path, size, state.filename)
        raise self._refuse(f"leads on more than {REDIRECTS} times")

    def _next(self, url: httpx.URL, answer: httpx.Response) -> httpx.URL:
        """Where a redirect leads, judged as the first address was."""
        try:
            target = url.join(answer.headers["location"])
        except (httpx.InvalidURL, ValueError):
            raise self._refuse("leads on to something that is no URL") from None
        if url.scheme == "https" and target.scheme == "http":
            raise self._refuse("leads on from https to http")
        return check_url(str(target), self._field, self._outbound.reach)

    def _begin(self, answer: httpx.Response, state: _State) -> int:
        """From which byte on the body is. Raises what makes it no use."""
        status = answer.status_code
        if status in BUSY:
            raise Broken(f"{answer.url.host} answers {phrase(status)}", _retry_after(answer))
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and state.kept:
            raise _StaleError
        if status not in (200, 206):
            raise self._refuse(f"{answer.url.host} answers {phrase(status)}")
        if (coding := answer.headers.get("content-encoding", "identity")) != "identity":
            raise self._refuse(f"{answer.url.host} sends it packed ({coding}), although it was asked not to")
        if status == HTTPStatus.OK:
            state.kept, state.validator, state.total = 0, _validator(answer), _length(answer)
            return 0
        found = _RANGE.match(answer.headers.get("content-range", ""))
        if not (found and state.kept):
            raise self._refuse(f"{answer.url.host} sends a part of it that was not asked for")
        start, _, total = map(int, found.groups())
        if start != state.kept or (state.total is not None and total != state.total):
            raise _StaleError
        state.total = total
        return start

    def _receive(
        self, answer: httpx.Response, state: _State, start: int, got: Callable[[int, int | None], None]
    ) -> int:
        limits, synced = self._limits, start
        if (state.total or 0) > limits.max_bytes:
            raise self._too_large()
        self._require_room((state.total or 0) - start)
        pace = _Pace(limits.least_rate, start)
        with _disk_errors(), self._path.open("r+b" if start else "wb") as handle:
            handle.truncate(start)
            handle.seek(start)
            try:
                for piece in answer.iter_raw():
                    handle.write(piece)
                    done = handle.tell()
                    if done > limits.max_bytes:
                        raise self._too_large()
                    pace.look(answer.url.host, done)
                    if done - synced >= SYNC_BYTES:
                        synced = done
                        self._require_room(0)
                        self._keep(state, handle)
                    got(done, state.total)
            finally:
                self._keep(state, handle)
            if state.total is not None and state.kept != state.total:
                raise Broken(f"{answer.url.host} ended in the middle")
            return state.kept

    def _too_large(self) -> TooLarge:
        limit = self._limits.max_bytes >> 20
        problem = Problem(self._field, f"at most {limit} MB", "too_large")
        return TooLarge(f"The file is larger than {limit} MB.", problems=[problem])

    def _refuse(self, words: str) -> InvalidInput:
        return InvalidInput(f"{self._field}: {words}", problems=[Problem(self._field, words, "download")])


class _StaleError(Exception):
    """What was kept is of another file than the server has now."""


class _Pace:
    """Notices a server that sends next to nothing."""

    def __init__(self, least: float, done: int) -> None:
        self._least = least
        self._since, self._done = time.monotonic() + PACE_S, done

    def look(self, host: str, done: int) -> None:
        """Raise `TooSlow` where too little came lately."""
        now = time.monotonic()
        if now < self._since:
            self._done = done
        if now - self._since < PACE_S:
            return
        if done - self._done < self._least * PACE_S:
            raise TooSlow(f"{host} sends less than {self._least / 1024:g} KB a second")
        self._since, self._done = now, done


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("The disk filled up during a download.", suggestion="Free some space.") from error
        raise StorageError(f"A download cannot be kept: {error.strerror}") from error


def _mark(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()


def _length(answer: httpx.Response) -> int | None:
    text = answer.headers.get("content-length", "")
    return int(text) if text.isdigit() else None


def _validator(answer: httpx.Response) -> str:
    """What `If-Range` may carry: a strong validator, or nothing (RFC 9110, 13.1.5)."""
    etag: str = answer.headers.get("etag", "")
    if etag.startswith('"'):
        return etag
    changed: str = answer.headers.get("last-modified", "")
    try:
        age = parsedate_to_datetime(answer.headers["date"]) - parsedate_to_datetime(changed)
    except (KeyError, ValueError, TypeError):
        return ""
    return changed if age.total_seconds() >= 1 and not etag else ""


def _retry_after(answer: httpx.Response) -> float | None:
    text = answer.headers.get("retry-after", "").strip()
    return float(text) if text.isdigit() else None


def _filename(answer: httpx.Response, url: str) -> str:
    """The server's name for the file, or the URL's; with an ending that says what it is where the name has none."""
    message = Message()
    message["content-disposition"] = answer.headers.get("content-disposition", "")
    name = message.get_filename() or filename_of(url) or filename_of(str(answer.url)) or "download"
    if "." not in name:
        kind = answer.headers.get("content-type", "").partition(";")[0].strip()
        name += (mimetypes.guess_extension(kind) or "") if kind.startswith(("video/", "audio/", "image/")) else ""
    return name
