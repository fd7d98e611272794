"""The demo: what it proves, how it behaves when its daemon does not, and (slow) the whole way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import PATIENCE_S
from vtid.cli import demo, proof
from vtid.errors import Unavailable
from vtid.media import remux
from vtid.media.compare import compare
from vtid.media.synth import Subtitle, draw_clip

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same clip with and without a subtitle."""
    folder = tmp_path_factory.mktemp("clips")
    dirty, clean = folder / "dirty.mp4", folder / "clean.mp4"
    subtitle = Subtitle("What is written here", 0.2, 1.8, size=0.1)
    draw_clip(dirty, seconds=2, width=480, height=270, fps=10, subtitles=[subtitle], clean_path=clean)
    return dirty, clean


def test_texts_are_counted(clips):
    dirty, clean = proof.count_texts(clips)
    assert dirty.frames == clean.frames == 4
    assert dirty.boxes >= 3
    assert clean.boxes == 0


def test_a_landscape_that_is_taken_for_a_page_is_no_text():
    class Engine:
        def __call__(self, *_, **__):
            class Got:
                boxes = np.array([[[0, 0], [99, 0], [99, 90], [0, 90]], [[5, 5], [60, 5], [60, 15], [5, 15]]], float)
                scores = (0.7, 0.7)

            return Got()

    assert proof._boxes(Engine(), np.zeros((100, 100, 3), np.uint8)) == 1


def test_two_files_are_compared(clips, tmp_path):
    dirty, clean = clips
    same = compare(dirty, clean)
    assert same.same_frames
    assert same.same_duration
    assert same.same_audio
    assert same.before.frames == 20
    assert same.before.audio_packets > 10


def test_sound_that_only_moved_to_another_container_is_the_same(clips, tmp_path):
    moved = tmp_path / "moved.mkv"
    remux(clips[0], moved)
    found = compare(clips[0], moved)
    assert found.same_audio
    assert found.same_frames


def test_a_shorter_clip_without_sound_is_not_the_same(clips, tmp_path):
    short = tmp_path / "short.mp4"
    draw_clip(short, seconds=1, width=480, height=270, fps=10, audio=False)
    different = compare(clips[0], short)
    assert not different.same_frames
    assert not different.same_duration
    assert not different.same_audio


def test_a_result_that_still_has_its_text_is_not_verified(clips):
    report = {"events": [1], "residual": 0, "verified": True}
    found = {c.name: c.holds for c in proof.claims(clips[0], clips[0], {"metadata": {"clean": {"report": report}}})}
    assert found["text is there before"]
    assert not found["text is gone after"]
    assert found["the job's own report agrees"]


@pytest.mark.parametrize("metadata", [{}, {"clean": {"report": {"events": [], "residual": 0, "verified": True}}}])
def test_a_job_that_removed_nothing_does_not_agree(metadata):
    assert not proof._reported({"metadata": metadata}).holds


def test_a_daemon_that_does_not_come_up_has_its_last_words_told(tmp_path):
    log = tmp_path / "log"
    log.write_text("the words before the end")
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(Unavailable, match="the words before the end"):
        demo._healthy(process, log)


def test_the_address_is_read_from_the_log(tmp_path):
    log = tmp_path / "log"
    line = json.dumps({"message": "listening", "metadata": {"url": "http://127.0.0.1:4567"}})
    log.write_text(f'not json\n[1]\n{{"message": "x"}}\n{line}\n{{"message": "torn')
    assert demo._address(log) == "http://127.0.0.1:4567"


def test_a_daemon_that_will_not_stop_is_ended(monkeypatch):
    monkeypatch.setattr(demo, "STOP_S", 0.3)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE)
    assert process.stdout
    with process.stdout:
        process.stdout.readline()
        demo._stop(process)
    assert process.returncode == -signal.SIGKILL


def demo_process(tmp_path: Path, *args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "vtid.cli", "demo", "--out", str(tmp_path / "out"), "--seconds", "3", *args]
    env = os.environ | {"TMPDIR": str(tmp_path), "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/never"}
    return subprocess.Popen(command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.slow
def test_the_whole_way(tmp_path):
    process = demo_process(tmp_path, "--json")
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, out + err
    told = json.loads(out)
    assert told["ok"] is True
    assert all(claim["holds"] for claim in told["claims"])
    assert Path(told["clean"]).stat().st_size > 10_000
    assert Path(told["picture"]).read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob("vtid-demo-*"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_giving_up_half_way_leaves_nothing_behind(tmp_path, number):
    process = demo_process(tmp_path)
    assert process.stdout
    while "over HTTP at" not in (line := process.stdout.readline()):
        assert line, process.stderr and process.stderr.read()
    url = line.split()[-1]
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, out + err
    assert not list(tmp_path.glob("vtid-demo-*"))
    done = subprocess.run(
        [sys.executable, "-m", "vtid.cli", "jobs", "--url", url], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 7
