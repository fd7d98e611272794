"""The commands that talk to a daemon, against one that has its worst day."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.stub import JOB, Stub, job, problem
from vtid.cli import remote
from vtid.client import talk
from vtid.errors import Unavailable


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    stub = Stub()
    monkeypatch.setenv("VTID_URL", stub.url)
    yield stub
    stub.stop()


@pytest.fixture
def clip(home: Path) -> Path:
    path = home / "clip.mp4"
    path.write_bytes(b"\x00" * 300_000)
    return path


def progress(seq: int, percent: int) -> tuple[int, str, dict[str, object]]:
    return seq, "progress", {"at": 1_700_000_000.5, "status": "processing", "progress": percent, "message": "Working"}


END = (9, "status", {"status": "completed", "progress": 100, "message": "All done"})


# --- finding the daemon


def test_no_daemon(vtid, monkeypatch):
    monkeypatch.setenv("VTID_URL", "http://127.0.0.1:1")
    said = vtid("jobs")
    assert said.code == 7
    assert "no daemon answers at http://127.0.0.1:1; start one with `vtid serve`" in said.err


def test_no_daemon_as_json(vtid, monkeypatch):
    monkeypatch.setenv("VTID_URL", "http://127.0.0.1:1")
    assert vtid("jobs", "--json").json["error"]["code"] == "unavailable"


def test_the_address_comes_from_the_configuration(vtid, home):
    file = home / "vtid.toml"
    file.write_text(file.read_text() + "server.port = 2\n")
    assert "http://127.0.0.1:2;" in vtid("jobs").err


@pytest.mark.parametrize("place", ["before", "after"])
def test_the_option_wins_over_the_variable(vtid, stub, monkeypatch, place):
    monkeypatch.setenv("VTID_URL", "http://127.0.0.1:1")
    stub.jobs[JOB] = job()
    args = ["jobs", "--url", stub.url, "show", JOB] if place == "before" else ["jobs", "show", JOB, "--url", stub.url]
    assert vtid(*args).code == 0


def test_a_proxy_is_not_asked_for_this_machine(vtid, stub, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert vtid("jobs").code == 0


def test_something_else_listens_there(vtid, stub):
    stub.answers["GET", "/api/v1/jobs/"] = (502, b"<html>Bad gateway</html>")
    said = vtid("jobs")
    assert said.code == 7
    assert "502" in said.err


# --- the list


def test_an_empty_list(vtid, stub):
    assert vtid("jobs").out.strip() == "There is no job yet."
    assert vtid("jobs", "--status", "failed").out.strip() == "There is no such job."
    assert vtid("jobs", "--json").json == []


def test_the_list_and_its_filters(vtid, stub):
    stub.jobs[JOB] = job(display_name="Holiday")
    out = vtid("jobs", "--status", "completed", "--pipeline", "lab", "--limit", "5").out
    assert "550e8400  completed  100  lab       2026-01-02 03:04  Holiday" in out
    assert stub.seen[0][1] == "/api/v1/jobs/?status=completed&pipeline=lab&limit=5"
    assert vtid("jobs", "list", "--json").json[0]["job_id"] == JOB


def test_bad_use_is_told_before_anything_is_sent(vtid, stub):
    said = vtid("jobs", "--status", "done")
    assert said.code == 2
    assert "completed" in said.err
    assert stub.seen == []


# --- one job


def test_show(vtid, stub):
    stub.jobs[JOB] = job(status="failed", error={"code": "step_error", "message": "no text"})
    out = vtid("jobs", "show", JOB).out
    assert "failed" in out
    assert "no text" in out
    assert "step clean" in out


def test_a_prefix_is_enough(vtid, stub):
    stub.jobs[JOB] = job()
    assert vtid("jobs", "show", "550e", "--json").json["job_id"] == JOB
    assert vtid("jobs", "show", "550E8400").code == 0


def test_a_prefix_that_several_jobs_have(vtid, stub):
    other = JOB[:-1] + "1"
    stub.jobs |= {JOB: job(), other: job(other)}
    said = vtid("jobs", "show", "550e")
    assert said.code == 6
    assert JOB in said.err
    assert other in said.err


@pytest.mark.parametrize(("prefix", "words"), [("550", "too short"), ("abcd", "There is no job abcd")])
def test_a_prefix_that_leads_nowhere(vtid, stub, prefix, words):
    stub.jobs[JOB] = job()
    said = vtid("jobs", "show", prefix)
    assert said.code == 5
    assert words in said.err


def test_an_id_in_the_middle_is_no_prefix(vtid, stub):
    stub.jobs[JOB] = job()
    assert vtid("jobs", "show", "e29b").code == 5


# --- cancel, retry, delete


def test_each_job_gets_its_turn_and_the_first_failure_is_the_exit_code(vtid, stub):
    stub.jobs[JOB] = job(status="cancelled")
    said = vtid("jobs", "cancel", "abcd", JOB)
    assert said.code == 5
    assert "abcd" in said.err
    assert f"✓ {JOB}  cancelled" in said.out


def test_cancelling_what_has_ended_says_so(vtid, stub):
    stub.jobs[JOB] = job()
    assert "was completed already" in vtid("jobs", "cancel", JOB).out


def test_retry_of_a_job_that_cannot_be(vtid, stub):
    stub.jobs[JOB] = job()
    stub.answers["POST", f"/api/v1/jobs/{JOB}/retry"] = problem(409, "conflict", "Only a failed job can be retried.")
    said = vtid("jobs", "retry", JOB, "--json")
    assert said.code == 6
    assert said.json[0]["error"]["message"] == "Only a failed job can be retried."


def test_delete(vtid, stub):
    stub.jobs[JOB] = job()
    assert vtid("jobs", "delete", "550e8400", "--json").json == [{"job_id": JOB, "status": "deleted"}]
    assert stub.jobs == {}


# --- events


def test_logs_to_the_end(vtid, stub):
    stub.jobs[JOB] = job()
    stub.connections = [
        [progress(1, 10), (2, "log", {"step_id": "clean", "level": "info", "event": "looking", "frame": 7}), END]
    ]
    out = vtid("jobs", "logs", JOB, "--follow").out
    assert "2023-11-14 22:13:20  progress  processing  10 %  Working" in out
    assert "log  clean info  looking  frame=7" in out
    assert "All done" in out


def test_logs_as_json_are_a_document_a_line(vtid, stub):
    stub.jobs[JOB] = job()
    stub.connections = [[progress(1, 10), END]]
    lines = [json.loads(line) for line in vtid("jobs", "logs", JOB, "--json").out.splitlines()]
    assert [line["type"] for line in lines] == ["progress", "status"]


def test_a_lost_connection_is_taken_up_where_it_broke(vtid, stub, clip, monkeypatch):
    monkeypatch.setattr(talk, "PAUSES_S", (0.01,))
    stub.jobs[JOB] = job(status="processing")
    stub.connections = [[progress(1, 10), progress(2, 20)], [], [progress(3, 30), END]]
    follow = remote.Remote(stub.url).follow(JOB)
    seen = [next(follow) for _ in range(3)]
    stub.jobs[JOB] = job()
    seen += follow
    assert [event.seq for event in seen] == ["1", "2", "3", "9"]
    asked = [headers["Last-Event-ID"] for _, path, headers, _ in stub.seen if path.endswith("/events")]
    assert asked == ["0", "2", "2"]


def test_an_ending_that_lies_before_a_retry_is_not_the_end(stub, monkeypatch):
    monkeypatch.setattr(talk, "PAUSES_S", (0.01,))
    stub.jobs[JOB] = job(status="processing")
    stub.connections = [[(1, "status", {"status": "failed"}), progress(2, 20)], [END]]
    with remote.Remote(stub.url) as daemon:
        follow = daemon.follow(JOB)
        seen = [next(follow), next(follow)]
        stub.jobs[JOB] = job()
        seen += follow
    assert [event.seq for event in seen] == ["1", "2", "9"]


def test_patience_with_a_daemon_that_went_away_ends(stub, monkeypatch):
    monkeypatch.setattr(talk, "PAUSES_S", (0.01,))
    monkeypatch.setattr(talk, "PATIENCE_S", 0.1)
    stub.jobs[JOB] = job(status="processing")
    stub.connections = [[progress(1, 10)]]
    with remote.Remote(stub.url) as daemon:
        follow = daemon.follow(JOB)
        next(follow)
        stub.stop()
        with pytest.raises(Unavailable, match="no daemon answers"):
            list(follow)


def test_events_are_read_as_the_standard_says():
    lines = [": a comment", "", "id: 4", "event: log", 'data: {"message":', 'data: "two lines"}', "", "data:[1]", ""]
    reader = talk.Lines()
    first, second = (event for line in lines if (event := reader.take(line)))
    assert first == remote.Event("4", "log", {"message": "two lines"})
    assert second == remote.Event("", "message", {})


# --- submit


def test_submit_prints_the_id_and_nothing_else(vtid, stub, clip):
    said = vtid("submit", "lab", "clip.mp4", "-p", "size=3", "-p", "word=hello", "--name", "Mine")
    assert said.out == f"{JOB}\n"
    _, _, headers, body = stub.seen[-1]
    assert headers["Content-Length"] == str(len(body))
    assert b'{"size":3,"word":"hello"}' in body
    assert b'filename="clip.mp4"' in body
    assert b"Mine" in body


def test_submit_takes_files_beside(vtid, stub, clip, home):
    (home / "voice.wav").write_bytes(b"RIFF")
    (home / "logo.png").write_bytes(b"PNG")
    said = vtid("submit", "lab", "clip.mp4", "-i", "audio=voice.wav", "-i", "logo=logo.png")
    assert said.out == f"{JOB}\n"
    body = stub.seen[-1][-1]
    assert b'name="audio"; filename="voice.wav"' in body
    assert b'name="file_logo"; filename="logo.png"' in body
    seen = len(stub.seen)
    for given, words in (
        (["clip.mp4", "-i", "logo=none.png"], "there is no file none.png"),
        (["clip.mp4", "-i", "logo"], '"logo" is not NAME=FILE'),
        (["http://films.example/a.mp4", "-i", "logo=logo.png"], "files can go beside a file, not beside a URL"),
    ):
        refused = vtid("submit", "lab", *given)
        assert refused.code == 2
        assert words in refused.err
    assert len(stub.seen) == seen


def test_submit_wait_and_download(vtid, stub, clip, home):
    stub.jobs[JOB] = job()
    stub.connections = [[progress(1, 50), END]]
    said = vtid("submit", "lab", "clip.mp4", "--download", "out.mp4")
    assert said.code == 0
    assert "✓ All done" in said.out
    assert (home / "out.mp4").read_bytes() == stub.result
    assert "50 %  Working" in said.err
    assert not list(home.glob(".*.part"))


def test_download_into_a_folder_takes_the_results_own_name(vtid, stub, clip, home):
    stub.jobs[JOB] = job()
    said = vtid("submit", "lab", "clip.mp4", "--download", str(home), "--json")
    assert said.json["saved"] == str(home / "result.mp4")
    assert said.err == ""


def test_a_file_that_is_there_is_kept_unless_it_is_said(vtid, stub, clip, home):
    stub.jobs[JOB] = job()
    said = vtid("submit", "lab", "clip.mp4", "--download", "clip.mp4")
    assert said.code == 6
    assert stub.seen == []  # told before the upload
    (home / "result.mp4").write_bytes(b"mine")
    assert vtid("submit", "lab", "clip.mp4", "--download", str(home)).code == 6
    assert (home / "result.mp4").read_bytes() == b"mine"
    assert vtid("submit", "lab", "clip.mp4", "--download", str(home), "--overwrite").code == 0
    assert (home / "result.mp4").read_bytes() == stub.result


def test_a_download_that_breaks_off_leaves_nothing_behind(vtid, stub, clip, home):
    stub.jobs[JOB], stub.short_by = job(), 10
    said = vtid("submit", "lab", "clip.mp4", "--download", "out.mp4")
    assert said.code == 7
    assert "broke" in said.err
    assert sorted(p.name for p in home.iterdir() if p.is_file()) == ["clip.mp4", "vtid.toml"]


def test_a_job_that_fails_is_exit_code_1(vtid, stub, clip):
    stub.jobs[JOB] = job(status="failed", error={"message": "the moon is in the wrong phase"})
    said = vtid("submit", "lab", "clip.mp4", "--wait")
    assert said.code == 1
    assert "✗ failed: the moon is in the wrong phase" in said.out


def test_refusals_come_with_every_problem(vtid, stub, clip):
    errors = [{"field": "size", "message": "must be >= 1", "code": "invalid"}, {"field": "word", "message": "unknown"}]
    stub.answers["POST", "/api/v1/jobs/submit"] = problem(400, "invalid_input", "2 problems", errors)
    said = vtid("submit", "lab", "clip.mp4")
    assert said.code == 2
    assert "size: must be >= 1" in said.err
    assert "word: unknown" in said.err


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (404, "not_found", 5),
        (413, "too_large", 2),
        (422, "unreadable_media", 3),
        (507, "disk_full", 7),
        (400, "pipeline", 4),
    ],
)
def test_a_refusal_has_the_exit_code_that_it_has_on_this_machine(vtid, stub, clip, status, code, exit_code):
    stub.answers["POST", "/api/v1/jobs/submit"] = problem(status, code, "No.")
    assert vtid("submit", "lab", "clip.mp4").code == exit_code


def test_what_can_be_seen_to_be_wrong_is_told_before_anything_is_sent(vtid, stub):
    said = vtid("submit", "lab", "gone.mp4", "--download", "nowhere/out.mp4")
    assert said.code == 2
    assert "gone.mp4: there is no such file" in said.err
    assert "--download: there is no folder nowhere" in said.err
    assert stub.seen == []


# --- the key


def sent(stub, path: str) -> list[str | None]:
    return [headers.get("Authorization") for _, at, headers, _ in stub.seen if at.partition("?")[0] == path]


def test_the_key_goes_to_the_daemon_and_to_nobody_else(vtid, stub, home, monkeypatch):
    other = Stub()
    try:
        stub.jobs[JOB] = job(result_url=f"{other.url}/files/result.mp4")
        monkeypatch.setenv("VTID_API_KEY", "vtid_secret")
        (home / "clip.mp4").write_bytes(b"x")
        assert vtid("submit", "lab", "clip.mp4", "--download", "out.mp4").code == 0
        assert sent(stub, "/api/v1/jobs/submit") == ["Bearer vtid_secret"]
        assert sent(other, "/files/result.mp4") == [None]
    finally:
        other.stop()


def test_the_key_of_this_machine_stays_on_it(vtid, stub, home, monkeypatch):
    (home / "data").mkdir()
    (home / "data" / "local.key").write_text("vtid_local\n")
    assert vtid("jobs").code == 0
    assert sent(stub, "/api/v1/jobs/") == ["Bearer vtid_local"]


def test_a_url_is_handed_on_and_not_fetched(vtid, stub):
    said = vtid("submit", "lab", "https://media.example/a//b.mp4?key=1", "--callback", "https://hooks.example/x")
    assert said.code == 0
    body = json.loads(stub.seen[-1][3])
    assert body["video_url"] == "https://media.example/a//b.mp4?key=1"
    assert body["callback_url"] == "https://hooks.example/x"
