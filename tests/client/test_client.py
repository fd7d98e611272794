"""The Python client, both of its kinds, against a real daemon and against one on its worst day."""

from __future__ import annotations

import asyncio
import inspect
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.stub import JOB, job
from tests.net.origin import Act, Asked, Origin, origin, say, serves
from tests.web.site import Site, serving
from vtid.client import AsyncClient, Client, talk
from vtid.errors import Conflict, InvalidInput, NotFound, TooLarge, Unavailable, UnsupportedMedia
from vtid.media.synth import draw_clip

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("site"), workers=True, net__allow=("127.0.0.1",)) as made:
        yield made


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    draw_clip(path, seconds=0.5, width=160, height=90, fps=10)
    return path


@pytest.fixture(autouse=True)
def as_somebody(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real daemon lets in nobody unknown."""
    for name in {"site", "still"} & set(request.fixturenames):
        monkeypatch.setenv("VTID_API_KEY", request.getfixturevalue(name).key)


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Run:
    """Call a client's method, of either kind: `run(url, "job", id)`."""

    def sync(at: str, method: str, *args: Any, **more: Any) -> Any:
        with Client(at, retries=more.pop("retries", 3), token=more.pop("token", None)) as client:
            made = getattr(client, method)(*args, **more)
            return list(made) if inspect.isgenerator(made) else made

    def asynchronous(at: str, method: str, *args: Any, **more: Any) -> Any:
        async def main() -> Any:
            async with AsyncClient(at, retries=more.pop("retries", 3), token=more.pop("token", None)) as client:
                made = getattr(client, method)(*args, **more)
                return [one async for one in made] if inspect.isasyncgen(made) else await made

        return asyncio.run(main())

    return sync if request.param == "sync" else asynchronous


# --- against a real daemon


def test_a_file_becomes_a_result(site: Site, clip: Path, run: Run, tmp_path: Path) -> None:
    sent: list[int] = []
    made = run(site.url, "submit", "copy", file=clip, display_name="Sea", sent=sent.append)
    assert made["display_name"] == "Sea"
    assert sent[-1] == clip.stat().st_size
    told: list[Any] = []
    ended = run(site.url, "wait", made["job_id"], told.append)
    assert ended["status"] == "completed"
    assert [e.type for e in told][-1] == "status"
    folder = run(site.url, "result", ended, tmp_path)
    assert folder == tmp_path / "clip.copy.mp4"
    assert run(site.url, "result", made["job_id"], tmp_path / "out.mp4").read_bytes() == clip.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.copy.mp4", "out.mp4"]


def test_a_url_becomes_a_job(site: Site, clip: Path, run: Run) -> None:
    with origin(serves(clip.read_bytes())) as server:
        made = run(site.url, "submit", "copy", url=f"{server.url}/a.mp4")
        assert run(site.url, "wait", made["job_id"])["status"] == "completed"


def test_an_asset_becomes_a_job(site: Site, clip: Path, run: Run) -> None:
    first = site.done(clip)
    asset = site.bridge.run(site.app.jobs.get(first["job_id"])).inputs["video"]
    made = run(site.url, "submit", "copy", {}, asset_id=asset)
    assert run(site.url, "wait", made["job_id"])["status"] == "completed"


def test_jobs_are_listed_cancelled_retried_deleted(site: Site, clip: Path, run: Run) -> None:
    made = run(site.url, "submit", "slow", file=clip)["job_id"]
    assert made in [j["job_id"] for j in run(site.url, "jobs", pipeline="slow", limit=5)]
    run(site.url, "cancel", made)
    assert run(site.url, "wait", made)["status"] == "cancelled"
    assert run(site.url, "retry", made)["status"] == "queued"
    run(site.url, "cancel", made)
    run(site.url, "wait", made)
    run(site.url, "delete", made)
    with pytest.raises(NotFound):
        run(site.url, "job", made)


def test_all_pages_are_read(site: Site, clip: Path, run: Run) -> None:
    for _ in range(3):
        site.done(clip)
    every = [j["job_id"] for j in run(site.url, "all_jobs", limit=2)]
    assert len(every) == len(set(every)) >= 3


def test_refusals_are_errors(site: Site, clip: Path, run: Run, tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("hello")
    with pytest.raises(UnsupportedMedia, match=r"notes\.mp4"):
        run(site.url, "submit", "copy", file=text)
    with pytest.raises(NotFound, match="nope"):
        run(site.url, "submit", "nope", file=clip)
    with pytest.raises(InvalidInput) as error:
        run(site.url, "submit", "copy", {"copy.nope": 1}, file=clip)
    assert error.value.problems
    with pytest.raises(Conflict):
        run(site.url, "retry", site.done(clip)["job_id"])
    with pytest.raises(InvalidInput, match="exactly one"):
        run(site.url, "submit", "copy", file=clip, url="http://a.example/")
    with pytest.raises(InvalidInput, match="no result"):
        run(site.url, "result", job(result_url=None), tmp_path)


def test_a_repeat_makes_no_second_job(site: Site, clip: Path, run: Run) -> None:
    key = f"again-{run.__name__}"
    first, second = (run(site.url, "submit", "copy", file=clip, idempotency_key=key) for _ in range(2))
    assert first["job_id"] == second["job_id"]


# --- on its worst day


@pytest.fixture
def server() -> Iterator[Origin]:
    with origin(in_turn()) as made:
        yield made


def answer(status: str, body: Any = None, **headers: str) -> Act:
    content = b"" if body is None else json.dumps(body).encode()
    return lambda _asked, sock: say(sock, status, content, **headers)


def problem(status: int, code: str) -> dict[str, Any]:
    return {"type": f"urn:vtid:problem:{code}", "title": code, "status": status, "detail": code, "errors": []}


def in_turn(*acts: Act) -> Act:
    left = list(acts)

    def act(asked: Asked, sock: socket.socket) -> None:
        (left.pop(0) if left else answer("500 No"))(asked, sock)

    return act


def hang_up(_asked: Asked, sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_RDWR)


def test_patience_is_had_where_it_is_asked_for(server: Origin, run: Run) -> None:
    busy = answer("429 Too Many Requests", problem(429, "rate_limited"), retry_after="0")
    away = answer("503 Service Unavailable", problem(503, "unavailable"), retry_after="0")
    server.act = in_turn(busy, away, answer("200 OK", job()))
    assert run(server.url, "job", JOB)["job_id"] == JOB
    assert len(server.asked) == 3


def test_patience_is_had_with_what_is_streamed_too(server: Origin, run: Run, tmp_path: Path) -> None:
    busy = answer("429 Too Many Requests", problem(429, "rate_limited"), retry_after="0")
    server.act = in_turn(busy, answer("200 OK", job()))
    run(server.url, "download", f"{server.url}/files/x", tmp_path / "x")
    assert len(server.asked) == 2
    assert (tmp_path / "x").stat().st_size > 0


def test_patience_ends(server: Origin, run: Run) -> None:
    server.act = answer("503 Service Unavailable", problem(503, "unavailable"), retry_after="0")
    with pytest.raises(Unavailable):
        run(server.url, "job", JOB, retries=2)
    assert len(server.asked) == 3


def test_an_error_that_asks_for_nothing_is_told_at_once(server: Origin, run: Run) -> None:
    server.act = answer("503 Service Unavailable", problem(503, "unavailable"))
    with pytest.raises(Unavailable):
        run(server.url, "job", JOB)
    server.act = answer("413 Too Large", problem(413, "too_large"))
    with pytest.raises(TooLarge):
        run(server.url, "job", JOB)
    assert len(server.asked) == 2


def test_a_submit_whose_answer_was_lost_is_sent_again_under_the_same_key(
    server: Origin, run: Run, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talk, "PAUSES_S", (0.01,))
    taken = answer("409 Conflict", problem(409, "conflict"))
    server.act = in_turn(hang_up, taken, answer("202 Accepted", job(status="queued")))
    assert run(server.url, "submit", "copy", file=clip)["status"] == "queued"
    keys = {a.headers["idempotency-key"] for a in server.asked}
    assert (len(server.asked), len(keys)) == (3, 1)
    assert all(clip.read_bytes() in a.body for a in server.asked)


def test_what_may_not_be_done_twice_is_not_sent_twice(server: Origin, run: Run) -> None:
    server.act = hang_up
    with pytest.raises(Unavailable):
        run(server.url, "delete", JOB)
    assert len(server.asked) == 1


def test_nobody_there_is_told_at_once(server: Origin, run: Run) -> None:
    server.close()
    with pytest.raises(Unavailable, match="no daemon answers"):
        run(server.url, "job", JOB)


def test_a_line_that_breaks_is_taken_up(server: Origin, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk, "PAUSES_S", (0.01,))

    def events(*told: tuple[int, str, dict[str, Any]]) -> Act:
        lines = "".join(f"id: {s}\nevent: {k}\ndata: {json.dumps(d)}\n\n" for s, k, d in told)
        return lambda _asked, sock: sock.sendall(f"HTTP/1.1 200 OK\r\n\r\n{lines}".encode())

    works, done = answer("200 OK", job(status="processing")), answer("200 OK", job())
    server.act = in_turn(
        works,
        events((1, "progress", {"progress": 5})),
        hang_up,
        hang_up,
        works,
        events((2, "status", {"status": "completed"})),
        done,
    )
    assert [e.seq for e in run(server.url, "follow", JOB, retries=0)] == ["1", "2"]
    asked = [a.headers["last-event-id"] for a in server.asked if a.path.endswith("/events")]
    assert asked == ["0", "1"]


def test_a_download_that_breaks_off_leaves_nothing(server: Origin, run: Run, tmp_path: Path) -> None:
    server.act = serves(b"x" * 1000, cut_at=[500])
    with pytest.raises(Unavailable, match="broke"):
        run(server.url, "download", "/files/a.mp4", tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []


# --- as whom


def test_the_token_goes_to_the_daemon_and_to_nobody_else(server: Origin, run: Run, tmp_path: Path) -> None:
    with origin(serves(b"abc")) as elsewhere:
        server.act = answer("200 OK", job(result_url=f"{elsewhere.url}/bucket/a.mp4"))
        run(server.url, "result", JOB, tmp_path / "a.mp4", token="hush")
        server.act = answer("302 Found", location=f"{elsewhere.url}/b.mp4")
        run(server.url, "download", "/files/b.mp4", tmp_path / "b.mp4", token="hush")
        assert {a.headers.get("authorization") for a in server.asked} == {"Bearer hush"}
        assert [a.headers.get("authorization") for a in elsewhere.asked] == [None, None]


def test_where_the_token_comes_from(tmp_path: Path) -> None:
    (tmp_path / talk.LOCAL_KEY).write_text("own\n")
    near, far = "http://127.0.0.1:1", "https://vtid.example"
    assert talk.find_token("given", {"VTID_TOKEN": "env"}, near, tmp_path) == "given"
    assert talk.find_token(None, {"VTID_TOKEN": "env", "VTID_API_KEY": "key"}, near, tmp_path) == "env"
    assert talk.find_token(None, {"VTID_API_KEY": "key"}, near, tmp_path) == "key"
    assert talk.find_token(None, {}, near, tmp_path) == "own"
    assert talk.find_token(None, {}, far, tmp_path) is None
    assert talk.find_token(None, {}, near, tmp_path / "nowhere") is None


def test_both_kinds_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, list[str]]:
        found = {n: f for n, f in inspect.getmembers(kind, inspect.isfunction) if not n.startswith("_")}
        return {name: list(inspect.signature(function).parameters) for name, function in found.items()}

    assert methods(Client) == methods(AsyncClient)
