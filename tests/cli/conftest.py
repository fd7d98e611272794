"""The command line as a shell sees it: arguments in; exit code, standard output and standard error out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from vtid.cli import main

LAB = Path(__file__).parent.parent / "lab"


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a vtid.toml that knows the lab's plugin and a folder of pipelines."""
    (tmp_path / "pipes").mkdir()
    # The shipped pipelines need plugins that the lab has not.
    monkeypatch.setattr("vtid.resources.pipelines_dir", lambda: tmp_path / "nothing-shipped")
    (tmp_path / "vtid.toml").write_text(
        f'plugins.dirs = ["{LAB}"]\npipelines.dirs = ["pipes"]\nlimits.min_free_disk_mb = 1\n'
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def vtid(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run a command in this process, through the real entry point."""

    def run(*args: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["vtid", *args])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0, *capsys.readouterr())

    return run


@pytest.fixture
def pipe(home: Path) -> Callable[[str, str], Path]:
    """Write a pipeline file."""

    def write(name: str, text: str) -> Path:
        path = home / "pipes" / f"{name}.toml"
        path.write_text(f'[pipeline]\nname = "{name}"\n{text}')
        return path

    return write


@pytest.fixture
def plugin(home: Path) -> Callable[[str, str], Path]:
    """Write a plugin into a folder that vtid.toml then names too."""

    def write(name: str, code: str) -> Path:
        folder = home / "more" / name
        package = folder / "src" / f"vtid_{name}"
        package.mkdir(parents=True)
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "vtid-{name}"\nversion = "2.5"\n[project.entry-points.vtid]\n{name} = "vtid_{name}"\n'
        )
        (package / "__init__.py").write_text(code)
        file = home / "vtid.toml"
        file.write_text(file.read_text().replace(f'["{LAB}"]', f'["{LAB}", "more"]'))
        return folder

    return write
