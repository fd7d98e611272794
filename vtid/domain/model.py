"""Model files that the operator added, as plugins see them: `ctx.models`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct, field

from vtid.errors import InvalidInput

MODEL_PREFIX = "model:"
"""How a param names a model: `model:NAME`."""


class Model(Struct, frozen=True):
    """A model file that may be used."""

    name: str
    kind: str
    path: Path
    licence: str = ""
    layout: dict[str, Any] = field(default_factory=dict)
    """What its kind's `inspect` found when the file was added."""


class Models(Protocol):
    """The operator's models."""

    def get(self, name: str, kind: str) -> Model:
        """The model of that name.

        Raises:
            InvalidInput: there is none of that name and kind.
            NeedsAttention: it must not be used, or cannot be.
        """


class NoModels:
    """Where nobody has added any."""

    def get(self, name: str, kind: str) -> Model:
        """See `Models`."""
        raise InvalidInput(f'There is no model "{name}" for {kind}.')


class ModelKind(Struct, frozen=True):
    """A kind of model that a plugin can use: what `vtid models add --kind` offers."""

    name: str
    about: str
    """What it does, and what it takes and gives, in a line."""
    inspect: Callable[[Path], dict[str, Any]]
    """Loads the file, runs it once on a small array, and tells what it takes and gives: plain data, kept for
    `Model.layout`. Raises `InvalidInput` where the file is no model of this kind."""
