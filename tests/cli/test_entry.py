"""The entry point: help, bad use, exit codes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from vtid.cli import COMMANDS

ROOT = Path(__file__).parents[2]


def program(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vtid.cli", *args], capture_output=True, text=True, cwd=ROOT, check=False
    )


def test_help_names_every_command_and_is_instant():
    started = time.monotonic()
    done = program("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("name", [*COMMANDS])
def test_each_command_has_help(vtid, name):
    pytest.importorskip("vtid.web") if name == "serve" else None
    said = vtid(name, "--help")
    assert said.code == 0
    assert "Usage:" in said.out


def test_a_command_that_is_not_there(vtid):
    said = vtid("pipline")
    assert said.code == 2
    assert 'did you mean "pipelines"?' in said.err


def test_an_exit_code_that_a_command_chose_reaches_the_shell(tmp_path):
    (tmp_path / "vtid.toml").write_text("[server]\nprt = 1\n")
    done = program("--config", str(tmp_path / "vtid.toml"), "check")
    assert done.returncode == 4
    assert 'did you mean "port"?' in done.stdout


def test_errors_as_json(tmp_path):
    (tmp_path / "vtid.toml").write_text("[server]\nprt = 1\n")
    done = program("--config", str(tmp_path / "vtid.toml"), "plugins", "--json")
    assert done.returncode == 4
    assert '"code": "configuration"' in done.stdout
