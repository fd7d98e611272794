"""The operator's account at Sync.so."""

from __future__ import annotations

from typing import Literal

from vtid.sdk import Annotated, Meta, Struct


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """`[plugins.lipsync_syncso]`."""

    api_key: Annotated[str, Meta(description="Key of the Sync.so account; also $SYNC_API_KEY.")] = ""
    api_url: Annotated[str, Meta(description="Address of the service; also $SYNC_API_URL.")] = "https://api.sync.so"
    webhook_secret: Annotated[
        str,
        Meta(description='Signs its webhooks (whsec_…); also $SYNC_WEBHOOK_SECRET; "": it is asked, not called by.'),
    ] = ""
    send: Annotated[
        Literal["upload", "link"],
        Meta(description="upload: files go to the service; link: it fetches them here, where it reaches this daemon."),
    ] = "upload"
    poll_seconds: Annotated[float, Meta(gt=0, description="How often it is asked how a generation stands.")] = 15.0
    called_poll_seconds: Annotated[float, Meta(gt=0, description="The same where webhooks tell of the end.")] = 60.0
    busy_seconds: Annotated[float, Meta(gt=0, description="The wait after an answer that says no better.")] = 15.0
    most_usd: Annotated[
        float, Meta(ge=0, description="A generation that is estimated to cost more is not begun; 0: any.")
    ] = 0.0
    patience: Annotated[
        float, Meta(gt=0, description="Factor on how long a generation may take before the step gives up.")
    ] = 1.0
