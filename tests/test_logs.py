"""Logs go to standard error as it is when they are written."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from vtid import logs


def test_standard_error_may_be_replaced_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", first)
    logs.configure("info", "json", service="test")
    first.close()
    monkeypatch.setattr(sys, "stderr", second)
    structlog.get_logger().info("here")
    assert json.loads(second.getvalue())["message"] == "here"
    monkeypatch.undo()
    logs.configure("error", "json", service="test")


@pytest.fixture
def said() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The lines that were written."""
    out = io.StringIO()
    logs.configure("info", "json", service="test", stream=out)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    logs.configure("error", "json", service="test")


def test_libraries_write_the_same_shape(said: Callable[[], list[dict[str, Any]]]) -> None:
    logging.getLogger("some.library").warning("%s of %s is odd", 1, 2)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("asyncio").exception("Task exception was never retrieved\nfuture: <x>")
    logging.getLogger("some.library").info("chatter")
    odd, failed = said()
    assert (odd["message"], odd["level"], odd["service"]) == ("1 of 2 is odd", "warning", "test")
    assert odd["metadata"] == {"logger": "some.library"}
    assert odd.keys() <= set(logs.TOP) | {"metadata"}
    assert "ValueError: broken" in failed["exception"]


def test_what_a_library_repeats_is_written_once_a_minute(said: Callable[[], list[dict[str, Any]]]) -> None:
    for n in range(500):
        logging.getLogger("asyncio").error("socket.accept() out of system resource\nsocket: %s", n)
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert [line["metadata"]["logger"] for line in said()] == ["asyncio", "uvicorn.error"]


def test_after_a_minute_it_says_how_much_it_held_back() -> None:
    now = [0.0]
    seldom = logs.Seldom(60, lambda: now[0])
    assert [seldom.passes("a") for _ in range(4)] == [0, None, None, None]
    assert seldom.passes("b") == 0
    now[0] = 60
    assert seldom.passes("a") == 3
    for n in range(5000):
        seldom.passes(n)
    assert len(seldom._said) <= seldom.MOST


def test_in_a_thread_a_line_names_its_service(said: Callable[[], list[dict[str, Any]]]) -> None:
    thread = threading.Thread(target=lambda: structlog.get_logger().info("from a thread"))
    thread.start()
    thread.join()
    assert said()[0]["service"] == "test"
