"""The hooks of vtid. Few: a hook exists when a plugin uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pluggy
from msgspec import Struct

from vtid.sdk import NAMESPACE, Callback, Candidate, Encoder, ModelKind, Step

hookspec = pluggy.HookspecMarker(NAMESPACE)


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


@hookspec
def vtid_encoders(settings: Struct) -> list[Encoder]:  # type: ignore[empty-body]
    """Encoders of graphics cards and other chips that a machine may have. Each is tried before it is used."""


@hookspec(firstresult=True)
def vtid_choose_encoders(settings: Struct, step: str, usable: Sequence[Candidate]) -> Sequence[Candidate] | None:
    """Which of the encoders that work a step may use, in order; none: it encodes in software.

    `step` is its name, `usable` what works and does not rest, of all plugins. None leaves the choice to others.
    """


@hookspec(firstresult=True)
def vtid_account(settings: Struct) -> str:  # type: ignore[empty-body]
    """How the account at the service behind the plugin stands: `1000 points left`. Over the network, for `vtid doctor`.

    Raise what a step may raise: `NeedsAttention` for a bad key or no credit, `RetryLater` where nobody answers.
    """


@hookspec(firstresult=True)
def vtid_callback(settings: Struct, headers: Mapping[str, str], body: bytes) -> Callback:  # type: ignore[empty-body]
    """Whether a call to a step's `ctx.callback_url` is genuine: check its signature over the bytes of `body`.

    Names of headers are in lower case. Raise `Forged` for one that is not genuine, `InvalidInput` for one that cannot
    be read. What it says is not believed: it wakes the step, which asks the service itself.
    """
