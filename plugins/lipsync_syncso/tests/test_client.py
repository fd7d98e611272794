"""What the client makes of answers, whatever they are like."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import httpx
import pytest

from vtid.errors import NeedsAttention, RetryLater, StepError
from vtid_lipsync_syncso.client import Generation, Refused, SyncSo
from vtid_lipsync_syncso.settings import Settings

LARGE, LITTLE = 64 << 20, 8 << 20
"""Bytes of a file, and what may be held in memory while it goes."""


def client(status: int, body: Any = None, **headers: str) -> SyncSo:
    """One whose service always answers so."""
    content = {"json": body} if not isinstance(body, bytes) else {"content": body}
    named = {k.replace("_", "-"): v for k, v in headers.items()}
    answers = httpx.MockTransport(lambda _: httpx.Response(status, headers=named, **content))
    return SyncSo(Settings(api_key="sk-secret", busy_seconds=7.0), answers)


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (400, {"message": ["model is empty", "input is empty"]}, StepError, "refuses: model is empty; input is empty"),
        (400, b"<html>", StepError, "refuses: Bad Request"),
        (401, {"message": "Invalid API key", "statusCode": 401}, NeedsAttention, "does not know this API key"),
        (401, {"message": "x", "statusCode": 401, "error": "Unauthorized"}, NeedsAttention, "does not know"),
        (402, {"message": "pay", "errorCode": "generation_plan_duration_exceeded"}, NeedsAttention, "pay"),
        (403, {"message": "no", "errorCode": "account_on_hold"}, NeedsAttention, "account_on_hold"),
        (404, {"message": "gone", "errorCode": "asset_not_found"}, Refused, "asset_not_found"),
        (409, {"message": "other inputs", "errorCode": "IDEMPOTENCY_KEY_REUSED"}, StepError, "IDEMPOTENCY_KEY_REUSED"),
        (422, {"message": "m", "errorCode": "generation_input_video_inaccessible"}, Refused, "video_inaccessible"),
        (408, {}, RetryLater, "trouble of its own"),
        (503, {"errorCode": "controller_unavailable"}, RetryLater, "trouble of its own"),
        (504, b"", RetryLater, "trouble of its own"),
        (201, {"status": "PENDING"}, RetryLater, "cannot be read; asking again under the same key"),
        (201, b'{"id": "cut o', RetryLater, "cannot be read; asking again under the same key"),
    ],
)  # fmt: skip
def test_what_is_refused(status: int, body: Any, error: type[Exception], words: str) -> None:
    with client(status, body) as service, pytest.raises(error, match=words) as raised:
        service.create({}, "key")
    assert type(raised.value) is error
    assert "sk-secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("body", "headers", "after", "words"),
    [
        ({"errorCode": "rate_limit_exceeded"}, {"Retry_After": "3"}, 3.0, "no more requests"),
        ({"errorCode": "rate_limit_exceeded"}, {}, 7.0, "no more requests"),
        ({"errorCode": "rate_limit_exceeded"}, {"Retry_After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 7.0, "no more"),
        (
            {
                "errorCode": "concurrency_limit_reached", "activeGenerations": 3, "concurrencyLimit": 3,
                "retryAfterSeconds": 20,
            },
            {"Retry_After": "1"}, 20.0, r"free place at Sync.so \(3 of 3",
        ),
    ],
)  # fmt: skip
def test_both_kinds_of_429(body: Any, headers: dict[str, str], after: float, words: str) -> None:
    with client(429, body, **headers) as service, pytest.raises(RetryLater, match=words) as busy:
        service.create({}, "key")
    assert busy.value.after == after


@pytest.mark.parametrize("spelling", ["errorCode", "error_code"])
def test_the_code_of_a_failure_is_found_however_it_is_spelt(spelling: str) -> None:
    with client(200, {"status": "FAILED", "error_message": "broke", spelling: "generation_timeout"}) as service:
        found = service.get("g")
    assert found is not None
    assert (found.ended, found.error, found.code) == (True, "broke", "generation_timeout")


@pytest.mark.parametrize("status", ["PENDING", "PROCESSING", "QUEUED_SOMEWHERE_NEW", ""])
def test_a_status_that_nobody_knows_is_not_the_end(status: str) -> None:
    with client(200, {"status": status, "progress_percent": 40}) as service:
        found = service.get("g")
    assert found is not None
    assert (found.ended, found.percent) == (False, 40.0)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_look_that_is_not_answered_is_made_again_later(status: int) -> None:
    with client(status, {}) as service:
        assert service.get("g") is None


class Streams(httpx.BaseTransport):
    """A service that takes and gives files piece by piece, as a socket does."""

    def __init__(self) -> None:
        self.taken = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        if request.url.path == "/put":
            self.taken = sum(len(piece) for piece in request.stream)
            return httpx.Response(200)
        if request.url.path == "/result":
            return httpx.Response(200, content=(bytes(1 << 16) for _ in range(LARGE >> 16)))
        return httpx.Response(201, json={"uploadUrl": "http://store.test/put", "url": "http://store.test/a", "id": "a"})


def test_files_go_and_come_without_being_held_in_memory(tmp_path: Path) -> None:
    source, target, streams = tmp_path / "large.mp4", tmp_path / "result.mp4", Streams()
    with source.open("wb") as file:
        file.truncate(LARGE)
    told: list[float] = []
    with SyncSo(Settings(api_key="sk-secret"), streams) as service:
        tracemalloc.start()
        try:
            service.upload(source, "a.mp4", "VIDEO", "video/mp4", told.append)
            service.fetch(Generation("g", "COMPLETED", "http://store.test/result"), target, lambda _: None)
            assert tracemalloc.get_traced_memory()[1] < LITTLE
        finally:
            tracemalloc.stop()
    assert streams.taken == target.stat().st_size == LARGE
    assert len(told) > 100, "it is followed as it goes"
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_the_key_goes_to_the_api_alone(tmp_path: Path) -> None:
    seen: dict[str, str | None] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        seen[request.url.host] = request.headers.get("x-api-key")
        return httpx.Response(200, content=b"video")

    with SyncSo(Settings(api_key="sk-secret"), httpx.MockTransport(answer)) as service:
        service.get("g")
        service.fetch(Generation("g", "COMPLETED", "https://cdn.example/r.mp4"), tmp_path / "r.mp4", lambda _: None)
    assert seen == {"api.sync.so": "sk-secret", "cdn.example": None}
