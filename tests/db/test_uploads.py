"""Uploads and files in the database, on SQLite and on PostgreSQL: races that only the database can settle."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from tests.db.test_database import Db, db  # noqa: F401 - the fixture
from vtid.db import AssetFilter, Upload, UploadPart, Uploads
from vtid.domain.artifact import Asset
from vtid.errors import Conflict, NotFound, QuotaExceeded, Unavailable


def upload(size: int = 100, user: str = "local", **more: Any) -> Upload:
    return Upload(
        id=str(uuid.uuid4()), user_id=user, protocol="tus", filename="a.mp4", size=size, expires_at=9e9, **more
    )


def asset(key: str, size: int = 100, **more: Any) -> Asset:
    return Asset(str(uuid.uuid4()), "video", "a.mp4", size, key, 0.0, None, "0" * 64, **more)


@pytest.fixture
def uploads(db: Db) -> Uploads:  # noqa: F811
    return Uploads(db.database, db.clock)


def test_parts_are_appended_by_one_of_many(db: Db, uploads: Uploads) -> None:  # noqa: F811
    mine = upload()

    async def race() -> list[Any]:
        await uploads.begin(mine, quota=None, most=10)
        parts = [UploadPart(0, 10 + n, f"k{n}") for n in range(8)]
        return await asyncio.gather(*(uploads.append(mine.id, p) for p in parts), return_exceptions=True)

    told = db.run(race())
    assert sum(one is None for one in told) == 1
    assert all(one is None or isinstance(one, Conflict) for one in told), told
    (part,) = db.run(uploads.parts(mine.id))
    db.run(uploads.append(mine.id, UploadPart(0, 50, part.key)))
    assert [(p.position, p.size) for p in db.run(uploads.parts(mine.id))] == [(0, 50)], "a part may grow"
    db.run(uploads.append(mine.id, UploadPart(50, 5, "next")))
    with pytest.raises(Conflict):
        db.run(uploads.append(mine.id, UploadPart(50, 1, "late")))


def test_a_part_put_again_names_the_one_before(db: Db, uploads: Uploads) -> None:  # noqa: F811
    mine = upload()
    db.run(uploads.begin(mine, quota=None, most=10))
    assert db.run(uploads.put_part(mine.id, UploadPart(0, 10, "one"))) == (None, 1)
    assert db.run(uploads.put_part(mine.id, UploadPart(0, 10, "two"))) == ("one", 1)
    assert [p.key for p in db.run(uploads.parts(mine.id))] == ["two"]


def test_it_is_finished_once(db: Db, uploads: Uploads) -> None:  # noqa: F811
    mine = upload()

    async def race() -> list[Any]:
        await uploads.begin(mine, quota=None, most=10)
        made = [asset("k") for _ in range(4)]
        return await asyncio.gather(*(uploads.finish(mine, one, shares=False) for one in made))

    assert sorted(db.run(race())) == [False, False, False, True]
    assert len(db.run(db.assets.list(AssetFilter("local")))) == 1
    with pytest.raises(Conflict, match="complete"):
        db.run(uploads.append(mine.id, UploadPart(0, 1, "late")))
    assert db.run(uploads.drop(mine.id)) is False, "its bytes are the asset's"
    with pytest.raises(NotFound):
        db.run(uploads.finish(mine, asset("k"), shares=False))


def test_the_quota_holds_against_many_at_once(db: Db, uploads: Uploads) -> None:  # noqa: F811
    async def race() -> list[Any]:
        begin = [uploads.begin(upload(30), quota=100, most=99) for _ in range(8)]
        return await asyncio.gather(*begin, return_exceptions=True)

    told = db.run(race())
    assert sum(isinstance(one, Upload) for one in told) == 3
    assert all(isinstance(one, Upload | QuotaExceeded) for one in told), told
    db.run(uploads.begin(upload(30, "somebody else"), quota=100, most=99))
    with pytest.raises(Unavailable, match="3 unfinished"):
        db.run(uploads.begin(upload(1), quota=None, most=3))


def test_bytes_are_shared_or_gone_and_never_both(db: Db, uploads: Uploads) -> None:  # noqa: F811
    """One deletes the only file with these bytes, while another upload is about to share them."""

    async def race() -> tuple[Any, Any]:
        first, second = upload(), upload()
        for one in (first, second):
            await uploads.begin(one, quota=None, most=1000)
        made = asset(f"key-{first.id}")
        await uploads.finish(first, made, shares=False)
        sharing = uploads.finish(second, asset(made.key), shares=True)
        shared, gone = await asyncio.gather(sharing, db.assets.delete(made.id, "local"), return_exceptions=True)
        return shared, gone

    for _ in range(20):
        shared, gone = db.run(race())
        assert (shared is True and gone is None) or (isinstance(shared, Conflict) and gone), (shared, gone)


def test_usage_counts_shared_bytes_once(db: Db, uploads: Uploads) -> None:  # noqa: F811
    for key, size in (("a", 10), ("b", 20)):
        one = upload(size)
        db.run(uploads.begin(one, quota=None, most=10))
        db.run(uploads.finish(one, asset(key, size), shares=False))
    twin = upload(10)
    db.run(uploads.begin(twin, quota=None, most=10))
    db.run(uploads.finish(twin, asset("a", 10), shares=True))
    db.run(uploads.begin(upload(7), quota=None, most=10))
    usage = db.run(db.assets.usage("local"))
    assert (usage.assets, usage.asset_count, usage.uploads, usage.total) == (30, 3, 7, 37)
    assert db.run(db.assets.usage("somebody else")).total == 0
