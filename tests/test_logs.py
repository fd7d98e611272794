"""Logs go to standard error as it is when they are written."""

from __future__ import annotations

import io
import json
import sys

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
