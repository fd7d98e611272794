"""A prefix of a bucket as a hot folder, against a real server that speaks S3."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import wait_until
from tests.simulators.object_store import ObjectStore
from tests.simulators.telling_store import telling_store
from tests.watch.conftest import Hotbed, film
from vtid.errors import NotFound
from vtid.watch import noticing

Make = Callable[..., Hotbed]


class Prefix:
    """A bucket with a folder for a hot folder."""

    def __init__(self, store: ObjectStore, hot: Hotbed, bucket: str) -> None:
        self.hot = hot
        self.bucket = bucket
        self.buckets = hot.lab.app.buckets

    def put(self, path: str, data: bytes) -> None:
        with self.buckets.writer(self.bucket, f"in/{path}") as writer:
            writer.write(data)

    def keys(self) -> set[str]:
        return {key for key, _ in self.buckets.objects(self.bucket, "")}

    def text(self, key: str) -> str:
        return b"".join(self.buckets.read(self.bucket, key)).decode()


@pytest.fixture
def make_prefix(make_hotbed: Make, store: ObjectStore) -> Callable[..., Prefix]:
    def make(**keys: Any) -> Prefix:
        bucket = store.bucket()
        settings = {"watches__stalled_seconds": 0} | store.settings(None, bucket)
        return Prefix(store, make_hotbed(settings=settings, path=f"s3://{bucket}/in/", **keys), bucket)

    return make


def test_an_object_is_dropped_and_its_result_found(make_prefix: Callable[..., Prefix], clip: bytes) -> None:
    prefix = make_prefix(duplicates="move")
    hot = prefix.hot
    prefix.put("day/50% off.mp4", clip)
    prefix.put("day/notes.mp4", b"no video")
    prefix.put("x.mp4.part", clip)
    hot.round()
    assert hot.files() == [], "it has not settled"
    prefix.put("day/50% off.mp4", film(clip, 1))
    hot.round(4)
    hot.round(4)
    assert [f.path for f in hot.files()] == ["day/notes.mp4"], "one was replaced while it waited"
    hot.settle()
    hot.work()
    assert hot.outputs() == {"day/50% off.copy.mp4"}
    assert (hot.out / "day/50% off.copy.mp4").read_bytes() == film(clip, 1)
    prefix.put("again.mp4", film(clip, 1))
    hot.settle()
    assert prefix.keys() == {
        "in/.vtid/done/day/50% off.mp4",
        "in/.vtid/failed/day/notes.mp4",
        "in/.vtid/failed/day/notes.mp4.txt",
        "in/.vtid/duplicate/again.mp4",
        "in/.vtid/duplicate/again.mp4.txt",
        "in/x.mp4.part",
    }
    assert "as day/50% off.mp4" in prefix.text("in/.vtid/duplicate/again.mp4.txt")
    prefix.put("day/notes.mp4", film(clip, 2))
    hot.settle()
    hot.work()
    assert hot.states()["day/notes.mp4"] == "done"


def test_objects_that_stay(make_prefix: Callable[..., Prefix], clip: bytes) -> None:
    prefix = make_prefix(on_done="keep")
    hot = prefix.hot
    prefix.put("a.mp4", clip)
    hot.settle()
    hot.settle()
    hot.work()
    hot.start()
    hot.settle()
    assert hot.outputs() == {"a.copy.mp4"}
    assert len(hot.files()) == 1
    assert prefix.keys() == {"in/a.mp4"}


def test_a_bucket_that_is_not_open_is_told(make_hotbed: Make, store: ObjectStore) -> None:
    hot = make_hotbed(settings=store.settings(None, "other-bucket"), path="s3://not-mine/in/")
    hot.round()
    hot.round()
    assert hot.record().state == "degraded"
    assert "not-mine/in/x is not open to jobs" in (hot.record().reason or "")


def test_a_server_that_tells_of_new_objects_is_listened_to(
    make_hotbed: Make, store: ObjectStore, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Listed every hour, and yet taken at once; also after the server was away for a while."""
    monkeypatch.setattr(noticing, "AGAIN_S", 0.05)
    with telling_store(store) as telling:
        bucket = telling.bucket()
        settings = {"watches__stalled_seconds": 0} | telling.settings(None, bucket)
        keys = {"path": f"s3://{bucket}/in/", "poll_seconds": 3600, "settle_seconds": 1}
        hot = make_hotbed(settings=settings, listens=True, **keys)
        prefix = Prefix(telling, hot, bucket)

        def taken(name: str) -> bool:
            hot.now += 1
            hot.watcher.round()
            return name in hot.states()

        hot.watcher.round()
        wait_until(lambda: telling.listeners == 1)
        lists = telling.lists
        prefix.put("elsewhere.txt", b"is told, and no film")
        prefix.put("a.mp4", clip)
        wait_until(lambda: taken("a.mp4"))
        wait_until(hot.watcher.idle)
        assert telling.lists > lists
        telling.hang_up()
        prefix.put("b.mp4", film(clip, 1))  # nobody is told of this one
        wait_until(lambda: taken("b.mp4"))
        wait_until(lambda: telling.listeners == 1)
        hot.watcher.close()


def test_a_server_that_tells_nothing_is_asked_once(make_hotbed: Make, store: ObjectStore) -> None:
    bucket = store.bucket()
    hot = make_hotbed(settings=store.settings(None, bucket), path=f"s3://{bucket}/in/")
    with pytest.raises(NotFound, match="does not tell of changes"):
        next(iter(hot.lab.app.buckets.heard(bucket, "in/")))
