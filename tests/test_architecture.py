"""The rules that keep the tree what docs/architecture.md says it is. Each reads the sources; each is shown to be able to fail."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent

LAYERS = (
    ("__init__", "errors", "logs", "resources"),
    ("sealing", "complaints"),
    ("domain",),
    ("sdk",),
    ("hookspecs",),
    ("config",),
    ("media", "storage", "db", "models", "net", "client", "otio", "presets"),
    ("plugins",),
    ("pipelines", "accounts", "simulators"),
    ("engine", "tasks"),
    ("app",),
    ("local", "web", "watch"),
    ("daemon",),
    ("cli", "testing"),
)
"""From the ground up: a part imports what lies below it, never what lies beside or above."""

KNOWS_ONLY = {
    "errors": set(),
    "complaints": {"errors"},
    "domain": {"complaints", "errors"},
    "sdk": {"domain", "errors"},
    "hookspecs": {"sdk"},
    "config": {"complaints", "errors"},
    "storage": {"domain", "errors"},
    "models": {"domain", "errors"},
    "sealing": {"errors"},
    "tasks": {"errors"},
    "accounts": {"config", "db", "domain", "errors", "sealing"},
    "net": {"errors"},
    "client": {"errors"},
    "otio": {"domain", "errors"},
    "simulators": {"complaints", "domain", "errors", "media"},
}
"""Parts that know less than their layer would let them."""

OWNERS = {
    "av": ("vtid/media/",),
    "minio": ("vtid/storage/",),
    "sqlalchemy": ("vtid/db/",),
    "alembic": ("vtid/db/",),
    "aiosqlite": ("vtid/db/",),
    "huey": ("vtid/tasks.py",),
    "argon2": ("vtid/accounts/",),
    "jwt": ("vtid/accounts/",),
    "litestar": ("vtid/web/",),
    "multipart": ("vtid/web/",),
    "httpcore": ("vtid/net/",),
    "httpx": (
        "vtid/net/",
        "vtid/client/",
        "vtid/cli/demo.py",
        "plugins/inpaint_ghostcut/src/vtid_inpaint_ghostcut/client.py",
        "plugins/lipsync_syncso/src/vtid_lipsync_syncso/client.py",
    ),
    "cryptography": ("vtid/sealing.py",),
    "socketio": ("vtid/web/",),
    "uvicorn": ("vtid/daemon.py", "vtid/web/connections.py"),
    "watchfiles": ("vtid/watch/",),
    "click": ("vtid/cli/",),
    "rich": ("vtid/cli/",),
    "opentimelineio": ("vtid/otio/",),
    "pluggy": ("vtid/sdk.py", "vtid/hookspecs.py", "vtid/plugins/"),
}
"""One place for each library that everything could come to lean on: a change of library is a change there."""

MOST_LINES = 400


class Source(NamedTuple):
    """A module: its path from the root of the repository, and its text."""

    path: str
    text: str

    @property
    def part(self) -> str:
        """Which part of vtid it belongs to: `vtid/engine/runner.py` to `engine`, `vtid/app.py` to `app`."""
        return Path(self.path).parts[1].removesuffix(".py")

    def imports(self, *, for_types: bool = True) -> Iterator[tuple[int, str]]:
        """Line and full name of everything imported; of relative imports, nothing: they stay within their package."""
        tree = ast.parse(self.text)
        hidden = set() if for_types else {id(n) for block in _type_blocks(tree) for n in ast.walk(block)}
        for node in ast.walk(tree):
            if id(node) in hidden:
                continue
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _type_blocks(tree: ast.Module) -> Iterator[ast.stmt]:
    """What stands under `if TYPE_CHECKING:`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from node.body


def core() -> list[Source]:
    return [_source(path) for path in sorted(ROOT.glob("vtid/**/*.py"))]


def plugins() -> list[Source]:
    return [_source(path) for path in sorted(ROOT.glob("plugins/*/src/**/*.py"))]


def _source(path: Path) -> Source:
    return Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))


# --- the rules: each yields its offenders, in words


def imports_upwards(source: Source) -> Iterator[str]:
    """A part imports only parts of lower layers."""
    rank = {part: height for height, parts in enumerate(LAYERS) for part in parts}
    if source.part not in rank:
        yield f"{source.path}: give {source.part} a place in LAYERS"
        return
    for line, name in source.imports(for_types=False):
        top, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if top != "vtid" or other == source.part or other.startswith("__"):
            continue
        if other not in rank:
            yield f"{source.path}:{line} imports {name}, which has no place in LAYERS"
        elif rank[other] >= rank[source.part]:
            yield f"{source.path}:{line} imports {name}: {source.part} lies below {other} or beside it"


def knows_too_much(source: Source) -> Iterator[str]:
    """Some parts know even less than their layer lets them."""
    allowed = KNOWS_ONLY.get(source.part)
    for line, name in source.imports(for_types=False):
        top, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if allowed is not None and top == "vtid" and other not in {*allowed, source.part}:
            yield f"{source.path}:{line} imports {name}: {source.part} knows only {', '.join(sorted(allowed)) or 'itself'}"


def takes_anothers_library(source: Source) -> Iterator[str]:
    """Each heavy library has one place that imports it."""
    for line, name in source.imports():
        library = name.partition(".")[0]
        if library in OWNERS and not source.path.startswith(OWNERS[library]):
            yield f"{source.path}:{line} imports {library}, which belongs to {' and '.join(OWNERS[library])}"


def reaches_past_the_sdk(source: Source) -> Iterator[str]:
    """A plugin imports vtid.sdk and nothing else of vtid."""
    for line, name in source.imports():
        if name.partition(".")[0] == "vtid" and not f"{name}.".startswith("vtid.sdk."):
            yield f"{source.path}:{line} imports {name}; a plugin imports only vtid.sdk"


def is_too_long(source: Source) -> Iterator[str]:
    """A module that does not fit in a head is two modules."""
    lines = source.text.count("\n")
    if lines > MOST_LINES:
        yield f"{source.path} has {lines} lines; {MOST_LINES} are enough"


def has_no_docstring(source: Source) -> Iterator[str]:
    """Modules, and what is public in them, say what they are for."""
    if "/migrations/versions/" in source.path:  # Alembic's own form: one function up, named in its docstring
        return
    tree = ast.parse(source.text)
    if tree.body and not ast.get_docstring(tree):
        yield f"{source.path} has no docstring"
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        inner = node.body if isinstance(node, ast.ClassDef) else []
        for one in [node, *(n for n in inner if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))]:
            if not one.name.startswith("_") and not ast.get_docstring(one) and not _is_setter(one):
                yield f"{source.path}:{one.lineno} {one.name} has no docstring"


def _is_setter(node: ast.AST) -> bool:
    """The setter of a property, whose getter has said what it is."""
    return any(isinstance(d, ast.Attribute) and d.attr == "setter" for d in getattr(node, "decorator_list", ()))


def imports_a_star(source: Source) -> Iterator[str]:
    """What a module uses, it names."""
    for line, name in source.imports():
        if name.endswith(".*"):
            yield f"{source.path}:{line} imports {name}"


Rule = Callable[[Source], Iterator[str]]

RULES: list[tuple[Rule, Callable[[], list[Source]]]] = [
    (imports_upwards, core),
    (knows_too_much, core),
    (takes_anothers_library, lambda: core() + plugins()),
    (reaches_past_the_sdk, plugins),
    (is_too_long, lambda: core() + plugins()),
    (has_no_docstring, lambda: core() + plugins()),
    (imports_a_star, lambda: core() + plugins()),
]

BROKEN: list[tuple[Rule, str, str, str]] = [
    (imports_upwards, "vtid/domain/job.py", "from vtid.db import Jobs", "vtid/domain/job.py:1 imports vtid.db.Jobs"),
    (imports_upwards, "vtid/db/jobs.py", "from vtid.media import probe", "db lies below media or beside it"),
    (imports_upwards, "vtid/engine/runner.py", "def f():\n    from vtid import app", "runner.py:2 imports vtid.app"),
    (imports_upwards, "vtid/extras/new.py", "", "give extras a place in LAYERS"),
    (imports_upwards, "vtid/web/app.py", "import vtid.extras", "vtid.extras, which has no place"),
    (knows_too_much, "vtid/sdk.py", "from vtid import config", "sdk knows only domain, errors"),
    (knows_too_much, "vtid/errors.py", "from vtid.domain.media import MediaInfo", "errors knows only itself"),
    (takes_anothers_library, "vtid/engine/runner.py", "import av.logging", "imports av, which belongs to vtid/media/"),
    (takes_anothers_library, "vtid/web/app.py", "from sqlalchemy import text", "which belongs to vtid/db/"),
    (takes_anothers_library, "plugins/x/src/vtid_x/a.py", "import huey", "which belongs to vtid/tasks.py"),
    (reaches_past_the_sdk, "plugins/x/src/vtid_x/a.py", "from vtid.errors import StepError", "only vtid.sdk"),
    (reaches_past_the_sdk, "plugins/x/src/vtid_x/a.py", "import vtid", "imports vtid; a plugin"),
    (reaches_past_the_sdk, "plugins/x/src/vtid_x/a.py", "from vtid import app", "imports vtid.app"),
    (is_too_long, "vtid/a.py", "x = 1\n" * (MOST_LINES + 1), "vtid/a.py has 401 lines"),
    (has_no_docstring, "vtid/a.py", "x = 1", "vtid/a.py has no docstring"),
    (has_no_docstring, "vtid/a.py", '"""A."""\ndef f(): ...', "vtid/a.py:2 f has no docstring"),
    (has_no_docstring, "vtid/a.py", '"""A."""\nclass A:\n    """A."""\n    def f(self): ...', "vtid/a.py:4 f has no"),
    (imports_a_star, "vtid/a.py", "from os import *", "vtid/a.py:1 imports os.*"),
]


@pytest.mark.parametrize(("rule", "sources"), RULES, ids=[rule.__name__ for rule, _ in RULES])
def test_the_tree_keeps_the_rule(rule: Rule, sources: Callable[[], list[Source]]) -> None:
    offenders = [words for source in sources() for words in rule(source)]
    assert not offenders, f"{rule.__doc__}\n" + "\n".join(offenders)


@pytest.mark.parametrize(("rule", "path", "text", "words"), BROKEN)
def test_the_rule_can_fail(rule: Rule, path: str, text: str, words: str) -> None:
    assert words in "\n".join(rule(Source(path, text)))


def test_every_rule_is_shown_to_fail() -> None:
    assert {rule for rule, _ in RULES} == {rule for rule, *_ in BROKEN}


def test_type_hints_may_look_upwards() -> None:
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from vtid.engine.runner import Runner"
    assert not list(imports_upwards(Source("vtid/sdk.py", text)))


def test_there_is_something_to_look_at() -> None:
    assert len(core()) > 50
    assert {source.path.split("/")[1] for source in plugins()} >= {"inpaint_local", "lipsync_syncso"}
