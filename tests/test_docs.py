"""The documentation cannot drift: what it shows is parsed, checked and, where it can be, run."""

import itertools
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import pytest

from vtid import config as vtid_config
from vtid import errors, hookspecs, pipelines, plugins, sdk
from vtid.cli import cli
from vtid.cli.plugins import params_of
from vtid.config import describe
from vtid.domain.pipeline import Step
from vtid.media import PyAVMedia, probe
from vtid.media.synth import draw_clip
from vtid.testing import run_step

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("plugins/*/*.md")),
]


class Block(NamedTuple):
    """A fenced block of a page: its language, the file that it says it is, its text."""

    page: Path
    line: int
    language: str
    title: str
    text: str


def blocks(*languages: str) -> list[Block]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', text, re.MULTILINE | re.DOTALL):
            line = text[: match.start()].count("\n") + 1
            found.append(Block(page, line, match[1], match[2] or "", match[3]))
    return [block for block in found if block.language in languages]


def where(page: Path, line: int) -> str:
    return f"{page.relative_to(ROOT)}:{line}"


# --- commands


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every `vtid …` that a page tells to type: in shell blocks, and between backticks."""
    for block in blocks("sh"):
        for at, line in enumerate(block.text.replace("\\\n", " ").splitlines()):
            for part in re.split(r"\s(?:&&|\|)\s", line):
                words = shlex.split(part, comments=True)
                if words and Path(words[0]).name == "vtid":
                    yield where(block.page, block.line + at + 1), words[1:]
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for match in re.finditer(r"`vtid ([a-z][^`]*)`", text):
            yield f"{page.relative_to(ROOT)}: {match[0]}", shlex.split(match[1].replace("…", ""))


COMMANDS = list(commands())


@pytest.mark.parametrize("words", [words for _, words in COMMANDS], ids=[place for place, _ in COMMANDS])
def test_the_command_exists_with_these_options(words: list[str]) -> None:
    command: click.Command = cli
    context = click.Context(cli)
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        assert found, f"there is no vtid {' '.join(words)}"
        command, rest = found, rest[1:]
    known = {option: param for param in command.params if isinstance(param, click.Option) for option in param.opts}
    given = [word for word in rest if re.match(r"^-{1,2}[a-z]", word)]
    assert not set(given) - known.keys(), f"vtid {' '.join(words)}: {command.name} has only {sorted(known)}"
    choices = [(known[a].type, b) for a, b in itertools.pairwise(rest) if a in known and not known[a].is_flag]
    for type_, value in choices:
        if isinstance(type_, click.Choice | click.types.IntParamType):
            type_.convert(value, None, None)


def test_there_are_commands_to_look_at() -> None:
    assert len(COMMANDS) > 30


@pytest.mark.parametrize("block", [b for b in blocks("sh") if "make " in b.text], ids=lambda b: where(b.page, b.line))
def test_the_make_target_exists(block: Block) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z-]+)", block.text, re.MULTILINE)) <= targets


# --- links


def headings(page: Path) -> set[str]:
    """Anchors as forges make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    words = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_internal_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in headings(target)):
            broken.append(link)
    assert not broken


def test_every_page_is_reached_from_the_readme() -> None:
    linked = set(re.findall(r"\((docs/[\w.-]+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert {p.relative_to(ROOT).as_posix() for p in ROOT.glob("docs/*")} <= linked


def test_the_picture_is_small() -> None:
    assert (ROOT / "docs/before-after.png").stat().st_size < 200_000


# --- code and pipelines


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that the documentation shows, as a reader would write it."""
    folder = tmp_path_factory.mktemp("reader")
    for block in blocks("toml", "python", "json"):
        if block.title:
            path = folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    point = '[project]\nname = "demo-cloud"\n[project.entry-points.vtid]\ndemo_cloud = "vtid_demo_cloud"\n'
    (folder / "plugins/demo_cloud/pyproject.toml").write_text(point)  # the page leaves out what is always the same
    return folder


@pytest.fixture(scope="module")
def loaded(documented: Path) -> plugins.Plugins:
    dirs = (documented / "plugins", ROOT / "plugins")
    (documented / "empty.toml").touch()
    settings = {"plugins.dirs": dirs}
    return plugins.load(vtid_config.load(documented / "empty.toml", {}, overrides=settings))


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda b: where(b.page, b.line))
def test_toml_parses(block: Block) -> None:
    tomllib.loads(block.text)


@pytest.mark.parametrize("block", blocks("json"), ids=lambda b: where(b.page, b.line))
def test_json_parses(block: Block) -> None:
    msgspec.json.decode(block.text)


def test_the_pipelines_shown_are_right(documented: Path, loaded: plugins.Plugins) -> None:
    found = {r.name: r for r in pipelines.load([documented / "config/pipelines"], loaded).records}
    shown = [Path(b.title).stem for b in blocks("toml") if b.title.startswith("config/pipelines/")]
    assert len(shown) >= 2
    assert {name: found[name].problems for name in shown} == {name: [] for name in shown}
    assert all(found[name].ready for name in shown)


def test_every_key_of_a_step_is_told() -> None:
    page = (ROOT / "docs/pipelines.md").read_text(encoding="utf-8")
    untold = [f.encode_name for f in msgspec.structs.fields(Step) if f"\n| `{f.encode_name}` |" not in page]
    assert not untold


def test_the_plugins_shown_load(loaded: plugins.Plugins) -> None:
    assert loaded.record("demo_bar").status is plugins.Status.ENABLED, loaded.record("demo_bar").reason
    cloud = loaded.record("demo_cloud")
    assert (cloud.status, cloud.reason) == (plugins.Status.NOT_READY, "set api_key in [plugins.demo_cloud]")


def test_the_first_plugin_does_what_it_says(loaded: plugins.Plugins, tmp_path: Path) -> None:
    draw_clip(tmp_path / "in.mp4", seconds=0.4, width=160, height=90)
    outputs = run_step(loaded.step("demo_bar.add"), tmp_path, inputs={"video": tmp_path / "in.mp4"})
    assert probe(outputs.video.path).video[0].frames == probe(tmp_path / "in.mp4").video[0].frames
    frame = next(iter(PyAVMedia(threads=1).frames(outputs.video.path)))
    assert abs(int(frame.luma((0, 60, 160, 90)).mean()) - 16) <= 2


def test_the_test_shown_passes(documented: Path, loaded: plugins.Plugins, tmp_path: Path) -> None:
    assert loaded.record("demo_bar").usable  # which has imported the module that the test imports
    names: dict[str, Any] = {}
    exec((documented / "plugins/demo_bar/tests/test_bar.py").read_text(), names)
    names["test_the_bar_is_painted"](tmp_path)


def test_the_sdk_shown_exists() -> None:
    imported = {
        name.strip()
        for block in blocks("python")
        for names in re.findall(r"^from vtid\.sdk import (.+)$", block.text, re.MULTILINE)
        for name in names.split(",")
    }
    assert imported
    assert imported <= set(sdk.__all__)


# --- facts that the code knows better


def test_every_hook_is_documented() -> None:
    page = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    hooks = [name for name, value in vars(hookspecs).items() if hasattr(value, f"{sdk.NAMESPACE}_spec")]
    assert hooks
    assert [name for name in hooks if f"`{name}(" not in page] == []


def test_every_plugin_status_is_documented() -> None:
    page = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    assert [s.value for s in plugins.Status if f"\n| `{s.value}` |" not in page] == []


def test_everything_of_the_context_is_documented() -> None:
    page = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    methods = [name for name, value in vars(sdk.Context).items() if callable(value) and not name.startswith("_")]
    assert [name for name in methods if f"ctx.{name}(" not in page] == []


def test_the_exit_codes_are_those_of_the_errors() -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    table = page[page.index("## Exit codes") :]
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    known = {e.exit_code for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.VtidError)}
    assert told == known | {0, 130, 141}


def test_every_status_of_an_error_is_documented() -> None:
    page = (ROOT / "docs/http.md").read_text(encoding="utf-8")
    table = page[page.index("## Errors") :]
    told = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for code in row.split(",")}
    known = {e.status for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.VtidError)}
    assert known - {500} <= told


def settings_page() -> str:
    """What docs/configuration.md has to say of each section: its table."""
    tables = []
    for section, settings in itertools.groupby(describe(), key=lambda setting: setting.section):
        rows = [f"| `{s.key}` | `{_toml(s.default)}` | {s.description} |" for s in settings]
        tables.append("\n".join([f"## [{section}]", "", "| key | default | |", "|---|---|---|", *rows]))
    return "\n\n".join(tables)


def _toml(value: Any) -> str:
    return msgspec.json.encode("" if value is None else value, enc_hook=str).decode().replace('","', '", "')


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    wanted = settings_page()
    assert wanted in page, f"docs/configuration.md has to hold:\n\n{wanted}"


@pytest.mark.parametrize(
    ("step", "page"),
    [
        ("inpaint_local.remove", "docs/text-removal.md"),
        ("inpaint_ghostcut.remove", "plugins/inpaint_ghostcut/README.md"),
    ],
)
def test_the_params_of_text_removal_are_documented(loaded: plugins.Plugins, step: str, page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for param in params_of(loaded.specs[step]):
        default = "–" if param["default"] is None else f"`{_toml(param['default'])}`"
        assert f"| `{param['name']}` | {default} | {param['description']}" in text


def test_the_settings_of_ghostcut_are_documented(loaded: plugins.Plugins) -> None:
    text = (ROOT / "plugins/inpaint_ghostcut/README.md").read_text(encoding="utf-8")
    schema = msgspec.json.schema(type(loaded.settings("inpaint_ghostcut")))
    for name, about in next(iter(schema["$defs"].values()))["properties"].items():
        row = f"| `{name}` | `{_toml(about['default'])}` | {about['description']} |"
        assert row in text, f"plugins/inpaint_ghostcut/README.md has to hold:\n\n{row}"


def test_the_way_through_names_what_is_there() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    doors = re.findall(r"`((?:vtid|plugins)/[\w/]+\.py): ([\w.]+)`", page)
    assert len(doors) > 15
    for path, name in doors:
        text = (ROOT / path).read_text(encoding="utf-8")
        owner, _, method = name.rpartition(".")
        assert re.search(rf"^(async )?def {method}\b|^ +(async )?def {method}\b", text, re.MULTILINE), f"{path}: {name}"
        assert not owner or re.search(rf"^class {owner}\b", text, re.MULTILINE), f"{path}: {name}"


def test_the_tree_is_the_tree() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    tree = page[page.index("## The tree") : page.index("## The rules")]
    named = set(re.findall(r"^  ([\w.]+)/?  ", tree, re.MULTILINE))
    there = {p.name for p in (ROOT / "vtid").iterdir() if not p.name.startswith(("_", ".")) and p.name != "py.typed"}
    there = {name for name in there if (ROOT / "vtid" / name).is_file() or any((ROOT / "vtid" / name).glob("*.py"))}
    assert named == there - {"logs.py", "resources.py"}


def test_nothing_points_out_of_the_repository() -> None:
    for page in PAGES:
        assert not re.search(r"/(?:home|root)/", page.read_text(encoding="utf-8")), page
