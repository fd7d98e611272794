"""A watched folder on a disk or a share: what lies in it, and how files are taken out of it and put away.

Taking is a rename within one file system, which one of several daemons on a share wins. What came from where, and whose
it is, can be read off the path: `.vtid/processing/TOKEN/ID/spanish/clip.mp4`. With `on_done = "keep"` nothing is moved:
then a small file in `.vtid/claims/` that only one daemon can make stands for the rename.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import threading
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from vtid.domain.watch import FileState, WatchFile
from vtid.engine.intake import Draft
from vtid.errors import Conflict, StorageError, Unavailable
from vtid.watch import naming, sidecars, whole
from vtid.watch.moving import move, publish, share_errors
from vtid.watch.noticing import Listener, must_poll
from vtid.watch.settling import Seen

PROCESSING, SEEN, CLAIMS = "processing", "seen", "claims"


class Folder:
    """One watched folder.

    Args:
        root: the folder.
        work: of vtid's own.
        token: of this database; other daemons on the same share have others.
        recursive: whether sub-folders count.
        keeps: whether the files stay where they are.
    """

    def __init__(self, root: Path, work: Path, token: str, *, recursive: bool, keeps: bool) -> None:
        self.root = root
        self.work = work
        self._mark = work / f"token-{token}"
        self._mine = work / PROCESSING / token
        self._token = token
        self._recursive = recursive
        self._keeps = keeps
        self.unread: dict[str, str] = {}

    # --- what is there

    def prepare(self, *, known: bool) -> None:
        """Make sure that the folder is what it was.

        Args:
            known: whether files of it are on their way. Then an empty folder is taken for a share that is gone, and not
                for one whose files somebody has removed.

        Raises:
            Unavailable: it is not there, or cannot be written.
            StorageError: a file cannot be taken out of it by a rename.
        """
        if not self.root.is_dir():
            raise Unavailable(f"The folder {self.root} is not there.", suggestion="Is the share mounted?")
        if self._mark.exists():
            return
        if known:
            raise Unavailable(
                f"{self.root} is not the folder that it was: {self._mark} is gone, and files of it are on their way.",
                suggestion="Mount the share again. If it was removed on purpose: vtid watch rescan.",
            )
        try:
            for name in (PROCESSING, SEEN, CLAIMS, FileState.DONE, FileState.FAILED):
                (self.work / name).mkdir(parents=True, exist_ok=True)
            self._mine.mkdir(exist_ok=True)
            if not self._keeps and self.work.stat().st_dev != self.root.stat().st_dev:
                raise StorageError(
                    f"{self.work} lies on another file system than {self.root}: files are taken by a rename, which "
                    'does not reach there. Choose another work folder, or on_done = "keep".'
                )
            self._mark.touch()
        except OSError as error:
            raise Unavailable(f"{error.filename or self.work} cannot be written: {error.strerror}") from error

    def identity(self) -> tuple[int, int, bool] | None:
        """Changes when another folder, or another file system, is there under the same name; None where none is."""
        with suppress(OSError):
            found = self.root.stat()
            return found.st_dev, found.st_ino, self._mark.exists()  # a new folder may get the number of the old one
        return None

    def listener(self, *, poll: bool, poll_s: float, wake: threading.Event) -> Listener:
        """What hears of changes in it; on a share, by looking."""
        root, ignore = self.root.resolve(), self.work.resolve()
        return Listener(root, ignore, poll=poll or must_poll(root), poll_s=poll_s, recursive=self._recursive, wake=wake)

    def look(self, folder: str = "") -> Iterator[Seen]:
        """Every file that could be meant, in a folder and below it.

        A sub-folder that cannot be read keeps no other from being looked into; it is in `unread` then.

        Raises:
            Unavailable: the hot folder itself cannot be read.
        """
        below = f"{folder}/" if folder else ""
        self.unread = {f: w for f, w in self.unread.items() if f != folder and not f.startswith(below)}
        pending = [folder]
        while pending:
            here = pending.pop()
            try:
                with os.scandir(self.root / here) as entries:
                    for entry in entries:
                        path = f"{here}/{entry.name}" if here else entry.name
                        if entry.is_dir(follow_symlinks=False):
                            if self._recursive and not naming.ignored(f"{path}/x"):
                                pending.append(path)
                        elif not naming.ignored(path) and (seen := whole.look(self.root, path)):
                            yield seen
            except FileNotFoundError:
                if here == "":
                    raise Unavailable(f"The folder {self.root} is not there.") from None
            except OSError as error:
                words = f"{self.root / here} cannot be read: {error.strerror}"
                if here == "":
                    raise Unavailable(words) from error
                self.unread[here] = words

    def one(self, path: str) -> Seen | None:
        """A file as it is now."""
        return whole.look(self.root, path)

    def local(self, path: str) -> Path:
        """Where a file lies that is not taken."""
        return self.root / path

    def digest(self, path: str) -> str:
        """Its hash, having read it to the end. Raises `Unready`."""
        return whole.read_whole(self.root / path)

    async def bring(self, draft: Draft, source: str, file: WatchFile, path: str) -> None:
        """Hand a taken file, or one that goes with it, to a job: linked where the file system can, else copied once."""
        await asyncio.to_thread(draft.put, source, self.held(file, path), path.rpartition("/")[2])

    def text(self, file: WatchFile, path: str) -> bytes:
        """What a small file holds that goes with a taken one. Raises `InvalidInput`."""
        return sidecars.load(self.held(file, path))

    # --- taking

    def held(self, file: WatchFile, path: str | None = None) -> Path:
        """Where a taken file lies, or one that goes with it."""
        return (self.root if self._keeps else self._mine / file.id) / (path or file.path)

    def claim(self, file: WatchFile) -> bool:
        """Take a file; False where somebody else was faster, or it is not what it was any more.

        Raises:
            Unavailable: the share does not let it be taken now.
        """
        if self._keeps:
            return self._only_mine(self._claim_mark(file), file.id) is None and self.is_unchanged(file)
        target = self.held(file)
        with share_errors():
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                (self.root / file.path).rename(target)
            except FileNotFoundError:
                # On NFS an answer may get lost, and the request be sent again after it was done.
                if not target.exists():
                    self._prune(target.parent, self._mine)
                    return False
        if not self.is_unchanged(file):
            self.give_back(file)
            return False
        self.claim_companions(file)
        return True

    def claim_companions(self, file: WatchFile) -> None:
        """Take what goes with a file; one that is not there any more stays out."""
        for path in () if self._keeps else file.companions:
            target = self.held(file, path)
            with share_errors(), suppress(FileNotFoundError):
                target.parent.mkdir(parents=True, exist_ok=True)
                (self.root / path).rename(target)

    def is_held(self, file: WatchFile) -> bool:
        """Whether the file is taken."""
        return self.held(file).exists()

    def is_unchanged(self, file: WatchFile) -> bool:
        """Whether a taken file is still what it was when it had settled."""
        return whole.look(self.held(file).parent, self.held(file).name) == Seen(
            self.held(file).name, file.size, file.stamp
        )

    def give_back(self, file: WatchFile) -> None:
        """Put a taken file where it was, and what goes with it; where another has come meanwhile, beside that."""
        if self._keeps:
            self._forget(self._claim_mark(file), file.id)
            return
        for path in (file.path, *file.companions):
            if self.held(file, path).exists():
                with share_errors():
                    move(self.held(file, path), self.root / path)
        self._prune(self._mine / file.id, self._mine, whole_tree=True)

    def strays(self, known: Collection[str]) -> int:
        """Give back what was taken and no row knows of, as after a database was restored. Returns how many files."""
        count = 0
        for folder in self._mine.iterdir() if self._mine.is_dir() else ():
            if folder.name not in known:
                for path in [p for p in folder.rglob("*") if p.is_file()]:
                    with share_errors():
                        move(path, self.root / path.relative_to(folder))
                    count += 1
                self._prune(folder, self._mine, whole_tree=True)
        return count

    # --- putting away

    def place_for(self, file: WatchFile, outcome: FileState) -> str:
        """Where a file will lie once it has left, below the folder of vtid's own; noted before it goes there."""
        for name in naming.candidates(file.path):
            if not (self.work / outcome.value / name).exists():
                return f"{outcome.value}/{name}"
        raise Conflict(f"There are too many files {file.path} in {self.work / outcome.value}.")

    def put_away(self, file: WatchFile) -> None:
        """Move a taken file, and what goes with it, to where its row says; where it went already, nothing is left."""
        assert file.kept_at
        target = self.work / file.kept_at
        if not self._keeps:
            for path in (file.path, *file.companions):
                source = self.held(file, path)
                place = target if path == file.path else target.with_name(source.name)
                if source.exists():
                    with share_errors():
                        move(source, place)
            self._prune(self._mine / file.id, self._mine, whole_tree=True)

    def remove(self, file: WatchFile) -> None:
        """Delete a taken file and what goes with it."""
        with share_errors():
            if (self._mine / file.id).exists():
                shutil.rmtree(self._mine / file.id)

    def note(self, file: WatchFile, words: str) -> None:
        """Write beside a file why it is there."""
        assert file.kept_at
        place = self.work / naming.note_of(file.kept_at)
        with share_errors():
            place.parent.mkdir(parents=True, exist_ok=True)
            staged = place.with_name(f".{file.id}{naming.NOTE}")
            staged.write_text(words, encoding="utf-8")
            staged.replace(place)

    def clear_note(self, path: str) -> None:
        """Remove the words on an earlier failure of a file that is not there any more."""
        place = self.work / FileState.FAILED.value / path
        if not place.exists():
            with suppress(OSError):
                (self.work / FileState.FAILED.value / naming.note_of(path)).unlink(missing_ok=True)
                self._prune(place.parent, self.work / FileState.FAILED.value)

    # --- contents that were here before

    def owner_of(self, sha256: str, file_id: str = "") -> str | None:
        """Which path had these bytes before, in this folder, of whatever daemon; None where none had."""
        return seen_before(self.work, sha256, file_id)

    def first(self, file: WatchFile) -> str | None:
        """Note that a file has these bytes. Returns the path of another that was first; None: this one is."""
        assert file.sha256
        return self._only_mine(_seen_mark(self.work, file.sha256), file.id, file.path)

    def forget(self, file: WatchFile) -> None:
        """Let the same bytes, and the same file, come again."""
        if file.sha256:
            self._forget(_seen_mark(self.work, file.sha256), file.id)
        if self._keeps:
            self._forget(self._claim_mark(file), file.id)

    def _claim_mark(self, file: WatchFile) -> Path:
        name = hashlib.sha256(f"{file.path}\0{file.size}\0{file.stamp}".encode()).hexdigest()
        return self.work / CLAIMS / name[:2] / name

    def _only_mine(self, mark: Path, file_id: str, words: str = "") -> str | None:
        """Make a mark that only one can make, with its content in it from the first moment on."""
        staged = mark.with_name(f".{mark.name}.{file_id}")
        with share_errors():
            mark.parent.mkdir(parents=True, exist_ok=True)
            staged.write_text(f"{self._token} {file_id} {words}", encoding="utf-8")
            try:
                publish(staged, mark)
            except FileExistsError:
                return _owner(mark, file_id)
            finally:
                staged.unlink(missing_ok=True)
        return None

    def _forget(self, mark: Path, file_id: str) -> None:
        with share_errors():
            if mark.exists() and _owner(mark, file_id) is None:
                mark.unlink(missing_ok=True)

    def _prune(self, folder: Path, top: Path, *, whole_tree: bool = False) -> None:
        """Remove a folder that is empty, and those above it; with `whole_tree`, the empty ones in it first."""
        with suppress(OSError):
            if whole_tree:
                for inner in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
                    inner.rmdir()
            while folder != top:
                folder.rmdir()
                folder = folder.parent


def seen_before(work: Path, sha256: str, file_id: str = "") -> str | None:
    """Which path had these bytes before, but for the file of an id; None where none had. Raises `Unavailable`."""
    return _owner(_seen_mark(work, sha256), file_id)


def _seen_mark(work: Path, sha256: str) -> Path:
    return work / SEEN / sha256[:2] / sha256


def _owner(mark: Path, file_id: str) -> str | None:
    """Whose a mark is, but for a file's own; None where it is that file's, or is not there."""
    try:
        _token, owner, path = mark.read_text(encoding="utf-8").split(" ", 2)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Unavailable(f"{mark} cannot be read: {error}") from error
    return None if owner == file_id else path or "another daemon"
