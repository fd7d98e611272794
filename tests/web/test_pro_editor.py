"""The pro editor over HTTP, with the lip-sync service simulated: what integrations call, as they call it."""

from __future__ import annotations

import json
import time
import unicodedata
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

from tests.simulators.sounds import likeness
from tests.web.conftest import OFTEN
from tests.web.site import API, problem, serving
from tests.web.studio import BOTTOM, ERASE, PASSWORD, PATH, SEGMENTS, Studio, duration_at, lines, studio_in
from vtid.domain.account import User
from vtid.media.dub import sound_of
from vtid.media.synth import draw_clip
from vtid.simulators.syncso import SyncSo

PATHS = [PATH, "/api/v1/video-editors/pro-sync-process", "/api/v1/sync/pro-sync-process"]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")
    with SyncSo(folder / "service", seconds=0.1) as service, studio_in(folder, service) as studio:  # type: ignore[arg-type]
        yield studio


# --- as it is documented


def test_the_documented_example(studio: Studio, tmp_path: Path) -> None:
    """The program of the documents, but for the address, the files' names, how `requests` takes several files, the length
    of the clip, and effects."""
    url = studio.site.url

    # 1. Authenticate
    auth_response = requests.post(f"{url}/api/v1/auth/login", json={"email": studio.email, "password": PASSWORD})
    access_token = auth_response.json()["access_token"]

    # 2. Upload video and audio files
    files = [
        ("file", studio.video.open("rb")),
        ("audio_files", studio.voices[0].open("rb")),
        ("audio_files", studio.voices[1].open("rb")),
    ]
    segments_data = [
        {
            "startTime": 0.0,
            "endTime": 1.5,
            "audioInput": {"refId": "audio-1", "duration": 1.5},
            "label": "Segment 1",
        },
        {
            "startTime": 1.5,
            "endTime": 3.0,
            "audioInput": {"refId": "audio-2", "duration": 1.5},
            "label": "Segment 2",
        },
    ]
    effects = [
        {
            "type": "erasure",
            "startTime": 0.0,
            "endTime": 3.0,
            "coordinates": {"x": 0, "y": 140, "width": 320, "height": 40},
        }
    ]
    data = {
        "segments_data": json.dumps(segments_data),
        "display_name": "My Video Project",
        "effects": json.dumps(effects),
    }
    headers = {"Authorization": f"Bearer {access_token}"}

    # 3. Submit job
    response = requests.post(f"{url}{PATH}", files=files, data=data, headers=headers)
    assert response.json() | {"job_id": "…"} == {
        "job_id": "…",
        "status": "queued",
        "message": "Job queued successfully",
        "segments_count": 2,
        "total_duration": pytest.approx(3.0, abs=0.1),
        "estimated_credits": 3,
    }
    job_id = response.json()["job_id"]

    # 4. Poll for status (or use WebSocket)
    while True:
        status_response = requests.get(f"{url}/api/v1/jobs/{job_id}", headers=headers)
        job_data = status_response.json()
        if job_data["status"] == "completed":
            result_url = job_data["result_url"]
            break
        assert job_data["status"] != "failed", job_data.get("error")
        time.sleep(0.1)
    for _, file in files:
        file.close()

    assert job_data["message"] == "Pro video processing completed (lip-sync + text inpainting)"
    assert job_data["display_name"] == "My Video Project"
    (tmp_path / "result.mp4").write_bytes(requests.get(result_url).content)
    sound = sound_of(tmp_path / "result.mp4")
    assert likeness(sound, 0.0, sound_of(studio.voices[0]), 0.0, 1.5) > 0.95
    assert likeness(sound, 1.5, sound_of(studio.voices[1]), 0.0, 1.5) > 0.95
    assert likeness(sound, 1.5, sound_of(studio.voices[0]), 0.0, 1.5) < 0.5, "the measure can tell"
    before, after = lines(studio.video), lines(tmp_path / "result.mp4")
    assert before["bottom"] > 0.15, "the measure sees the text"
    assert after["bottom"] < 0.35 * before["bottom"]
    assert after["top"] > 0.8 * before["top"], "where nothing was marked, text stays"


@pytest.mark.parametrize("path", PATHS)
def test_every_path_and_lip_sync_alone(studio: Studio, path: str) -> None:
    names = [s | {"audioInput": {"refId": ref}} for s, ref in zip(SEGMENTS, ["second voice", "first"], strict=True)]
    answer = studio.send(names, path=path)
    job = studio.done(answer)
    assert job["status"] == "completed", job["error"]
    assert job["message"] == "Pro video processing completed (lip-sync only)"
    facts = job["metadata"]
    assert facts["sync_generation_id"] == studio.service.ledger[-1]["id"]
    assert (facts["segments_count"], facts["segments_processed"]) == (2, 2)
    assert facts["total_duration"] == pytest.approx(3.0, abs=0.1)
    assert facts["assets"].keys() == {"video", "audio-1", "audio-2", "first", "second voice"}
    assert facts["assets"]["second voice"] == facts["assets"]["audio-2"]
    assert studio.http.get(facts["assets"]["audio-2"]).content == studio.voices[1].read_bytes()
    assert {s["id"]: s["status"] for s in job["steps"]} == {"dub": "completed", "clean": "skipped"}


# --- what is refused, and where


def seg(start: float = 0.0, end: float = 1.0, ref: str = "audio-1", **cut: Any) -> dict[str, Any]:
    return {"startTime": start, "endTime": end, "audioInput": {"refId": ref, **cut}}


@pytest.mark.parametrize(
    ("said", "field", "code"),
    [
        ({"segments": [seg(ref="audio-3")]}, "segments_data[0].audioInput.refId", "unknown"),
        ({"segments": [seg(ref="third")]}, "segments_data[0].audioInput.refId", "unknown"),
        ({"segments": [seg(1.0, 1.0)]}, "segments_data[0].endTime", "empty_range"),
        ({"segments": [seg(0, 2), seg(1, 3, "audio-2")]}, "segments_data[1].startTime", "overlap"),
        ({"segments": [seg(0, 3.5)]}, "segments_data[0].endTime", "past_end"),
        ({"segments": [seg(startTime=0.0, endTime=1.8)]}, "segments_data[0].audioInput.endTime", "past_end"),
        ({"segments": [seg(startTime=0.5)]}, "segments_data[0].audioInput.endTime", "missing"),
        ({"segments": [seg(startTime=0.5, endTime=0.2)]}, "segments_data[0].audioInput.endTime", "empty_range"),
        ({"segments": [seg(0, 1), seg(1, 2)]}, "segments_data[0].audioInput", "missing"),
        ({"segments": [seg(i * 0.5, i * 0.5 + 0.4, startTime=0, endTime=0.4) for i in range(6)]}, "segments_data", "too_many"),
        ({"segments": []}, "segments_data", "missing"),
        ({"segments": "[{"}, "segments_data", "not_json"),
        ({"segments": {}}, "segments_data", "invalid"),
        ({"segments": [{"startTime": 0}]}, "segments_data[0].endTime", "missing"),
        ({"segments": [{"startTime": 0}]}, "segments_data[0].audioInput", "missing"),
        ({"segments": [seg() | {"endtime": 1}]}, "segments_data[0].endtime", "unknown"),
        ({"segments": [seg() | {"startTime": "0"}]}, "segments_data[0].startTime", "invalid"),
        ({"segments": [seg() | {"optionsOverride": {"temprature": 1}}]}, "segments_data[0].optionsOverride.temprature", "unknown"),
        ({"segments": [seg() | {"optionsOverride": {"sync_mode": "x"}}]}, "segments_data[0].optionsOverride.sync_mode", "invalid"),
        ({"effects": "{"}, "effects", "not_json"),
        ({"effects": [ERASE | {"type": "erase"}]}, "effects[0].type", "invalid"),
        ({"effects": [ERASE | {"startTime": 2, "endTime": 1}]}, "effects[0].endTime", "empty_range"),
        ({"effects": [ERASE | {"coordinates": BOTTOM | {"x": 300, "width": 50}}]}, "effects[0].coordinates", "outside_frame"),
        ({"voices": []}, "audio_files", "missing"),
        ({"colour": "red"}, "colour", "unknown"),
        ({"callback_url": "ftp://x"}, "callback_url", None),
    ],
)  # fmt: skip
def test_what_is_refused_names_its_field(studio: Studio, said: dict[str, Any], field: str, code: str | None) -> None:
    paid, stored = len(studio.service.ledger), studio.site.stored()
    errors = problem(studio.send(**said), 400)["errors"]
    assert (field, code) in [(e["field"], code and e["code"]) for e in errors], errors
    assert len(studio.service.ledger) == paid
    assert studio.site.stored() == stored, "nothing is left behind"


def test_all_that_is_wrong_is_said_at_once(studio: Studio) -> None:
    errors = problem(studio.send([seg(0, 4), seg(1, 3, "audio-9")], [ERASE | {"endTime": 9}]), 400)["errors"]
    assert {e["field"] for e in errors} == {
        "segments_data[0].endTime", "segments_data[1].audioInput.refId", "segments_data[1].startTime", "effects[0].endTime",
    }  # fmt: skip


def test_a_file_that_is_no_sound_is_refused(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_text("not a sound")
    draw_clip(tmp_path / "mute.mp4", seconds=0.2, width=160, height=90, audio=False)
    voices = [studio.voices[0], tmp_path / "notes.wav", tmp_path / "mute.mp4"]
    body = problem(studio.send([seg()], voices=voices), 415)
    assert "notes.wav is not a media file" in body["detail"]
    assert "Give a sound, such as WAV" in body["detail"]
    told = {e["field"]: e["code"] for e in body["errors"]}
    assert told == {"audio_files[1]": "unsupported_media", "audio_files[2]": "no_audio"}, "each, and where it is"


def test_choices_are_named(studio: Studio) -> None:
    (error,) = problem(studio.send(effects=[ERASE | {"type": "erase"}]), 400)["errors"]
    assert all(word in error["message"] for word in ("erasure", "protection", "text"))


@pytest.mark.parametrize(("sent", "said"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_ref_ids_are_the_same_however_their_umlauts_are_composed(
    studio: Studio, tmp_path: Path, sent: Any, said: Any
) -> None:
    voice = tmp_path / f"{unicodedata.normalize(sent, 'Begrüßung')}.wav"
    voice.write_bytes(studio.voices[0].read_bytes())
    ref = unicodedata.normalize(said, "Begrüßung")
    answer = studio.send([seg(0, 1, ref)], voices=[voice])
    assert answer.status_code == 202, answer.text
    job = studio.site.job(answer.json()["job_id"])
    assert job["metadata"]["assets"][ref] == job["metadata"]["assets"]["audio-1"]
    studio.http.post(f"{API}/{job['job_id']}/cancel")


def test_what_a_ref_id_may_be_is_said(studio: Studio, tmp_path: Path) -> None:
    twin = tmp_path / "first.wav"
    twin.write_bytes(studio.voices[1].read_bytes())
    voices = [*studio.voices, twin]
    segments = [seg(0, 1, "third"), seg(1, 2, "first"), seg(2, 3, "audio-3")]
    errors = problem(studio.send(segments, voices=voices), 400)["errors"]
    assert {e["field"]: e["message"] for e in errors} == {
        "segments_data[0].audioInput.refId": 'there is no audio "third"; there are: audio-1 ("first"), '
        'audio-2 ("second voice"), audio-3 ("first")',
        "segments_data[1].audioInput.refId": '2 audios are called "first"; name one by its place: audio-1 or audio-3',
    }


def test_limits_of_the_provider_are_said_beforehand(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    from vtid_lipsync_syncso.params import Params

    monkeypatch.setattr(Params, "most_seconds", 2.0)
    errors = problem(studio.send(), 400)["errors"]
    assert [(e["field"], e["code"]) for e in errors] == [("file", "too_long")]


def test_the_tier_free_costs_nobody_anything(studio: Studio) -> None:
    site, paid = studio.site, len(studio.service.ledger)
    user = site.bridge.run(
        site.app.accounts.users.add(User(id=str(uuid.uuid4()), email=f"{uuid.uuid4()}@x.org"), None, 100)
    )
    with site.client(
        anonymous=True, headers={"Authorization": f"Bearer {site.app.accounts.access.sign(user)}"}
    ) as http:
        problem(http.post(PATH, data={}), 403, "forbidden")
        files = {"file": ("v.mp4", studio.video.read_bytes()), "audio": ("a.wav", studio.voices[0].read_bytes())}
        stored = site.stored()
        body = problem(http.post(f"{API}/submit", files=files, data={"pipeline": "lipsync"}), 403, "forbidden")
        assert "uses lipsync_syncso.lipsync, which costs the operator money" in body["detail"]
        assert site.stored() == stored
        listed = {p["name"]: p["paid"] for p in http.get("/api/v1/pipelines").json()}
    assert (listed["lipsync"], listed["pro-sync"], listed["remove-text"]) == (True, True, False)
    assert len(studio.service.ledger) == paid


def test_without_a_key_the_daemon_says_what_is_missing(tmp_path: Path) -> None:
    with serving(tmp_path / "site", workers=False, **OFTEN) as site:
        answer = problem(site.http.post(PATH, files={"file": ("a.mp4", b"x")}), 503, "unavailable")
        assert "set SYNC_API_KEY" in answer["detail"]
        listed = {p["name"]: p for p in site.http.get("/api/v1/pipelines").json()}
        assert "set SYNC_API_KEY" in json.dumps(listed["pro-sync"])


# --- other ways in


def test_files_that_came_in_before(studio: Studio) -> None:
    def upload(path: Path) -> str:
        begun = studio.http.post(
            "/api/v1/chunked-upload/init", json={"filename": path.name, "total_size": path.stat().st_size}
        ).json()
        studio.http.post(
            f"/api/v1/chunked-upload/chunk/{begun['upload_id']}",
            files={"chunk": ("c", path.read_bytes())}, data={"chunk_index": "0"},
        )  # fmt: skip
        return str(studio.http.post(f"/api/v1/chunked-upload/complete/{begun['upload_id']}").json()["asset_id"])

    video, *voices = [upload(path) for path in (studio.video, *studio.voices)]
    form = {"asset_id": video, "audio_asset_ids": ",".join(voices), "segments_data": json.dumps(SEGMENTS)}
    fields = [(name, (None, value)) for name, value in form.items()]  # multipart, though no file goes along
    job = studio.done(studio.http.post(PATH, files=fields))
    assert job["status"] == "completed", job["error"]


def test_a_repeat_makes_no_second_job(studio: Studio) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    files = [("file", ("v.mp4", studio.video.read_bytes()))]
    files += [("audio_files", (v.name, v.read_bytes())) for v in studio.voices]
    data = {"segments_data": json.dumps(SEGMENTS)}
    first, second = (studio.http.post(PATH, files=files, data=data, headers=key) for _ in range(2))
    assert first.json()["job_id"] == second.json()["job_id"]
    assert second.headers["idempotency-replayed"] == "true"
    studio.site.wait(first.json()["job_id"])


def test_simple_inpaint_takes_the_inpainter_that_is_there(studio: Studio) -> None:
    answer = studio.http.post(
        "/api/v1/video-editors/ghostcut/simple-inpaint",
        files={"file": ("v.mp4", studio.video.read_bytes())}, data={"display_name": "Clean"},
    )  # fmt: skip
    assert answer.status_code == 202, answer.text
    assert (answer.json()["pipeline"], answer.json()["display_name"]) == ("remove-text", "Clean")
    studio.http.post(f"{API}/{answer.json()['job_id']}/cancel")


def test_lip_sync_by_the_usual_route(studio: Studio) -> None:
    files = {"file": ("v.mp4", studio.video.read_bytes()), "audio": ("a.wav", studio.voices[0].read_bytes())}
    data = {"pipeline": "lipsync", "params": json.dumps({"sync_mode": "cut_off"})}
    job = studio.done(studio.http.post(f"{API}/submit", files=files, data=data))
    assert job["status"] == "completed", job["error"]
    assert duration_at(job["result_url"]) == pytest.approx(1.5, abs=0.1)
    assert job["metadata"]["sync_generation_id"] == studio.service.ledger[-1]["id"]


def test_lip_sync_by_the_usual_route_with_a_sound_for_each_segment(studio: Studio, tmp_path: Path) -> None:
    def send(*refs: str) -> httpx.Response:
        files = [("file", ("v.mp4", studio.video.read_bytes()))]
        files += [("audio_files", (v.name, v.read_bytes())) for v in studio.voices]
        segments = [seg(0, 1.5, refs[0], startTime=0, endTime=1.5), seg(1.5, 3, refs[1], startTime=0, endTime=1.5)]
        data = {"pipeline": "lipsync", "params": json.dumps({"segments": segments})}
        return studio.http.post(f"{API}/submit", files=files, data=data)

    files = {"file": ("v.mp4", studio.video.read_bytes())}
    none = problem(studio.http.post(f"{API}/submit", files=files, data={"pipeline": "lipsync"}), 400)["errors"]
    assert [(e["field"], e["message"]) for e in none] == [
        ("audio", "the pipeline lipsync needs one of the files audio_*, audio")
    ]
    errors = problem(send("audio-2", "audio-3"), 400)["errors"]
    assert [(e["field"], e["message"]) for e in errors] == [
        ("dub.segments[1].audioInput.refId", 'there is no audio "audio-3"; there are: audio-1, audio-2')
    ]
    job = studio.done(send("audio-2", "audio-1"))
    assert job["status"] == "completed", job["error"]
    (tmp_path / "result.mp4").write_bytes(httpx.get(job["result_url"], trust_env=False).content)
    sound = sound_of(tmp_path / "result.mp4")
    assert likeness(sound, 0.0, sound_of(studio.voices[1]), 0.0, 1.5) > 0.95
    assert likeness(sound, 1.5, sound_of(studio.voices[0]), 0.0, 1.5) > 0.95


def test_the_same_with_sounds_that_came_in_before(studio: Studio) -> None:
    known = studio.done(studio.send())["metadata"]["assets"]
    ids = {name: url.split("/")[-2] for name, url in known.items()}
    wish = {"pipeline": "lipsync", "asset_id": ids["video"], "audio_asset_ids": [ids["audio-1"], ids["audio-2"]]}
    job = studio.done(studio.http.post(f"{API}/submit", json=wish | {"params": {"segments": SEGMENTS}}))
    assert (job["status"], job["metadata"]["dub"]["segments_processed"]) == ("completed", 2), job["error"]
    wrong = problem(studio.http.post(f"{API}/submit", json=wish | {"audio_asset_ids": ids["audio-1"]}), 400)
    assert [e["field"] for e in wrong["errors"]] == ["audio_asset_ids"]
    many = problem(studio.http.post(f"{API}/submit", json=wish | {"audio_asset_ids": [ids["audio-1"]] * 51}), 400)
    assert [(e["field"], e["code"]) for e in many["errors"]] == [("audio_asset_ids", "too_many")]
