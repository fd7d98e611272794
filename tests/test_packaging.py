"""The wheel: what is in it, and that vtid works from it away from the repository."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from vtid.media import probe
from vtid.media.synth import draw_clip, lines
from vtid.simulators import SIMULATORS
from vtid_inpaint_local import compiled

ROOT = Path(__file__).resolve().parent.parent
SUBTITLES = list(lines(["Read this"], each_s=2.0))
PLUGINS = ("compose_ffmpeg", "inpaint_ghostcut", "inpaint_local", "lipsync_syncso")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the backend that pyproject.toml names, without asking an index."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    return next(folder.glob("*.whl"))


class Installed(NamedTuple):
    """The wheel's vtid."""

    run: Callable[..., subprocess.CompletedProcess[str]]
    folder: Path
    """In which it runs."""


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Call the vtid of the wheel, in an environment of its own and an empty folder.

    What vtid depends on comes from the environment of the tests, which spares an installation of half a gigabyte;
    vtid itself cannot, since what an environment's own folder has comes first, and it has the wheel's.
    """
    home = tmp_path_factory.mktemp("away")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / "venv"], check=True)
    paths = sysconfig.get_paths(vars={"base": str(home / "venv"), "platbase": str(home / "venv")})
    site = Path(paths["purelib"])
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"])
    work = home / "work"
    work.mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("VTID_", "PYTHON"))}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [home / "venv/bin/python", "-P", "-m", "vtid.cli", *map(str, arguments)]
        return subprocess.run(command, cwd=work, env=env, capture_output=True, text=True, check=False, timeout=240)

    return Installed(run, work)


def said(done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON that a command wrote, once it went well."""
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def test_the_wheel_has_what_it_needs(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {
        "vtid/py.typed",
        "vtid/db/migrations/env.py",
        "vtid/db/migrations/script.py.mako",
        "vtid/db/migrations/versions/0001_first_tables.py",
        "vtid/shipped/vtid.toml",
        *(f"vtid/shipped/pipelines/{file.name}" for file in ROOT.glob("config/pipelines/*.toml")),
        *(f"vtid_{plugin}/__init__.py" for plugin in PLUGINS),
    } <= set(names)


def test_the_wheel_has_compiled_loops_where_there_is_a_compiler(wheel: Path) -> None:
    """And says for which machines it is then."""
    has = "vtid_inpaint_local/_kernels.so" in zipfile.ZipFile(wheel).namelist()
    assert has == (shutil.which(os.environ.get("CC", "cc")) is not None)
    assert wheel.name.endswith("-py3-none-any.whl") != has


def test_setup_can_tell_whether_the_loops_are_compiled() -> None:
    (asks,) = re.findall(r"bin/python\" -c '([^']*inpaint_local[^']*)'", (ROOT / "scripts/setup").read_text())
    said = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (int(compiled.library is None), "")


def test_the_wheel_has_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"vtid", *(f"vtid_{plugin}" for plugin in PLUGINS), f"{wheel.name.rpartition('-py3')[0]}.dist-info"}
    assert [n for n in names if re.search(r"(^|/)(tests?|__pycache__|\.[^/]*)(/|$)|\.py[co]$|conftest", n)] == []


def test_every_source_file_is_in_the_wheel(wheel: Path) -> None:
    sources = [p.relative_to(ROOT) for p in ROOT.glob("vtid/**/*") if p.is_file() and "__pycache__" not in p.parts]
    for plugin in PLUGINS:
        src = ROOT / "plugins" / plugin / "src"
        sources += [p.relative_to(src) for p in src.rglob("*.py")]
    missing = {path.as_posix() for path in sources} - set(zipfile.ZipFile(wheel).namelist())
    assert not missing


def test_the_wheel_has_a_licence_and_a_command(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    text = {name.rpartition("/")[2]: archive.read(name).decode() for name in archive.namelist() if "dist-info" in name}
    assert "License-Expression: Apache-2.0" in text["METADATA"]
    assert "Apache License" in text["LICENSE"]
    assert "vtid = vtid.cli:main" in text["entry_points.txt"]


def test_the_wheels_own_files_are_used(installed: Installed) -> None:
    (pipeline,) = (row for row in said(installed.run("pipelines", "--json")) if row["name"] == "remove-text")
    assert pipeline["status"] == "ready"
    assert str(ROOT) not in pipeline["file"]
    assert "vtid/shipped/pipelines" in pipeline["file"]


def test_its_plugins_come_along(installed: Installed) -> None:
    status = {row["name"]: row["status"] for row in said(installed.run("plugins", "--json"))}
    assert set(status) == set(PLUGINS)
    assert status["inpaint_local"] == "enabled"


@pytest.mark.parametrize("service", SIMULATORS)
def test_it_simulates_services(installed: Installed, service: str) -> None:
    assert "hold" in said(installed.run("simulate", service, "--moods", "--json"))


def test_it_checks_out(installed: Installed) -> None:
    assert said(installed.run("check", "--json"))["problems"] == []


def test_it_removes_text(installed: Installed) -> None:
    draw_clip(installed.folder / "in.mp4", seconds=2.5, width=320, height=180, subtitles=SUBTITLES)
    row = said(installed.run("run", "remove-text", "in.mp4", "-o", "out.mp4", "--json"))
    assert row["status"] == "completed"
    assert row["metadata"]["clean"]["report"]["events"]
    assert probe(installed.folder / "out.mp4").video[0].width == 320
