"""Logs: JSON lines where a machine reads them, coloured ones in a terminal. The names are those of the contract.

What libraries write through `logging` takes the same shape; and since strangers can make them say the same thing
thousands of times, each is heard once a minute.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from typing import Any, TextIO, cast

import msgspec
import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

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


def _as_json(event: EventDict, **_options: object) -> str:
    return _ENCODER.encode(event).decode()


_ENCODER = msgspec.json.Encoder(enc_hook=str)


class Seldom:
    """Holds back what is said again and again.

    Args:
        every_s: how often the same may be said.
        clock: seconds.
    """

    MOST = 1000
    """Things that it remembers."""

    def __init__(self, every_s: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s = every_s
        self._clock = clock
        self._lock = threading.Lock()
        self._said: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def passes(self, what: Hashable) -> int | None:
        """None where this was said lately; else how often it has been held back since."""
        now = self._clock()
        with self._lock:
            said_at, held = self._said.get(what, (-self._every_s, 0))
            if now - said_at < self._every_s:
                self._said[what] = (said_at, held + 1)
                return None
            self._said[what] = (now, 0)
            self._said.move_to_end(what)
            if len(self._said) > self.MOST:
                self._said.popitem(last=False)
            return held


class _OnceAMinute(logging.Filter):
    """Of the same words of a library, about the same place where it failed, one in a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._seldom = Seldom()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is written."""
        trace, place = record.exc_info[2] if record.exc_info else None, None
        while trace is not None:
            place, trace = (trace.tb_frame.f_code.co_filename, trace.tb_lineno), trace.tb_next
        held = self._seldom.passes((record.name, str(record.msg).partition("\n")[0], place))
        record.held_back = held
        return held is not None


def _from_library(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Which library says it, and how often that was held back."""
    record: logging.LogRecord = event["_record"]
    event["logger"] = record.name
    if held := getattr(record, "held_back", 0):
        event["held_back"] = held
    return event


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


class _Plain:
    """Writes JSON lines whose shape is known, without structlog's chain: what is said of every request, and often.

    Where it is None, structlog says it.
    """

    write: Callable[[str], object] | None = None
    level = 20
    service = "vtid"


def said_plainly(level: str, message: str, top: dict[str, Any], metadata: dict[str, Any]) -> bool:
    """Write a line of the contract's shape at a fraction of what structlog takes; False where structlog has to.

    Args:
        level: debug, info, warning or error.
        message: what happened.
        top: what of `TOP` is known beside time, level, service and message.
        metadata: everything else.
    """
    if _Plain.write is None:
        return False
    if LEVELS[level] >= _Plain.level:
        now = datetime.now(UTC).replace(tzinfo=None).isoformat()
        line = {"timestamp": f"{now}Z", "level": level, "service": _Plain.service, "message": message, **top}
        _Plain.write(f"{_as_json(line | {'metadata': metadata})}\n")
    return True


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

    def name(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("service", service)  # in threads too, which have no context of their own
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last: list[Processor] = (
        [structlog.dev.ConsoleRenderer()] if console else [_contract_shape, structlog.processors.JSONRenderer(_as_json)]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)
    _Plain.write, _Plain.level, _Plain.service = None if console else out.write, LEVELS[level], service
    handler = logging.StreamHandler(out)
    handler.addFilter(_OnceAMinute())
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=[_from_library, *shared], processors=[ProcessorFormatter.remove_processors_meta, *last]
        )
    )
    logging.basicConfig(level=max(logging.WARNING, LEVELS[level]), handlers=[handler], force=True)
