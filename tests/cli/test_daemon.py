"""The same commands against a real daemon: one for all tests here, with the lab's steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import LAB
from tests.conftest import wait_until
from vtid.cli.demo import daemon
from vtid.media.synth import draw_clip

PIPELINES = {
    "copy": '[[step]]\nid = "copy"\nuses = "lab.pass"\n[[deliver]]\nfrom = "copy.video"\nname = "{stem}.copy{suffix}"\n',
    "slow": '[[step]]\nid = "slow"\nuses = "lab.slow"\nwith = { ticks = 3000 }\n'
    '[[step]]\nid = "copy"\nuses = "lab.pass"\n[[deliver]]\nfrom = "copy.video"\n',
    "fails": '[[step]]\nid = "copy"\nuses = "lab.pass"\n[[step]]\nid = "fail"\nuses = "lab.fail"\n'
    '[[deliver]]\nfrom = "copy.video"\n',
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("daemon") / "data"


@pytest.fixture(scope="module")
def url(data: Path) -> Iterator[str]:
    folder = data.parent
    (folder / "pipes").mkdir()
    for name, text in PIPELINES.items():
        (folder / "pipes" / f"{name}.toml").write_text(f'[pipeline]\nname = "{name}"\n{text}')
    config = folder / "vtid.toml"
    config.write_text(
        f'plugins.dirs = ["{LAB}"]\npipelines.dirs = ["pipes"]\nlimits.min_free_disk_mb = 1\n'
        'logging.format = "json"\nworkers.tick_seconds = 0.05\n'
    )
    with daemon(config, folder) as url:
        yield url


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    draw_clip(path, seconds=0.5, width=160, height=90, fps=10)
    return path


@pytest.fixture(autouse=True)
def at(url: str, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTID_URL", url)
    monkeypatch.setenv("VTID_DATA_PATH", str(data))  # where the key of this machine is


def status(vtid, job_id: str) -> str:
    return str(vtid("jobs", "show", job_id, "--json").json["status"])


def wait_for(vtid, job_id: str, wanted: str) -> None:
    wait_until(lambda: status(vtid, job_id) == wanted, every=0.05)


def test_submit_follow_and_fetch(vtid, clip, home):
    said = vtid("submit", "copy", str(clip), "--name", "Holiday", "--wait", "--download", "back.mp4")
    assert said.code == 0, said
    assert (home / "back.mp4").read_bytes() == clip.read_bytes()
    job_id = said.out.split()[0]
    shown = vtid("jobs", "show", job_id[:8], "--json").json
    assert shown["status"] == "completed"
    assert shown["display_name"] == "Holiday"
    assert job_id[:8] in vtid("jobs", "--text", "holiday", "--status", "completed", "--pipeline", "copy").out
    assert vtid("jobs", "--text", "nothing like it", "--json").json == []


def test_the_result_goes_into_a_folder_under_its_own_name(vtid, clip, home):
    said = vtid("submit", "copy", str(clip), "--download", str(home), "--json")
    assert said.code == 0, said
    assert Path(said.json["saved"]).name == "clip.copy.mp4"


def test_logs_of_an_ended_job_end(vtid, clip):
    job_id = vtid("submit", "copy", str(clip), "--wait").out.split()[0]
    for args in ((), ("--follow",)):
        events = [json.loads(line) for line in vtid("jobs", "logs", job_id, "--json", *args).out.splitlines()]
        assert events[0]["data"]["status"] == "queued"
        assert events[-1]["data"]["status"] == "completed"
        assert [int(e["seq"]) for e in events] == sorted({int(e["seq"]) for e in events})


def test_logs_of_a_running_job_without_follow_end_too(vtid, clip):
    job_id = vtid("submit", "slow", str(clip)).out.strip()
    wait_for(vtid, job_id, "processing")
    assert vtid("jobs", "logs", job_id).code == 0
    assert status(vtid, job_id) == "processing", "its end was not waited for"
    assert vtid("jobs", "cancel", job_id).code == 0
    wait_for(vtid, job_id, "cancelled")


def test_cancel_delete_and_what_does_not_go(vtid, clip):
    job_id = vtid("submit", "slow", str(clip)).out.strip()
    wait_for(vtid, job_id, "processing")
    assert vtid("jobs", "delete", job_id).code == 6
    assert vtid("jobs", "cancel", job_id).code == 0
    wait_for(vtid, job_id, "cancelled")
    assert vtid("jobs", "cancel", job_id).code == 0
    assert vtid("jobs", "delete", job_id).code == 0
    assert vtid("jobs", "show", job_id).code == 5


def test_a_job_that_fails_and_its_retry(vtid, clip):
    said = vtid("submit", "fails", str(clip), "--wait")
    assert said.code == 1
    assert "the moon is in the wrong phase" in said.out
    job_id = said.out.split()[0]
    assert "the moon is in the wrong phase" in vtid("jobs", "show", job_id).out
    assert vtid("jobs", "retry", job_id).code == 0
    said = vtid("jobs", "logs", job_id, "--follow", "--json")
    ends = [
        e
        for e in map(json.loads, said.out.splitlines())
        if e["data"].get("status") == "failed" and e["type"] == "status"
    ]
    assert len(ends) == 2


def test_refusals(vtid, clip, home):
    assert vtid("submit", "copi", str(clip)).code == 5
    said = vtid("submit", "slow", str(clip), "-p", "tick=3")
    assert said.code == 2
    assert 'did you mean "ticks"?' in said.err
    (home / "text.mp4").write_text("not a video " * 100)
    said = vtid("submit", "copy", "text.mp4")
    assert said.code == 3
    assert said.out == ""


# --- who may


def test_without_a_key_nobody_comes_in_and_is_told_how(vtid, clip, home, monkeypatch):
    monkeypatch.setenv("VTID_DATA_PATH", str(home / "elsewhere"))
    said = vtid("jobs")
    assert said.code == 8
    assert "Nobody is logged in here" in said.err
    assert "VTID_API_KEY" in said.err
    monkeypatch.setenv("VTID_API_KEY", "vtid_nonsense")
    assert "This key is not valid" in vtid("jobs").err


def test_a_key_from_the_command_line_works_until_it_is_revoked(vtid, data, home, monkeypatch):
    made = vtid("keys", "create", "a machine", "--scope", "read", "--json").json
    monkeypatch.setenv("VTID_API_KEY", made["key"])
    assert vtid("jobs", "--json").code == 0
    refused = vtid("jobs", "cancel", "00000000-0000-4000-8000-000000000000")
    assert refused.code == 8
    assert "lacks the scope write" in refused.err
    assert vtid("keys", "revoke", made["id"]).code == 0
    wait_until(lambda: vtid("jobs").code != 0, every=0.05)  # the daemon believes what it knew for a second
    assert vtid("jobs").code == 8
