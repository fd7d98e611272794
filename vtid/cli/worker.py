"""`vtid worker`: jobs for a daemon, on this machine or another."""

from __future__ import annotations

import gc
import signal
import threading

import click

from vtid.cli.local import load_config


@click.command(
    "worker", help="Start a worker: it takes jobs from the queue until it is stopped (SIGTERM: drains first)."
)
@click.option("--data", type=click.Path(file_okay=False), help="The data folder.")
@click.option("--slots", type=int, help="Jobs at once.")
@click.option("--with-parent", type=int, hidden=True, help="End when the process of this id, which started it, does.")
@click.pass_context
def command(ctx: click.Context, data: str | None, slots: int | None, with_parent: int | None) -> None:
    """Run until SIGTERM or SIGINT."""
    from vtid import logs
    from vtid.app import build
    from vtid.engine.bridge import Bridge
    from vtid.engine.child import die_with_parent

    if with_parent:
        die_with_parent(with_parent)
    config = load_config(ctx, data__path=data, workers__count=slots)
    logs.configure(config.logging.level, config.logging.format, service="worker")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    bridge = Bridge()
    app = build(config)
    worker = app.worker(bridge)
    gc.set_threshold(20_000, 20, 20)  # a worker lives as long as `vtid serve`, and is collected as often
    worker.start()
    stop.wait()
    worker.stop()
    bridge.run(app.close())
    bridge.close()
