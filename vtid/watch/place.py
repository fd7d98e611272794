"""What may be watched: a folder on this machine or a share, or a prefix of a bucket."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Protocol

from vtid.domain.watch import FileState, WatchFile
from vtid.engine.intake import Draft
from vtid.watch.noticing import Listening
from vtid.watch.settling import Seen


class Place(Protocol):
    """Files that come in, and where they go. Methods block but for `bring`; what they raise is worth another try."""

    unread: dict[str, str]
    """Sub-folders that could not be looked into at the last look, and why; the rest was."""

    def prepare(self, *, known: bool) -> None:
        """Raise `Unavailable` or `StorageError` unless it is there, and is what it was while files are on their way."""

    def identity(self) -> object:
        """Changes when what is there under its name becomes another thing; None where nothing is."""

    def listener(self, *, poll: bool, poll_s: float, wake: threading.Event) -> Listening:
        """What hears of changes in it."""

    def look(self, folder: str = "") -> Iterator[Seen]:
        """Every file that could be meant, in a folder and below it; what cannot be looked into is in `unread` then."""

    def one(self, path: str) -> Seen | None:
        """A file as it is now; None where there is none."""

    def local(self, path: str) -> Path | None:
        """Where a file lies on this machine that is not taken; None where it lies elsewhere."""

    def digest(self, path: str) -> str:
        """What files with the same bytes have in common, having read it to the end. Raises `Unready`."""

    def claim(self, file: WatchFile) -> bool:
        """Take a file; False where somebody else was faster, or it changed."""

    def claim_companions(self, file: WatchFile) -> None:
        """Take what goes with it, as far as that is not done."""

    def is_held(self, file: WatchFile) -> bool:
        """Whether the file is taken."""

    def is_unchanged(self, file: WatchFile) -> bool:
        """Whether it is still what it was."""

    def give_back(self, file: WatchFile) -> None:
        """Put it where it was."""

    def strays(self, known: Collection[str]) -> int:
        """Give back what no row knows of. Returns how many files."""

    async def bring(self, draft: Draft, source: str, file: WatchFile, path: str) -> None:
        """Hand it, or what goes with it, to a job."""

    def text(self, file: WatchFile, path: str) -> bytes:
        """What a small file holds that goes with it."""

    def place_for(self, file: WatchFile, outcome: FileState) -> str:
        """Where it will lie once it has left."""

    def put_away(self, file: WatchFile) -> None:
        """Move it there."""

    def remove(self, file: WatchFile) -> None:
        """Delete it."""

    def note(self, file: WatchFile, words: str) -> None:
        """Write beside it why it is there."""

    def clear_note(self, path: str) -> None:
        """Remove the words on an earlier failure of a file that is not there any more."""

    def owner_of(self, digest: str, file_id: str = "") -> str | None:
        """Which path had these bytes before."""

    def first(self, file: WatchFile) -> str | None:
        """Note that a file has its bytes; the path of another that was first."""

    def forget(self, file: WatchFile) -> None:
        """Let the same bytes come again."""
