"""What handlers are given beside their request."""

from __future__ import annotations

from litestar.di import NamedDependency

from vtid.app import App

Core = NamedDependency[App]
"""The daemon, wired: the handler's argument `core`."""
User = NamedDependency[str]
"""The id of who asks: the handler's argument `user_id`."""
