"""Pipelines from folders, with what is wrong with them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import Struct

from vtid import pipelines, resources
from vtid.domain.step import Port, StepSpec
from vtid.errors import NotFound, PipelineError, Unavailable
from vtid.plugins import PluginRecord, Plugins, Status


class Params(Struct):
    radius: int = 5


def plugin(name: str, status: Status, reason: str = "") -> PluginRecord:
    port = (Port("video", "video"),)
    spec = StepSpec(f"{name}.do", name, "", Params, port, port)
    known = status in (Status.ENABLED, Status.NOT_READY)
    return PluginRecord(name=name, status=status, reason=reason, specs={spec.name: spec} if known else {})


PLUGINS = Plugins(
    [
        plugin("good", Status.ENABLED),
        plugin("cloud", Status.NOT_READY, "set a key"),
        plugin("broken", Status.UNAVAILABLE, "it needs torch"),
    ]
)


def text(name: str, uses: str = "good.do", more: str = "", title: str = "") -> str:
    return f'[pipeline]\nname = "{name}"\ntitle = "{title or name}"\n[[step]]\nid = "a"\nuses = "{uses}"\n{more}'


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of the shipped pipelines."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    monkeypatch.setattr(resources, "pipelines_dir", lambda: folder)
    return folder


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, content: str) -> Path:
        folder = tmp_path / "own"
        folder.mkdir(exist_ok=True)
        file = folder / f"{name}.toml"
        file.write_text(content, encoding="utf-8")
        return file

    return write


@pytest.fixture
def load(tmp_path: Path) -> Callable[[], pipelines.Pipelines]:
    return lambda: pipelines.load([tmp_path / "own", tmp_path / "not-there"], PLUGINS)


def test_a_pipeline_that_works(write: Callable[[str, str], Path], load: Callable[[], pipelines.Pipelines]) -> None:
    file = write("mine", text("mine", title="My own"))
    found = load()
    [record] = found.records
    assert (record.name, record.file, record.title, record.ready) == ("mine", file, "My own", True)
    assert found.get("mine") is record.pipeline


def test_the_operators_file_wins(
    write: Callable[[str, str], Path], load: Callable[[], pipelines.Pipelines], shipped: Path
) -> None:
    (shipped / "both.toml").write_text(text("both", title="Shipped"))
    (shipped / "other.toml").write_text(text("other"))
    write("both", text("both", title="Own"))
    assert [(r.name, r.title) for r in load().records] == [("both", "Own"), ("other", "other")]


def test_a_name_that_nobody_has(write: Callable[[str, str], Path], load: Callable[[], pipelines.Pipelines]) -> None:
    with pytest.raises(NotFound, match=r'no pipeline "remove-txt"; there are: none'):
        load().get("remove-txt")
    write("remove-text", text("remove-text"))
    with pytest.raises(NotFound, match=r'no pipeline "remove-txt"; did you mean "remove-text"\?'):
        load().get("remove-txt")


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        ("[pipeline", "", "not valid TOML"),
        (text("other"), "pipeline.name", '"other" must be the name of its file, "mine"'),
        (text("mine", "good.undo"), "step.a.uses", 'did you mean "good.do"?'),
        (text("mine", "nobody.do"), "step.a.uses", 'there is no step "nobody.do"'),
        (text("mine", more="with = { radius = 'x' }"), "step.a.with.radius", "must be a whole number"),
    ],
)
def test_a_broken_pipeline(
    write: Callable[[str, str], Path],
    load: Callable[[], pipelines.Pipelines],
    content: str,
    field: str,
    message: str,
) -> None:
    file = write("mine", content)
    write("good", text("good"))
    found = load()
    assert found.get("good")
    with pytest.raises(PipelineError, match="Pipeline mine has 1 problem") as caught:
        found.get("mine")
    [problem] = caught.value.problems
    assert (problem.field, problem.file) == (field, str(file))
    assert message in problem.message
    assert not found.record("mine").ready


def test_a_file_that_is_not_text(write: Callable[[str, str], Path], load: Callable[[], pipelines.Pipelines]) -> None:
    write("mine", "").write_bytes(b"\xff\xfe")
    [problem] = load().record("mine").problems
    assert "cannot be read" in problem.message


@pytest.mark.parametrize(
    ("uses", "reason"),
    [
        ("cloud.do", "plugin cloud is not ready: set a key"),
        ("broken.anything", "plugin broken is unavailable: it needs torch"),
    ],
)
def test_a_pipeline_whose_plugin_cannot_work(
    write: Callable[[str, str], Path], load: Callable[[], pipelines.Pipelines], uses: str, reason: str
) -> None:
    write("mine", text("mine", uses))
    found = load()
    assert (found.record("mine").problems, found.record("mine").unavailable) == ([], reason)
    with pytest.raises(Unavailable, match=f"Pipeline mine cannot run: {reason}"):
        found.get("mine")


def test_a_broken_file_is_said_to_be_broken_even_where_its_plugin_cannot_work(
    write: Callable[[str, str], Path], load: Callable[[], pipelines.Pipelines]
) -> None:
    write("mine", text("mine", "broken.do", more="progress = [5, 1]"))
    with pytest.raises(PipelineError, match="must rise"):
        load().get("mine")


def test_where_the_shipped_files_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    assert (resources.pipelines_dir() / "remove-text.toml").is_file()
    assert resources.presets_dir().is_dir()
    assert resources.config_file().is_file()
    wheel = tmp_path / "vtid" / "shipped"
    wheel.mkdir(parents=True)
    monkeypatch.setattr(resources, "_SHIPPED", wheel)
    assert resources.pipelines_dir() == wheel / "pipelines"
    assert resources.presets_dir() == wheel / "presets"
    assert resources.config_file() == wheel / "vtid.toml"
