"""Text removal by GhostCut: take burned-in text out of a video in the cloud."""

from __future__ import annotations

from collections.abc import Mapping

from vtid.sdk import Callback, NeedsAttention, Step, Struct, hookimpl

from . import callbacks
from .client import GhostCut
from .settings import Settings, missing
from .step import Remove

__all__ = ["Remove", "Settings"]


@hookimpl
def vtid_steps() -> list[type[Step]]:
    """The steps of this plugin."""
    return [Remove]


@hookimpl
def vtid_settings() -> type[Struct]:
    """The operator's account."""
    return Settings


@hookimpl
def vtid_not_ready(settings: Settings) -> str | None:
    """Which key is missing."""
    return missing(settings)


@hookimpl
def vtid_account(settings: Settings) -> str:
    """The points that are left; whoever tells them has taken the keys."""
    with GhostCut(settings) as service:
        points = service.balance()
    if points <= 0:
        raise NeedsAttention(
            "The GhostCut account has no points left.", suggestion="Buy points: every order needs some."
        )
    return f"{points:g} points left"


@hookimpl
def vtid_callback(settings: Settings, headers: Mapping[str, str], body: bytes) -> Callback:
    """GhostCut tells that a task has ended."""
    return callbacks.read(settings, headers, body)
