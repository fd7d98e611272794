"""`vtid demo`: the whole way, over HTTP, on a clip that is drawn for it. Nothing leaves this machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from vtid.cli.local import json_option, load_config, output
from vtid.cli.output import Output
from vtid.errors import StepFailed, Unavailable

if TYPE_CHECKING:
    from vtid.cli.proof import Claim
    from vtid.cli.remote import Remote

PIPELINE = "remove-text"
TEXTS = (
    "These words are burned into the picture",
    "A text detector finds each of them",
    "The frames around show what was behind",
    "Where nothing was written, nothing changes",
)
EACH_S, GAP_S = 1.8, 0.3
SIZE = 640, 360
SEED = 7
START_S = 60.0
STOP_S = 40.0
FOREIGN = ("VTID_", "DATABASE_URL", "REDIS_URL", "CELERY_", "UPLOAD_PATH", "MAX_UPLOAD_SIZE_MB", "ENVIRONMENT", "DEBUG")
"""Variables that would lead the demo's daemon to somebody's real database, queue or files."""


@click.command("demo", help="See it work: draw a clip with subtitles, remove them over HTTP, check the result.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("demo-out"), show_default=True)
@click.option("--seconds", type=click.FloatRange(2, 60), default=8.0, show_default=True, help="Length of the clip.")
@click.option("--keep", is_flag=True, help="Keep the daemon's data folder, and say where it is.")
@json_option
@click.pass_context
def command(ctx: click.Context, *, out: Path, seconds: float, keep: bool) -> None:
    """Draw, serve, submit, fetch, verify, stop."""
    from vtid.cli.proof import claims

    say, started = output(ctx), time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    source, result, picture = out / "subtitled.mp4", out / "clean.mp4", out / "before-after.png"
    with _terminable(), _scratch(keep=keep) as scratch:
        say.say(f"1  drawing a clip of {seconds:g} s with subtitles: {source}")
        middle = _draw(source, seconds)
        say.say("2  starting a daemon")
        with daemon(_own_config(ctx, scratch), scratch) as url:
            say.say(f"3  removing the text over HTTP at {url}")
            job = _process(say, url, scratch / "data", source, result)
        say.say(f"4  the daemon has stopped; looking at the result{f'; its data: {scratch}' if keep else ''}")
    _picture(source, result, middle, picture)
    found = claims(source, result, job)
    good = all(claim.holds for claim in found)
    took = round(time.monotonic() - started, 1)
    if say.as_json:
        say.json({"ok": good, "clean": result, "picture": picture, "source": source, "claims": found, "seconds": took})
    else:
        _say_result(say, found, result, picture, took)
    ctx.exit(0 if good else StepFailed.exit_code)


@contextlib.contextmanager
def daemon(config: Path, scratch: Path) -> Iterator[str]:
    """A daemon of its own on a free port; gives its address once it is healthy, and stops it in good order.

    Raises:
        Unavailable: it did not come up; its last words are told.
    """
    log = scratch / "daemon.log"
    command = [sys.executable, "-m", "vtid.cli", "--config", str(config), "serve", "--port", "0"]
    env = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    with log.open("wb") as handle:
        # A session of its own: Ctrl-C reaches this process, which stops the daemon in good order.
        process = subprocess.Popen(
            [*command, "--data", str(scratch / "data")], stderr=handle, stdout=handle, env=env, start_new_session=True
        )
    try:
        yield _healthy(process, log)
    finally:
        _stop(process)


def _healthy(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until it says where it listens, and that all of it works."""
    import httpx

    deadline = time.monotonic() + START_S
    url = None
    with httpx.Client(trust_env=False, timeout=5) as http:
        while process.poll() is None and time.monotonic() < deadline:
            url = url or _address(log)
            with contextlib.suppress(httpx.TransportError):
                if url and http.get(f"{url}/health").status_code == httpx.codes.OK:
                    return url
            time.sleep(0.1)
    words = log.read_text(errors="replace").strip()[-1500:]
    raise Unavailable(f"The demo's daemon did not come up. The end of its log:\n{words}")


def _address(log: Path) -> str | None:
    """From its log: the port is its own choice, so that no other program can have taken it."""
    for line in log.read_text(errors="replace").splitlines():
        with contextlib.suppress(json.JSONDecodeError, AttributeError):
            if url := json.loads(line).get("metadata", {}).get("url"):
                return str(url)
    return None


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Let it drain; past its time it is ended, with whatever it started."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _own_config(ctx: click.Context, scratch: Path) -> Path:
    """The defaults, with the plugins of this installation; where its real data lies is none of the demo's business."""
    dirs = [str(folder) for folder in load_config(ctx).plugins.dirs]
    path = scratch / "vtid.toml"
    lines = [
        f"plugins.dirs = {msgspec.json.encode(dirs).decode()}",
        "pipelines.dirs = []",  # the shipped ones are always there
        "workers.count = 1",  # one job: it may have all cores
        'logging.format = "json"',
        "limits.min_free_disk_mb = 64",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@contextlib.contextmanager
def _scratch(*, keep: bool) -> Iterator[Path]:
    """A folder for the daemon."""
    if keep:
        yield Path(tempfile.mkdtemp(prefix="vtid-demo-"))
        return
    with tempfile.TemporaryDirectory(prefix="vtid-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM cleans up as Ctrl-C does."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _draw(path: Path, seconds: float) -> float:
    """Draw the clip. Returns a time at which a subtitle is in full view."""
    from vtid.media.synth import draw_clip, lines

    count = max(1, int((seconds - GAP_S) / (EACH_S + GAP_S)))
    texts = [TEXTS[at % len(TEXTS)] for at in range(count)]
    subtitles = list(lines(texts, each_s=min(EACH_S, seconds - GAP_S), gap_s=GAP_S))
    draw_clip(path, seconds=seconds, width=SIZE[0], height=SIZE[1], subtitles=subtitles, seed=SEED)
    shown = subtitles[len(subtitles) // 2]
    return (shown.start_s + shown.end_s) / 2


def _process(say: Output, url: str, data: Path, source: Path, result: Path) -> dict[str, Any]:
    """Submit, follow, fetch.

    Raises:
        StepFailed: the job did not complete.
    """
    from vtid.accounts import local_key
    from vtid.cli.remote import Remote
    from vtid.cli.submit import fetch, upload
    from vtid.cli.watching import ending, watch

    with Remote(url, token=local_key(data)) as remote:
        job = upload(say, remote, PIPELINE, source, {})
        job = _watched(say, remote, job["job_id"], watch)
        if job["status"] != "completed":
            raise StepFailed(f"The demo's job did not complete: {ending(job)}")
        say.say(f"   {job.get('message') or 'completed'}")
        fetch(say, remote, job, result, overwrite=True)
        return job


def _watched(say: Output, remote: Remote, job_id: str, watch: Any) -> dict[str, Any]:
    """Follow the job; whoever gives up half-way gives up the job too."""
    try:
        job: dict[str, Any] = watch(say, remote, job_id)
    except KeyboardInterrupt:
        remote.cancel(job_id)
        raise
    return job


def _picture(source: Path, result: Path, time_s: float, path: Path) -> None:
    """The same moment of both, side by side."""
    from vtid.media.still import before_after, still, write_picture

    write_picture(path, before_after(still(source, time_s), still(result, time_s)))


def _say_result(say: Output, found: list[Claim], result: Path, picture: Path, took: float) -> None:
    for claim in found:
        say.say(f"   {'✓' if claim.holds else '✗'} {claim.name}: {claim.found}")
    bad = [claim.name for claim in found if not claim.holds]
    say.say(f"\n{'NOT verified: ' + ', '.join(bad) if bad else 'Verified'}, after {took:g} s in all.")
    say.say(f"clean clip       {result}\nbefore and after {picture}")
