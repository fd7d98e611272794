"""What every section of the configuration is."""

from __future__ import annotations

from msgspec import Struct


class Section(Struct, frozen=True, kw_only=True):
    """A table of vtid.toml. The description of a field is its documentation everywhere."""
