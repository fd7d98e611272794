"""Uploads in parts, while they last: which there are, and which parts of them are stored."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, RowMapping, and_, delete, func, insert, select, update

from vtid.db.assets import keep, take_room
from vtid.db.connect import Database
from vtid.db.rows import builtins
from vtid.db.tables import upload_parts, uploads
from vtid.domain.artifact import Asset
from vtid.errors import Conflict, NotFound, Unavailable


class Upload(Struct, frozen=True, kw_only=True):
    """A file on its way in. Its asset will have its id."""

    id: str
    user_id: str
    protocol: str
    """`chunked`, `tus` or `direct`."""
    filename: str
    size: int
    """Bytes, as announced."""
    chunk_size: int | None = None
    """Bytes of each chunk but the last; None where parts are of any size."""
    metadata: str | None = None
    """What the client wants to be told again, as it said it."""
    key: str | None = None
    """Of a direct upload: where the storage will have it."""
    remote_id: str | None = None
    """Of a direct upload: the storage's id of it."""
    created_at: float = 0.0
    expires_at: float
    finished: bool = False


class UploadPart(Struct, frozen=True):
    """Stored bytes of an upload."""

    position: int
    """Of the first of them in the file."""
    size: int
    key: str


def to_upload(row: RowMapping) -> Upload:
    """A row of `uploads`."""
    return msgspec.convert({str(k): v for k, v in row.items()}, Upload)


class Uploads:
    """Uploads in parts. Another user's upload is not there."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._db = database
        self._clock = clock

    async def begin(self, upload: Upload, *, quota: int | None, most: int) -> Upload:
        """Store a new upload.

        Args:
            upload: to store.
            quota: bytes that the user may have stored, what is announced counted in; None: no limit.
            most: unfinished uploads that the user may have.

        Raises:
            QuotaExceeded: too much.
            Unavailable: too many.
        """
        stored = msgspec.structs.replace(upload, created_at=self._clock())
        async with self._db.write() as c:
            await take_room(c, upload.user_id, upload.size, quota)
            open_ = and_(uploads.c.user_id == upload.user_id, uploads.c.finished.is_(False))
            if (await c.execute(select(func.count()).select_from(uploads).where(open_))).scalar_one() >= most:
                raise Unavailable(
                    f"You have {most} unfinished uploads, and may have no more at a time.",
                    suggestion="Finish some or delete them; they expire by themselves.",
                )
            await c.execute(insert(uploads).values(builtins(stored)))
        return stored

    async def get(self, upload_id: str, user_id: str, protocol: str) -> Upload:
        """One upload. Raises `NotFound`, also of one that has expired."""
        mine = and_(uploads.c.id == upload_id, uploads.c.user_id == user_id, uploads.c.protocol == protocol)
        query = select(uploads).where(mine)
        row = await self._db.snapshot(lambda c: c.execute(query).mappings().one_or_none())
        if row is None or row["expires_at"] < self._clock():
            raise NotFound(f"There is no upload {upload_id}; it may have expired.")
        return to_upload(row)

    async def parts(self, upload_id: str) -> Sequence[UploadPart]:
        """The parts that are stored, by position."""
        query = select(upload_parts).where(upload_parts.c.upload_id == upload_id).order_by(upload_parts.c.position)
        rows = await self._db.snapshot(lambda c: c.execute(query).mappings().all())
        return [UploadPart(r["position"], r["size"], r["key"]) for r in rows]

    async def put_part(self, upload_id: str, part: UploadPart) -> tuple[str | None, int]:
        """Note a part that is stored, in place of an earlier one at its position.

        Returns:
            The key of the earlier one, which is the caller's to remove; and how many parts there are now.
        """
        mine = upload_parts.c.upload_id == upload_id
        same = and_(mine, upload_parts.c.position == part.position)

        def put(c: Connection) -> tuple[str | None, int]:
            _hold(c, upload_id)
            before = c.execute(select(upload_parts.c.key).where(same)).scalar_one_or_none()
            c.execute(delete(upload_parts).where(same))
            c.execute(insert(upload_parts).values(builtins(part) | {"upload_id": upload_id}))
            return before, c.execute(select(func.count()).select_from(upload_parts).where(mine)).scalar_one()

        return await self._db.change(put, durable=True)

    async def append(self, upload_id: str, part: UploadPart) -> None:
        """Note a part that is stored behind the others, or that one that is noted has grown.

        Raises:
            Conflict: another came first.
        """
        mine = and_(upload_parts.c.upload_id == upload_id, upload_parts.c.key == part.key)
        others = and_(upload_parts.c.upload_id == upload_id, upload_parts.c.key != part.key)
        length = select(func.coalesce(func.sum(upload_parts.c.size), 0)).where(others)

        def add(c: Connection) -> None:
            _hold(c, upload_id)
            at = int(c.execute(length).scalar_one())
            if at != part.position:
                raise Conflict(f"The upload is at {at}, not at {part.position}; another request added to it.")
            c.execute(delete(upload_parts).where(mine))
            c.execute(insert(upload_parts).values(builtins(part) | {"upload_id": upload_id}))

        await self._db.change(add, durable=True)

    async def forget(self, upload_id: str, keys: Sequence[str]) -> None:
        """Note that parts are not there after all."""
        async with self._db.write() as c:
            lost = and_(upload_parts.c.upload_id == upload_id, upload_parts.c.key.in_(keys))
            await c.execute(delete(upload_parts).where(lost))

    async def finish(self, upload: Upload, asset: Asset, *, shares: bool) -> bool:
        """Store the asset that an upload became, in one transaction with its end.

        Returns:
            False, with nothing written, where somebody else has finished it.
        """
        async with self._db.write(durable=True) as c:
            query = select(uploads.c.finished).where(uploads.c.id == upload.id).with_for_update()
            finished = (await c.execute(query)).scalar_one_or_none()
            if finished is None:
                raise NotFound(f"There is no upload {upload.id}; it was dropped.")
            if finished:
                return False
            await keep(c, asset, upload.user_id, None, self._clock(), shares=shares)
            await c.execute(update(uploads).where(uploads.c.id == upload.id).values(finished=True))
            await c.execute(delete(upload_parts).where(upload_parts.c.upload_id == upload.id))
            return True

    async def drop(self, upload_id: str) -> bool:
        """Forget an upload and its parts; none is no error.

        Returns:
            Whether it was unfinished, so that its bytes are nobody's now.
        """
        async with self._db.write() as c:
            query = select(uploads.c.finished).where(uploads.c.id == upload_id).with_for_update()
            finished = (await c.execute(query)).scalar_one_or_none()
            await c.execute(delete(uploads).where(uploads.c.id == upload_id))
            return finished is False

    async def expired(self, limit: int = 100) -> Sequence[Upload]:
        """Uploads whose time is over, finished ones too."""
        query = select(uploads).where(uploads.c.expires_at < self._clock()).order_by(uploads.c.expires_at).limit(limit)
        async with self._db.read() as c:
            return [to_upload(r) for r in (await c.execute(query)).mappings()]


def _hold(c: Connection, upload_id: str) -> None:
    """Let nobody else change an upload until the transaction ends. Raises `NotFound`, `Conflict`."""
    query = select(uploads.c.finished).where(uploads.c.id == upload_id).with_for_update()
    finished = c.execute(query).scalar_one_or_none()
    if finished is None:
        raise NotFound(f"There is no upload {upload_id}; it may have expired.")
    if finished:
        raise Conflict("This upload is complete; nothing can be added to it.")
