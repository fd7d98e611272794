"""Settings of making films: what may be asked for, and with which encoders it is written."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from vtid.config.section import Section


class Compositions(Section, frozen=True, kw_only=True):
    """What the routes of compositions take in."""

    max_clips: Annotated[int, Meta(ge=1, le=500, description="Clips of one composition.")] = 20
    max_overlays: Annotated[int, Meta(ge=0, le=500, description="Texts over one composition.")] = 10
    max_seconds: Annotated[float, Meta(gt=0, description="Length of one composition, as far as its document says.")] = (
        3600.0
    )


class Encoders(Section, frozen=True, kw_only=True):
    """Encoders of graphics cards."""

    hardware: Annotated[
        Literal["auto", "off"], Meta(description="auto: those that work when tried, where they suit; off: software.")
    ] = "auto"
    ffmpeg: Annotated[
        str, Meta(description='The ffmpeg of the machine, for VAAPI and Vulkan; "" takes the one in the PATH.')
    ] = ""
    sessions: Annotated[int, Meta(ge=1, le=64, description="Films that a card encodes at once.")] = 2
    trial_seconds: Annotated[float, Meta(gt=0, le=600, description="How long trying one encoder may take.")] = 20.0
    stall_seconds: Annotated[
        float, Meta(gt=0, description="A card of which nothing is heard for so long has hung.")
    ] = 60.0
    rest_after: Annotated[int, Meta(ge=1, description="Failures in a row after which a card is rested.")] = 3
    rest_minutes: Annotated[float, Meta(gt=0, description="For how long.")] = 30.0
    path: Annotated[
        str,
        Meta(description='Where it is kept what works on this machine; "" for a folder in its temporary files.'),
    ] = ""
