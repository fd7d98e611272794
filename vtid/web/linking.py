"""Signed URLs, whole."""

from __future__ import annotations

from typing import Any

from litestar import Request

from vtid.app import App


def link(core: App, request: Request[Any, Any, Any], key: str, filename: str, *, ttl_s: float | None = None) -> str:
    """A signed URL of a stored file: of the bucket, under the public address, or under the one that was asked.

    Args:
        core: the daemon.
        request: that asks.
        key: of the file.
        filename: under which a browser saves it.
        ttl_s: for how long; as configured where None.
    """
    url = core.storage.signed_url(key, ttl_s=ttl_s or core.config.storage.url_ttl_seconds, filename=filename)
    return url if url.startswith("http") else f"{str(request.base_url).rstrip('/')}{url}"
