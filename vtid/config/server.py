"""The settings of the HTTP server."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from vtid.config.section import Section


class Server(Section, frozen=True, kw_only=True):
    """The HTTP server."""

    host: Annotated[
        str, Meta(description="Address to listen on; 0.0.0.0 lets the network in, which docs/accounts.md is about.")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 8750
    public_url: Annotated[
        str | None,
        Meta(description='How browsers reach vtid from outside (https://…), for links; "" for host and port.'),
    ] = None
    cors_origins: Annotated[
        tuple[str, ...], Meta(description="Origins of other sites whose pages may call the API (https://example.org).")
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(description="Addresses of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."),
    ] = ()
    max_connections: Annotated[
        int, Meta(ge=0, description="Connections at once; 0 for a third of the files that may be open, 10000 at most.")
    ] = 0
    max_connections_per_address: Annotated[
        int,
        Meta(ge=0, description="Of these, of one address but this machine and proxies; 0 for a quarter, 256 at most."),
    ] = 0
    max_upload_mb: Annotated[int, Meta(ge=1, description="Largest upload, in megabytes.")] = 2048
    drain_seconds: Annotated[
        float, Meta(ge=0, description="How long a stopping daemon lets requests and steps finish before it ends them.")
    ] = 30.0

    def own_url(self, port: int | None = None) -> str:
        """Where the daemon answers on this machine; `port` is the one that it got where it took a free one."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - looked for
        return f"http://{f'[{host}]' if ':' in host else host}:{port or self.port}"
