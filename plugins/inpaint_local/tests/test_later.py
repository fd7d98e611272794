"""Searches that are asked for a fixed number of frames or looks after they began."""

from __future__ import annotations

from threading import Event

import pytest

from vtid_inpaint_local.later import Later


def test_a_search_is_asked_for_at_its_turn_and_no_sooner_or_later():
    later = Later[str]("search", 2)
    assert later.found() is None
    later.begin(lambda: "a mark")
    assert [later.found() for _ in range(3)] == [None, "a mark", None]
    later.close()


def test_who_asks_waits_for_a_search_that_takes_long():
    may_end, later = Event(), Later[str]("search", 1)

    def search():
        may_end.wait()
        return "a mark"

    later.begin(search)
    may_end.set()
    assert later.found() == "a mark"
    later.close()


def test_after_the_last_turn_nothing_is_left_unasked():
    later = Later[str]("search", 5)
    later.begin(lambda: "a mark")
    assert later.found(last=True) == "a mark"
    assert later.found(last=True) is None
    later.close()


def test_what_a_search_raises_is_raised_where_it_is_asked_for():
    def search():
        raise LookupError("no such picture")

    later = Later[str]("search", 1)
    later.begin(search)
    with pytest.raises(LookupError, match="no such picture"):
        later.found()
    later.close()
