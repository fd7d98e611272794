from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulators.card import Card
from vtid import config
from vtid.cli import doctor

REPOSITORY = Path(__file__).parents[2]


def test_doctor_finds_this_machine_well(vtid):
    said = vtid("doctor", "--json")
    facts = {fact["name"]: fact for fact in said.json["facts"]}
    assert said.json["ok"] is (said.code == 0)
    for name in (
        "vtid",
        "Python",
        "PyAV",
        "FFmpeg",
        "OpenCV",
        "encoders",
        "processors",
        "memory",
        "open files",
        "clock",
    ):
        assert facts[name]["state"] == "ok", facts[name]
    assert "libx264" in facts["encoders"]["value"]
    assert "libavcodec" in facts["FFmpeg"]["value"]


def test_doctor_in_words_says_what_follows(vtid, monkeypatch):
    monkeypatch.setattr(doctor, "LIBRARIES", {"no_such_module": ("Spoon", "soup cannot be eaten", False)})
    said = vtid("doctor")
    assert said.code == 1
    assert "✗ Spoon" in said.out
    assert "→ soup cannot be eaten" in said.out
    assert "Missing: Spoon." in said.out


def test_an_optional_library_that_is_not_there_is_a_note(monkeypatch):
    monkeypatch.setattr(doctor, "LIBRARIES", {"no_such_module": ("Spoon", "a fork will do", True)})
    (fact,) = doctor.library("no_such_module")
    assert (fact.state, fact.value, fact.meaning) == ("note", "–", "a fork will do")


def test_a_library_that_crashes_the_interpreter_does_not_take_the_doctor_along(monkeypatch):
    monkeypatch.setattr(doctor, "LIBRARIES", {"boom": ("Boom", "no boom", False)})
    monkeypatch.setattr(doctor, "_PROBE", "import os; os.kill(os.getpid(), 11)")
    (fact,) = doctor.library("boom")
    assert fact.state == "missing"
    assert "signal 11" in fact.value


def test_missing_encoders():
    facts = {fact.name: fact for fact in doctor.encoder_facts(lambda: {"libx264": False, "libx265": True})}
    assert facts["encoder libx264"].state == "missing"
    assert facts["encoder libsvtav1"].state == "note"
    assert "encoder libx265" not in facts


def test_a_configuration_with_problems_is_told_and_the_rest_goes_on(vtid, home):
    (home / "vtid.toml").write_text("[server]\nprt = 1\n")
    said = vtid("doctor", "--json")
    facts = {fact["name"]: fact for fact in said.json["facts"]}
    assert said.code == 1
    assert "vtid check" in facts["configuration"]["value"]
    assert "data folder" in facts


@pytest.mark.parametrize(("hours", "state"), [(0, "ok"), (-12, "ok"), (-48, "missing")])
def test_a_clock_behind_our_own_files_is_wrong(hours, state):
    assert doctor.clock(1_800_000_000 + hours * 3600, 1_800_000_000).state == state


def test_a_folder_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").touch()
    fact = doctor.disk("data folder", tmp_path / "file" / "data")
    assert fact.state == "missing"
    assert doctor.disk("data folder", tmp_path / "not" / "yet").state in ("ok", "note")


def test_as_a_program(tmp_path: Path):
    """The real thing in a process of its own: nothing but JSON on standard output."""
    import json

    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "vtid.cli", "doctor", "--json"], capture_output=True, text=True, cwd=root, check=False
    )
    assert {fact["name"] for fact in json.loads(done.stdout)["facts"]} >= {"vtid", "Python"}
    assert done.returncode in (0, 1)


def access(tmp_path, **env):
    return {f.name: f for f in doctor.access_facts(config.load(None, {"VTID_DATA_PATH": str(tmp_path)} | env))}


def test_who_can_reach_the_daemon(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert access(tmp_path)["address"].state == "ok"
    assert access(tmp_path)["callbacks"].state == "note"
    near = {"VTID_SERVER_PUBLIC_URL": "http://127.0.0.1:8750"}
    assert "net.allow" in access(tmp_path, **near)["callbacks"].meaning
    assert access(tmp_path, **near, VTID_NET_ALLOW="127.0.0.1")["callbacks"].state == "ok"
    network = access(tmp_path, VTID_SERVER_HOST="0.0.0.0")["address"]
    assert (network.state, "in the clear" in network.meaning) == ("note", True)
    safe = access(tmp_path, VTID_SERVER_HOST="0.0.0.0", VTID_SERVER_PUBLIC_URL="https://media.example.org")
    assert safe["address"].state == "ok"
    weak = access(tmp_path, JWT_SECRET_KEY="secret")["token secret"]
    assert (weak.state, weak.meaning) == ("note", "it has 6 characters and needs 32; fine on this machine only")


def test_files_that_are_nobody_elses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert access(tmp_path)["key of this machine"].state == "note"
    for name in ("local.key", "secret.key"):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(0o600)
    assert access(tmp_path)["key of this machine"].state == "ok"
    (tmp_path / "secret.key").chmod(0o644)
    told = access(tmp_path)["secret"]
    assert (told.state, "chmod 600" in told.meaning) == ("missing", True)


@pytest.mark.parametrize(
    ("moods", "state", "value", "meaning"),
    [
        ({"points": 12.5}, "ok", "12.5 points left", ""),
        ({"points": 0}, "missing", "The GhostCut account has no points left.", "Buy points"),
        ({"secret": "another"}, "missing", "does not accept the signature", "Check GHOSTCUT_APP_SECRET"),
    ],
)
def test_accounts_at_services_are_asked(tmp_path, moods, state, value, meaning):
    from vtid.simulators.ghostcut import GhostCut

    with GhostCut(tmp_path) as service:
        env = service.environment()
        service.change(moods)
        facts = {fact.name: fact for fact in doctor.plugin_facts(config.load(REPOSITORY / "vtid.toml", env))}
    fact = facts["account of inpaint_ghostcut"]
    assert fact.state == state
    assert value in fact.value
    assert meaning in fact.meaning


def test_an_account_that_cannot_be_asked_is_a_note(tmp_path):
    env = {"GHOSTCUT_API_KEY": "k", "GHOSTCUT_APP_SECRET": "s", "GHOSTCUT_API_URL": "http://127.0.0.1:1"}
    facts = {fact.name: fact for fact in doctor.plugin_facts(config.load(REPOSITORY / "vtid.toml", env))}
    fact = facts["account of inpaint_ghostcut"]
    assert (fact.state, fact.meaning) == ("note", "jobs that need it wait until it answers")
    fact = doctor.account_fact("odd", lambda: {}["x"])
    assert (fact.state, "vtid_account" in fact.meaning) == ("note", True)


def test_how_encoders_of_cards_stand(tmp_path: Path):
    card = Card(tmp_path / "card")

    def facts(**encoders: object) -> dict[str, doctor.Fact]:
        usual = {"path": str(tmp_path / "known"), "ffmpeg": str(card.ffmpeg), "rest_after": 1}
        over = {f"encoders.{name}": value for name, value in (usual | encoders).items()}
        plugins = {"plugins.dirs": (card_plugins,)}
        return {one.name: one for one in doctor.card_facts(config.load(None, {}, overrides=over | plugins))}

    card_plugins = card.plugin(tmp_path)
    fact = facts()["encoder h264_card"]
    assert fact.state == "ok"
    assert fact.value.startswith(f"works on {card.device}, ")
    card.be("fails")
    card.ffmpeg.write_text(card.ffmpeg.read_text() + "# another version\n")
    fact = facts()["encoder h264_card"]
    assert (fact.state, fact.value) == ("note", f"fails on {card.device}")
    assert "libva error" in fact.meaning
    assert facts(hardware="off")["encoders of cards"].value == "off"
    card.device.unlink()
    assert facts()["encoders of cards"].value == "none"
