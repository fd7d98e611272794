"""The table [plugins.compose_ffmpeg]."""

from __future__ import annotations

from typing import Annotated

from vtid.sdk import Meta, Struct

from .hardware import FAMILIES, Family


class Settings(Struct, forbid_unknown_fields=True):
    """Which encoders of graphics cards are used, and by what."""

    hardware: Annotated[
        tuple[Family, ...],
        Meta(description="Families of encoders in the order in which they are taken; no other is tried."),
    ] = FAMILIES
    in_software: Annotated[tuple[str, ...], Meta(description="Steps that encode in software.")] = ()
