"""Webhooks over HTTP: made, changed, tried, read, replayed; and told by a real worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Receiver

from tests.conftest import wait_until
from tests.net.origin import Origin, origin, say
from tests.web.site import API, Site, problem, serving

HOOKS = "/api/v1/webhooks"
SENT = "/api/v1/webhook-deliveries"
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A daemon whose operator allows this machine."""
    with serving(tmp_path_factory.mktemp("near"), workers=True, net__allow=("127.0.0.1",)) as site:
        yield site


@pytest.fixture
def receiver() -> Iterator[Origin]:
    with origin(lambda _asked, sock: say(sock, "200 OK", b"thanks")) as server:
        yield server


@pytest.fixture
def hook(near: Site, receiver: Origin) -> Iterator[dict[str, Any]]:
    answer = near.http.post(HOOKS, json={"url": f"{receiver.url}/hook?key=1"})
    assert answer.status_code == 201, answer.text
    yield answer.json()
    near.http.delete(f"{HOOKS}/{answer.json()['webhook_id']}")


def test_it_is_made_and_its_secret_is_told_once(near: Site, hook: dict[str, Any]) -> None:
    assert hook["secret"].startswith("whsec_")
    assert hook["enabled"]
    one = near.http.get(f"{HOOKS}/{hook['webhook_id']}")
    assert one.status_code == 200
    assert one.json() == {k: v for k, v in hook.items() if k != "secret"}
    listed = near.http.get(HOOKS)
    assert one.json() in listed.json()["webhooks"]
    assert hook["secret"] not in one.text + listed.text


def test_a_repeat_gives_the_first_answer(near: Site, receiver: Origin) -> None:
    body, key = {"url": receiver.url}, {"Idempotency-Key": "hook-1"}
    first, second = (near.http.post(HOOKS, json=body, headers=key) for _ in range(2))
    assert first.json() == second.json()
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    problem(near.http.post(HOOKS, json=body | {"description": "x"}, headers=key), 422, "idempotency_key_reused")
    assert len(near.http.get(HOOKS).json()["webhooks"]) == 1
    near.http.delete(f"{HOOKS}/{first.json()['webhook_id']}")


def test_a_job_is_told_of(near: Site, hook: dict[str, Any], receiver: Origin, clip: Path) -> None:
    job = near.done(clip)
    asked = wait_until(lambda: receiver.asked and receiver.asked[0])
    told = Receiver(hook["secret"]).verify(asked.body, asked.headers)
    assert told["data"]["job_id"] == job["job_id"]
    link = told["data"]["result_url"].partition("/files/")[2]
    assert near.http.get(f"/files/{link}").content == clip.read_bytes()
    (delivery,) = wait_until(
        lambda: near.http.get(SENT, params={"job_id": job["job_id"], "state": "delivered"}).json()["deliveries"]
    )
    full = near.http.get(f"{SENT}/{delivery['delivery_id']}").json()
    assert full["delivery_id"] == asked.headers["webhook-id"]
    assert (full["log"][0]["status"], full["log"][0]["body"], full["log"][0]["error"]) == (200, "thanks", None)
    again = near.http.post(f"{SENT}/{delivery['delivery_id']}/replay")
    assert again.status_code == 202
    wait_until(lambda: len(receiver.asked) == 2)


@pytest.mark.parametrize("way", ["form", "json", "upload-and-process"])
def test_a_job_calls_back(near: Site, receiver: Origin, clip: Path, way: str) -> None:
    secret = near.http.post(f"{HOOKS}/callback-secret").json()["secret"]
    url = f"{receiver.url}/{way}"
    if way == "form":
        answer = near.submit(clip, callback_url=url)
    elif way == "json":
        first = near.done(clip)
        asset = near.bridge.run(near.app.jobs.get(first["job_id"])).inputs["video"]
        body = {"pipeline": "copy", "asset_id": asset, "callback_url": url}
        answer = near.http.post(f"{API}/submit", json=body)
    else:
        problem(
            near.http.post("/api/v1/upload-and-process", files={"file": ("a.mp4", b"")}, data={"callback_url": "x"}),
            400,
        )
        return
    assert answer.status_code == 202, answer.text
    asked = wait_until(lambda: receiver.asked and receiver.asked[0])
    assert asked.path == f"/{way}"
    assert Receiver(secret).verify(asked.body, asked.headers)["data"]["job_id"] == answer.json()["job_id"]
    found = wait_until(lambda: near.http.get(SENT, params={"job_id": answer.json()["job_id"]}).json()["deliveries"])
    assert [d["webhook_id"] for d in found] == [None]


def test_it_can_be_tried(near: Site, hook: dict[str, Any], receiver: Origin) -> None:
    answer = near.http.post(f"{HOOKS}/{hook['webhook_id']}/test")
    assert (answer.status_code, answer.json()["event"]) == (202, "webhook.test")
    asked = wait_until(lambda: receiver.asked and receiver.asked[0])
    assert Receiver(hook["secret"]).verify(asked.body, asked.headers)["type"] == "webhook.test"


def test_a_secret_is_replaced(near: Site, hook: dict[str, Any], receiver: Origin) -> None:
    new = near.http.post(f"{HOOKS}/{hook['webhook_id']}/rotate-secret").json()["secret"]
    assert new != hook["secret"]
    near.http.post(f"{HOOKS}/{hook['webhook_id']}/test")
    asked = wait_until(lambda: receiver.asked and receiver.asked[0])
    for secret in (new, hook["secret"]):
        Receiver(secret).verify(asked.body, asked.headers)


def test_it_is_changed(near: Site, hook: dict[str, Any]) -> None:
    place = f"{HOOKS}/{hook['webhook_id']}"
    changed = near.http.patch(place, json={"events": ["job.failed"], "description": "mine", "enabled": False}).json()
    assert (changed["events"], changed["description"], changed["enabled"]) == (["job.failed"], "mine", False)
    assert changed["url"] == hook["url"]
    problem(near.http.post(f"{place}/test"), 409, "conflict")
    moved = near.http.patch(place, json={"url": hook["url"] + "&x=2", "enabled": True}).json()
    assert (moved["url"], moved["enabled"]) == (hook["url"] + "&x=2", True)


def test_it_is_deleted(near: Site, receiver: Origin) -> None:
    made = near.http.post(HOOKS, json={"url": receiver.url}).json()
    place = f"{HOOKS}/{made['webhook_id']}"
    near.http.post(f"{place}/test")
    assert near.http.delete(place).status_code == 204
    problem(near.http.get(place), 404, "not_found")
    assert near.http.get(SENT, params={"webhook_id": made["webhook_id"]}).json()["deliveries"] == []


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"url"}),
        ({"url": "ftp://x"}, {"url"}),
        ({"url": "http://169.254.169.254/"}, {"url"}),
        ({"url": "http://localhost.localdomain.invalid/"}, {"url"}),
        ({"url": "https://u:p@a.example/"}, {"url"}),
        ({"url": "http://127.0.0.1/", "events": []}, {"events"}),
        ({"url": 5, "events": ["job.eaten"], "colour": "red"}, {"url", "events[0]", "colour"}),
        ({"url": "http://127.0.0.1/", "description": "x" * 201}, {"description"}),
    ],
)
def test_what_is_refused(near: Site, body: dict[str, Any], fields: set[str]) -> None:
    told = problem(near.http.post(HOOKS, json=body), 400)
    assert {e["field"] for e in told["errors"]} == fields


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "file:///etc/passwd", "https://a:b@c.example/"])
def test_a_callback_that_leads_nowhere(near: Site, clip: Path, url: str) -> None:
    before = near.stored()
    told = problem(near.submit(clip, callback_url=url), 400)
    assert [e["field"] for e in told["errors"]] == ["callback_url"]
    assert near.stored() == before


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{HOOKS}/{NOBODY}"),
        ("GET", f"{HOOKS}/x"),
        ("PATCH", f"{HOOKS}/{NOBODY}"),
        ("DELETE", f"{HOOKS}/{NOBODY}"),
        ("POST", f"{HOOKS}/{NOBODY}/test"),
        ("POST", f"{HOOKS}/{NOBODY}/rotate-secret"),
        ("GET", f"{SENT}/{NOBODY}"),
        ("GET", f"{SENT}/%00"),
        ("GET", f"{SENT}/msg_{'0' * 32}"),
        ("POST", f"{SENT}/msg_{'0' * 32}/replay"),
    ],
)
def test_nothing_there(near: Site, method: str, path: str) -> None:
    problem(near.http.request(method, path, json={} if method == "PATCH" else None), 404, "not_found")


def test_the_log_has_pages(near: Site, hook: dict[str, Any]) -> None:
    for _ in range(5):
        near.http.post(f"{HOOKS}/{hook['webhook_id']}/test")
    seen: list[str] = []
    cursor = ""
    for _ in range(9):
        page = near.http.get(SENT, params={"webhook_id": hook["webhook_id"], "limit": 2, "cursor": cursor}).json()
        seen += [d["delivery_id"] for d in page["deliveries"]]
        cursor = page["next"]
        if not cursor:
            break
    assert len(seen) == len(set(seen)) == 5
    problem(near.http.get(SENT, params={"cursor": "abc"}), 400)
