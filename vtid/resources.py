"""Where the files lie that vtid ships beside its code: in the wheel, or in the repository that it runs from."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_SHIPPED = _PACKAGE / "shipped"  # only a wheel has it: see force-include in pyproject.toml
_REPOSITORY = _PACKAGE.parent


def pipelines_dir() -> Path:
    """The shipped pipelines."""
    return _find("pipelines", "config/pipelines")


def presets_dir() -> Path:
    """The shipped presets."""
    return _find("presets", "config/presets")


def config_file() -> Path:
    """The vtid.toml with every default and its explanation, to copy and edit."""
    return _find("vtid.toml", "vtid.toml")


def _find(in_wheel: str, in_repository: str) -> Path:
    return _SHIPPED / in_wheel if _SHIPPED.is_dir() else _REPOSITORY / in_repository
