"""A prefix of a bucket as a hot folder: listed, and taken by a row, for nothing can be renamed.

One database has one watcher for it, and its rows say what is taken: that is the lease. Daemons with databases of their
own must not share a prefix.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from vtid.domain.watch import FileState, WatchFile
from vtid.engine.intake import Draft
from vtid.errors import NotFound
from vtid.storage.buckets import Buckets
from vtid.watch import naming, sidecars
from vtid.watch.noticing import BucketListener
from vtid.watch.settling import Seen


class Bucket:
    """A watched prefix.

    Args:
        buckets: those that jobs may use; the watched one is among them.
        url: `s3://BUCKET/PREFIX/`.
        owner: id of the account that the jobs are of.
        recursive: whether keys with further `/` count.
        keeps: whether objects stay where they are.
        earlier: which path had a digest before, in this hot folder; but for the file of an id.
    """

    def __init__(
        self,
        buckets: Buckets,
        url: str,
        owner: str,
        *,
        recursive: bool,
        keeps: bool,
        earlier: Callable[[str, str], str | None],
    ) -> None:
        self._buckets = buckets
        self._url = f"{url.rstrip('/')}/"
        self._owner = owner
        self._recursive = recursive
        self._keeps = keeps
        self._earlier = earlier
        self.unread: dict[str, str] = {}

    def _key(self, path: str) -> tuple[str, str]:
        """Bucket and key of a path. Raises `InvalidInput` where the bucket is not open to jobs."""
        bucket, key = self._buckets.locate(f"{self._url}{quote(path) or 'x'}", self._owner, "watch.path")
        return bucket, key if path else key.removesuffix("x")

    # --- what is there

    def prepare(self, *, known: bool) -> None:
        """Whether the bucket answers shows at the next look."""

    def identity(self) -> object:
        """A bucket stays the same."""
        return self._url

    def listener(self, *, poll: bool, poll_s: float, wake: threading.Event) -> BucketListener:
        """What hears of changes in it, where its server tells of them; it is listed every so often all the same."""
        return BucketListener(self._buckets, *self._key(""), wake)

    def look(self, folder: str = "") -> Iterator[Seen]:
        """Every object that could be meant."""
        bucket, prefix = self._key("")
        for key, found in self._buckets.objects(bucket, prefix):
            path = key.removeprefix(prefix)
            if path.startswith(folder) and (self._recursive or "/" not in path) and not naming.ignored(path):
                yield Seen(path, found.size, found.etag.strip('"'))

    def one(self, path: str) -> Seen | None:
        """An object as it is now."""
        try:
            found = self._buckets.stat(*self._key(path))
        except NotFound:
            return None
        return Seen(path, found.size, found.etag.strip('"'))

    def local(self, path: str) -> Path | None:
        """It lies elsewhere."""
        return None

    def digest(self, path: str) -> str:
        """Its etag, which servers make of the content; one that was sent in other parts has another."""
        seen = self.one(path)
        return f"{seen.stamp}:{seen.size}"[-64:] if seen else ""

    # --- taking

    def claim(self, file: WatchFile) -> bool:
        """Its row is the claim."""
        return self.is_unchanged(file)

    def claim_companions(self, file: WatchFile) -> None:
        """They stay where they are until all is over."""

    def is_held(self, file: WatchFile) -> bool:
        """Whether it is there."""
        return self.one(file.path) is not None

    def is_unchanged(self, file: WatchFile) -> bool:
        """Whether it is what it was when it had settled, or has been put away since."""
        return self.one(file.path) == Seen(file.path, file.size, file.stamp)

    def give_back(self, file: WatchFile) -> None:
        """It never left."""

    def strays(self, known: Collection[str]) -> int:
        """Nothing was moved."""
        return 0

    async def bring(self, draft: Draft, source: str, file: WatchFile, path: str) -> None:
        """Have the job's storage take it in, piece by piece."""
        await draft.use_bucket(source, f"{self._url}{quote(path)}", "path")

    def text(self, file: WatchFile, path: str) -> bytes:
        """What a small object holds."""
        data = b""
        for piece in self._buckets.read(*self._key(path)):
            data += piece
            if len(data) > sidecars.MOST:
                break
        return data

    # --- putting away

    def place_for(self, file: WatchFile, outcome: FileState) -> str:
        """Where it will lie once it has left, below `.vtid/` under the prefix."""
        for name in naming.candidates(file.path):
            if self.one(f"{naming.OWN}/{outcome.value}/{name}") is None:
                return f"{outcome.value}/{name}"
        raise AssertionError  # candidates are ten thousand

    def put_away(self, file: WatchFile) -> None:
        """Copy it there, then remove it where it was: in that order, so that it is always somewhere."""
        if self._keeps:
            return
        assert file.kept_at
        for path in self._left(file):
            if self.one(path) is not None:
                kept = PurePosixPath(file.kept_at).with_name(PurePosixPath(path).name)
                target = file.kept_at if path == file.path else str(kept)
                bucket, key = self._key(path)
                self._buckets.copy(bucket, key, self._key(f"{naming.OWN}/{target}")[1])
                self._buckets.delete(bucket, key)

    def remove(self, file: WatchFile) -> None:
        """Delete it, and what goes with it."""
        for path in self._left(file):
            self._buckets.delete(*self._key(path))

    def _left(self, file: WatchFile) -> tuple[str, ...]:
        """What of a file is still there: where another object has its key by now, that one is not touched."""
        here = self.one(file.path)
        mine = here is None or self.is_unchanged(file)
        return (file.path, *file.companions) if mine else ()

    def note(self, file: WatchFile, words: str) -> None:
        """Write an object beside it that says why it is there."""
        assert file.kept_at
        with self._buckets.writer(*self._key(f"{naming.OWN}/{naming.note_of(file.kept_at)}")) as writer:
            writer.write(words.encode())

    def clear_note(self, path: str) -> None:
        """Remove the words on an earlier failure of an object that is not there any more."""
        failed = f"{naming.OWN}/{FileState.FAILED.value}/{path}"
        if self.one(failed) is None:
            self._buckets.delete(*self._key(naming.note_of(failed)))

    # --- contents that were here before

    def owner_of(self, digest: str, file_id: str = "") -> str | None:
        """Which path had these bytes before; the rows know."""
        return self._earlier(digest, file_id)

    def first(self, file: WatchFile) -> str | None:
        """The same, of a file that has a row."""
        assert file.sha256
        return self._earlier(file.sha256, file.id)

    def forget(self, file: WatchFile) -> None:
        """Rows that failed do not count, so that there is nothing to do."""
