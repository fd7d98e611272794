"""The entry point: help, bad use, exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vtid.cli import COMMANDS

ROOT = Path(__file__).parents[2]


def program(*args: str, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *python, "-m", "vtid.cli", *args]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_help_names_every_command_and_imports_little():
    done = program("--help", python=("-X", "importtime"))
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "vtid.cli" in imported
    assert not imported & {"sqlalchemy", "litestar", "av", "numpy", "httpx", "vtid.app"}


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
