"""What handlers are given beside their request."""

from __future__ import annotations

from litestar.di import NamedDependency

from vtid.app import App
from vtid.domain.account import Principal
from vtid.web.auth import Gate

Core = NamedDependency[App]
"""The daemon, wired: the handler's argument `core`."""
User = NamedDependency[str]
"""The id of who asks: the handler's argument `user_id`."""
Who = NamedDependency[Principal]
"""Who asks, and with what: the handler's argument `who`."""
Door = NamedDependency[Gate]
"""The gate, for those who count attempts to get through it: the handler's argument `gate`."""
