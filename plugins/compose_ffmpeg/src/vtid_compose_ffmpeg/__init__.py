"""Compositions: clips, pictures, colours, text and sound put together into one film; previews; encoders of cards."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from vtid.sdk import Candidate, Encoder, Step, hookimpl

from .hardware import ENCODERS
from .previews import STEPS as PREVIEWS
from .settings import Settings
from .step import Compose, Plan

__all__ = ["Compose", "Plan", "Settings"]


@hookimpl
def vtid_steps() -> list[type[Step]]:
    """The steps of this plugin."""
    return [Compose, Plan, *PREVIEWS]


@hookimpl
def vtid_settings() -> type[Settings]:
    """The type of the plugin's settings."""
    return Settings


@hookimpl
def vtid_not_ready() -> str | None:
    """Why no text could be drawn now."""
    for module, package in (("PIL", "pillow"), ("fontTools", "fonttools"), ("font_roboto", "font-roboto")):
        if importlib.util.find_spec(module) is None:
            return f"{package} is not installed"
    return None


@hookimpl
def vtid_encoders(settings: Settings) -> list[Encoder]:
    """All that FFmpeg knows of, of the families that are wished for."""
    return [one for one in ENCODERS if one.family in settings.hardware]


@hookimpl
def vtid_choose_encoders(settings: Settings, step: str, usable: Sequence[Candidate]) -> Sequence[Candidate]:
    """The families in the order wished for; behind them what other plugins bring."""
    if step in settings.in_software:
        return []
    order: dict[str, int] = {family: number for number, family in enumerate(settings.hardware)}
    return sorted(usable, key=lambda one: order.get(one.encoder.family, len(order)))
