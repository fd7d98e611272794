"""What every file that comes in passes, whatever door it takes: hashed, looked at by its content, stored once."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from pathlib import Path

from msgspec import Struct

from vtid.db import Assets
from vtid.domain.artifact import Asset
from vtid.domain.media import TOO_MANY_PIXELS, MediaInfo
from vtid.domain.pipeline import kind_of
from vtid.engine.isolation import remove_folder
from vtid.engine.prober import Prober
from vtid.errors import InvalidInput, MediaError, Problem
from vtid.storage import Room, Storage

PROBED_KINDS = ("video", "audio")
BLOCK = 1 << 20


class Incoming(Struct, frozen=True):
    """A file that is stored, and not yet an asset."""

    asset_id: str
    filename: str
    key: str
    kind: str | None = None
    """What it must be; `file` for anything, None to find out."""
    sha256: str | None = None
    """Where it was hashed on its way; in hexadecimal."""
    to_hash: bool = False
    """Whether to hash it where it was not."""


class Examined(Struct, frozen=True):
    """An asset to be."""

    asset: Asset
    spare: str | None
    """Where its bytes are those of an earlier asset of the user: the key of what was stored anew, to be removed once
    the row is stored."""

    @property
    def shares(self) -> bool:
        """Whether an earlier asset has the same bytes."""
        return self.spare is not None


class Examiner:
    """Turns stored files into assets.

    Args:
        assets: that there are.
        storage: of the files.
        prober: looks at them.
        scratch: a folder on their way to the prober.
        room: on the disk of that folder.
    """

    def __init__(self, assets: Assets, storage: Storage, prober: Prober, scratch: Path, room: Room) -> None:
        self._assets = assets
        self._storage = storage
        self._prober = prober
        self._scratch = scratch
        self._room = room

    async def examine(self, user_id: str, file: Incoming) -> Examined:
        """Look at a file. Its row is the caller's to store, in the transaction of what it came for.

        Raises:
            MediaError, UnsupportedMedia: it is not what it should be. The file stays, and is the caller's to remove.
            DiskFull: no room to look at it.
        """
        size = (await asyncio.to_thread(self._storage.stat, file.key)).size
        folder = self._scratch / f"{uuid.uuid4()}"
        local = folder / Path(file.key).name  # under its owner's name for it, which appears in complaints
        try:
            sha256 = file.sha256
            if sha256 is None and file.to_hash:
                await asyncio.to_thread(self._bring, file.key, size, local)
                sha256 = await asyncio.to_thread(_hash, local)
            twin = await self._assets.twin(user_id, sha256, size) if sha256 else None
            info: MediaInfo | None = None
            if twin and twin.info and file.kind in (None, twin.kind):
                kind, info = twin.kind, twin.info
            elif file.kind in (None, *PROBED_KINDS):
                await asyncio.to_thread(self._bring, file.key, size, local)
                kind, info = await asyncio.to_thread(self._probe, local, file.kind)
            else:
                kind = file.kind or ""
                await asyncio.to_thread(self._bring, file.key, size, local)
                await asyncio.to_thread(self._require_pixels, local)
        finally:
            await asyncio.to_thread(remove_folder, folder)
        asset = Asset(file.asset_id, kind, file.filename, size, twin.key if twin else file.key, 0.0, info, sha256)
        return Examined(asset, file.key if twin else None)

    def _bring(self, key: str, size: int, local: Path) -> None:
        if not local.exists():
            self._room.require(size)
            self._storage.fetch(key, local, link=True)

    def _require_pixels(self, local: Path) -> None:
        """Raise `MediaError` where a file, such as a mask, is a picture too large to be worked on; any other passes."""
        try:
            self._prober.probe(local)
        except InvalidInput as error:
            if any(problem.code == TOO_MANY_PIXELS for problem in error.problems):
                raise

    def _probe(self, local: Path, kind: str | None) -> tuple[str, MediaInfo]:
        """Kind and facts. Raises `MediaError`, also where it is none of the kinds that can be used."""
        if kind is None:
            info = self._prober.probe(local)
            kind = info.kind
            if kind not in PROBED_KINDS:
                return kind, info
            if not info.video and not info.audio:
                what = f"is a media file ({info.container}) without picture and sound"
                raise MediaError(f"{local.name} {what}.", problems=[Problem("file", what, "no_streams")])
        return kind, self._prober.probe(local, kind)


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as handle:
        while piece := handle.read(BLOCK):
            digest.update(piece)
    return digest.hexdigest()


def check_kind(asset: Asset, source: str, place: str) -> None:
    """Raise `MediaError` where a file that came in before cannot be the source that it shall be.

    Args:
        asset: the file.
        source: `video`, `audio`, `mask` …
        place: of the request, named in the complaint.
    """
    kind = kind_of(source)
    if kind in PROBED_KINDS and asset.kind != kind and not (kind == "audio" and asset.info and asset.info.audio):
        what = {"image": "a still picture", "audio": "sound without a picture", "video": "a video without sound"}
        is_ = what.get(asset.kind, f"a {asset.kind}")
        message = f"{asset.filename} is {is_}; a {kind} is needed here"
        raise MediaError(f"{message}.", problems=[Problem(place, message, "wrong_kind")])
