"""What is on the wire, and what becomes of answers."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from vtid.errors import Forged, InvalidInput, NeedsAttention, RetryLater, StepError
from vtid_inpaint_ghostcut import Settings, callbacks
from vtid_inpaint_ghostcut.client import GhostCut, Work
from vtid_inpaint_ghostcut.failures import FAILURES, Busy, Unsure, error_of
from vtid_inpaint_ghostcut.settings import missing
from vtid_inpaint_ghostcut.signing import is_genuine, sign

ACCOUNT = Settings(api_key="key", app_secret="demo-secret", api_url="http://ghostcut.test/", uid="7")

VECTORS = [
    (
        '{"urls":["https://example.com/video.mp4"],"needChineseOcclude":11,"videoInpaintLang":"zh","lang":"en"}',
        "be20751ed99721d54ea169db9578ac27",
    ),
    ('{"idWorks":[521461135]}', "d804beab4f463cf3e5d3d04a136bc36e"),
    (
        '{"id":488026661,"idProject":230953994,"processStatus":1,"videoUrl":"https://example.com/out.mp4"}',
        "0cf5462a692bcf84c618a196aee991eb",
    ),
    (
        '{"urls":["https://example.com/in.mp4"],"names":["vtid-é"],"needChineseOcclude":1,"videoInpaintLang":"all"}',
        "a089ac714ffd3b2d159f7601547f8e1c",
    ),
]


@pytest.mark.parametrize(("body", "signature"), VECTORS)
def test_the_signature(body: str, signature: str) -> None:
    assert sign(body.encode(), "demo-secret") == signature
    assert is_genuine(body.encode(), signature.upper(), "demo-secret")
    assert not is_genuine(body.encode() + b" ", signature, "demo-secret")
    assert not is_genuine(body.encode(), signature, "another-secret")
    assert not is_genuine(body.encode(), "é", "demo-secret")


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> GhostCut:
    return GhostCut(ACCOUNT, httpx.MockTransport(answer))


def envelope(body: Any = None, code: int = 1000) -> httpx.Response:
    return httpx.Response(200, json={"code": code, "msg": "words", "trace": "abc", "body": body})


def test_what_is_signed_is_what_is_sent() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return envelope({"idProject": 1, "dataList": [{"id": "476993630"}]})

    with answering(answer) as service:
        task = service.create({"names": ["é"]}, at=5.0)
    [request] = seen
    assert (task.id, task.project, task.at) == ("476993630", "1", 5.0)
    assert str(request.url) == "http://ghostcut.test/v-w-c/gateway/ve/work/free"
    assert request.content == '{"names":["é"],"uid":"7"}'.encode()
    assert request.headers["AppKey"] == "key"
    assert request.headers["AppSign"] == sign(request.content, "demo-secret")
    assert request.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (envelope(code=2001), StepError, "headers AppKey and AppSign"),
        (envelope(code=2002), StepError, "did not arrive as POST"),
        (envelope(code=2003), NeedsAttention, "does not know the key"),
        (envelope(code=2004), NeedsAttention, "does not accept the signature"),
        (envelope(code=3001), RetryLater, "failed within"),
        (envelope(code=3002), RetryLater, "failed within"),
        (envelope(code=3003), StepError, "not known in this account"),
        (envelope(code=3006), Busy, "at its limit of tasks"),
        (envelope(code=3007), NeedsAttention, "identity"),
        (envelope(code=3008), StepError, "address of the video"),
        (envelope(code=4001), StepError, "a value, a function of the account, or its user"),
        (envelope(code=4004), StepError, "a value, a function of the account, or its user"),
        (envelope(code=500), RetryLater, "failed within"),
        (envelope(code=9999), RetryLater, "failed within"),
        (envelope(code=8888), Unsure, 'code 8888, "words", trace abc'),
        (httpx.Response(401), NeedsAttention, "HTTP 401"),
        (httpx.Response(404), Unsure, "check GHOSTCUT_API_URL"),
        (httpx.Response(302, headers={"Location": "http://elsewhere/"}), Unsure, "HTTP 302"),
        (httpx.Response(429, headers={"Retry-After": "7"}), Busy, "asks for a pause"),
        (httpx.Response(502), RetryLater, "HTTP 502"),
        (httpx.Response(200, text="<html>"), RetryLater, "no answer"),
        (httpx.Response(200, json=[1]), RetryLater, "no answer"),
        (envelope({"dataList": []}), Unsure, "not as documented"),
        (envelope(None), Unsure, "not as documented"),
    ],
)
def test_an_order_that_is_not_taken(answer: httpx.Response, error: type[Exception], words: str) -> None:
    with answering(lambda _: answer) as service, pytest.raises(error) as caught:
        service.create({}, at=0.0)
    assert type(caught.value) is error
    assert words in str(caught.value)
    assert "demo-secret" not in str(caught.value)


def test_a_lost_connection_is_a_wait() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("no answer")

    with answering(answer) as service, pytest.raises(RetryLater, match="ReadTimeout"):
        service.status("1")


def test_the_list_is_read_to_its_end_and_no_further() -> None:
    pages: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        pages.append(body["page"])
        assert body["createTimeGreaterThanOrEqualTo"] == 5000
        # A service that ignores the page, or caps its size, must not keep anybody busy for ever.
        numbers = {0: [1, 2], 1: [3]}.get(body["page"], [3])
        content = [{"id": i, "processStatus": 0, "name": f"task {i}", "url": f"http://x/{i}"} for i in numbers]
        return envelope({"content": content})

    with answering(answer) as service:
        assert service.find("task 3", "", 5.0) is not None
        assert service.find("none of these", "http://x/1", 5.0) is None, "a named task is known by its name alone"
    assert pages == [0, 1, 0, 1, 2]


@pytest.mark.parametrize("detail", ["errorDetail", "error_detail"])
def test_a_task_is_read_however_it_is_told(detail: str) -> None:
    item = {"id": "12", "idProject": 3, "processStatus": 20, "processProgress": 100.0, detail: "why"}
    with answering(lambda _: envelope({"content": [item]})) as service:
        assert service.status("12") == Work("12", "3", 20, 100.0, "", "why", None, "", "", None)
        assert service.status("13") is None


def test_the_balance_is_the_sum() -> None:
    body = {"pointAssets": [{"pointBalance": 10.5}, {"pointBalance": "2"}]}
    with answering(lambda _: envelope(body)) as service:
        assert service.balance() == 12.5


# --- files of any size

LARGE = 64 << 20
LITTLE = 8 << 20
"""What may be held in memory meanwhile, bytes."""


class Streams(httpx.BaseTransport):
    """A service that takes and gives files piece by piece, as a socket does."""

    def __init__(self) -> None:
        self.taken = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        if request.url.path == "/oss":
            assert "AppKey" not in request.headers
            self.taken = sum(len(piece) for piece in request.stream)
            return httpx.Response(200, text='{"Status":"OK"}')
        if request.url.path == "/result":
            return httpx.Response(200, content=(bytes(1 << 16) for _ in range(LARGE >> 16)))
        names = ("dir", "accessid", "policy", "signature", "base64CallbackBody", "urlPrefix")
        return envelope(dict.fromkeys(names, "x/") | {"host": "http://store.test/oss"})


def test_files_go_and_come_without_being_held_in_memory(tmp_path: Path) -> None:
    source, target, streams = tmp_path / "large.mp4", tmp_path / "result.mp4", Streams()
    with source.open("wb") as file:
        file.truncate(LARGE)
    told: list[float] = []
    with GhostCut(ACCOUNT, streams) as service:
        tracemalloc.start()
        try:
            service.upload(source, "a.mp4", told.append)
            service.download("http://store.test/result", target, lambda _: None)
            assert tracemalloc.get_traced_memory()[1] < LITTLE
        finally:
            tracemalloc.stop()
    assert LARGE < streams.taken < LARGE + 4096
    assert target.stat().st_size == LARGE
    assert len(told) > 100, "it is followed as it goes"
    assert told == sorted(told)
    assert told[-1] == 1.0


# --- final states

WORDS: dict[int, tuple[type[Exception], str, str]] = {
    2: (StepError, "could not resolve the video's address", "Retry the job"),
    3: (StepError, "could not download the video", "Retry the job"),
    5: (StepError, "longer than 15 minutes", "Split it"),
    6: (StepError, "platform failed", "support"),
    7: (StepError, "platform failed", "support"),
    13: (StepError, "platform failed", "support"),
    14: (StepError, "no longer at GhostCut", "uploads it again"),
    16: (StepError, "looks damaged", "H.264 in MP4"),
    18: (StepError, "timed out", "Retry the job later"),
    20: (StepError, "could not erase the text", "support"),
    21: (StepError, "platform failed", "support"),
    22: (StepError, "platform failed", "support"),
    23: (StepError, "timed out", "Retry the job later"),
    26: (StepError, "did not take the order's values", "report this"),
    43: (StepError, "timed out", "Retry the job later"),
    73: (NeedsAttention, "not enough points, and the task was not started", "Buy points"),
    83: (NeedsAttention, "finished, but locked", "unlock the task"),
    98: (NeedsAttention, "storage of the GhostCut account is full", "Delete old works"),
    99: (StepError, "longer than 15 minutes", "Split it"),
    100: (StepError, "1000 MB", "Encode it smaller"),
    111: (StepError, "a reason that it does not know", "Retry the job later"),
    4: (StepError, "a state that vtid does not know", "support"),
    31: (StepError, "a state that vtid does not know", "support"),
}


@pytest.mark.parametrize("status", WORDS)
def test_each_failure_says_what_it_means_and_what_to_do(status: int) -> None:
    kind, meaning, advice = WORDS[status]
    error = error_of("476993630", status, "the vendor's words")
    assert type(error) is kind
    assert "GhostCut task 476993630 failed: " in error.message
    assert meaning in error.message
    assert f"(status {status}: the vendor's words)" in error.message
    assert advice in error.suggestion


def test_no_failure_is_left_out() -> None:
    assert FAILURES.keys() <= WORDS.keys()


# --- callbacks and keys


def test_a_genuine_callback_is_acknowledged_with_something() -> None:
    body, signature = VECTORS[2]
    found = callbacks.read(ACCOUNT, {"callback-sign": signature}, body.encode())
    assert found.reply == b"ok"
    assert found.key.startswith("488026661:1:")
    made_again = body.replace("out.mp4", "out2.mp4").encode()
    other = callbacks.read(ACCOUNT, {"callback-sign": sign(made_again, "demo-secret")}, made_again)
    assert other.key != found.key


def test_callbacks_that_are_not_genuine_or_make_no_sense() -> None:
    body = VECTORS[2][0]
    for headers in ({}, {"callback-sign": ""}, {"callback-sign": "0" * 32}):
        with pytest.raises(Forged):
            callbacks.read(ACCOUNT, headers, body.encode())
    with pytest.raises(Forged):
        callbacks.read(Settings(api_key="key"), {"callback-sign": sign(body.encode(), "")}, body.encode())
    for odd in (b"[]", b"{", b'{"id": 1}'):
        with pytest.raises(InvalidInput, match="no task"):
            callbacks.read(ACCOUNT, {"callback-sign": sign(odd, "demo-secret")}, odd)


def test_what_is_missing_is_named() -> None:
    assert missing(ACCOUNT) is None
    assert missing(Settings()) == (
        "set GHOSTCUT_API_KEY and GHOSTCUT_APP_SECRET, or api_key and app_secret in [plugins.inpaint_ghostcut]"
    )
    assert missing(Settings(api_key="k")) == "set GHOSTCUT_APP_SECRET, or app_secret in [plugins.inpaint_ghostcut]"


def test_secrets_stay_out_of_tracebacks() -> None:
    assert "demo-secret" not in repr(ACCOUNT)
    assert "demo-secret" not in f"{ACCOUNT}"
