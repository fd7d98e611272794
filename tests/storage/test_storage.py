"""What every storage promises, kept by the folder and by the bucket: whole or not there, by key, by range."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vtid.errors import NotFound, StorageError
from vtid.storage import Storage
from vtid.storage.base import Piece

BIG = random.Random(1).randbytes((9 << 20) + 13)
"""More than a part of the bucket's writer, so that it goes there in parts."""


def store(storage: Storage, key: str, data: bytes = b"x", piece: int = 1 << 20) -> None:
    with storage.writer(key) as writer:
        for at in range(0, len(data), piece):
            writer.write(data[at : at + piece])
        assert writer.size == len(data)


def content(storage: Storage, key: str) -> bytes:
    return b"".join(storage.read(key))


def test_a_stream_appears_when_it_is_whole(storage: Storage) -> None:
    with storage.writer("a/b.bin") as writer:
        for at in range(0, len(BIG), 999_983):
            writer.write(BIG[at : at + 999_983])
            with pytest.raises(NotFound):
                storage.stat("a/b.bin")
    assert content(storage, "a/b.bin") == BIG
    assert storage.stat("a/b.bin").size == writer.size == len(BIG)
    assert list(storage.list("a/")) == ["a/b.bin"]
    assert storage.sweep(older_than_s=-60) == 0, "nothing is left aside"
    assert storage.stat("a/b.bin").size == len(BIG)


@pytest.mark.parametrize("size", [0, 1, 9 << 20])
def test_a_stream_that_breaks_off_leaves_nothing(storage: Storage, size: int) -> None:
    def break_off() -> None:
        with storage.writer("t/a") as writer:
            writer.write(BIG[:size])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert list(storage.list("t/")) == []
    assert storage.sweep(older_than_s=-60) == 0, "nothing was left aside"


def test_an_empty_file_is_a_file(storage: Storage) -> None:
    store(storage, "e/empty", b"")
    assert storage.stat("e/empty").size == 0
    assert content(storage, "e/empty") == b""


def test_put_takes_a_file_over_or_leaves_it(storage: Storage, tmp_path: Path) -> None:
    original = tmp_path / "x"
    original.write_bytes(BIG)
    assert storage.put("p/kept", original) == len(BIG)
    assert original.exists()
    storage.put("p/moved", original, move=True)
    assert not original.exists()
    assert content(storage, "p/kept") == content(storage, "p/moved") == BIG


@pytest.mark.parametrize(
    ("start", "end", "want"), [(0, None, b"0123456789"), (3, 7, b"3456"), (8, 100, b"89"), (10, None, b""), (4, 4, b"")]
)
def test_ranges(storage: Storage, start: int, end: int | None, want: bytes) -> None:
    store(storage, "r/k", b"0123456789")
    assert b"".join(storage.read("r/k", start, end)) == want


def test_a_range_across_pieces(storage: Storage) -> None:
    store(storage, "r/big", BIG)
    assert b"".join(storage.read("r/big", 1_000_003, 8_400_001)) == BIG[1_000_003:8_400_001]


def test_fetch_never_overwrites(storage: Storage, tmp_path: Path) -> None:
    store(storage, "f/k", BIG)
    storage.fetch("f/k", tmp_path / "in" / "x")
    assert (tmp_path / "in" / "x").read_bytes() == BIG
    with pytest.raises(StorageError):
        storage.fetch("f/k", tmp_path / "in" / "x")
    storage.fetch("f/k", tmp_path / "in" / "y", link=True)
    with pytest.raises(NotFound):
        storage.fetch("f/none", tmp_path / "in" / "z")
    assert sorted(p.name for p in (tmp_path / "in").iterdir()) == ["x", "y"]


def test_copy_list_and_delete_by_prefix(storage: Storage) -> None:
    for key in ("u/1/a", "u/1/b/c", "u/12/d"):
        store(storage, key)
    storage.copy("u/1/a", "u/1/copy")
    assert sorted(storage.list("u/1/")) == ["u/1/a", "u/1/b/c", "u/1/copy"]
    assert sorted(storage.folders("u/")) == ["1", "12"]
    assert list(storage.folders("nowhere/")) == []
    assert storage.delete_prefix("u/1/") == 3
    assert list(storage.list("u/")) == ["u/12/d"]
    assert list(storage.folders("u/")) == ["12"]
    storage.delete("u/12/d")
    storage.delete("u/12/d")
    assert list(storage.folders("u/")) == []
    assert storage.delete_prefix("nowhere/") == 0


def test_deleting_by_prefix_keeps_what_is_to_be_kept(storage: Storage) -> None:
    for key in ("u/1/a", "u/1/b/c", "u/1/b/d"):
        store(storage, key)
    assert storage.delete_prefix("u/1/", keep={"u/1/b/c"}) == 2
    assert list(storage.list("u/")) == ["u/1/b/c"]
    assert content(storage, "u/1/b/c") == b"x"


def test_many_keys_are_listed_and_deleted(storage: Storage) -> None:
    keys = [f"m/{i:03d}" for i in range(60)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store(storage, key), keys))
    assert sorted(storage.list("m/")) == keys
    assert storage.delete_prefix("m/") == 60
    assert list(storage.list("m/")) == []


@pytest.mark.parametrize("sizes", [(3, 2, 5), (5 << 20, 5 << 20, 7), ((5 << 20) + 1, 3, 9), (11,)])
def test_files_joined_in_order(storage: Storage, sizes: tuple[int, ...]) -> None:
    """Of large parts, which the server puts together, and of small ones."""
    keys, want, at = [], b"", 0
    for number, size in enumerate(sizes):
        keys.append(f"temp/j/{number}")
        store(storage, keys[-1], BIG[at : at + size])
        want += BIG[at : at + size]
        at += size % 1000
    assert storage.join(list(map(Piece, keys, sizes)), "joined/file") == len(want)
    assert content(storage, "joined/file") == want
    assert storage.delete_prefix("temp/j/") == len(sizes)
    assert content(storage, "joined/file") == want, "it needs its parts no more"


def test_pieces_joined_from_within_files(storage: Storage) -> None:
    store(storage, "temp/p/a", BIG[: 6 << 20])
    store(storage, "temp/p/b", BIG[7 << 20 :])
    taken = [Piece("temp/p/b", 100, 7), Piece("temp/p/a", (5 << 20) + 1, 3), Piece("temp/p/b", 9)]
    for count in (2, 3):
        storage.join(taken[:count], f"joined/{count}")
        want = [BIG[7 << 20 :], BIG, BIG[7 << 20 :]]
        assert content(storage, f"joined/{count}") == b"".join(
            data[p.start : p.start + p.size] for data, p in zip(want, taken[:count], strict=False)
        )


def test_joining_what_is_not_there(storage: Storage) -> None:
    store(storage, "temp/k/0")
    with pytest.raises(NotFound):
        storage.join([Piece("temp/k/0", 1), Piece("temp/k/1", 1)], "joined/none")
    with pytest.raises(NotFound):
        storage.join([Piece("temp/k/0", 2)], "joined/none")
    assert list(storage.list("joined/")) == []


def test_the_etag_tells_contents_apart(storage: Storage) -> None:
    store(storage, "t/a", b"one")
    store(storage, "t/b", b"two!")
    first, again, other = storage.stat("t/a").etag, storage.stat("t/a").etag, storage.stat("t/b").etag
    assert first == again != other
    assert first.startswith('"')
    assert first.endswith('"')


def test_what_is_not_there(storage: Storage) -> None:
    for act in (
        lambda: storage.stat("no/such"),
        lambda: list(storage.read("no/such")),
        lambda: storage.copy("no/such", "b/c"),
    ):
        with pytest.raises(NotFound):
            act()


def test_keys_with_every_letter(storage: Storage) -> None:
    for key in ("l/clip ü é.mp4", "l/фильм №1 (2).mkv", "l/a+b%20c&d=e?f#g.mp4", "l/'quoted' \"name\".mov"):
        store(storage, key, key.encode())
        assert content(storage, key) == key.encode()
        assert key in set(storage.list("l/"))
        storage.copy(key, f"{key}.copy")
    assert storage.delete_prefix("l/") == 8
    assert list(storage.list("l/")) == []


@pytest.mark.parametrize("key", ["", "/a", "a//b", "../a", "a/./b", "a/..", "a\x00b", "a\\b", "x" * 901])
def test_keys_cannot_leave_the_storage(storage: Storage, key: str) -> None:
    for act in (lambda: storage.stat(key), lambda: storage.writer(key), lambda: storage.delete(key)):
        with pytest.raises(StorageError):
            act()


def test_it_is_checked_by_using_it(storage: Storage) -> None:
    storage.check()
    assert list(storage.list("temp/")) == []


def test_many_writers_at_once(storage: Storage) -> None:
    """Each its own key, and two on the same: one of them is there, whole."""
    barrier = threading.Barrier(4)

    def write(number: int) -> None:
        barrier.wait()
        store(storage, f"w/{number // 2}", bytes([number]) * 1_000_000, piece=100_000)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    for number in range(2):
        found = set(content(storage, f"w/{number}"))
        assert len(found) == 1
        assert found <= {2 * number, 2 * number + 1}
