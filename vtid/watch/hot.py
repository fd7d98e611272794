"""One hot folder at work: hands that take its files and bring out what became of them; how it is."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import structlog

from vtid.db import Standing, Watches
from vtid.domain.watch import FileState, WatchFile, WatchRecord
from vtid.engine.bridge import Bridge
from vtid.errors import VtidError
from vtid.watch.declaration import Declared
from vtid.watch.looking import Lookout
from vtid.watch.outbox import Outbox
from vtid.watch.returning import Returning
from vtid.watch.settling import Settled, Share
from vtid.watch.taking import Passing, Taking, words_of
from vtid.watch.whole import Unready

log = structlog.get_logger("vtid.watch")
HANDS = 4
"""Files of a folder that are read, taken or brought out at a time."""
MOST_HELD_UP = 4
"""Of a folder with so many files that wait for something to pass, no more are taken."""


class Hot:
    """A hot folder.

    Args:
        declared: what it is to do.
        lookout: knows what waits in it.
        outbox: its results.
        taking: makes jobs of its files.
        returning: brings out what they made.
        watches: the rows.
        bridge: to the database.
        wake: set when there is something to do.
        steady: seconds that nobody sets back.
    """

    def __init__(
        self,
        declared: Declared,
        lookout: Lookout,
        outbox: Outbox,
        taking: Taking,
        returning: Returning,
        watches: Watches,
        bridge: Bridge,
        wake: threading.Event,
        steady: Callable[[], float],
    ) -> None:
        assert declared.watch
        self.declared = declared
        self.lookout = lookout
        self.outbox = outbox
        self.trouble: str | None = None
        """What does not work now about the folder itself."""
        self.room: int | None = None
        """Bytes that are free where its results go, where that is known."""
        self.shut: str | None = None
        """Why nothing can be brought there now."""
        self.closing: str | None = None
        """Why it takes nothing any more, and only finishes what is on its way."""
        self._taking = taking
        self._returning = returning
        self._watches = watches
        self._bridge = bridge
        self._wake = wake
        self._steady = steady
        self._keeps = declared.watch.on_done == "keep"
        self._priority = declared.watch.priority
        self._next: deque[Settled] = deque()
        self._lock = threading.Lock()
        self._begun = 0
        self._attending: Future[None] | None = None
        self._hands = ThreadPoolExecutor(HANDS, f"vtid-{declared.name}")

    @property
    def name(self) -> str:
        """Of the hot folder."""
        return self.declared.name

    @property
    def busy(self) -> bool:
        """Whether files of it are in hand."""
        return bool(self.lookout.in_hand) or not self.is_attended

    # --- looking

    def begin_to_attend(self, record: WatchRecord) -> Future[None]:
        """Attend in a thread of this folder's own: one on a share that hangs keeps no other from its turn."""
        if self._attending is None or self._attending.done():
            self._attending = self._hands.submit(self.attend, record)
        return self._attending

    @property
    def is_attended(self) -> bool:
        """Whether nobody is at it just now; while somebody is, what waits must be left alone."""
        return self._attending is None or self._attending.done()

    def attend(self, record: WatchRecord) -> None:
        """Hear and look, as far as it is time to; what does not work is noted and tried again."""
        try:
            try:
                self.lookout.attend(record)
                self._say(None)
            except VtidError as error:
                self._say(words_of(error))
            self._look_at_output()
        except Exception:  # nobody else would hear of it from a pool's thread
            log.exception("bug while attending to a hot folder", watch=self.name)

    def _look_at_output(self) -> None:
        try:
            self.room, self.shut = self.outbox.free(), None
        except VtidError as error:
            self.room, self.shut = None, words_of(error)

    # --- what is to be done, by whoever has hands

    def share(self, standing: Standing) -> Share:
        """What it has waiting, and may be taken."""
        with self._lock:
            room = 2 * HANDS - self._begun  # what is begun with hands for it; the rest is as well left where it is
        stuck = self.trouble or self.shut or self.closing or standing.held_up >= MOST_HELD_UP
        self._next = deque([] if stuck else self.lookout.settling.due(self._steady(), room))
        return Share(self.name, self._priority, len(self._next), max(standing.going, self.lookout.in_hand))

    def take_next(self) -> None:
        """Begin with the file whose turn it is, of those that the last `share` counted."""
        settled = self._next.popleft()
        self.lookout.settling.drop(settled.seen.path)
        self.lookout.lay_hands_on([settled.seen.path])
        with self._lock:
            self._begun += 1
        self._hands.submit(self.take, settled)

    def take(self, settled: Settled) -> None:
        """Make a job of a file, and let go of it."""
        path = settled.seen.path
        again, stuck = "", ""
        try:
            file = self._taking.take(settled)
            left_alone = file is not None and file.state is FileState.DUPLICATE and file.kept_at is None
            if left_alone or self._keeps:
                self.lookout.remember(settled.seen)
        except Unready as error:
            again = str(error)
        except Passing:  # its row says so
            if self._keeps:
                self.lookout.remember(settled.seen)
        except VtidError as error:
            log.warning("a file cannot be taken", watch=self.name, path=path, reason=error.message)
            again = stuck = words_of(error)
        except Exception:  # nobody else would hear of it from a pool's thread
            log.exception("bug while taking a file", watch=self.name, path=path)
            again = stuck = f"{path}: vtid itself failed over it; the log has the details"
        finally:
            self.lookout.note(path, stuck)
            if again:
                self.lookout.put_back(settled, again)
            with self._lock:
                self._begun -= 1
            self.lookout.let_go(path)
            self._wake.set()

    def follow(self, ready: Sequence[WatchFile]) -> None:
        """Begin with files on their way that have something to do now."""
        if self.trouble is not None:
            return
        mine = self.lookout.lay_hands_on(file.path for file in ready)
        for file in ready:
            if file.path in mine:
                mine.discard(file.path)  # of two rows of one path the older comes first
                self._hands.submit(self._go_on, file)

    def _go_on(self, file: WatchFile) -> None:
        """Do what is next for a file on its way, and let go of it."""
        try:
            now = self._bridge.run(self._watches.file(file.id))  # it may have gone on since it was looked up
            if not now.state.ended:
                self._returning.go_on(now)
        except Passing:
            pass  # its row says so
        except VtidError as error:
            self._say(words_of(error))
        except Exception:
            log.exception("bug while following a file", watch=self.name, path=file.path)
        finally:
            self.lookout.let_go(file.path)
            self._wake.set()

    def stop(self) -> None:
        """Listen no more, and finish what is in hand."""
        self.lookout.stop()
        self._hands.shutdown(wait=True, cancel_futures=True)

    def _say(self, words: str | None) -> None:
        """Note what does not work; told once, and once when it works again."""
        if words != self.trouble and words:
            log.warning("a hot folder is degraded", watch=self.name, reason=words)
        elif words != self.trouble:
            log.info("a hot folder works again", watch=self.name)
        self.trouble = words
