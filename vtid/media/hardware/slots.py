"""Sessions on cards, counted over all processes of the machine: a lock on a file each, which a crash lets go of."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from vtid.domain.encoder import Choices


@contextmanager
def free_slot(choices: Choices, card: str) -> Iterator[bool]:
    """Hold one of a card's sessions; False where all are taken."""
    with ExitStack() as held:
        folder = Path(choices.folder)
        for number in range(choices.sessions):
            handle = held.enter_context((folder / f"{card}.{number}.session").open("w"))
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield True
            return
        yield False
