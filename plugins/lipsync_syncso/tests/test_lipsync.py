"""The step against the simulated service: what it makes, what it pays, and every way to misbehave."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.conftest import wait_until
from tests.simulators.sounds import likeness
from vtid.errors import Cancelled, InvalidInput, NeedsAttention, RetryLater, StepError
from vtid.media import probe
from vtid.media.dub import sound_of
from vtid.simulators.syncso import SyncSo
from vtid.testing import run_step
from vtid_lipsync_syncso import vtid_account
from vtid_lipsync_syncso.client import SyncSo as Client
from vtid_lipsync_syncso.params import Params
from vtid_lipsync_syncso.step import Lipsync


def test_the_voices_are_where_they_belong(job: Any, service: SyncSo, voices: dict[str, Path]) -> None:
    made = job.finish()
    assert probe(made.video.path).duration_s == pytest.approx(3.0, abs=0.15)
    sound = sound_of(made.video.path)
    assert likeness(sound, 0.0, sound_of(voices["audio_1"]), 0.0, 1.0) > 0.95
    assert likeness(sound, 1.5, sound_of(voices["audio_2"]), 0.5, 1.0) > 0.95
    [charge] = service.ledger
    assert made.sync_generation_id == charge["id"]
    assert made.estimated_usd == charge["usd"] == pytest.approx(0.249)
    messages = list(dict.fromkeys(message for _, message in job.link.reports))
    assert messages == ["Uploading files...", "Lip-sync processing...", "Lip-sync completed"]
    fractions = [fraction for fraction, _ in job.link.reports]
    assert fractions == sorted(fractions)


def test_without_segments_the_one_voice_goes_with_the_whole(job: Any, service: SyncSo, voices: dict[str, Path]) -> None:
    job.params = {"sync_mode": "cut_off", "temperature": 0.3}
    job.inputs["audios"] = {"audio_1": voices["audio_1"]}
    made = job.finish()
    assert probe(made.video.path).duration_s == pytest.approx(2.0, abs=0.15)
    [generation] = service.generations.all.values()
    assert generation.body["options"] == {"sync_mode": "cut_off", "temperature": 0.3}
    assert "segments" not in generation.body


def test_everything_that_the_service_can_do_is_said_in_its_words(job: Any, service: SyncSo) -> None:
    job.params |= {
        "model": "lipsync-2",
        "sync_mode": "bounce",
        "active_speaker_detection": {"frame_number": 3, "coordinates": [80, 45]},
        "occlusion_detection_enabled": True,
        "segments": [SEG | {"optionsOverride": {"sync_mode": "loop", "temperature": 0.9}}],
    }
    job.finish()
    [generation] = service.generations.all.values()
    body = generation.body
    assert body["model"] == "lipsync-2"
    assert body["options"] == {
        "sync_mode": "bounce",
        "active_speaker_detection": {"frame_number": 3, "coordinates": [80, 45]},
        "occlusion_detection_enabled": True,
    }
    assert body["segments"] == [
        {
            "startTime": 0.0,
            "endTime": 1.0,
            "audioInput": {"refId": "audio_1", "startTime": 0.0, "endTime": 1.0},
            "optionsOverride": {"sync_mode": "loop", "temperature": 0.9},
        }
    ]
    assert [one["type"] for one in body["input"]] == ["video", "audio"], "a voice that nobody uses is not sent"


SEG = {"startTime": 0.0, "endTime": 1.0, "audioInput": {"refId": "audio-1", "startTime": 0.0, "endTime": 1.0}}


# --- paid for once


@pytest.mark.parametrize(
    "moods",
    [
        {"lost_answers": 1.0},
        {"failing_answers": 1.0},
        {"unknown_outcomes": 1.0, "name_unknown": False},
    ],
    ids=lambda m: next(iter(m)),
)
def test_an_answer_that_is_lost_is_asked_for_again_and_not_paid_again(
    job: Any, service: SyncSo, moods: dict[str, Any]
) -> None:
    service.change(moods)
    assert [job.turn() for _ in range(3)] == [None] * 3
    assert len(service.ledger) == 1
    service.change({name: 0.0 for name in moods if name != "name_unknown"})
    made = job.finish()
    assert [c["id"] for c in service.ledger] == [made.sync_generation_id]


def test_an_unknown_outcome_that_names_its_generation_is_waited_for(job: Any, service: SyncSo) -> None:
    service.change({"unknown_outcomes": 1.0})
    made = job.finish()
    assert [c["id"] for c in service.ledger] == [made.sync_generation_id]


def test_the_same_key_carries_the_same_request_after_the_settings_changed(
    job: Any, service: SyncSo, with_settings: Any
) -> None:
    service.change({"lost_answers": 1.0})
    job.turn()
    with_settings(webhook_secret="whsec_new", send="link")
    job.callback_url = "https://vtid.example/callbacks/x/y"
    service.change({"lost_answers": 0.0})
    job.finish()
    assert len(service.ledger) == 1


def test_files_are_sent_once(job: Any, service: SyncSo) -> None:
    service.change({"concurrency": 1, "hold": True, "retry_after_s": 0.0})
    for _ in range(3):
        assert job.turn() is None
        assert len(service._assets.registered) == 3
    service.change({"hold": False})
    job.finish()


# --- both kinds of 429


def test_a_full_account_is_waited_for(job: Any, service: SyncSo, tmp_path: Path, clip: Path, voices: Any) -> None:
    first = type(job)(tmp_path / "other", clip, voices, job.settings)
    (tmp_path / "other").mkdir()
    service.change({"concurrency": 1, "hold": True, "retry_after_s": 0.01})
    assert first.turn() is None
    assert job.turn() is None
    assert job.waits == ["Waiting for a free place at Sync.so (1 of 1 generations run)"]
    service.change({"hold": False})
    assert first.finish().sync_generation_id != job.finish().sync_generation_id
    assert len(service.ledger) == 2


def test_too_many_requests_are_waited_out(job: Any, service: SyncSo) -> None:
    service.change({"creates_per_minute": 1})
    service._created.append(time.time())
    assert job.turn() is None
    assert job.waits == ["Waiting: Sync.so takes no more requests just now"]
    service.change({"creates_per_minute": 0})
    job.finish()


# --- ends


@pytest.mark.parametrize("outcome", ["FAILED", "REJECTED", "CANCELED", "TIMED_OUT"])
def test_a_generation_that_ends_badly_fails_the_step_and_a_retry_begins_anew(
    job: Any, service: SyncSo, outcome: str
) -> None:
    service.change({"outcome": outcome, "error_code": "generation_pipeline_failed"})
    with pytest.raises(StepError, match=f"as {outcome}: .*generation_pipeline_failed.*Generation {'.' * 36}"):
        job.finish()
    service.change({"outcome": "COMPLETED"})
    assert job.finish().sync_generation_id == service.ledger[1]["id"]


def test_one_that_never_ends_is_given_up(job: Any, service: SyncSo, with_settings: Any) -> None:
    service.change({"hold": True})
    assert job.turn() is None
    with_settings(patience=1e-9)
    with pytest.raises(StepError, match=rf"has not ended generation {service.ledger[0]['id']} within 0 minutes"):
        job.turn()
    with_settings(patience=1.0)
    service.change({"hold": False})
    assert job.finish().sync_generation_id == service.ledger[0]["id"], "a retry waits on for what was paid"


def test_a_link_that_expired_is_asked_for_anew(job: Any, service: SyncSo, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    get = Client.get

    def stale(self: Client, generation_id: str) -> Any:
        found = get(self, generation_id)
        asked.append(generation_id)
        fresh = len(asked) > 1 and found.ended
        return (
            found
            if fresh or not found.ended
            else msgspec.structs.replace(found, output_url=f"{service.url}/results/x.mp4")
        )

    wait_until(lambda: job.turn() is None)
    wait_until(lambda: not service.generations.active())
    monkeypatch.setattr(Client, "get", stale)
    assert job.turn()
    assert len(asked) == 2


def test_a_result_of_the_wrong_length_is_not_taken(job: Any, service: SyncSo) -> None:
    service.change({"short_by_s": 1.0})
    with pytest.raises(StepError, match=r"is 2\.\d+ s long instead of 3\.\d+ s. Generation") as failed:
        job.finish()
    assert "show Sync.so" in (failed.value.suggestion or "")


def test_a_result_without_sound_is_not_taken(job: Any, service: SyncSo) -> None:
    service.change({"mute": True})
    with pytest.raises(StepError, match="has no sound"):
        job.finish()


# --- what a person must do


def test_a_key_that_is_refused(job: Any, with_settings: Any) -> None:
    with_settings(api_key="wrong")
    with pytest.raises(NeedsAttention, match="does not know this API key") as error:
        job.turn()
    assert "SYNC_API_KEY" in (error.value.suggestion or "")
    assert "wrong" not in str(error.value) + str(job.link.lines)


def test_a_plan_that_is_too_small(job: Any, service: SyncSo) -> None:
    service.change({"most_seconds": 1.0})
    with pytest.raises(NeedsAttention, match="longer than the plan allows") as error:
        job.turn()
    assert "upgrade" in (error.value.suggestion or "")
    assert service.ledger == []


def test_a_file_that_the_plan_does_not_take(job: Any, service: SyncSo) -> None:
    service.change({"most_bytes": 1000})
    with pytest.raises(StepError, match="file_size_exceeds_plan_limit"):
        job.turn()


def test_files_that_are_gone_there_are_sent_again_by_a_retry(job: Any, service: SyncSo) -> None:
    service.change({"creates_per_minute": 1})
    service._created.append(time.time())
    assert job.turn() is None, "the files are there, the generation is not"
    service._assets.registered.clear()
    service.change({"creates_per_minute": 0})
    with pytest.raises(StepError, match="asset_not_found"):
        job.turn()
    assert job.finish().sync_generation_id == service.ledger[0]["id"]
    assert len(service.ledger) == 1


def test_a_price_is_no_matter_once_the_order_may_be_out(job: Any, service: SyncSo, with_settings: Any) -> None:
    service.change({"lost_answers": 1.0})
    assert job.turn() is None
    with_settings(most_usd=0.01)
    service.change({"lost_answers": 0.0})
    assert job.finish().sync_generation_id == service.ledger[0]["id"]


def test_a_price_that_is_too_high_is_not_paid(job: Any, service: SyncSo, with_settings: Any) -> None:
    with_settings(most_usd=0.1)
    with pytest.raises(NeedsAttention, match=r"would charge about \$0.25; at most \$0.10 are allowed"):
        job.turn()
    assert service.ledger == []


def test_a_service_that_names_no_price_is_used_all_the_same(job: Any, service: SyncSo, with_settings: Any) -> None:
    service.change({"estimates": False})
    with_settings(most_usd=0.1)
    assert job.finish().estimated_usd is None


def test_a_service_that_is_away_is_waited_for(job: Any, service: SyncSo, with_settings: Any) -> None:
    with_settings(api_url="http://127.0.0.1:1")
    assert job.turn() is None
    assert "did not answer" in job.waits[0]
    with_settings(api_url=service.url)
    job.finish()


def test_an_upload_can_be_cancelled(job: Any) -> None:
    job.link.cancel_at = 0.1
    with pytest.raises(Cancelled):
        job.turn()


def test_links_in_place_of_uploads(job: Any, service: SyncSo, with_settings: Any, clip: Path, voices: Any) -> None:
    from vtid.domain.artifact import Audio, Video

    with_settings(send="link")
    with pytest.raises(NeedsAttention, match=r"server\.public_url"):
        job.turn()
    with httpx.Client(base_url=service.url, headers={"x-api-key": service.moods.key}) as http:

        def placed(path: Path) -> str:
            told = {"fileName": path.name, "contentType": "x/y", "size": path.stat().st_size}
            where = http.post("/v2/assets/upload", json=told).json()
            httpx.put(where["uploadUrl"], content=path.read_bytes(), headers={"Content-Type": "x/y"})
            return str(where["url"])

        job.inputs["video"] = Video(clip, url=placed(clip), info=probe(clip))
        job.inputs["audios"] = {n: Audio(p, url=placed(p), info=probe(p)) for n, p in voices.items()}
    job.finish()
    [generation] = service.generations.all.values()
    assert all("url" in one for one in generation.body["input"])


def test_the_doctor_hears_whether_the_key_is_taken(job: Any, with_settings: Any) -> None:
    assert vtid_account(job.settings).startswith("the key is taken; models: sync-3, lipsync-2")
    with_settings(api_key="wrong")
    with pytest.raises(NeedsAttention, match="does not know this API key"):
        vtid_account(job.settings)
    with_settings(api_url="http://127.0.0.1:1")
    with pytest.raises(RetryLater, match="did not answer"):
        vtid_account(job.settings)


# --- before anything is paid


@pytest.mark.parametrize(
    ("segments", "words"),
    [
        ([SEG | {"endTime": 0.0}], r"segments\[0\].endTime: must be after startTime"),
        ([SEG | {"endTime": 3.5}], r"segments\[0\].endTime: past the end of the video \(3.0"),
        ([SEG | {"audioInput": {"refId": "audio-9"}}], r'refId: there is no audio "audio-9"; there are: audio-1'),
        ([SEG | {"audioInput": {"refId": "audio-1", "startTime": 0.5}}], r"audioInput.endTime: is missing"),
        ([SEG | {"audioInput": {"refId": "audio-1", "startTime": 1, "endTime": 3}}], r"past the end of the audio \(2"),
        ([SEG, SEG | {"startTime": 0.5, "endTime": 1.5}], r"\[1\].startTime: begins at 0.5 s, within segments\[0\]"),
        ([SEG, {"startTime": 1, "endTime": 2, "audioInput": {"refId": "audio-1"}}], r'several segments use "audio-1"'),
        ([SEG | {"optionsOverride": {"model": "x"}}], r"optionsOverride.model: a segment may have of its own"),
        ([], "2 audios came: say which belongs where"),
    ],
)  # fmt: skip
def test_segments_are_judged_beforehand(clip: Path, voices: dict[str, Path], segments: Any, words: str) -> None:
    params = Lipsync.run.__globals__["Params"]
    given = msgspec.convert({"segments": segments}, params)
    sources = {"video": probe(clip)} | {name: probe(path) for name, path in voices.items()}
    assert any(__import__("re").search(words, str(p)) for p in Lipsync().check(given, sources)), Lipsync().check(
        given, sources
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"duration_s": 601.0}, "is 10.0 minutes long; Sync.so takes 10"),
        ({"size": 3 << 30}, "has 3072 MB; at most 2048 MB"),
    ],
)
def test_limits_are_known_beforehand(clip: Path, change: dict[str, Any], words: str) -> None:
    [problem] = Lipsync().check(Params(), {"video": msgspec.structs.replace(probe(clip), **change)})
    assert words in problem.message


def test_a_param_that_is_none_is_refused(tmp_path: Path, job: Any) -> None:
    with pytest.raises(InvalidInput, match="sync_mode"):
        run_step(Lipsync(), tmp_path, inputs=job.inputs, params={"sync_mode": "stretch"}, settings=job.settings)
