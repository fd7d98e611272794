"""Plugins in real folders: what loads, and every way to fail alone."""

import ast
import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.conftest import PATIENCE_S
from vtid import config, plugins
from vtid.domain.step import VALUE, Port
from vtid.errors import NotFound, Unavailable
from vtid.plugins import PluginRecord, Plugins, Status

REPOSITORY = Path(__file__).parent.parent
STEP = '''
"""Does a thing."""
from vtid.sdk import *

class Params(Struct):
    size: Annotated[int, Meta(ge=1)] = 1
class Inputs(Struct):
    video: Video
class Outputs(Struct):
    video: Video
class Do(Step):
    """Do the thing."""
    name = "{name}.do"
    def run(self, ctx: Context, params: Params, inputs: Inputs) -> Outputs: ...

@hookimpl
def vtid_steps():
    return [Do]
'''
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def tidy() -> Iterator[None]:
    """What a test imported is forgotten."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in sys.modules.keys() - modules:
        if name.startswith("tp_"):
            del sys.modules[name]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., str]:
    """Writes a plugin's folder and gives its module's name."""

    def write(name: str, code: str = STEP, *, module: str = "", pyproject: str | None = None, src: bool = True) -> str:
        module = module or f"tp_{name}_{next(_numbers)}"
        folder = tmp_path / name
        root = folder / "src" if src else folder
        root.mkdir(parents=True)
        (root / f"{module}.py").write_text(dedent(code).replace("{name}", name))
        if pyproject is None:
            pyproject = f'[project]\nname = "x"\nversion = "1.2"\n[project.entry-points.vtid]\n{name} = "{module}"\n'
        (folder / "pyproject.toml").write_text(pyproject)
        return module

    return write


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Plugins]:
    def load(*, entry_points: tuple[EntryPoint, ...] = (), **settings: Any) -> Plugins:
        flags = {"plugins.dirs": [str(tmp_path)]} | {f"plugins.{k}": v for k, v in settings.items()}
        return plugins.load(config.load(None, {}, overrides=flags), entry_points=entry_points)

    return load


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))


def only(found: Plugins) -> PluginRecord:
    [record] = found.records
    return record


# --- what works


def test_inputs_and_outputs_may_be_many_files(
    make: Callable[..., str], load: Callable[..., Plugins], tmp_path: Path
) -> None:
    many = STEP.replace("    video: Video\nclass Outputs", "    videos: dict[str, Video]\nclass Outputs")
    make("bar", many)
    assert load().specs["bar.do"].inputs == (Port("videos", "video", many=True),)
    make(
        "baz",
        STEP.replace("class Outputs(Struct):\n    video: Video", "class Outputs(Struct):\n    all: dict[str, Video]"),
    )
    assert load().specs["baz.do"].outputs == (Port("all", "video", many=True),)


def test_a_folder_is_a_plugin(make: Callable[..., str], load: Callable[..., Plugins], tmp_path: Path) -> None:
    module = make("bar")
    found = load()
    record = only(found)
    assert (record.name, record.status, record.reason) == ("bar", Status.ENABLED, "")
    assert (record.version, record.module, record.source) == ("1.2", module, str(tmp_path / "bar"))
    assert (record.path, record.help) == (tmp_path / "bar" / "src", "Does a thing.")
    spec = found.specs["bar.do"]
    assert (spec.plugin, spec.help, spec.isolated) == ("bar", "Do the thing.", True)
    assert spec.inputs == spec.outputs == (Port("video", "video"),)
    assert found.step("bar.do") is record.steps["bar.do"]
    assert found.unavailable("bar.do") is None
    schema = plugins.params_schema(spec)["$defs"]["Params"]["properties"]["size"]
    assert schema == {"type": "integer", "minimum": 1, "default": 1}


def test_code_may_lie_in_the_folder_itself(make: Callable[..., str], load: Callable[..., Plugins]) -> None:
    make("bar", src=False)
    assert only(load()).status is Status.ENABLED


def test_an_entry_point_is_a_plugin(
    make: Callable[..., str], load: Callable[..., Plugins], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = make("bar")
    monkeypatch.syspath_prepend(tmp_path / "bar" / "src")
    found = load(entry_points=(EntryPoint("bar", module, "vtid"),), dirs=[])
    record = only(found)
    assert (record.status, record.path) == (Status.ENABLED, None)
    assert record.source == "entry point of an unknown distribution"


def test_a_folder_wins_over_an_entry_point(make: Callable[..., str], load: Callable[..., Plugins]) -> None:
    make("bar")
    record = only(load(entry_points=(EntryPoint("bar", "tp_not_there", "vtid"),)))
    assert record.status is Status.ENABLED
    assert record.source.endswith("/bar")


def test_an_earlier_folder_wins(make: Callable[..., str], load: Callable[..., Plugins], tmp_path: Path) -> None:
    make("bar")
    (tmp_path / "later").mkdir()
    (tmp_path / "bar").rename(tmp_path / "later" / "bar")
    make("bar")
    record = only(load(dirs=[str(tmp_path / "none"), str(tmp_path / "first"), str(tmp_path / "later")]))
    assert record.source == str(tmp_path / "later" / "bar")
    (tmp_path / "first").mkdir()
    (tmp_path / "bar").rename(tmp_path / "first" / "bar")
    record = only(load(dirs=[str(tmp_path / "first"), str(tmp_path / "later")]))
    assert record.source == str(tmp_path / "first" / "bar")


def test_loading_twice_gives_the_same(make: Callable[..., str], load: Callable[..., Plugins]) -> None:
    make("bar")
    assert load().specs == load().specs


def test_a_package_with_modules_of_its_own(
    make: Callable[..., str], load: Callable[..., Plugins], tmp_path: Path
) -> None:
    module = make("bar", "VALUE = 1")
    package = tmp_path / "bar" / "src" / module
    package.mkdir()
    (package / "inner.py").write_text("ANSWER = 42")
    (package / "__init__.py").write_text(f"from {module}.inner import ANSWER\nfrom . import inner\nassert ANSWER == 42")
    (tmp_path / "bar" / "src" / f"{module}.py").unlink()
    assert only(load()).status is Status.ENABLED


def test_a_disabled_plugin_is_not_imported(make: Callable[..., str], load: Callable[..., Plugins]) -> None:
    make("bar", "raise SystemExit('imported')")
    found = load(disabled=["bar"])
    assert only(found).status is Status.DISABLED
    assert found.unavailable("bar.do") == ("plugin bar is disabled: switched off by [plugins] disabled in vtid.toml")


SETTINGS = """
from vtid.sdk import *
class Settings(Struct):
    api_key: str = ""
    limit: Annotated[int, Meta(ge=1)] = 5
@hookimpl
def vtid_settings(): return Settings
@hookimpl
def vtid_not_ready(settings): return None if settings.api_key else "set api_key"
"""


def test_settings_come_typed(make: Callable[..., str], load: Callable[..., Plugins]) -> None:
    make("bar", SETTINGS)
    found = load(bar={"api_key": "k", "limit": "7"})
    assert only(found).status is Status.ENABLED
    assert found.settings("bar").limit == 7  # type: ignore[attr-defined]
    assert only(found).settings_raw == {"api_key": "k", "limit": "7"}


def test_a_plugin_that_is_not_ready_is_known_and_does_not_run(
    make: Callable[..., str], load: Callable[..., Plugins]
) -> None:
    make("bar", STEP + '\n@hookimpl\ndef vtid_not_ready(): return "buy a licence"')
    found = load()
    assert (only(found).status, only(found).reason) == (Status.NOT_READY, "buy a licence")
    assert "bar.do" in found.specs
    assert found.unavailable("bar.do") == "plugin bar is not ready: buy a licence"
    with pytest.raises(Unavailable, match="buy a licence"):
        found.step("bar.do")


def test_what_is_not_there(make: Callable[..., str], load: Callable[..., Plugins]) -> None:
    make("bar")
    found = load()
    assert found.unavailable("baz.do") == 'there is no plugin "baz"'
    assert found.unavailable("bar.undo") == 'plugin bar has no step "bar.undo"'
    with pytest.raises(NotFound, match=r'no step "bar\.undo"; did you mean "bar\.do"'):
        found.step("bar.undo")
    with pytest.raises(NotFound, match='no plugin "baz"; did you mean "bar"'):
        found.settings("baz")


# --- every way to fail

UNAVAILABLE = {
    "a missing dependency": (
        "import tp_torch.nn",
        'needs the Python package tp_torch, which is not installed; run: pip install "tp_torch"',
    ),
    "a missing name": ("from vtid.sdk import Nothing", "raised ImportError: cannot import name 'Nothing'"),
    "a missing part of its own": ("import {module}.inner", "its module {module}.inner is not in"),
    "an exception": ("1 / 0", "raised ZeroDivisionError: division by zero"),
    "an exit": ("import sys; sys.exit(3)", "raised SystemExit: 3"),
    "bad syntax": ("def (", "raised SyntaxError: invalid syntax"),
    "a strange exception": ("class E(BaseException): pass\nraise E", "raised E"),
}

HOOKS = "from vtid.sdk import *\n@hookimpl\n"
MISCONFIGURED = {
    "an unknown hook": (
        HOOKS + "def vtid_stepps(): return []",
        "hook that vtid does not know so: unknown hook 'vtid_stepps'",
    ),
    "a hook with other arguments": (HOOKS + "def vtid_steps(app): return []", "hook that vtid does not know so"),
    "a hook that raises": (HOOKS + "def vtid_steps(): raise ValueError('no')", "vtid_steps raised ValueError: no"),
    "settings that raise": (HOOKS + "def vtid_settings(): exit()", "vtid_settings raised SystemExit"),
    "settings of no type": (HOOKS + "def vtid_settings(): return 3", "must return a Struct's class, not 3"),
    "a check that raises": (HOOKS + "def vtid_not_ready(): return 1/0", "vtid_not_ready raised ZeroDivisionError"),
    "a check that answers a number": (HOOKS + "def vtid_not_ready(): return 3", "must return a text or None, not 3"),
    "steps as one class": (HOOKS + "def vtid_steps(): return Step", "must return a list of Step classes"),
    "steps of another kind": (HOOKS + "def vtid_steps(): return [3]", "derived from vtid.sdk.Step, not 3"),
    "an unresolved setting": (
        "from __future__ import annotations\n"
        + HOOKS
        + "def vtid_settings(): return S\nclass S(Struct):\n    x: Nope = 1",
        "raised NameError: name 'Nope' is not defined",
    ),
    "a step twice": (STEP.replace("[Do]", "[Do, Do]"), "two of its steps are named bar.do"),
    "another plugin's step": (
        STEP.replace("{name}.do", "foo.do"),
        'is named "foo.do"; a step of this plugin is named "bar.VERB"',
    ),
    "a step without a verb": (STEP.replace("{name}.do", "bar"), 'is named "bar"'),
    "a step without a name": (STEP.replace('name = "{name}.do"', ""), 'Do has no name; write name = "bar.VERB"'),
    "a step that needs arguments": (STEP + "\nDo.__init__ = lambda self, x: None", "Do() raised TypeError"),
    "no run": (STEP.replace("def run", "def ran"), "bar.do has no run; write run(self, ctx: Context"),
    "a run with other arguments": (STEP.replace("params: Params, ", ""), "bar.do: the signature must be run(self, ctx"),
    "a lazy step in a process": (
        STEP.replace('name = "{name}.do"', 'name = "{name}.do"; lazy = True'),
        "bar.do: only a step that is not isolated can be lazy; write isolated = False",
    ),
    "an async run": (STEP.replace("def run", "async def run"), "must be a plain function"),
    "a run that returns nothing": (STEP.replace(" -> Outputs", ""), "the type of return must be a Struct of your own"),
    "params that are no Struct": (
        STEP.replace("params: Params", "params: dict"),
        "the type of params must be a Struct",
    ),
    "an unresolved type": (
        "from __future__ import annotations\n"
        + STEP.replace("inputs: Inputs", "inputs: Nope").replace('"""Does a thing."""', ""),
        "the types of run cannot be resolved: name 'Nope' is not defined; import them at run time",
    ),
    "an unresolved field": (
        "from __future__ import annotations\n"
        + STEP.replace("size: Annotated[int, Meta(ge=1)]", "size: Nope").replace('"""Does a thing."""', ""),
        "a type cannot be resolved: name 'Nope' is not defined",
    ),
    "a param of a type without a schema": (
        STEP.replace("size: Annotated[int, Meta(ge=1)] = 1", "size: complex = 1j"),
        "complex",
    ),
    "an optional input without a default": (
        STEP.replace("    video: Video\nclass Outputs", "    video: Video | None\nclass Outputs"),
        "bar.do: Inputs.video may be None; give it that default: = None",
    ),
    "a list of files": (
        STEP.replace("    video: Video\nclass Outputs", "    video: list[Video]\nclass Outputs"),
        (
            "bar.do: Inputs.video: a file is one of File, Video, Audio, Image, Subtitles, that | None, or "
            "dict[str, that]"
        ),
    ),
    "a choice of files": (
        STEP.replace("    video: Video\nclass Outputs", "    video: Video | Audio\nclass Outputs"),
        "bar.do: Inputs.video: a file is one of",
    ),
    "a renamed input": (STEP.replace("Inputs(Struct)", 'Inputs(Struct, rename="upper")'), "video is renamed to VIDEO"),
    "a kind of file that is none": (
        STEP.replace(
            "class Inputs(Struct):\n    video: Video",
            'class Mine(File):\n    kind = "mine"\nclass Inputs(Struct):\n    video: Mine',
        ),
        'there is no kind of file "mine"; there are file, video',
    ),
}
FAILURES = [
    *(pytest.param(Status.UNAVAILABLE, *case, id=name) for name, case in UNAVAILABLE.items()),
    *(pytest.param(Status.MISCONFIGURED, *case, id=name) for name, case in MISCONFIGURED.items()),
]


@pytest.mark.parametrize(("status", "code", "reason"), FAILURES)
def test_a_plugin_fails_alone(
    make: Callable[..., str], load: Callable[..., Plugins], status: Status, code: str, reason: str
) -> None:
    module = f"tp_bar_{next(_numbers)}"
    make("bar", code.replace("{module}", module), module=module)
    make("good")
    found = load()
    bad, good = found.records
    assert bad.status is status, bad.reason
    assert reason.replace("{module}", module) in bad.reason
    assert good.status is Status.ENABLED
    assert list(found.specs) == ["good.do"]
    with pytest.raises(Unavailable, match="bar is"):
        found.step("bar.do")


def test_ctrl_c_is_for_somebody_else(make: Callable[..., str], load: Callable[..., Plugins]) -> None:
    make("bar", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load()


def test_the_traceback_is_kept(make: Callable[..., str], load: Callable[..., Plugins]) -> None:
    make("bar", "def f():\n    1 / 0\nf()")
    assert "in f" in only(load()).trace


def test_a_missing_dependency_is_installed_as_the_plugin_asks_for_it(
    make: Callable[..., str], load: Callable[..., Plugins]
) -> None:
    module = f"tp_bar_{next(_numbers)}"
    head = '[project]\nname = "x"\ndependencies = ["vtid", "torchy>=2,<3"]\n[project.entry-points.vtid]\n'
    make("bar", "import tp_torch", module=module, pyproject=f'{head}bar = "{module}"')
    assert only(load()).reason.endswith('run: pip install "torchy>=2,<3"')


@pytest.mark.parametrize(
    ("pyproject", "reason"),
    [
        ("[project", "pyproject.toml cannot be read"),
        ("", "has no [project.entry-points.vtid] with bar = MODULE"),
        ("project = 3", "has no [project.entry-points.vtid]"),
        (
            '[project.entry-points.vtid]\nfoo = "m"',
            "its entry point must be named bar, as its folder is; pyproject.toml names foo",
        ),
        ("[project.entry-points.vtid]", "pyproject.toml names nothing"),
        ('[project.entry-points.vtid]\nbar = "m:app"', 'must name a module, not "m:app"'),
        ("[project.entry-points.vtid]\nbar = 3", 'must name a module, not "3"'),
        ('[project.entry-points.vtid]\nbar = "tp_not_there"', "its module tp_not_there is not in"),
    ],
)
def test_a_pyproject_that_is_wrong(
    make: Callable[..., str], load: Callable[..., Plugins], pyproject: str, reason: str
) -> None:
    make("bar", pyproject=pyproject)
    assert only(load()).status in (Status.MISCONFIGURED, Status.UNAVAILABLE)
    assert reason in only(load()).reason


def test_folders_that_are_no_plugins(load: Callable[..., Plugins], tmp_path: Path) -> None:
    for name in ("empty", ".git", "__pycache__"):
        (tmp_path / name).mkdir()
    (tmp_path / "README.md").touch()
    assert [(r.name, r.reason) for r in load().records] == [("empty", "has no pyproject.toml")]


def test_a_name_that_cannot_be_one(make: Callable[..., str], load: Callable[..., Plugins]) -> None:
    make("Bar-1")
    assert '"Bar-1" cannot be its name' in only(load()).reason


def test_a_module_of_a_name_that_is_taken(make: Callable[..., str], load: Callable[..., Plugins]) -> None:
    module = make("bar")
    make("foo", module=module)
    _, foo = load().records
    assert foo.status is Status.MISCONFIGURED
    assert f"its module {module} has the name of one already loaded from" in foo.reason


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"api_kye": 1}, '[plugins.bar] api_kye: unknown setting; did you mean "api_key"?'),
        ({"zzz": 1}, "unknown setting; it has: api_key, limit"),
        (
            {"limit": 0, "api_key": 3},
            "limit: must be at least 1; [plugins.bar] api_key: must be a text, not a whole number",
        ),
    ],
)
def test_wrong_settings(
    make: Callable[..., str], load: Callable[..., Plugins], table: dict[str, Any], reason: str
) -> None:
    make("bar", SETTINGS)
    record = only(load(bar=table))
    assert record.status is Status.MISCONFIGURED
    assert reason in record.reason


def test_settings_that_must_be_given(make: Callable[..., str], load: Callable[..., Plugins]) -> None:
    make("bar", SETTINGS.replace('api_key: str = ""', "api_key: str"))
    assert only(load()).reason == "[plugins.bar]: Object missing required field `api_key`"


def test_settings_for_a_plugin_without_any(make: Callable[..., str], load: Callable[..., Plugins]) -> None:
    make("bar")
    assert "x: unknown setting; it has: no settings" in only(load(bar={"x": 1})).reason


def test_names_that_nobody_has(make: Callable[..., str], load: Callable[..., Plugins]) -> None:
    make("bar")
    found = load(disabled=["baar"], brr={"x": 1})
    assert [(r.name, r.status, r.reason) for r in found.records[1:]] == [
        (
            "baar",
            Status.MISCONFIGURED,
            '[plugins] disabled speaks of a plugin "baar", which is not there; did you mean "bar"?',
        ),
        (
            "brr",
            Status.MISCONFIGURED,
            '[plugins.brr] speaks of a plugin "brr", which is not there; did you mean "bar"?',
        ),
    ]


# --- signatures


def test_ports_of_every_kind(make: Callable[..., str], load: Callable[..., Plugins]) -> None:
    make(
        "bar",
        STEP.replace(
            "    video: Video\nclass Outputs(Struct):\n    video: Video",
            "    any: File\n    count: int\n    audio: Audio | None = None\n    words: list[str] = []\n"
            "class Outputs(Struct):\n    text: Subtitles\n    still: Image | None = None",
        ),
    )
    spec = load().specs["bar.do"]
    assert spec.inputs == (
        Port("any", "file"),
        Port("count", VALUE),
        Port("audio", "audio", required=False),
        Port("words", VALUE, required=False),
    )
    assert spec.outputs == (Port("text", "subtitles"), Port("still", "image", required=False))


# --- the plugins of this repository


@pytest.fixture(scope="module")
def shipped() -> Plugins:
    flags = {"plugins.dirs": [str(REPOSITORY / "plugins")]}
    return plugins.load(config.load(REPOSITORY / "vtid.toml", {}, overrides=flags), entry_points=())


def test_a_plugin_without_its_keys_says_which_to_set(shipped: Plugins) -> None:
    record = shipped.record("inpaint_ghostcut")
    assert record.status is Status.NOT_READY
    assert record.reason.startswith("set GHOSTCUT_API_KEY and GHOSTCUT_APP_SECRET")
    assert list(record.steps) == ["inpaint_ghostcut.remove"]


def test_lip_sync_says_what_it_needs(shipped: Plugins) -> None:
    record = shipped.record("lipsync_syncso")
    assert (record.status, record.reason) == (Status.NOT_READY, "set SYNC_API_KEY")
    assert shipped.unavailable("lipsync_syncso.lipsync") == "plugin lipsync_syncso is not ready: set SYNC_API_KEY"


def test_names_in_use_fit_the_settings_of_their_plugins() -> None:
    env = dict.fromkeys(config.PLUGIN_NAMES, "x")
    flags = {"plugins.dirs": [str(REPOSITORY / "plugins")], "plugins.disabled": ["inpaint_local"]}
    found = plugins.load(config.load(None, env, overrides=flags), entry_points=())
    for plugin, key in config.PLUGIN_NAMES.values():
        assert getattr(found.settings(plugin), key) == "x"


def test_plugins_import_nothing_of_vtid_but_the_sdk() -> None:
    files = list((REPOSITORY / "plugins").glob("*/src/**/*.py"))
    assert files
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [f"vtid.{a.name}" for a in node.names] if node.module == "vtid" else [node.module or ""]
            bad = [n for n in names if n.split(".")[0] == "vtid" and n != "vtid.sdk"]
            assert not bad, f"{file} imports {bad}"


def test_the_process_of_a_step_imports_one_plugin_and_little_else() -> None:
    code = """
import sys
from pathlib import Path
from vtid.plugins import load_one
record = load_one("lipsync_syncso", "vtid_lipsync_syncso", Path(sys.argv[1]), {"api_key": "k"})
assert record.settings.api_key == "k" and record.status == "enabled", record
heavy = {"av", "sqlalchemy", "litestar", "huey", "numpy", "vtid_inpaint_local"} & sys.modules.keys()
assert not heavy, heavy
"""
    path = REPOSITORY / "plugins" / "lipsync_syncso" / "src"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, cwd=REPOSITORY, timeout=PATIENCE_S)
