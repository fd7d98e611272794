"""Uploads in parts: begun, filled in any order, finished into an asset; what was acknowledged survives any crash.

A part is stored under a key of its own first, then noted in the database; from then on it counts. The protocols over it
(chunked, tus and direct, in `vtid.web.routes`) differ only in how they say where a part belongs.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from weakref import WeakValueDictionary

from msgspec import Struct

from vtid.db import Assets, Upload, UploadPart, Uploads
from vtid.domain.artifact import Asset
from vtid.engine.examining import Examiner, Incoming
from vtid.engine.layout import asset_key, asset_prefix, is_placed, parts_prefix
from vtid.engine.parts import PartWriter, Running
from vtid.errors import Conflict, InvalidInput, NotFound, Problem, TooLarge
from vtid.storage import DirectPart, DirectUploads, Storage
from vtid.storage.base import Piece, safe_filename

T = TypeVar("T")
MOST_RUNNING = 1000
"""Uploads whose hash is kept on the way; of more, the files are read once again."""


class UploadRules(Struct, frozen=True):
    """What is let in."""

    max_bytes: int
    expire_s: float
    max_open: int
    """Unfinished uploads of one user."""


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
        self._running: dict[str, Running] = {}

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
        named: str = "size",
    ) -> Upload:
        """Make room for a file; `named` is what the protocol calls its size, and the rest is as `Upload` has it.

        Raises:
            InvalidInput: no bytes.
            TooLarge: more bytes than anybody may send, or than are left to this user (`QuotaExceeded`).
            Unavailable: too many unfinished uploads.
            Conflict: a direct one where the storage is a folder.
        """
        if size < 1:
            raise InvalidInput("An empty file is no use.", problems=[Problem(named, "must be at least 1")])
        if size > self.rules.max_bytes:
            limit = f"at most {self.rules.max_bytes >> 20} MB"
            raise TooLarge(
                f"The file is larger than {self.rules.max_bytes >> 20} MB.",
                problems=[Problem(named, limit, "too_large")],
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

    def writer(self, upload: Upload, *, growing: bool = False, place: int | None = None) -> PartWriter:
        """Store a part.

        Args:
            upload: it is of.
            growing: whether it may be noted before its end, where the storage can.
            place: of its first byte in the file, where that is known; of what was written there once already it
                takes nothing away.
        """
        return PartWriter(self._storage, upload, self._running.get(upload.id), growing=growing, place=place)

    async def refuse(self, writer: PartWriter) -> None:
        """Forget a part that is not what it should be; one that was noted stays."""
        if not writer.noted:
            await asyncio.to_thread(writer.release)

    async def put(self, upload: Upload, writer: PartWriter, position: int) -> int:
        """Acknowledge a part at its place, instead of an earlier one there. Returns how many parts there are now."""
        earlier, count = await self._noted(
            self._uploads.put_part(upload.id, writer.at(position)), upload, writer, position
        )
        if earlier and not is_placed(earlier):  # where others have their places; it goes with all of them
            await asyncio.to_thread(self._storage.delete, earlier)
        return count

    async def append(self, upload: Upload, writer: PartWriter, position: int) -> None:
        """Acknowledge a part behind the others, or that it has grown.

        Raises:
            Conflict: another request was faster.
        """
        await self._noted(self._uploads.append(upload.id, writer.at(position)), upload, writer, position)

    async def _noted(self, noting: Awaitable[T], upload: Upload, writer: PartWriter, position: int) -> T:
        end, before = position + writer.size, writer.before
        try:
            told = await noting
        except BaseException:
            # Of what counts already, nothing goes because more did not; of a place in the whole, nothing by itself.
            if not writer.noted and not is_placed(writer.key):
                await asyncio.to_thread(self._storage.delete, writer.key)
            raise
        writer.noted = True
        if before.position == position:
            if len(self._running) > MOST_RUNNING:
                self._running.pop(next(iter(self._running)))
            self._running[upload.id] = Running(end, writer.hash.copy(), (*before.keys, writer.key))
        return told

    def _hashed(self, upload: Upload, parts: Sequence[UploadPart]) -> str | None:
        """The hash of the whole, where all of it came through here in order."""
        running = self._running.pop(upload.id, None)
        whole = running and running.position == upload.size and running.keys == tuple(part.key for part in parts)
        return str(running.hash.hexdigest()) if running and whole else None

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
            parts = await self._uploads.parts(upload.id)
            key = await self._whole(upload, parts)
            sha256 = self._hashed(upload, parts)
            incoming = Incoming(upload.id, upload.filename, key, sha256=sha256, to_hash=True)
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

    async def _whole(self, upload: Upload, parts: Sequence[UploadPart]) -> str:
        """Put the parts together under the asset's key."""
        if upload.protocol == "direct":
            return await self._whole_direct(upload)
        at = 0
        for part in parts:
            if part.position != at:
                break
            at += part.size
        if at != upload.size:
            raise missing(at, upload)
        key = asset_key(upload.user_id, upload.id, upload.filename)
        try:
            await asyncio.to_thread(self._storage.join, [_piece(part) for part in parts], key)
        except NotFound:
            await self._forget_lost(upload, parts)
            raise
        return key

    async def _forget_lost(self, upload: Upload, parts: Sequence[UploadPart]) -> None:
        """Of parts that were noted, a power cut took some: have them sent again. Raises `Conflict`."""

        def is_whole(part: UploadPart) -> bool:
            try:
                piece = _piece(part)
                return self._storage.stat(piece.key).size >= piece.start + piece.size
            except NotFound:
                return False

        lost = [part for part in parts if not await asyncio.to_thread(is_whole, part)]
        await self._uploads.forget(upload.id, [part.key for part in lost])
        if lost:
            raise missing(sum(part.size for part in parts if part not in lost), upload)

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
        self._running.pop(upload.id, None)
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


def _piece(part: UploadPart) -> Piece:
    """Where a part lies."""
    return Piece(part.key, part.size, part.position if is_placed(part.key) else 0)


def missing(at: int, upload: Upload) -> Conflict:
    """Bytes are not there yet."""
    message = f"{at} of {upload.size} bytes are there in one piece"
    return Conflict(f"The upload is not complete: {message}.", problems=[Problem("size", message, "incomplete")])
