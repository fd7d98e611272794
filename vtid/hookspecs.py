"""The hooks of vtid. Few: a hook exists when a plugin uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy
from msgspec import Struct

if TYPE_CHECKING:
    from vtid.sdk import ModelKind, Step

NAMESPACE = "vtid"
hookspec = pluggy.HookspecMarker(NAMESPACE)
hookimpl = pluggy.HookimplMarker(NAMESPACE)


@hookspec
def vtid_steps() -> list[type[Step]]:  # type: ignore[empty-body]
    """The steps that the plugin brings."""


@hookspec(firstresult=True)
def vtid_settings() -> type[Struct] | None:
    """The type of the plugin's table `[plugins.NAME]` in vtid.toml; without this hook the plugin has no settings."""


@hookspec(firstresult=True)
def vtid_not_ready(settings: Struct) -> str | None:
    """Why the plugin cannot work now (`set SYNC_API_KEY`), or None when it can. Quick, and without the network."""


@hookspec
def vtid_model_kinds() -> list[ModelKind]:  # type: ignore[empty-body]
    """The kinds of model file that the plugin can use, for `vtid models`."""
