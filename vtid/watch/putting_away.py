"""Where a file goes when all is decided: done/, failed/ with words beside it, duplicate/, or nowhere any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import structlog

from vtid.db import Watches
from vtid.domain.watch import FileState, WatchFile
from vtid.engine.bridge import Bridge
from vtid.engine.retry import Backoff
from vtid.watch.declaration import Declared
from vtid.watch.place import Place

log = structlog.get_logger("vtid.watch")


class PuttingAway:
    """Ends the way of files of one hot folder. The decision is a row first; a later watcher can do the rest.

    Args:
        declared: the hot folder.
        place: its files.
        watches: the rows.
        bridge: to the database.
        backoff: waits before what fails for a passing reason is tried again.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        declared: Declared,
        place: Place,
        watches: Watches,
        bridge: Bridge,
        backoff: Backoff,
        clock: Callable[[], float] = time.time,
    ) -> None:
        assert declared.watch
        self._watch = declared.watch
        self._place = place
        self._watches = watches
        self._bridge = bridge
        self.backoff = backoff
        self._clock = clock

    def begin(self, file: WatchFile, outcome: FileState, reason: str | None = None) -> WatchFile:
        """Decide what becomes of a file, and see to it."""
        stays = outcome is FileState.CHANGED or (outcome is FileState.DONE and self._watch.on_done != "move")
        kept_at = None if stays else self._place.place_for(file, outcome)
        changes = {"state": FileState.LEAVING, "outcome": outcome, "reason": reason, "kept_at": kept_at}
        return self.go_on(self._bridge.run(self._watches.change(file, **changes, next_at=None)))

    def fail(self, file: WatchFile, message: str, problems: Sequence[str] = ()) -> WatchFile:
        """A file that cannot be done: it goes to failed/, and may come again."""
        several = "".join(f"\n  - {p}" for p in problems) if len(problems) > 1 else ""
        return self.begin(file, FileState.FAILED, f"{message}{several}")

    def go_on(self, file: WatchFile) -> WatchFile:
        """Put a file where its row says."""
        assert file.outcome
        if file.outcome in (FileState.FAILED, FileState.CHANGED):
            # Before it is where somebody could drop it again from, so that it is no duplicate of itself then.
            self._place.forget(file)
        match file.outcome:
            case FileState.CHANGED:
                self._place.give_back(file)
            case FileState.DONE if self._watch.on_done == "delete":
                self._place.remove(file)
            case FileState.DONE if self._watch.on_done == "keep":
                pass
            case _:
                if file.outcome is not FileState.DONE:
                    self._place.note(file, self._words(file))
                self._place.put_away(file)
        if file.outcome is FileState.DONE:
            self._place.clear_note(file.path)
        ended = self._bridge.run(self._watches.change(file, state=file.outcome, ended_at=self._clock()))
        told = log.warning if file.outcome is FileState.FAILED else log.info
        told("a file is over", watch=file.watch, path=file.path, outcome=file.outcome.value, reason=file.reason)
        return ended

    def _words(self, file: WatchFile) -> str:
        """What a person finds beside a file that was not done."""
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._clock()))
        if file.outcome is FileState.DUPLICATE:
            todo = "Nothing needs to be done: delete the file, or keep it. To have it done all the same, drop it\n"
            todo += 'into a hot folder with duplicates = "allow".'
        elif self._watch.on_done == "keep":
            todo = "What to do: see to the reason above, then save the file in the watched folder again (or touch it)."
        else:
            what = " and ".join(PurePosixPath(p).name for p in (file.path, *file.companions))
            todo = f"What to do: see to the reason above, then move {what}\n"
            todo += "back into the watched folder. It runs again."
        job = f"\nJob: {file.job_id}" if file.job_id else ""
        return f"{file.path}\n\n{file.reason or ''}\n\n{todo}\n\nWhen: {moment}{job}\nHot folder: {file.watch}\n"
