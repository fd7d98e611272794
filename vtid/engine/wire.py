"""What a worker and the process of a step say to each other: msgspec structs, framed, over a socket pair."""

from __future__ import annotations

import socket
import struct
from typing import Any

import msgspec
from msgspec import Struct

from vtid.domain.encoder import Choices
from vtid.domain.media import MediaInfo
from vtid.errors import Problem
from vtid.sdk import Presets, Recorded

HEADER = struct.Struct("!I")
MAX_MESSAGE = 16 << 20


class Message(Struct, tag=True):
    """The base of all messages."""


# --- worker to step


class Limits(Struct, frozen=True):
    """What the process of a step may use."""

    memory_bytes: int
    disk_bytes: int
    open_files: int


class StepTask(Message):
    """Run one step."""

    plugin: str
    module: str
    path: str | None
    step: str
    settings: dict[str, Any]
    params: dict[str, Any]
    inputs: dict[str, Any]
    """Files as `{"path", "name", "info"}`, data as it is."""
    job_id: str
    step_id: str
    attempt: int
    started_at: float
    workspace: str
    threads: int
    limits: Limits
    models: str
    """The folder of the operator's models."""
    allow_non_commercial: bool
    callback_url: str | None = None
    presets: Presets = Presets()
    hardware: Choices = Choices()
    """With which it may encode."""


class ProbeTask(Message):
    """Say what a file is, and complain where it is not of the kind."""

    path: str
    kind: str


class OnceReply(Message):
    """The answer to `OnceBegin`."""

    recorded: Recorded


class Ack(Message):
    """The answer to `Note`, `OnceEnd` and `OnceForget`: it is on the disk."""


# --- step to worker


class Progress(Message):
    """How far it is; no answer."""

    fraction: float
    message: str | None


class Encoding(Message):
    """From now on it encodes on a card; no answer."""

    card: str | None
    """None: it does not any more."""
    encoder: str = ""


class Log(Message):
    """A line for the job's log; no answer."""

    level: str
    event: str
    fields: dict[str, Any]


class Note(Message):
    """Outputs that are known before the end; answered by `Ack`."""

    outputs: dict[str, Any]


class OnceBegin(Message):
    """Answered by `OnceReply`."""

    key: str


class OnceEnd(Message):
    """Answered by `Ack`."""

    key: str
    value: Any


class OnceForget(Message):
    """Answered by `Ack`."""

    key: str


class Done(Message):
    """The step's outputs; files as `{"path", "name"}`."""

    outputs: dict[str, Any]


class Suspend(Message):
    """The step waits for something outside."""

    after: float
    message: str | None


class Later(Message):
    """The step raised `RetryLater`."""

    after: float
    message: str


class Failed(Message):
    """The step raised."""

    kind: str
    """`step_error`, `needs_attention`, `invalid_input`, `memory`, `disk_full` or `bug`."""
    message: str
    problems: list[Problem] = []
    suggestion: str | None = None
    trace: str | None = None


class Probed(Message):
    """The answer to `ProbeTask`."""

    info: MediaInfo


class ProbeFailed(Message):
    """The other answer to `ProbeTask`."""

    code: str
    message: str
    problems: list[Problem] = []


Command = StepTask | ProbeTask | OnceReply | Ack
Report = (
    Progress
    | Encoding
    | Log
    | Note
    | OnceBegin
    | OnceEnd
    | OnceForget
    | Done
    | Suspend
    | Later
    | Failed
    | Probed
    | ProbeFailed
)

_encoder = msgspec.msgpack.Encoder(enc_hook=str)
_commands: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
_reports: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)


def _decoded(data: bytes) -> Report:
    try:
        return _reports.decode(data)
    except msgspec.DecodeError as error:
        raise ValueError(f"what it sent is no message: {error}") from error


class Channel:
    """One end of the pair.

    Args:
        sock: connected; the channel owns it.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._heard = bytearray()

    def send(self, message: Message) -> None:
        """Send one message. Raises `OSError` when the other end is gone."""
        data = _encoder.encode(message)
        self.socket.sendall(HEADER.pack(len(data)) + data)

    def _receive(self) -> bytes:
        return self._exactly(HEADER.unpack(self._exactly(HEADER.size))[0])

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return bytes(data)

    def command(self) -> Command:
        """The next message from the worker. Raises `EOFError` when it is gone."""
        return _commands.decode(self._receive())

    def report(self) -> Report:
        """The next message from the step's process. Raises `EOFError` when it is gone."""
        return _reports.decode(self._receive())

    def reports(self) -> list[Report]:
        """The messages from the step's process that are whole by now; never waits when there is something to read.

        Raises:
            EOFError: it is gone.
            ValueError: what it sent is no message, or too long for one.
        """
        piece = self.socket.recv(1 << 16)
        if not piece:
            raise EOFError
        self._heard += piece
        found: list[Report] = []
        while len(self._heard) >= HEADER.size:
            length = HEADER.unpack_from(self._heard)[0]
            if length > MAX_MESSAGE:
                raise ValueError(f"it sent a message of {length} bytes; {MAX_MESSAGE} are allowed")
            if len(self._heard) < HEADER.size + length:
                break
            found.append(_decoded(bytes(self._heard[HEADER.size : HEADER.size + length])))
            del self._heard[: HEADER.size + length]
        return found

    def close(self) -> None:
        """Close this end."""
        self.socket.close()
