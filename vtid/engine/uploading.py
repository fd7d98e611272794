"""Uploads in parts: begun, filled in any order, finished into an asset; what was acknowledged survives any crash.

A part is stored under a key of its own first, then noted in the database; from then on it counts. The protocols over it
(chunked, tus and direct, in `vtid.web.routes`) differ only in how they say where a part belongs.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from weakref import WeakValueDictionary

from msgspec import Struct

from vtid.db import Assets, Upload, UploadPart, Uploads
from vtid.domain.artifact import Asset
from vtid.engine.examining import Examiner, Incoming
from vtid.engine.layout import asset_key, asset_prefix, part_key, parts_prefix
from vtid.errors import Conflict, InvalidInput, NotFound, Problem, TooLarge
from vtid.storage import DirectPart, DirectUploads, Storage
from vtid.storage.base import safe_filename
from vtid.storage.hashing import HashingWriter


class UploadRules(Struct, frozen=True):
    """What is let in."""

    max_bytes: int
    expire_s: float
    max_open: int
    """Unfinished uploads of one user."""


class PartWriter(HashingWriter):
    """A part on its way into the storage; it counts once it is noted."""

    def __init__(self, storage: Storage, upload: Upload) -> None:
        self.key = part_key(upload.id)
        super().__init__(storage.writer(self.key))

    def at(self, position: int) -> UploadPart:
        """What was written, at its place in the file."""
        return UploadPart(position, self.size, self.key)


class Uploading:
    """The one place behind every way to upload a file by itself.

    Args:
        uploads: the database's side of them.
        assets: what they become.
        storage: where parts and files go.
        examiner: judges what came.
        rules: what is let in.
        quota: bytes that a user may have stored; None: no limit.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        uploads: Uploads,
        assets: Assets,
        storage: Storage,
        examiner: Examiner,
        rules: UploadRules,
        quota: Callable[[str], Awaitable[int | None]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.rules = rules
        self._uploads = uploads
        self._assets = assets
        self._storage = storage
        self._examiner = examiner
        self._quota = quota
        self._clock = clock
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    # --- in

    async def begin(
        self,
        user_id: str,
        protocol: str,
        filename: str,
        size: int,
        *,
        chunk_size: int | None = None,
        metadata: str | None = None,
    ) -> Upload:
        """Make room for a file.

        Raises:
            InvalidInput: no bytes.
            TooLarge: more bytes than anybody may send, or than are left to this user (`QuotaExceeded`).
            Unavailable: too many unfinished uploads.
            Conflict: a direct one where the storage is a folder.
        """
        if size < 1:
            raise InvalidInput("An empty file is no use.", problems=[Problem("size", "must be at least 1")])
        if size > self.rules.max_bytes:
            limit = f"at most {self.rules.max_bytes >> 20} MB"
            raise TooLarge(
                f"The file is larger than {self.rules.max_bytes >> 20} MB.",
                problems=[Problem("size", limit, "too_large")],
                suggestion="Raise server.max_upload_mb, or process the file where it lies with `vtid run`.",
            )
        upload_id, filename = str(uuid.uuid4()), safe_filename(filename, "upload")
        key = remote_id = None
        if protocol == "direct":
            key = asset_key(user_id, upload_id, filename)
            remote_id = await asyncio.to_thread(self._direct().begin_direct, key)
        upload = Upload(
            id=upload_id,
            user_id=user_id,
            protocol=protocol,
            filename=filename,
            size=size,
            chunk_size=chunk_size,
            metadata=metadata,
            key=key,
            remote_id=remote_id,
            expires_at=self._clock() + self.rules.expire_s,
        )
        try:
            return await self._uploads.begin(upload, quota=await self._quota(user_id), most=self.rules.max_open)
        except BaseException:
            await self._remove(upload)
            raise

    async def get(self, upload_id: str, user_id: str, protocol: str) -> Upload:
        """One upload. Raises `NotFound`."""
        return await self._uploads.get(upload_id, user_id, protocol)

    async def parts(self, upload: Upload) -> Sequence[UploadPart]:
        """The parts that are there, by position."""
        return await self._uploads.parts(upload.id)

    def writer(self, upload: Upload) -> PartWriter:
        """Store a part."""
        return PartWriter(self._storage, upload)

    async def refuse(self, writer: PartWriter) -> None:
        """Forget a part that was stored and is not what it should be."""
        await asyncio.to_thread(self._storage.delete, writer.key)

    async def put(self, upload: Upload, part: UploadPart) -> None:
        """Acknowledge a part at its place, instead of an earlier one there."""
        await self._note(self._uploads.put_part(upload.id, part), part)

    async def append(self, upload: Upload, part: UploadPart) -> None:
        """Acknowledge a part behind the others. Raises `Conflict` where another request was faster."""
        await self._note(self._uploads.append(upload.id, part), part)

    async def _note(self, noting: Awaitable[str | None], part: UploadPart) -> None:
        doomed: str | None = part.key
        try:
            doomed = await noting
        finally:
            if doomed:
                await asyncio.to_thread(self._storage.delete, doomed)

    # --- out

    async def finish(self, upload: Upload) -> Asset:
        """Make an asset of an upload whose bytes are all there; of one that is finished, give the asset again.

        Raises:
            Conflict: bytes are missing.
            MediaError, UnsupportedMedia: what came cannot be used; the upload is gone then.
        """
        lock = self._locks.setdefault(upload.id, asyncio.Lock())
        async with lock:
            upload = await self._uploads.get(upload.id, upload.user_id, upload.protocol)
            if upload.finished:
                return await self._assets.get(upload.id, upload.user_id)
            key = await self._whole(upload)
            incoming = Incoming(upload.id, upload.filename, key, to_hash=True)
            try:
                examined = await self._examiner.examine(upload.user_id, incoming)
            except InvalidInput:
                await self.drop(upload)
                raise
            won = await self._uploads.finish(upload, examined.asset, shares=examined.shares)
            if won and examined.spare:
                await asyncio.to_thread(self._storage.delete, examined.spare)
            await asyncio.to_thread(self._storage.delete_prefix, parts_prefix(upload.id))
            return await self._assets.get(upload.id, upload.user_id)

    async def _whole(self, upload: Upload) -> str:
        """Put the parts together under the asset's key."""
        if upload.protocol == "direct":
            return await self._whole_direct(upload)
        parts, at = await self._uploads.parts(upload.id), 0
        for part in parts:
            if part.position != at:
                break
            at += part.size
        if at != upload.size:
            raise missing(at, upload)
        key = asset_key(upload.user_id, upload.id, upload.filename)
        await asyncio.to_thread(self._storage.join, [part.key for part in parts], key)
        return key

    async def _whole_direct(self, upload: Upload) -> str:
        direct, key, remote_id = self._direct(), upload.key, upload.remote_id
        assert key is not None
        assert remote_id is not None
        try:
            parts = await asyncio.to_thread(direct.direct_parts, key, remote_id)
        except NotFound:
            # Put together by an earlier request that came no further.
            await asyncio.to_thread(self._storage.stat, key)
            return key
        if (at := sum(part.size for part in parts)) != upload.size:
            raise missing(at, upload)
        await asyncio.to_thread(direct.complete_direct, key, remote_id, parts)
        return key

    # --- past the daemon

    def _direct(self) -> DirectUploads:
        if not isinstance(self._storage, DirectUploads):
            raise Conflict(
                "Files are stored in a folder of the daemon, to which nobody can upload past it.",
                suggestion="Upload with tus or in chunks.",
            )
        return self._storage

    def part_url(self, upload: Upload, number: int, ttl_s: float) -> str:
        """Where a client PUTs part `number`, from 1, of a direct upload."""
        assert upload.key is not None
        assert upload.remote_id is not None
        return self._direct().part_url(upload.key, upload.remote_id, number, ttl_s)

    async def direct_parts(self, upload: Upload) -> Sequence[DirectPart]:
        """The parts of a direct upload that the storage has."""
        assert upload.key is not None
        assert upload.remote_id is not None
        if upload.finished:
            return []
        return await asyncio.to_thread(self._direct().direct_parts, upload.key, upload.remote_id)

    # --- away

    async def drop(self, upload: Upload) -> None:
        """Forget an upload and its bytes; of a finished one the asset stays."""
        if await self._uploads.drop(upload.id):
            await self._remove(upload)

    async def _remove(self, upload: Upload) -> None:
        if upload.key and upload.remote_id:
            await asyncio.to_thread(self._direct().abort_direct, upload.key, upload.remote_id)
        for prefix in (parts_prefix(upload.id), asset_prefix(upload.user_id, upload.id)):
            await asyncio.to_thread(self._storage.delete_prefix, prefix)

    async def expire(self) -> int:
        """Drop the uploads whose time is over. Returns how many."""
        count = 0
        while found := await self._uploads.expired():
            for upload in found:
                await self.drop(upload)
            count += len(found)
        return count


def missing(at: int, upload: Upload) -> Conflict:
    """Bytes are not there yet."""
    message = f"{at} of {upload.size} bytes are there in one piece"
    return Conflict(f"The upload is not complete: {message}.", problems=[Problem("size", message, "incomplete")])
