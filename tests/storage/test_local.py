"""Files in a folder: whole or not there, by key, by range, by signed URL."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from vtid.errors import DiskFull, NotFound, StorageError
from vtid.storage import LocalStorage
from vtid.storage.base import check_key, safe_filename


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "files", secret=b"s", clock=lambda: 1000.0)


def staged(storage: LocalStorage) -> list[Path]:
    return list((storage.root / ".staging").iterdir())


def test_a_stream_appears_when_it_is_whole(storage: LocalStorage) -> None:
    with storage.writer("a/b.bin") as writer:
        writer.write(b"one")
        with pytest.raises(NotFound):
            storage.stat("a/b.bin")
        writer.write(b"two")
    assert b"".join(storage.read("a/b.bin")) == b"onetwo"
    assert storage.stat("a/b.bin").size == writer.size == 6
    assert staged(storage) == []


def test_a_stream_that_breaks_off_leaves_nothing(storage: LocalStorage) -> None:
    def break_off() -> None:
        with storage.writer("a") as writer:
            writer.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert staged(storage) == []
    with pytest.raises(NotFound):
        storage.stat("a")


def test_put_takes_a_file_over_or_leaves_it(storage: LocalStorage, tmp_path: Path) -> None:
    original = tmp_path / "x"
    original.write_bytes(b"data")
    assert storage.put("kept", original) == 4
    assert original.exists()
    storage.put("moved", original, move=True)
    assert not original.exists()
    assert b"".join(storage.read("kept")) == b"".join(storage.read("moved")) == b"data"


@pytest.mark.parametrize(
    ("start", "end", "want"), [(0, None, b"0123456789"), (3, 7, b"3456"), (8, 100, b"89"), (10, None, b"")]
)
def test_ranges(storage: LocalStorage, start: int, end: int | None, want: bytes) -> None:
    with storage.writer("k") as writer:
        writer.write(b"0123456789")
    assert b"".join(storage.read("k", start, end)) == want


def test_fetch_never_overwrites(storage: LocalStorage, tmp_path: Path) -> None:
    with storage.writer("k") as writer:
        writer.write(b"data")
    storage.fetch("k", tmp_path / "in" / "x")
    assert (tmp_path / "in" / "x").read_bytes() == b"data"
    with pytest.raises((StorageError, FileExistsError)):
        storage.fetch("k", tmp_path / "in" / "x")


def test_copy_list_and_delete_by_prefix(storage: LocalStorage) -> None:
    for key in ("u/1/a", "u/1/b/c", "u/12/d"):
        with storage.writer(key) as writer:
            writer.write(b"x")
    storage.copy("u/1/a", "u/1/copy")
    assert list(storage.list("u/1/")) == ["u/1/a", "u/1/b/c", "u/1/copy"]
    assert storage.delete_prefix("u/1/") == 3
    assert list(storage.list("u/")) == ["u/12/d"]
    storage.delete("u/12/d")
    storage.delete("u/12/d")
    assert storage.delete_prefix("nowhere/") == 0


def test_signed_urls_expire_and_cannot_be_forged(storage: LocalStorage) -> None:
    url = urlsplit(storage.signed_url("u/1/clip ü.mp4", ttl_s=60, filename="clip ü.mp4"))
    query = {k: v[0] for k, v in parse_qs(url.query).items()}
    assert url.path == "/files/u/1/clip%20%C3%BC.mp4"
    good = {"expires": query["expires"], "signature": query["signature"], "filename": query["name"]}
    assert storage.verify_url("u/1/clip ü.mp4", **good)
    for change in (
        {"expires": "9999"},
        {"signature": "0" * 64},
        {"filename": "x.html"},
        {"expires": "x"},
        {"signature": "ü"},
    ):
        assert not storage.verify_url("u/1/clip ü.mp4", **(good | change))
    assert not storage.verify_url("u/1/other", **good)
    late = LocalStorage(storage.root, secret=b"s", clock=lambda: 1060.0)
    assert not late.verify_url("u/1/clip ü.mp4", **good)


def test_parts_in_any_order_again_and_whole(storage: LocalStorage) -> None:
    upload = storage.begin_multipart("big")
    storage.put_part(upload, 2, iter([b"lo", b"!"]))
    storage.put_part(upload, 1, iter([b"XXX"]))
    storage.put_part(upload, 1, iter([b"hel"]))
    assert storage.parts(upload) == {1: 3, 2: 3}
    with pytest.raises(NotFound):
        storage.stat("big")
    assert storage.complete_multipart(upload) == 6
    assert b"".join(storage.read("big")) == b"hello!"
    with pytest.raises(NotFound):
        storage.parts(upload)


def test_an_aborted_upload_is_gone(storage: LocalStorage) -> None:
    upload = storage.begin_multipart("big")
    storage.put_part(upload, 1, iter([b"x"]))
    storage.abort_multipart(upload)
    storage.abort_multipart(upload)
    assert staged(storage) == []
    for bad in (upload, "../../etc", ""):
        with pytest.raises(NotFound):
            storage.parts(bad)


def test_nothing_is_stored_below_the_floor_of_free_room(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "files", secret=b"s", min_free_bytes=1 << 60)
    with pytest.raises(DiskFull, match="kept free"), storage.writer("k") as writer:
        writer.write(b"x")
    with pytest.raises(DiskFull):
        storage.check()
    assert staged(storage) == []


def test_a_full_disk_says_so(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", _no_space)
    with pytest.raises(DiskFull), storage.writer("k") as writer:
        writer.write(b"x")
    assert staged(storage) == []


def _no_space(_fd: int) -> None:
    raise OSError(28, "No space left on device")


def test_crashes_leave_only_what_is_swept(storage: LocalStorage) -> None:
    old, new = storage.root / ".staging" / "old", storage.root / ".staging" / "new"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    os.utime(new, (999, 999))
    assert storage.sweep(older_than_s=100) == 1
    assert staged(storage) == [new]


@pytest.mark.parametrize("key", ["", "/a", "a//b", "../a", "a/./b", "a/..", "a\x00b", "a\\b", "x" * 901])
def test_keys_cannot_leave_the_storage(storage: LocalStorage, key: str) -> None:
    with pytest.raises(StorageError):
        check_key(key)
    with pytest.raises(StorageError):
        storage.stat(key)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("clip.mp4", "clip.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\a b.mov", "a b.mov"),
        ("фильм.mkv", "фильм.mkv"),
        ("a\x00b\n.mp4", "a_b_.mp4"),
        ("...", "file"),
        ("", "file"),
    ],
)
def test_file_names_made_safe(name: str, safe: str) -> None:
    assert safe_filename(name) == safe


def test_a_long_name_keeps_its_ending() -> None:
    name = safe_filename("ü" * 400 + ".mp4")
    assert name.endswith(".mp4")
    assert len(name.encode()) <= 200
