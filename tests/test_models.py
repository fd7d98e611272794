"""The operator's models: what licences allow, what is kept, and what may be used."""

import hashlib
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta, Struct

from vtid.errors import Conflict, InvalidInput, NeedsAttention, NotFound, StorageError
from vtid.models import Record, Store, allows_commerce, model_problems
from vtid.models.store import Inspect

# --- licences


@pytest.mark.parametrize(
    "licence",
    ["Apache-2.0", "apache-2.0", "MIT", "BSD-3-Clause", "CC-BY-4.0", "CC0-1.0", "AGPL-3.0-only", "GPL-3.0-or-later",
     "MIT OR CC-BY-NC-4.0", "(MIT AND Apache-2.0) OR Mystery-1", "GPL-2.0-only WITH Font-exception-2.0", " NCSA "],
)  # fmt: skip
def test_free_licences_are_known(licence: str) -> None:
    assert allows_commerce(licence)
    assert allows_commerce(licence, True)
    assert not allows_commerce(licence, False)  # the operator may be stricter


@pytest.mark.parametrize(
    "licence",
    ["CC-BY-NC-4.0", "cc-by-nc-sa-4.0", "CC BY-NC 4.0", "S-Lab-1.0", "S-Lab License 1.0", "research only",
     "Non-Commercial", "PolyForm-Noncommercial-1.0.0", "Nvidia Source Code License-NC", "MIT AND CC-BY-NC-4.0",
     "Academic use", "Prosperity-3.0.0", "Mystery-1 AND CC-BY-NC-4.0"],
)  # fmt: skip
def test_licences_for_non_commercial_use_are_known(licence: str) -> None:
    assert not allows_commerce(licence)
    assert not allows_commerce(licence, False)
    with pytest.raises(InvalidInput, match="for non-commercial use"):
        allows_commerce(licence, True)


@pytest.mark.parametrize("licence", ["Mystery-1", "Agreement of 2026-03-01", "openrail", "MIT AND Mystery-1"])
def test_of_other_licences_the_operator_says_what_they_allow(licence: str) -> None:
    with pytest.raises(InvalidInput, match="is not known here") as refused:
        allows_commerce(licence)
    assert "--commercial or --non-commercial" in str(refused.value.suggestion)
    assert allows_commerce(licence, True)
    assert not allows_commerce(licence, False)


@pytest.mark.parametrize("licence", ["", "  ", "unknown", "None", "?", "NOASSERTION"])
@pytest.mark.parametrize("claim", [None, True])
def test_a_licence_must_be_named(licence: str, claim: bool | None) -> None:
    with pytest.raises(InvalidInput, match="needs the name of its licence"):
        allows_commerce(licence, claim)


# --- the store


def tried(path: Path) -> dict[str, object]:
    """Takes any file that says that it is good."""
    if b"good" not in path.read_bytes():
        raise InvalidInput("The model cannot be used: it is not good.")
    return {"takes": "all"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some net.onnx"
    path.write_bytes(b"good " * 1000)
    return path


def add(store: Store, file: Path, name: str = "net", *, commercial: bool = True, inspect: Inspect = tried) -> Record:
    licence = "MIT" if commercial else "CC-BY-NC-4.0"
    return store.add(file, inspect, name=name, kind="net", licence=licence, commercial=commercial, source="the shop")


def test_a_model_is_copied_with_its_record(store: Store, file: Path) -> None:
    record = add(store, file)
    file.unlink()
    assert store.record("net") == record
    assert (record.kind, record.licence, record.commercial, record.source) == ("net", "MIT", True, "the shop")
    assert (record.filename, record.size, record.layout) == ("some net.onnx", 5000, {"takes": "all"})
    assert record.sha256 == hashlib.sha256(b"good " * 1000).hexdigest()
    model = store.get("net", "net")
    assert model.path.read_bytes() == b"good " * 1000
    assert (model.licence, model.layout) == ("MIT", {"takes": "all"})
    assert [s.problem for s in store.standings(lambda _: tried)] == [""]


def test_there_may_be_none(store: Store) -> None:
    assert store.names() == []
    assert list(store.standings()) == []
    with pytest.raises(InvalidInput, match='no model "net"'):
        store.get("net", "net")
    assert not store.folder.exists()


def test_what_is_refused_leaves_nothing_behind(store: Store, file: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"bad")

    def crashes(path: Path) -> dict[str, object]:
        raise RuntimeError(path)

    with pytest.raises(InvalidInput, match="not good"):
        add(store, bad)
    with pytest.raises(InvalidInput, match="cannot be read"):
        add(store, tmp_path / "nowhere.onnx")
    with pytest.raises(RuntimeError):
        add(store, file, inspect=crashes)
    assert list(store.folder.iterdir()) == []


@pytest.mark.parametrize("name", ["", "Net", "a/b", "..", ".net", "-net", "net ", "x" * 65, "näht"])
def test_names_are_plain(store: Store, file: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="is no name for a model"):
        add(store, file, name)


def test_a_name_is_given_once(store: Store, file: Path) -> None:
    add(store, file)

    def meanwhile(path: Path) -> dict[str, object]:
        add(store, file, "other")  # somebody else, while this one is being tried
        return tried(path)

    with pytest.raises(Conflict, match="already"):
        add(store, file)
    with pytest.raises(Conflict, match="already"):
        add(store, file, "other", inspect=meanwhile)
    assert sorted(p.name for p in store.folder.iterdir()) == ["net", "other"]


def test_non_commercial_models_need_leave_to_come_and_to_stay(store: Store, file: Path) -> None:
    with pytest.raises(InvalidInput, match="allow_non_commercial does not allow") as refused:
        add(store, file, commercial=False)
    assert "allow_non_commercial = true" in str(refused.value.suggestion)
    assert store.names() == []
    lenient = Store(store.folder, allow_non_commercial=True)
    add(lenient, file, commercial=False)
    assert lenient.get("net", "net").licence == "CC-BY-NC-4.0"
    with pytest.raises(NeedsAttention, match="CC-BY-NC"):
        store.get("net", "net")
    (standing,) = store.standings()
    assert "non-commercial" in standing.problem


def test_what_changed_since_is_seen(store: Store, file: Path) -> None:
    add(store, file)
    copy = store.folder / "net" / "model.onnx"
    copy.write_bytes(b"GOOD " + b"good " * 999)
    assert next(store.standings()).problem == ""  # the quick look goes by size
    assert "SHA-256" in next(store.standings(lambda _: tried)).problem
    copy.write_bytes(b"good")
    assert "another size" in next(store.standings()).problem
    copy.unlink()
    with pytest.raises(NeedsAttention, match="is not there"):
        store.get("net", "net")


def test_a_model_that_nobody_can_use_any_more_is_told(store: Store, file: Path) -> None:
    add(store, file)

    def refuses(_: Path) -> dict[str, object]:
        raise InvalidInput("The model cannot be used: times have changed.")

    assert "times have changed" in next(store.standings(lambda _: refuses)).problem
    assert "no plugin uses models of the kind net" in next(store.standings(lambda _: None)).problem


def test_a_record_that_cannot_be_read_is_told(store: Store, file: Path) -> None:
    add(store, file)
    (store.folder / "net" / "model.json").write_text("{")
    assert "cannot be read" in next(store.standings()).problem
    with pytest.raises(StorageError):
        store.record("net")
    with pytest.raises(NeedsAttention, match="cannot be read"):
        store.get("net", "net")
    store.remove("net")
    assert store.names() == []


def test_removed_is_gone(store: Store, file: Path) -> None:
    add(store, file)
    add(store, file, "other")
    store.remove("net")
    assert [p.name for p in store.folder.iterdir()] == ["other"]
    with pytest.raises(NotFound, match='did you mean "other"'):
        store.remove("othr")


def test_a_file_in_the_way_is_told(tmp_path: Path, file: Path) -> None:
    (tmp_path / "models").write_text("not a folder")
    with pytest.raises(StorageError, match="cannot be kept"):
        add(Store(tmp_path / "models"), file)


# --- params


class Params(Struct):
    net: Annotated[str, Meta(extra_json_schema={"x-vtid-model": "net"})] = "plain"
    other: Annotated[str, Meta(extra_json_schema={"x-vtid-model": "other"}), Meta(min_length=1)] = "plain"
    words: Annotated[str, Meta(max_length=99)] = ""
    number: int = 0


@pytest.fixture
def problems(store: Store, file: Path) -> object:
    add(store, file)
    return lambda **values: [(p.field, p.message) for p in model_problems(Params, values, store)]


def test_params_that_name_models_are_checked(problems: object) -> None:
    assert callable(problems)
    assert problems(net="model:net", words="model:nothing", number=3) == []
    assert problems(net="plain", other="plain") == []
    ((field, message),) = problems(net="model:nett")
    assert (field, 'did you mean "net"' in message) == ("net", True)
    ((field, message),) = problems(other="model:net")
    assert (field, "one for other is needed" in message) == ("other", True)


def test_forms_see_which_kind_is_meant() -> None:
    schema = msgspec.json.schema(Params)["$defs"]["Params"]["properties"]
    assert schema["net"]["x-vtid-model"] == "net"
