"""The command line: one command, one module. A command parses, calls, prints; the work is done elsewhere.

Modules are imported when their command runs, so that `vtid --help` is instant.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import sys

import click

from vtid import __version__
from vtid.cli.output import Output
from vtid.errors import Cancelled, VtidError

COMMANDS = {
    "run": "Run a pipeline on files, here and now, without a daemon.",
    "preview": "Say where text is in a video; show a picture without it.",
    "previews": "Prepare a file for an editor: frame times, proxy, waveform, thumbnails.",
    "compose": "Make a film of clips, text and sound, as a document says.",
    "serve": "Start the daemon: the API and its workers.",
    "worker": "Start a worker for a daemon on this or another machine.",
    "submit": "Give a file to the daemon.",
    "jobs": "Look at the daemon's jobs; cancel, retry, follow them.",
    "watch": "Look at hot folders; pause and resume them; say what would happen to a file.",
    "pipelines": "List, show and check pipelines.",
    "plugins": "List and show plugins.",
    "models": "Add, list, remove and check the model files that steps may use.",
    "users": "Make accounts, give credits, suspend; for whoever runs the daemon.",
    "keys": "Make, list and revoke API keys.",
    "storage": "Make the bucket ready that files lie in.",
    "check": "Check the configuration, plugins, pipelines, storage and queue.",
    "encoders": "Try the encoders of this machine, say what works and why others do not.",
    "doctor": "Look at this machine: encoders, detectors, disk, versions.",
    "simulate": "Simulate a service in the cloud, to try its plugin without an account.",
    "demo": "See it work: draw a clip with subtitles, remove them, compare.",
}


class _Lazy(click.Group):
    """A group whose commands are modules of this package."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"vtid.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from vtid.errors import did_you_mean

        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise click.UsageError(error.message.rstrip(".") + did_you_mean(args[0], COMMANDS), ctx) from None


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vtid")
@click.option("--config", type=click.Path(dir_okay=False), envvar="VTID_CONFIG", help="vtid.toml to use.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON to standard output, for scripts.")
@click.pass_context
def cli(ctx: click.Context, config: str | None, as_json: bool) -> None:
    """Process video on your machine, by pipelines of plugins."""
    ctx.obj = {"config": config, "output": Output(as_json=as_json)}


def main() -> None:
    """The entry point: runs a command and turns errors into words and exit codes."""
    as_json = "--json" in sys.argv[1:]
    # A command imports many modules: the collector would go over all of them again and again while they are imported,
    # and once more at the end, for 0.3 s. Whatever serves for long sets its own thresholds (`vtid.daemon`).
    thresholds = gc.get_threshold()
    gc.set_threshold(100_000, 20, 20)
    atexit.register(gc.freeze)
    try:
        code = cli.main(standalone_mode=False)  # what a command gave to ctx.exit
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt, Cancelled):
        click.echo("Cancelled.", err=True)
        sys.exit(130)
    except VtidError as error:
        Output(as_json=as_json).error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(141)
    finally:
        gc.set_threshold(*thresholds)
