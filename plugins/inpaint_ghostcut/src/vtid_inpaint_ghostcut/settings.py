"""The operator's table `[plugins.inpaint_ghostcut]`: the account, and how patiently it is asked."""

from __future__ import annotations

from typing import Annotated, Literal

from vtid.sdk import Meta, Struct

API_URL = "https://api.zhaoli.com"


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[plugins.inpaint_ghostcut]`."""

    api_key: Annotated[str, Meta(description="Key of the GhostCut account (AppKey); also $GHOSTCUT_API_KEY.")] = ""
    app_secret: Annotated[
        str, Meta(description="Secret that signs requests (AppSecret); also $GHOSTCUT_APP_SECRET.")
    ] = ""
    uid: Annotated[
        str, Meta(description="Sub-user whose points are spent; empty: the main account. Also $GHOSTCUT_UID.")
    ] = ""
    api_url: Annotated[str, Meta(description="Address of the service; also $GHOSTCUT_API_URL.")] = API_URL
    create_route: Annotated[
        Literal["free", "fast"],
        Meta(description="Which of the two documented routes orders go to; the vendor says nothing of a difference."),
    ] = "free"
    send: Annotated[
        Literal["upload", "link"],
        Meta(description="upload: videos go to GhostCut; link: it fetches them here, where it reaches this daemon."),
    ] = "upload"
    poll_seconds: Annotated[
        float,
        Meta(gt=0, description="Most seconds between looks at a task, where GhostCut cannot call back; at first less."),
    ] = 60.0
    called_poll_seconds: Annotated[
        float, Meta(gt=0, description="The same where it can: the look is then only for a call that got lost.")
    ] = 300.0
    settle_seconds: Annotated[
        float,
        Meta(
            gt=0,
            description="How long a task may take to show in the account. An order whose answer got lost is looked for "
            "that long before it is taken for not arrived.",
        ),
    ] = 90.0
    give_up_hours: Annotated[
        float, Meta(gt=0, description="How long a task may run before a person is asked to look at it.")
    ] = 12.0
    tries: Annotated[
        int,
        Meta(ge=1, le=5, description="Orders per job, where GhostCut ends one by a timeout and charges nothing."),
    ] = 2
    remove_uploads: Annotated[
        bool, Meta(description="Delete the uploaded video at GhostCut once the result is here.")
    ] = True

    def __repr__(self) -> str:
        """Without key and secret: this may end in a traceback."""
        return f"Settings(api_url={self.api_url!r})"


def missing(settings: Settings) -> str | None:
    """What has to be set before anything can be ordered, or None."""
    needed = {"GHOSTCUT_API_KEY": settings.api_key, "GHOSTCUT_APP_SECRET": settings.app_secret}
    absent = [name for name, value in needed.items() if not value]
    if not absent:
        return None
    keys = {"GHOSTCUT_API_KEY": "api_key", "GHOSTCUT_APP_SECRET": "app_secret"}
    return f"set {' and '.join(absent)}, or {' and '.join(keys[n] for n in absent)} in [plugins.inpaint_ghostcut]"
