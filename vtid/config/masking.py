"""The configuration without its secrets, for printing."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from vtid.config.sections import SECTIONS, Config

MASK = "********"
_SECRET_ENDS = ("key", "secret", "token", "password")
_URL_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):([^@\s]+)@")
_QUERY_SECRET = re.compile(r"([?&][^=&#]*(?:key|secret|token|password)=)[^&#\s]+", re.IGNORECASE)


def is_secret(key: str) -> bool:
    """Whether a setting of this name is not for printing."""
    return key.lower().endswith(_SECRET_ENDS)


def masked(config: Config) -> dict[str, Any]:
    """The configuration as plain data that may be printed: no keys, no passwords."""
    plain = msgspec.to_builtins(config, enc_hook=str)
    return {section: _masked(table) for section, table in plain.items() if section in SECTIONS}


def _masked(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {k: _masked(v, k) for k, v in value.items()}
    if value and is_secret(key):
        return MASK
    if isinstance(value, list | tuple):
        return [_masked(v) for v in value]
    if isinstance(value, str):
        return _QUERY_SECRET.sub(rf"\1{MASK}", _URL_PASSWORD.sub(rf"\1:{MASK}@", value))
    return value
