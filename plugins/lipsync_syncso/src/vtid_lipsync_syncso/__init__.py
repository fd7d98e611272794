"""Lip-sync by Sync.so: fit the mouths in a video to another sound track.

The video and the sound go to that service, which charges for it.
"""

from __future__ import annotations

from collections.abc import Mapping

from vtid.sdk import Callback, Step, hookimpl
from vtid_lipsync_syncso.client import SyncSo
from vtid_lipsync_syncso.settings import Settings
from vtid_lipsync_syncso.step import Lipsync
from vtid_lipsync_syncso.webhook import verified


@hookimpl
def vtid_steps() -> list[type[Step]]:
    """One: lip-sync."""
    return [Lipsync]


@hookimpl
def vtid_settings() -> type[Settings]:
    """The operator's account."""
    return Settings


@hookimpl
def vtid_not_ready(settings: Settings) -> str | None:
    """Without a key there is no account."""
    return None if settings.api_key else "set SYNC_API_KEY"


@hookimpl
def vtid_account(settings: Settings) -> str:
    """Sync.so tells no balance; whoever lists its models has taken the key."""
    with SyncSo(settings) as service:
        return f"the key is taken; models: {', '.join(service.models())}"


@hookimpl
def vtid_callback(settings: Settings, headers: Mapping[str, str], body: bytes) -> Callback:
    """A webhook of Sync.so."""
    return verified(settings.webhook_secret, headers, body)
