"""What a service outside says of work that a step gave it."""

from __future__ import annotations

from msgspec import Struct


class Callback(Struct, frozen=True):
    """A genuine callback, as a plugin read it. It wakes the step and is believed in nothing else."""

    key: str
    """The same for every delivery of the same news, so that a repeat wakes nobody: an id and a state, say."""
    reply: bytes = b""
    """What the service wants to be answered, as plain text; the status is 200."""
