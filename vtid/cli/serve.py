"""`vtid serve`: the API in this process, its workers in another, both up or both down."""

from __future__ import annotations

import click

from vtid.cli.local import load_config


@click.command("serve", help="Start the daemon: the HTTP API and its workers.")
@click.option("--host", help="Address to listen on; 0.0.0.0 lets the network in.")
@click.option("--port", type=int, help="Port to listen on.")
@click.option("--data", type=click.Path(file_okay=False), help="The data folder.")
@click.option("--no-workers", is_flag=True, help="Only the API; workers are started elsewhere.")
@click.pass_context
def command(ctx: click.Context, host: str | None, port: int | None, data: str | None, no_workers: bool) -> None:
    """Run until SIGTERM or SIGINT, then drain."""
    from vtid import logs
    from vtid.app import build
    from vtid.daemon import Daemon

    config = load_config(ctx, server__host=host, server__port=port, data__path=data)
    logs.configure(config.logging.level, config.logging.format, service="api")
    app = build(config)
    flags = ["--config", str(config.file)] if config.file else []
    ctx.exit(Daemon(app, config_flags=flags, workers=not no_workers).run())
