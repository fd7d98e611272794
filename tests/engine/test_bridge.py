"""The crossing between threads and the event loop."""

from __future__ import annotations

import inspect

import pytest

from vtid.engine.bridge import Bridge


async def answer() -> int:
    return 42


def test_whoever_comes_too_late_is_told() -> None:
    bridge = Bridge()
    assert bridge.run(answer()) == 42
    bridge.close()
    late = answer()
    with pytest.raises(RuntimeError, match="closed"):
        bridge.run(late)
    assert inspect.getcoroutinestate(late) == inspect.CORO_CLOSED
