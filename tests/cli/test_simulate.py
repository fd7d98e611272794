"""`vtid simulate`: a service in the cloud, on this machine."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import httpx
import pytest

from tests.conftest import PATIENCE_S
from vtid.simulators import SIMULATORS


@pytest.mark.parametrize("service", [*SIMULATORS])
def test_a_simulator_runs_until_it_is_told_to_end(service):
    command = [sys.executable, "-m", "vtid.cli", "simulate", service, "--mood", "seconds=9", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        text = ""
        while not text.endswith("}\n") or text.count("{") != text.count("}"):
            text += process.stdout.readline()
            assert process.poll() is None
        told = json.loads(text)
        assert told["environment"]
        facts = httpx.get(f"{told['url']}/simulator", trust_env=False).json()
        assert (facts["moods"]["seconds"], facts["ledger"]) == (9.0, [])
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_what_it_can_be_made_to_do_is_listed(vtid):
    said = vtid("simulate", "syncso", "--moods")
    assert said.code == 0
    assert "hold = false" in said.out
    assert "No generation ends" in said.out
    assert "One of: forged, late, never, old, once, twice." in said.out


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        ("secnds=1", 'did you mean "seconds"'),
        ("seconds", "NAME=VALUE"),
        ("outcome=GONE", "one of: CANCELED, COMPLETED"),
    ],
)
def test_a_mood_that_is_none_is_refused(vtid, mood, words):
    said = vtid("simulate", "syncso", "--mood", mood)
    assert said.code == 2
    assert words in said.err
