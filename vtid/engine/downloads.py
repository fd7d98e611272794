"""Where jobs bring their files: places beside the slots, so that a slow server holds up no job but its own."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

WAIT_S = 2.0
"""A job that found no place free looks again after so long."""
WAITS = "Waiting for its turn to download"


class Downloads:
    """So many downloads at once in this process, of one user at most half of them.

    Args:
        places: downloads at once.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._share = max(1, places // 2)
        self._lock = threading.Lock()
        self._busy: Counter[str] = Counter()

    def begin(self, user_id: str, bring: Callable[[], None]) -> bool:
        """Have `bring` called in a thread of its own; False, and not called, where no place is free for this user."""
        with self._lock:
            if self._busy.total() >= self._places or self._busy[user_id] >= self._share:
                return False
            self._busy[user_id] += 1
        # A daemon: a process that was told to stop does not wait for a server that does not answer.
        threading.Thread(target=self._run, args=(user_id, bring), name="vtid-download", daemon=True).start()
        return True

    def _run(self, user_id: str, bring: Callable[[], None]) -> None:
        try:
            bring()
        finally:
            with self._lock:
                self._busy[user_id] -= 1
                self._busy += Counter()  # which drops those who have none
