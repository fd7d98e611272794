"""Clips as the operator's machines have them processed: jobs, and one signed call at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.conftest import wait_until
from tests.net.origin import Asked, Origin, origin, say, serves
from tests.web.site import Site, problem, serving
from vtid.media import probe
from vtid.media.synth import draw_clip

CLIPS = "/internal/v1/process-clips"
PLUGINS = (Path("plugins").absolute(),)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(
        tmp_path_factory.mktemp("machine"), workers=True, pipelines={}, plugins__dirs=PLUGINS, net__allow=("127.0.0.1",)
    ) as site:
        yield site


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Site]:
    """The same without workers: what is taken in waits."""
    with serving(tmp_path, workers=False, pipelines={}, plugins__dirs=PLUGINS) as site:
        yield site


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Origin]:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    draw_clip(path, seconds=1, width=320, height=180, fps=10)
    with origin(serves(path.read_bytes())) as made:
        yield made


def test_clips_are_processed_and_told_of_once_signed(machine: Site, clip: Origin, tmp_path: Path) -> None:
    heard: list[Asked] = []

    def receive(asked: Asked, sock: Any) -> None:
        heard.append(asked)
        say(sock, b"ok")

    with origin(receive) as hook, origin(serves(b"no video")) as bad:
        body = {
            "clips": [
                {"clip_url": f"{clip.url}/one.mp4", "clip_id": "one", "metadata": {"shelf": 7}},
                {"url": f"{bad.url}/two.mp4", "clip_id": "two"},
            ],
            "operations": ["resize", "thumbnail", "normalize_audio"],
            "callback_url": f"{hook.url}/done",
            "priority": 9,
            "processing_options": {"target_resolution": "160x90", "thumbnail_sizes": ["64x36", "128x72"]},
        }
        answer = machine.http.post(CLIPS, json=body)
        assert answer.status_code == 202, answer.text
        taken = answer.json()
        assert (taken["total_clips"], [one["clip_id"] for one in taken["jobs"]]) == (2, ["one", "two"])
        wait_until(lambda: heard)
    told = json.loads(heard[0].body)
    secret = machine.bridge.run(machine.app.registrar.secrets("user:local"))[0]
    Webhook(secret).verify(heard[0].body, heard[0].headers)
    assert (told["request_id"], told["total_successful"], told["total_failed"]) == (taken["request_id"], 1, 1)
    one, two = told["results"]
    assert (one["clip_id"], one["status"], one["error"], one["metadata"]["shelf"]) == ("one", "completed", None, 7)
    assert (two["clip_id"], two["status"], two["processed_url"], two["thumbnails"]) == ("two", "failed", None, [])
    assert "not a media file" in two["error"]["message"]
    link = one["processed_url"]
    (tmp_path / "one.mp4").write_bytes(machine.http.get(link[link.index("/files/") :]).content)
    made = probe(tmp_path / "one.mp4")
    assert (made.width, made.height, made.video[0].frames) == (160, 90, 10)
    assert [(still["width"], still["height"]) for still in one["thumbnails"]] == [(64, 36), (128, 72)]
    sent = machine.http.get("/api/v1/webhook-deliveries").json()["deliveries"]
    assert [row["event"] for row in sent] == ["clips.completed"]


def test_asked_twice_with_one_key_it_is_done_once(idle: Site) -> None:
    body = {"clips": [{"url": "https://example.org/a.mp4"}, {"url": "https://example.org/b.mp4"}]}
    first = idle.http.post(CLIPS, json=body, headers={"Idempotency-Key": "clips-1"})
    again = idle.http.post(CLIPS, json=body, headers={"Idempotency-Key": "clips-1"})
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert len(idle.http.get("/api/v1/jobs").json()["jobs"]) == 2
    other = idle.http.post(CLIPS, json=body | {"priority": 9}, headers={"Idempotency-Key": "clips-1"})
    problem(other, 422)
    for one in first.json()["jobs"]:
        idle.http.post(f"/api/v1/jobs/{one['job_id']}/cancel")


def test_a_high_priority_goes_before_what_waits(idle: Site) -> None:
    def taken(priority: int) -> list[str]:
        clips = [{"url": f"https://example.org/{priority}-{number}.mp4"} for number in range(2)]
        return [
            one["job_id"] for one in idle.http.post(CLIPS, json={"clips": clips, "priority": priority}).json()["jobs"]
        ]

    ordinary, urgent = taken(5), taken(9)
    heard: list[str] = []
    listener = idle.app.queue.listen(heard.append, 1)
    listener.start()
    try:
        wait_until(lambda: set(heard) >= {*ordinary, *urgent})
    finally:
        listener.stop(5)
    firsts = list(dict.fromkeys(heard))
    assert (set(firsts[:2]), set(firsts[2:])) == (set(urgent), set(ordinary))
    problem(idle.http.post(CLIPS, json={"clips": [{"url": "https://example.org/a.mp4"}], "priority": 11}), 400)


OPTIONS = "processing_options"


def sized(film: str, *thumbnails: str) -> dict[str, Any]:
    options = {"target_resolution": film, "thumbnail_sizes": thumbnails}
    return {"clips": [{"url": "http://127.0.0.1/a.mp4"}], OPTIONS: options}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"clips": []}, {"clips"}),
        ({"clips": [{"clip_id": "x"}]}, {"clips[0].clip_url"}),
        ({"clips": [{"url": "http://10.0.0.1/a.mp4"}, {"url": "ftp://x"}]}, {"clips[0].clip_url", "clips[1].clip_url"}),
        ({"clips": [{"url": "http://127.0.0.1/a.mp4"}], "operations": ["shrink"]}, {"operations[0]"}),
        ({"clips": [{"url": "http://127.0.0.1/a.mp4"}], "callback_url": "nowhere"}, {"callback_url"}),
        (sized("0000x0000", "0000x0000"), {f"{OPTIONS}.target_resolution", f"{OPTIONS}.thumbnail_sizes[0]"}),
        (sized("9999x90", "99x20", "9000x20"), {f"{OPTIONS}.target_resolution", f"{OPTIONS}.thumbnail_sizes[1]"}),
        ({"clips": [{"url": "http://127.0.0.1/a.mp4", "operations": ["resize"]}]}, {f"{OPTIONS}.target_resolution"}),
    ],
)
def test_every_complaint_names_its_field(machine: Site, body: dict[str, Any], fields: set[str]) -> None:
    answer = problem(machine.http.post(CLIPS, json=body), 400)
    assert {one["field"] for one in answer["errors"]} == fields
