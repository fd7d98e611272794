"""Logs: JSON lines where a machine reads them, coloured ones in a terminal. The names are those of the contract."""

from __future__ import annotations

import io
import logging
import sys
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, WrappedLogger

TOP = ("timestamp", "level", "service", "job_id", "user_id", "message", "duration_seconds", "request_id", "exception")
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def _contract_shape(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """`message` for the event, the known names at the top, everything else under `metadata`."""
    event["message"] = event.pop("event", "")
    event.pop("logger_name", None)
    rest = {k: event.pop(k) for k in list(event) if k not in TOP}
    line: EventDict = {k: event[k] for k in TOP if k in event}
    if rest:
        line["metadata"] = rest
    return line


class _StandardError(io.TextIOBase):
    """Standard error as it is at the time of writing: it may be replaced, and what it was then closed."""

    def write(self, text: str) -> int:
        """Where standard error is now."""
        return sys.stderr.write(text)

    def flush(self) -> None:
        """The same."""
        sys.stderr.flush()

    def isatty(self) -> bool:
        """The same."""
        return sys.stderr.isatty()


def configure(level: str = "info", fmt: str = "auto", *, service: str = "vtid", stream: TextIO | None = None) -> None:
    """Set logging up for this process.

    Args:
        level: debug, info, warning or error.
        fmt: json, console, or auto: console where `stream` is a terminal.
        service: name in every line: api, worker …
        stream: standard error where None.
    """
    out = cast("TextIO", stream or _StandardError())
    console = fmt == "console" or (fmt == "auto" and out.isatty())
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last = (
        [structlog.dev.ConsoleRenderer()]
        if console
        else [_contract_shape, structlog.processors.JSONRenderer(default=str)]
    )
    structlog.configure(
        processors=[*shared, *last],  # type: ignore[list-item]
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(level=logging.WARNING, stream=out, format="%(levelname)s %(name)s %(message)s", force=True)
