"""Lip-sync by Sync.so: fit the mouths in a video to another sound track.

Not built yet: there is no step here that a pipeline could use. The settings are already those that it will have, so
that a vtid.toml or an environment that holds them is right today.
"""

from __future__ import annotations

from vtid.sdk import Annotated, Meta, Struct, hookimpl


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[plugins.lipsync_syncso]`."""

    api_key: Annotated[str, Meta(description="Key of the Sync.so account; also $SYNC_API_KEY.")] = ""
    api_url: Annotated[str, Meta(description="Address of the service; also $SYNC_API_URL.")] = "https://api.sync.so"


@hookimpl
def vtid_settings() -> type[Settings]:
    """The operator's account."""
    return Settings


@hookimpl
def vtid_not_ready() -> str:
    """Always, until there is a step."""
    return "lip-sync by Sync.so is not built yet; it comes with a later release"
