"""Examples of what requests hold, by the names of their fields: the same name means the same thing everywhere.

Of fields that exclude each other (a file or its `asset_id`), one is in the example.
"""

from __future__ import annotations

from typing import Any

import msgspec

JOB_ID = "550e8400-e29b-41d4-a716-446655440000"
FIELDS: dict[str, Any] = {
    # jobs
    "pipeline": "remove-text",
    "params": {"clean.sample_s": 0.8},
    "asset_id": JOB_ID,
    "asset_ids": [JOB_ID],
    "display_name": "Holiday",
    "at_s": 2.5,
    "at": [2.5],
    "width": 640,
    "format": "jpg",
    "segments_data": [
        {
            "startTime": 0.0,
            "endTime": 15.0,
            "label": "Intro",
            "audioInput": {"refId": "audio-1", "startTime": 0.0, "endTime": 15.0},
        }
    ],
    "effects": [
        {
            "type": "erasure",
            "startTime": 0.0,
            "endTime": 10.0,
            "coordinates": {"x": 100, "y": 50, "width": 200, "height": 100},
        }
    ],
    # uploads
    "filename": "holiday.mp4",
    "total_size": 104857600,
    "chunk_size": 5242880,
    "chunk_index": 0,
    "size": 104857600,
    "part_size": 67108864,
    "numbers": [1, 2],
    "ttl_seconds": 86400,
    # webhooks
    "url": "https://example.org/hooks/vtid",
    "events": ["job.completed", "job.failed"],
    "description": "Tells the archive",
    "enabled": True,
    # accounts
    "email": "ada@example.org",
    "password": "correct horse battery",
    "current_password": "correct horse battery",
    "new_password": "staple, at last, staple",
    "refresh_token": "d0b1…",
    "name": "ci",
    "scopes": ["read", "write"],
    "expires_in_days": 90,
    "role": "user",
    "tier": "pro",
    "suspended": False,
    "amount": 100,
    "reason": "Thank you",
}
BINARY = "binary"


def example(schema: dict[str, Any]) -> dict[str, Any] | None:
    """An example of a body with that schema: its own, or its fields' as far as they have one. None of no object."""
    if own := schema.get("example"):
        return dict(own)
    found = {
        name: _as_text(FIELDS[name]) if _is_text(about) else FIELDS[name]
        for name, about in schema.get("properties", {}).items()
        if name in FIELDS
    }
    files = {name for name, about in schema.get("properties", {}).items() if about.get("format") == BINARY}
    if files:  # a file goes along
        found.pop("asset_id", None)
    return found or None


def _is_text(about: dict[str, Any]) -> bool:
    kinds = [about, *about.get("anyOf", [])]
    return any(kind.get("type") == "string" for kind in kinds)


def _as_text(value: Any) -> Any:
    """What a form sends in place of a JSON value."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
