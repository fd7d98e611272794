"""Pictures that are made ahead, in a thread."""

from __future__ import annotations

import threading
from collections.abc import Generator
from itertools import islice

import pytest

from vtid.media.compose.ahead import Ahead


def test_all_comes_in_order() -> None:
    assert list(Ahead(number for number in range(100))) == list(range(100))


def test_what_fails_there_fails_here_after_all_that_was_made() -> None:
    def source() -> Generator[int, None, None]:
        yield 1
        raise LookupError("no further")

    ahead = Ahead(source())
    assert next(ahead) == 1
    with pytest.raises(LookupError, match="no further"):
        next(ahead)
    assert list(ahead) == []


def test_no_more_is_made_than_may_wait_and_none_after_the_end() -> None:
    made, closed_in = [], []

    def source() -> Generator[int, None, None]:
        try:
            for number in range(1000):
                made.append(number)
                yield number
        finally:
            closed_in.append(threading.current_thread())

    ahead = Ahead(source(), depth=3)
    assert list(islice(ahead, 10)) == list(range(10))
    ahead.close()
    assert 10 <= len(made) <= 10 + 3 + 1, "what waits, and one in hand"
    assert closed_in
    assert closed_in[0] is not threading.current_thread()
    assert not closed_in[0].is_alive()
    ahead.close()
