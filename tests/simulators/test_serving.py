"""What all simulated services have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import httpx
import pytest
from msgspec import Meta, Struct

from vtid.errors import InvalidInput
from vtid.simulators import Answer, Hangup, Request, Simulator
from vtid.simulators.serving import fetch, post


class Moods(Struct):
    grumpy: Annotated[bool, Meta(description="Refuse everything.")] = False
    lost: Annotated[float, Meta(ge=0, le=1, description="Share of answers that get lost.")] = 0.0


class Echo(Simulator):
    """Says what it was told, and charges for it."""

    name = "echo"
    Moods = Moods

    def answer(self, request: Request) -> Answer:
        if request.method == "PUT":
            return Answer.json({"size": request.save(self.folder / "kept")})
        if request.method == "GET":
            return Answer(file=self.folder / "kept")
        if self.moods.lost:
            raise Hangup
        body = request.body(10)
        self.charge(said=body.decode())
        return Answer.json(
            {"said": body.decode(), "twice": request.headers("x-twice"), "query": request.query},
            429 if self.moods.grumpy else 201,
            Retry_After="2",
        )

    def environment(self) -> dict[str, str]:
        return {"ECHO_URL": self.url}


@pytest.fixture
def echo(tmp_path: Path):
    with Echo(tmp_path) as echo, httpx.Client(base_url=echo.url, trust_env=False) as client:
        yield echo, client


def test_it_answers_and_keeps_a_ledger(echo):
    simulator, client = echo
    answer = client.post("/x?a=1&a=2", content=b"hello", headers=[("X-Twice", "1"), ("x-twice", "2")])
    assert (answer.status_code, answer.headers["retry-after"]) == (201, "2")
    assert answer.json() == {"said": "hello", "twice": ["1", "2"], "query": {"a": ["1", "2"]}}
    assert simulator.ledger == client.get("/simulator").json()["ledger"] == [{"said": "hello"}]


def test_moods_change_while_it_runs(echo):
    simulator, client = echo
    assert client.patch("/simulator", json={"grumpy": True}).json()["moods"] == {"grumpy": True, "lost": 0.0}
    assert client.post("/", content=b"a").status_code == 429
    simulator.change({"lost": 1.0})
    with pytest.raises(httpx.RemoteProtocolError):
        client.post("/", content=b"b")


@pytest.mark.parametrize("moods", [{"grumpi": 1}, {"lost": 2}, {"lost": "x"}])
def test_a_mood_that_is_none_is_refused(echo, tmp_path, moods):
    simulator, client = echo
    with pytest.raises(InvalidInput):
        simulator.change(moods)
    assert client.patch("/simulator", json=moods).status_code == 400
    assert client.patch("/simulator", content=b"[]").status_code == 400
    if "grumpi" in moods:
        with pytest.raises(InvalidInput, match='did you mean "grumpy"'):
            Echo(tmp_path, **moods)


def test_files_come_and_go_whole(echo, tmp_path):
    simulator, client = echo
    data = bytes(range(256)) * 5000
    assert client.put("/f", content=data).json() == {"size": len(data)}
    assert client.get("/f").content == data
    assert fetch(f"{simulator.url}/f", tmp_path / "a", 10**9)
    assert not fetch(f"{simulator.url}/f", tmp_path / "b", 100), "too large"
    assert not fetch("http://127.0.0.1:1/f", tmp_path / "c", 100)


def test_a_file_may_break_off(echo, monkeypatch):
    simulator, client = echo
    client.put("/f", content=b"x" * 1000)
    monkeypatch.setattr(simulator, "answer", lambda _: Answer(file=simulator.folder / "kept", cut_at=400))
    with pytest.raises(httpx.RemoteProtocolError, match="400 bytes, expected 1000"):
        client.get("/f")


def test_a_body_that_nobody_read_spoils_nothing(echo):
    _, client = echo
    for _ in range(3):
        assert client.post("/", content=b"x" * 100_000).status_code == 201


def test_it_calls_back(echo):
    simulator, _ = echo
    status, body = post(f"{simulator.url}/y", b"news", {"X-Twice": "1"})
    assert status == 201
    assert b"news" in body
    assert post("http://127.0.0.1:1/", b"", {}) is None
