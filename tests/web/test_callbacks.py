"""Callbacks: a service outside wakes the step that waits for it, and can do nothing else."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.conftest import wait_until
from tests.web.site import Site, problem, serving
from vtid.app import App
from vtid.config import Config
from vtid.db import Calls, Woken

WAITS = '[[step]]\nid = "call"\ntitle = "Calling"\nuses = "caller.{step}"\nbind = {{ folder = "job.folder" }}\n[params.folder]\n'
PIPELINES = {"waits": WAITS.format(step="wait"), "waits-apart": WAITS.format(step="wait_isolated")}
NOWHERE = "https://vtid.example"
"""The public address: calls are made to the socket, as a reverse proxy makes them."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    often = {"rate_limits__internal_per_minute": 1_000_000, "rate_limits__internal_burst": 1_000_000}
    folder = tmp_path_factory.mktemp("calls")
    with serving(folder, workers=True, pipelines=PIPELINES, server__public_url=NOWHERE, **often) as site:
        yield site


class Waiting(NamedTuple):
    """A job that waits for its service."""

    site: Site
    job_id: str
    folder: Path

    @property
    def path(self) -> str:
        """What the service was given to call, below the public address."""
        return (self.folder / "url").read_text().removeprefix(NOWHERE)

    @property
    def asked(self) -> int:
        return len((self.folder / "asked").read_text())

    def call(
        self, body: bytes | None = None, *, path: str | None = None, signature: str | None = None
    ) -> httpx.Response:
        body = json.dumps({"id": uuid.uuid4().hex}).encode() if body is None else body
        good = hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()
        with self.site.client(anonymous=True) as client:
            return client.post(
                path or self.path, content=body, headers={"X-Signature": good if signature is None else signature}
            )

    def is_suspended(self) -> bool:
        """Whether no worker holds the job, which waits for an hour."""
        job = self.site.bridge.run(self.site.app.jobs.get(self.job_id))
        return job.worker_id is None and job.wake_at is not None and job.wake_at > job.updated_at + 3000


@pytest.fixture
def waiting(site: Site, tmp_path: Path, request: pytest.FixtureRequest) -> Waiting:
    made = submit(site, tmp_path, getattr(request, "param", "waits"))
    wait_until(made.is_suspended)
    return made


def submit(site: Site, folder: Path, pipeline: str = "waits") -> Waiting:
    async def intake() -> str:
        async with site.app.intake.draft("local") as draft:
            return (await draft.submit(pipeline=pipeline, params={"folder": str(folder)})).id

    return Waiting(site, site.bridge.run(intake()), folder)


@pytest.mark.parametrize("waiting", PIPELINES, indirect=True)
def test_a_callback_wakes_the_step_that_waits(waiting: Waiting) -> None:
    (waiting.folder / "answer").write_text("done")
    answer = waiting.call()
    assert (answer.status_code, answer.text) == (200, "thank you")
    job = waiting.site.wait(waiting.job_id)
    assert (job["status"], job["metadata"]["call"]["text"]) == ("completed", "done")


def test_what_it_says_is_not_believed(waiting: Waiting) -> None:
    assert waiting.call(b'{"id": "1", "status": "done"}').status_code == 200
    wait_until(lambda: waiting.asked == 2)
    wait_until(waiting.is_suspended)
    assert waiting.site.job(waiting.job_id)["status"] == "processing", "the service says that it is not done"


def test_a_repeat_is_acknowledged_and_wakes_nobody(waiting: Waiting) -> None:
    for _ in range(3):
        assert waiting.call(b'{"id": "news"}').status_code == 200
        wait_until(lambda: waiting.asked == 2)
        wait_until(waiting.is_suspended)
    assert waiting.asked == 2


def test_one_that_comes_while_the_step_asks_is_not_lost(waiting: Waiting) -> None:
    """The step has asked and heard "not yet", and goes to sleep for an hour, just as the callback comes."""
    (waiting.folder / "hold").touch()
    waiting.call()
    wait_until(lambda: waiting.asked == 2)
    assert waiting.call(b'{"id": "in between"}').status_code == 200
    (waiting.folder / "hold").unlink()
    wait_until(lambda: waiting.asked == 3)
    (waiting.folder / "answer").write_text("done")
    waiting.call()
    assert waiting.site.wait(waiting.job_id)["metadata"]["call"]["asked"] >= 4


def test_one_that_came_while_nobody_listened_is_made_up_for(waiting: Waiting) -> None:
    """The daemon was down as the service called, and starts again."""
    (waiting.folder / "answer").write_text("done")
    waiting.site.bridge.run(waiting.site.app.callbacks.rouse())
    assert waiting.site.wait(waiting.job_id)["status"] == "completed"


def test_a_late_one_is_acknowledged_and_nothing_happens(waiting: Waiting) -> None:
    (waiting.folder / "answer").write_text("done")
    waiting.call()
    before = waiting.site.wait(waiting.job_id)
    asked, path = waiting.asked, waiting.path
    assert waiting.call().status_code == 200
    assert (waiting.site.job(waiting.job_id), waiting.asked) == (before | waiting_links(waiting), asked)
    waiting.site.http.delete(f"/api/v1/jobs/{waiting.job_id}")
    assert waiting.call(path=path).status_code == 200, "also when the job is gone"


def waiting_links(waiting: Waiting) -> dict[str, Any]:
    """What is another at each look: signed links."""
    job = waiting.site.job(waiting.job_id)
    return {name: job[name] for name in ("result_url", "output_url")}


@pytest.mark.parametrize("signature", ["", "0" * 64, "é".encode().hex()])
def test_a_forged_one_is_refused_and_wakes_nobody(waiting: Waiting, signature: str) -> None:
    body = problem(waiting.call(signature=signature), 400, "forged")
    assert waiting.path.rpartition("/")[2] not in json.dumps(body)
    assert (waiting.asked, waiting.is_suspended()) == (1, True)


def test_one_that_cannot_be_read_is_refused(waiting: Waiting) -> None:
    problem(waiting.call(b"not json"), 400, "invalid_input")
    problem(waiting.call(b'{"id": "' + b"x" * (1 << 20) + b'"}'), 413)
    assert waiting.is_suspended()


def test_a_token_is_for_one_step_of_one_job_and_one_plugin(waiting: Waiting, tmp_path: Path) -> None:
    _, _, plugin, token = waiting.path.split("/")
    job_id, step_id, signature = token.split(".")
    for path in (
        f"/callbacks/{plugin}/{uuid.uuid4()}.{step_id}.{signature}",
        f"/callbacks/{plugin}/{job_id}.other.{signature}",
        f"/callbacks/{plugin}/{job_id}.{step_id}.{signature[:-1]}",
        f"/callbacks/{plugin}/{job_id}.{step_id}",
        f"/callbacks/{plugin}/x",
        f"/callbacks/lab/{token}",
        f"/callbacks/nobody/{token}",
        f"/callbacks/{plugin}/%00.%ff.é",
    ):
        problem(waiting.call(path=path), 404)
    assert waiting.is_suspended()


def test_the_log_holds_no_token(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    from vtid import logs
    from vtid.web import requests

    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(logs, "said_plainly", lambda *_: False)
    monkeypatch.setattr(requests.log, "info", lambda *_, **facts: lines.append(facts), raising=False)
    waiting.call()
    wait_until(lambda: [line["path"] for line in lines] == ["/callbacks/{plugin}/{token}"])


def test_of_callbacks_at_once_all_are_acknowledged(waiting: Waiting) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: waiting.call(json.dumps({"id": str(i % 4)}).encode()), range(32)))
    assert {a.status_code for a in answers} == {200}
    (waiting.folder / "answer").write_text("done")
    waiting.call()
    assert waiting.site.wait(waiting.job_id)["status"] == "completed"


# --- where services can reach the daemon


@pytest.mark.parametrize(
    ("public_url", "allow", "there"),
    [
        (None, (), False),
        ("https://vtid.example", (), True),
        ("https://vtid.example/media/", (), True),
        ("http://vtid.example", (), False),
        ("http://vtid.corp.example:8750", (".corp.example",), True),
        ("http://127.0.0.1:8750", ("127.0.0.0/8",), True),
        ("http://127.0.0.1:8750", ("10.0.0.0/8",), False),
    ],
)
def test_services_are_told_of_an_address_that_they_can_reach_safely(
    make_config: Any, bridge: Any, public_url: str | None, allow: tuple[str, ...], there: bool
) -> None:
    config: Config = make_config(server__public_url=public_url, net__allow=allow)
    app = App(config, ring=lambda _: None)
    url = app._callback_urls.url("caller", "job", "step")
    assert (url is not None) is there
    if url:
        assert url.startswith(f"{(public_url or '').rstrip('/')}/callbacks/caller/job.step.")
        assert url == app._callback_urls.url("caller", "job", "step"), "the same at every attempt"
        assert app._callback_urls.opened("caller", url.rpartition("/")[2]) == ("job", "step")
    bridge.run(app.close())


def test_a_job_that_nobody_has_heard_of_is_late(make_config: Any, bridge: Any) -> None:
    app = App(make_config(), ring=lambda _: None)
    assert bridge.run(Calls(app.database).note(str(uuid.uuid4()), "call", "k")) is Woken.LATE
    bridge.run(app.close())
