"""What is the folder's alone: links, room on the disk, what crashes leave, names made safe."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from vtid.errors import DiskFull
from vtid.storage import Links, LocalStorage
from vtid.storage.base import Piece, safe_filename


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "files", Links(b"s"), clock=lambda: 1000.0)


def staged(storage: LocalStorage) -> list[Path]:
    return list((storage.root / ".staging").iterdir())


def test_signed_urls_expire_and_cannot_be_forged() -> None:
    links = Links(b"s", clock=lambda: 1000.0)
    url = urlsplit(links.url("u/1/clip ü.mp4", ttl_s=60, filename="clip ü.mp4"))
    query = {k: v[0] for k, v in parse_qs(url.query).items()}
    assert url.path == "/files/u/1/clip%20%C3%BC.mp4"
    good = {"expires": query["expires"], "signature": query["signature"], "filename": query["name"]}
    assert links.verify("u/1/clip ü.mp4", **good)
    for change in (
        {"expires": "9999"},
        {"signature": "0" * 64},
        {"filename": "x.html"},
        {"expires": "x"},
        {"signature": "ü"},
    ):
        assert not links.verify("u/1/clip ü.mp4", **(good | change))
    assert not links.verify("u/1/other", **good)
    assert not Links(b"s", clock=lambda: 1060.0).verify("u/1/clip ü.mp4", **good)
    assert not Links(b"t", clock=lambda: 1000.0).verify("u/1/clip ü.mp4", **good)


def test_a_copy_and_a_join_of_one_cost_no_room(storage: LocalStorage) -> None:
    with storage.writer("a") as writer:
        writer.write(b"data")
    storage.copy("a", "b")
    storage.join([Piece("a", 4)], "c")
    assert len({(storage.root / key).stat().st_ino for key in "abc"}) == 1


def test_of_a_file_that_grows_the_beginning_counts(storage: LocalStorage) -> None:
    growing = storage.growing("temp/g")
    growing.write(b"counted")
    growing.sync()
    growing.write(b", and lost in a crash")
    assert growing.size == 28
    growing.close()
    assert storage.join([Piece("temp/g", 7)], "whole") == 7
    assert b"".join(storage.read("whole")) == b"counted"


def test_places_in_a_file_are_filled_in_any_order_and_each_once(storage: LocalStorage) -> None:
    for at, data in ((4, b"5678"), (8, b"9"), (0, b"1234")):
        growing = storage.growing("temp/w", at)
        assert growing is not None
        growing.write(data)
        growing.sync()
        growing.close()
        assert storage.growing("temp/w", at) is None
    pieces = [Piece("temp/w", 4), Piece("temp/w", 4, 4), Piece("temp/w", 1, 8)]
    storage.join(pieces, "whole")
    assert b"".join(storage.read("whole")) == b"123456789"
    inodes = {(storage.root / key).stat().st_ino for key in ("whole", "temp/w")}
    assert len(inodes) == 1, "nothing was copied"
    with storage.writer("temp/other") as writer:
        writer.write(b"five")
    storage.join([pieces[0], Piece("temp/other", 4), pieces[2]], "mended")
    assert b"".join(storage.read("mended")) == b"1234five9"
    assert b"".join(storage.read("whole")) == b"123456789"


def test_folders_that_are_emptied_and_filled_at_once(storage: LocalStorage) -> None:
    """A folder goes with its last file; whoever stores another there that very moment makes it again."""

    def churn(number: int) -> None:
        for _ in range(200):
            with storage.writer(f"f/g/{number}") as writer:
                writer.write(b"x")
            storage.delete(f"f/g/{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(churn, range(4)))
    assert list(storage.folders("f/")) == []


def test_nothing_is_stored_below_the_floor_of_free_room(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "files", Links(b"s"), min_free_bytes=1 << 60)
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
