"""Text removal by GhostCut: take burned-in text out of a video in the cloud.

Not built yet: there is no step here that a pipeline could use; `inpaint_local` removes text on this machine. The
settings are already those that it will have, so that a vtid.toml or an environment that holds them is right today.
"""

from __future__ import annotations

from vtid.sdk import Annotated, Meta, Struct, hookimpl


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[plugins.inpaint_ghostcut]`."""

    api_key: Annotated[str, Meta(description="Key of the GhostCut account; also $GHOSTCUT_API_KEY.")] = ""
    app_secret: Annotated[str, Meta(description="Secret that signs requests; also $GHOSTCUT_APP_SECRET.")] = ""
    uid: Annotated[str, Meta(description="Number of the account; also $GHOSTCUT_UID.")] = ""
    api_url: Annotated[str, Meta(description="Address of the service; also $GHOSTCUT_API_URL.")] = ""


@hookimpl
def vtid_settings() -> type[Settings]:
    """The operator's account."""
    return Settings


@hookimpl
def vtid_not_ready() -> str:
    """Always, until there is a step."""
    return "text removal by GhostCut is not built yet; it comes with a later release. inpaint_local works without it"
