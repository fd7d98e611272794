"""What the page on hot folders says of them, the code says too."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, get_args, get_origin

import msgspec
import pytest

from vtid import config as vtid_config
from vtid import pipelines, plugins
from vtid.watch import Declaration, load

ROOT = Path(__file__).resolve().parents[2]


def keys_table() -> str:
    """What docs/hot-folders.md has to say of each key: a row."""
    rows = []
    for known in msgspec.structs.fields(Declaration):
        if get_origin(known.type) is Annotated:
            default = "" if known.required else f"`{_toml(known)}`"
            rows.append(f"| `{known.encode_name}` | {default} | {get_args(known.type)[1].description} |")
    return "\n".join(rows)


def _toml(known: msgspec.structs.FieldInfo) -> str:
    value = known.default if known.default is not msgspec.NODEFAULT else {}
    return msgspec.json.encode(value).decode().replace('","', '", "')


def test_every_key_is_told() -> None:
    page = (ROOT / "docs/hot-folders.md").read_text(encoding="utf-8")
    wanted = keys_table()
    assert wanted in page, f"docs/hot-folders.md has to hold:\n\n{wanted}"


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[pipelines.Pipelines, plugins.Plugins]:
    empty = tmp_path_factory.mktemp("config") / "vtid.toml"
    empty.touch()
    loaded = plugins.load(vtid_config.load(empty, {}, overrides={"plugins.dirs": (ROOT / "plugins",)}))
    return pipelines.load([], loaded), loaded


def test_what_is_shown_is_right(tmp_path: Path, known: tuple[pipelines.Pipelines, plugins.Plugins]) -> None:
    page = (ROOT / "docs/hot-folders.md").read_text(encoding="utf-8")
    for block in page.split('```toml title="config/watch/')[1:]:
        name, text = block.split('"\n', 1)
        (tmp_path / name).write_text(text.partition("```")[0], encoding="utf-8")
    shutil.copy(ROOT / "config/watch/remove-text.toml.example", tmp_path / "example.toml")
    text = (tmp_path / "example.toml").read_text().replace("/srv/media/in/remove-text", "/srv/media/in/example")
    (tmp_path / "example.toml").write_text(text)
    declared = load([tmp_path], known[0], known[1].specs)
    assert len(declared) == 4
    assert [str(p) for d in declared for p in d.problems] == []


def test_the_example_is_not_active() -> None:
    assert not list((ROOT / "config/watch").glob("*.toml"))
