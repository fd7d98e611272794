"""The simulated Sync.so is as strict as the service, works visibly, and misbehaves when it is told to."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import numpy as np
import pytest

from tests.conftest import PATIENCE_S, wait_until
from tests.simulators.sounds import chirp, likeness, write_sound
from vtid.media import PyAVMedia, probe
from vtid.media.dub import sound_of
from vtid.media.synth import draw_clip
from vtid.simulators.syncso import SyncSo, signature

KEY = {"x-api-key": "sync-simulated-key"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    draw_clip(path, seconds=3, width=160, height=90, fps=10)
    return path


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sound(tmp_path_factory.mktemp("voice") / "voice.wav", chirp(4.0, 300, 900))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[SyncSo]:
    with SyncSo(tmp_path, seconds=0.1) as service:
        yield service  # type: ignore[misc]


@pytest.fixture
def http(service: SyncSo) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, headers=KEY, trust_env=False, timeout=PATIENCE_S) as http:
        yield http


def asset(http: httpx.Client, path: Path, kind: str) -> str:
    content_type = "video/mp4" if kind == "VIDEO" else "audio/wav"
    told = {"fileName": path.name, "contentType": content_type, "size": path.stat().st_size}
    where = http.post("/v2/assets/upload", json=told)
    assert where.status_code == 201
    put = httpx.put(where.json()["uploadUrl"], content=path.read_bytes(), headers={"Content-Type": content_type})
    assert put.status_code == 200
    made = http.post("/v2/assets", json={"url": where.json()["url"], "type": kind})
    assert made.status_code == 201
    return str(made.json()["id"])


@pytest.fixture
def body(http: httpx.Client, clip: Path, voice: Path) -> dict[str, Any]:
    return {
        "model": "lipsync-2-pro",
        "input": [
            {"type": "video", "assetId": asset(http, clip, "VIDEO")},
            {"type": "audio", "assetId": asset(http, voice, "AUDIO"), "refId": "a1"},
        ],
        "options": {"sync_mode": "cut_off"},
        "segments": [
            {"startTime": 1.0, "endTime": 2.0, "audioInput": {"refId": "a1", "startTime": 0.5, "endTime": 1.5}}
        ],
    }


def ended(http: httpx.Client, made: httpx.Response) -> dict[str, Any]:
    assert made.status_code == 201, made.text
    assert made.json()["status"] == "PENDING"
    done = ("COMPLETED", "FAILED", "REJECTED", "CANCELED", "TIMED_OUT")
    return wait_until(lambda: (g := http.get(f"/v2/generate/{made.json()['id']}").json())["status"] in done and g)


def test_the_segment_carries_the_new_sound_and_a_tint(
    service: SyncSo, http: httpx.Client, body: dict[str, Any], clip: Path, voice: Path, tmp_path: Path
) -> None:
    found = ended(http, http.post("/v2/generate", json=body))
    assert found["status"] == "COMPLETED"
    (tmp_path / "out.mp4").write_bytes(http.get(found["outputUrl"]).content)
    info = probe(tmp_path / "out.mp4")
    assert info.duration_s == pytest.approx(3.0, abs=0.15)
    assert found["outputDuration"] == info.duration_s
    new, old, said = sound_of(tmp_path / "out.mp4"), sound_of(clip), sound_of(voice)
    assert likeness(new, 1.0, said, 0.5, 1.0) > 0.95
    assert likeness(new, 0.0, old, 0.0, 1.0) > 0.95
    assert np.abs(old[101_000:136_000]).max() < 0.01, "nothing was said there"
    assert np.abs(new[101_000:136_000]).max() < 0.01
    media = PyAVMedia()
    greens = [(f.time_s, float(np.median(f.bgr()[50:62, 66:94, 1]))) for f in media.frames(tmp_path / "out.mp4")]
    inside, outside = [g for t, g in greens if 1.0 <= t < 2.0], [g for t, g in greens if not 0.9 < t < 2.1]
    assert min(inside) > max(outside) + 20


@pytest.mark.parametrize(
    ("mode", "seconds"), [("cut_off", 3.0), ("loop", 4.0), ("bounce", 4.0), ("remap", 4.0), ("silence", 4.0)]
)
def test_without_segments_the_mode_says_how_long_the_film_is(
    http: httpx.Client, body: dict[str, Any], mode: str, seconds: float
) -> None:
    del body["segments"]
    body["options"] = {"sync_mode": mode}
    found = ended(http, http.post("/v2/generate", json=body))
    assert found["outputDuration"] == pytest.approx(seconds, abs=0.15)


def set_at(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(body: dict[str, Any]) -> None:
        *parents, last = [int(p) if p.isdigit() else p for p in path.split("/")]
        node: Any = body
        for part in parents:
            node = node[part]
        node[last] = value

    return change


def drop(path: str) -> Callable[[dict[str, Any]], None]:
    def change(body: dict[str, Any]) -> None:
        set_at(path, None)(body)
        *parents, last = [int(p) if p.isdigit() else p for p in path.split("/")]
        node: Any = body
        for part in parents:
            node = node[part]
        del node[last]

    return change


SEGMENT = {"startTime": 1.5, "endTime": 2.5, "audioInput": {"refId": "a1"}}


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (set_at("model", "lipsync-9"), 422, "generation_unsupported_model"),
        (set_at("video_url", "https://x.example/v.mp4"), 400, None),
        (set_at("sync_mode", "remap"), 400, None),
        (set_at("options/syncMode", "remap"), 400, None),
        (set_at("options/sync_mode", "stretch"), 400, None),
        (set_at("options/temperature", 2), 400, None),
        (set_at("input/0/url", "https://x.example/v.mp4"), 422, "generation_input_validation_failed"),
        (drop("input/0/assetId"), 422, "generation_input_validation_failed"),
        (drop("input/1"), 422, "generation_audio_missing"),
        (drop("input/1/refId"), 422, "generation_input_segments_invalid"),
        (set_at("input/1/assetId", str(uuid.uuid4())), 404, "asset_not_found"),
        (set_at("input/1/type", "video"), 422, "generation_input_too_many_visual"),
        (set_at("segments/0/start_time", 1.0), 422, "generation_input_segments_invalid"),
        (set_at("segments/0/audioInput/refId", "a2"), 422, "generation_input_segments_invalid"),
        (set_at("segments/0/endTime", 0.5), 422, "generation_input_segments_invalid"),
        (set_at("segments/0/endTime", 9.0), 422, "generation_input_segments_invalid"),
        (drop("segments/0/audioInput/endTime"), 422, "generation_input_trim_invalid"),
        (lambda b: b["segments"].append(SEGMENT), 422, "generation_input_segments_invalid"),
        (set_at("outputFileName", "my file.mp4"), 400, None),
        (set_at("webhookUrl", "http://x.example/hook"), 400, None),
        (lambda b: b["input"].__setitem__(0, {"type": "video", "url": "http://127.0.0.1:1/v"}), 422,
         "generation_input_video_inaccessible"),
    ],
)  # fmt: skip
def test_what_the_service_refuses(
    service: SyncSo, http: httpx.Client, body: dict[str, Any], change: Any, status: int, code: str | None
) -> None:
    change(body)
    answer = http.post("/v2/generate", json=body)
    assert (answer.status_code, answer.json().get("errorCode")) == (status, code), answer.text
    assert answer.json()["statusCode"] == status
    assert service.ledger == [], "nothing is charged for a refusal"


def test_both_shapes_of_a_401(service: SyncSo, http: httpx.Client) -> None:
    none = httpx.get(f"{service.url}/v2/models")
    assert (none.status_code, none.json()["error"]) == (401, "Unauthorized")
    bad = httpx.get(f"{service.url}/v2/models", headers={"x-api-key": "x"})
    assert (bad.status_code, bad.json().keys()) == (401, {"message", "statusCode"})
    assert httpx.get(f"{service.url}/v2/errors").status_code == 200
    assert http.get("/v2/models").json()[0]["id"] == "sync-3"


def test_a_key_makes_one_generation(service: SyncSo, http: httpx.Client, body: dict[str, Any]) -> None:
    headers = {"Idempotency-Key": "a.b~c_d-1"}
    first, second = (http.post("/v2/generate", json=body, headers=headers) for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    assert len(service.ledger) == 1
    other = http.post("/v2/generate", json=body | {"model": "sync-3"}, headers=headers)
    assert (other.status_code, other.json()["errorCode"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    for bad in ([("Idempotency-Key", "a b")], [("Idempotency-Key", "x" * 129)], [("Idempotency-Key", k) for k in "ab"]):
        answer = http.post("/v2/generate", json=body, headers=bad)
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "INVALID_IDEMPOTENCY_KEY")


def test_answers_get_lost_after_the_charge(service: SyncSo, http: httpx.Client, body: dict[str, Any]) -> None:
    key = {"Idempotency-Key": "k"}
    service.change({"lost_answers": 1})
    with pytest.raises(httpx.RemoteProtocolError):
        http.post("/v2/generate", json=body, headers=key)
    service.change({"lost_answers": 0, "failing_answers": 1})
    assert http.post("/v2/generate", json=body, headers=key).status_code == 500
    service.change({"failing_answers": 0, "unknown_outcomes": 1})
    answer = http.post("/v2/generate", json=body, headers=key)
    assert (answer.status_code, answer.json()["errorCode"]) == (503, "IDEMPOTENCY_OUTCOME_UNKNOWN")
    assert answer.json()["generationId"] == service.ledger[0]["id"]
    service.change({"unknown_outcomes": 0})
    assert http.post("/v2/generate", json=body, headers=key).json()["id"] == service.ledger[0]["id"]
    assert len(service.ledger) == 1


def test_both_kinds_of_429(service: SyncSo, http: httpx.Client, body: dict[str, Any]) -> None:
    service.change({"concurrency": 1, "hold": True})
    assert http.post("/v2/generate", json=body).status_code == 201
    busy = http.post("/v2/generate", json=body)
    assert (busy.status_code, busy.json()["errorCode"]) == (429, "concurrency_limit_reached")
    assert (busy.json()["activeGenerations"], busy.json()["concurrencyLimit"]) == (1, 1)
    service.change({"concurrency": 0, "creates_per_minute": 1})
    fast = http.post("/v2/generate", json=body)
    assert (fast.status_code, fast.json()["errorCode"]) == (429, "rate_limit_exceeded")
    service.change({"hold": False})


@pytest.mark.parametrize("outcome", ["FAILED", "REJECTED", "CANCELED", "TIMED_OUT"])
def test_generations_end_badly(service: SyncSo, http: httpx.Client, body: dict[str, Any], outcome: str) -> None:
    service.change({"outcome": outcome})
    found = ended(http, http.post("/v2/generate", json=body))
    assert (found["status"], found["errorCode"], found["outputUrl"]) == (outcome, "generation_pipeline_failed", None)
    assert "error_code" not in found


def test_waiting_and_progress(service: SyncSo, http: httpx.Client, body: dict[str, Any]) -> None:
    made = http.post("/v2/generate", json=body).json()["id"]
    waited = http.get(f"/v2/generate/{made}?wait=true&timeout=10")
    assert (waited.json()["status"], waited.headers["x-sync-wait-mode"]) == ("COMPLETED", "long_poll")
    assert http.get(f"/v2/generate/{made}?include=progress").json()["progress_percent"] == 100
    for bad in ("wait=true&timeout=11", "wait=true&timeout=x", "wait=true&include=progress"):
        assert http.get(f"/v2/generate/{made}?{bad}").status_code == 400
    assert [g["id"] for g in http.get(f"/v2/generations?status=COMPLETED&ids={made}").json()] == [made]
    assert http.get("/v2/generations?status=FAILED,PENDING").json() == []
    assert http.get(f"/v2/generate/{made}/costs").json()["availability"] == "complete"
    assert http.delete(f"/v2/generations/{made}").status_code == 204
    assert http.get(f"/v2/generate/{made}").json()["errorCode"] == "generation_not_found"
    assert http.get("/v2/generate/x").json()["errorCode"] == "invalid_generation_id"


def test_links_to_results_expire(service: SyncSo, http: httpx.Client, body: dict[str, Any]) -> None:
    service.change({"result_ttl_s": 0.05})
    found = ended(http, http.post("/v2/generate", json=body))
    wait_until(lambda: http.get(found["outputUrl"]).status_code == 403)
    service.change({"result_ttl_s": 60})
    fresh = http.get(f"/v2/generate/{found['id']}").json()["outputUrl"]
    assert http.get(fresh).status_code == 200, "asked again, it gives a new link"


def test_what_it_says_beforehand(service: SyncSo, http: httpx.Client, body: dict[str, Any]) -> None:
    assert http.post("/v2/analyze/cost", json=body).json() == [
        {"estimatedFrameCount": 75, "estimatedGenerationCost": pytest.approx(0.249)}
    ]
    short = {"model": "lipsync-2", "duration": 10}
    assert http.post("/v2/generations/estimate", json=short).json()["estimatedGenerationCost"] == 0.5
    assert http.post("/v2/generate/estimate-cost", json={"model": "x"}).status_code == 400
    service.change({"estimates": False})
    answer = http.post("/v2/generations/estimate", json=short)
    assert (answer.status_code, answer.json()["errorCode"]) == (422, "cost_estimate_unavailable")


def test_uploads_are_checked(service: SyncSo, http: httpx.Client) -> None:
    told = {"fileName": "a.mp4", "contentType": "video/mp4", "size": 3}
    where = http.post("/v2/assets/upload", json=told).json()
    put = lambda **headers: httpx.put(where["uploadUrl"], content=b"abc", headers=headers)  # noqa: E731
    assert put(**{"Content-Type": "video/webm"}).status_code == 403
    assert put(**{"Content-Type": "video/mp4", **KEY}).status_code == 400, "the key is for the API alone"
    asked = {"url": where["url"], "type": "VIDEO"}
    assert http.post("/v2/assets", json=asked).json()["errorCode"] == "uploaded_file_not_found"
    assert put(**{"Content-Type": "video/mp4"}).status_code == 200
    assert http.post("/v2/assets", json=asked | {"type": "video"}).status_code == 400
    assert http.post("/v2/assets", json=asked).status_code == 201
    service.change({"most_bytes": 2})
    refused = http.post("/v2/assets/upload", json=told)
    assert refused.json()["errorCode"] == "file_size_exceeds_plan_limit"


def test_the_signature_is_that_of_the_documents() -> None:
    made = signature("whsec_demo", 1700000000, b'{"id":"gen-1","status":"COMPLETED"}')
    assert made == "t=1700000000,v1=ccc2a7a023e365dab7077e18bcb50fdaa11cfa376df5db23fced33f566ec4c9c"


@pytest.mark.parametrize(("mood", "count"), [("once", 1), ("twice", 2)])
def test_webhooks(service: SyncSo, http: httpx.Client, body: dict[str, Any], mood: str, count: int) -> None:
    heard: list[tuple[dict[str, str], bytes]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    Thread(target=server.serve_forever, daemon=True).start()
    service.change({"webhook": mood, "outcome": "FAILED"})
    body["webhookUrl"] = f"http://127.0.0.1:{server.server_address[1]}/hook"
    made = http.post("/v2/generate", json=body).json()["id"]
    wait_until(lambda: len(heard) == count)
    headers, raw = heard[0]
    told = json.loads(raw)
    assert (told["id"], told["status"], told["error_code"]) == (made, "FAILED", "generation_pipeline_failed")
    assert "errorCode" not in told
    at = int(headers["Sync-Signature"].partition(",")[0].removeprefix("t="))
    assert headers["Sync-Signature"] == signature("whsec_simulated", at, raw)
    server.shutdown()
    server.server_close()
