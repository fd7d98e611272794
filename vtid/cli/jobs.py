"""`vtid jobs`: the daemon's jobs: list, show, cancel, retry, follow, delete."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from vtid.cli.local import json_option, output
from vtid.cli.output import Output
from vtid.cli.remote import connect, url_option
from vtid.errors import VtidError

if TYPE_CHECKING:
    from vtid.cli.remote import Event

SHOWN = (
    "job_id",
    "status",
    "progress",
    "message",
    "pipeline",
    "original_filename",
    "display_name",
    "created_at",
    "completed_at",
    "result_url",
)
KNOWN = ("job_id", "seq", "at", "step_id", "level", "status", "progress", "message", "event")
STATUSES = ("queued", "processing", "completed", "failed", "cancelled")


def _filters(command: Any) -> Any:
    """The options of the list, with and without the word `list`."""
    for option in (
        click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many at most."),
        click.option("--text", help="Only those with this in their file name, display name or id."),
        click.option("--pipeline", help="Only jobs of this pipeline."),
        click.option("--status", type=click.Choice(STATUSES), help="Only jobs in this state."),
    ):
        command = option(command)
    return command


@click.group(
    "jobs",
    invoke_without_command=True,
    help="The daemon's jobs. Without a command: list them. An ID may be cut to its first 4 characters or more.",
)
@_filters
@url_option
@json_option
@click.pass_context
def command(ctx: click.Context, /, **filters: Any) -> None:
    """List where nothing else was said."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_jobs, **filters)


@command.command("list", help="The newest jobs.")
@_filters
@url_option
@json_option
@click.pass_context
def list_jobs(ctx: click.Context, /, **filters: Any) -> None:
    """Newest first."""
    out = output(ctx)
    jobs = connect(ctx).jobs(**filters)
    if out.as_json:
        out.json(jobs)
    elif jobs:
        out.table(("JOB", "STATUS", "%", "PIPELINE", "CREATED", "NAME"), [_row(job) for job in jobs])
    else:
        filtered = any(filters[name] for name in ("status", "pipeline", "text"))
        out.say("There is no such job." if filtered else "There is no job yet.")


@command.command("show", help="One job: its state, steps, result and error.")
@click.argument("job_id", metavar="ID")
@url_option
@json_option
@click.pass_context
def show_job(ctx: click.Context, job_id: str) -> None:
    """One job in full."""
    out, remote = output(ctx), connect(ctx)
    job = remote.job(remote.resolve(job_id))
    out.json(job) if out.as_json else _say_job(out, job)


@command.command("cancel", help="Cancel jobs. One that has ended stays as it is.")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@url_option
@json_option
@click.pass_context
def cancel_jobs(ctx: click.Context, job_ids: tuple[str, ...]) -> None:
    """Cancel each."""
    remote = connect(ctx)
    _each(ctx, job_ids, lambda job_id: remote.cancel(remote.resolve(job_id)), "cancelled")


@command.command("retry", help="Put failed or cancelled jobs back: what is done stays done.")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@url_option
@json_option
@click.pass_context
def retry_jobs(ctx: click.Context, job_ids: tuple[str, ...]) -> None:
    """Retry each."""
    remote = connect(ctx)
    _each(ctx, job_ids, lambda job_id: remote.retry(remote.resolve(job_id)), "queued again")


@command.command("delete", help="Remove ended jobs and their files.")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@url_option
@json_option
@click.pass_context
def delete_jobs(ctx: click.Context, job_ids: tuple[str, ...]) -> None:
    """Delete each."""
    remote = connect(ctx)

    def delete(prefix: str) -> dict[str, Any]:
        job_id = remote.resolve(prefix)
        remote.delete(job_id)
        return {"job_id": job_id, "status": "deleted"}

    _each(ctx, job_ids, delete, "deleted")


@command.command("logs", help="What has happened to a job, its log lines included.")
@click.argument("job_id", metavar="ID")
@click.option("--follow", "-f", is_flag=True, help="Go on until the job has ended.")
@url_option
@json_option
@click.pass_context
def show_logs(ctx: click.Context, job_id: str, follow: bool) -> None:
    """Events as lines; with --json a JSON document on each line."""
    out, remote = output(ctx), connect(ctx)
    full = remote.resolve(job_id)
    for event in remote.follow(full) if follow else remote.events(full):
        if out.as_json:
            out.json_line(event)
        else:
            out.say(_line(event))


def _each(ctx: click.Context, job_ids: tuple[str, ...], act: Callable[[str], dict[str, Any]], done: str) -> None:
    """Do it to every job; a bad one keeps no other from its turn; the exit code is that of the first failure."""
    out, code = output(ctx), 0
    rows: list[dict[str, Any]] = []
    for job_id in job_ids:
        try:
            job = act(job_id)
        except VtidError as error:
            code = code or error.exit_code
            told = {"code": error.code, "message": error.message, "errors": error.problems}
            rows.append({"job_id": job_id, "error": told})
            out.err.print(f"✗ {job_id}: {error.message}", style="red", markup=False)
        else:
            rows.append(job)
            if not out.as_json:
                out.say(f"✓ {job['job_id']}  {_outcome(job, done)}")
    if out.as_json:
        out.json(rows)
    ctx.exit(code)


def _outcome(job: dict[str, Any], done: str) -> str:
    """What became of it: a job that had ended before it was cancelled stays as it was."""
    if done == "cancelled" and job["status"] != "cancelled":
        return "cancelling" if job["status"] in ("queued", "processing") else f"was {job['status']} already"
    return done


def _row(job: dict[str, Any]) -> tuple[str, ...]:
    name = job.get("display_name") or job.get("original_filename") or ""
    created = str(job.get("created_at") or "").replace("T", " ")[:16]
    return str(job["job_id"])[:8], job["status"], str(job.get("progress", 0)), job.get("pipeline") or "", created, name


def _say_job(out: Output, job: dict[str, Any]) -> None:
    for name in SHOWN:
        if job.get(name) not in (None, ""):
            out.say(f"{name.replace('_', ' '):<18} {job[name]}")
    if error := job.get("error"):
        out.say(f"{'error':<18} {error.get('message') if isinstance(error, dict) else error}")
    for step in job.get("steps") or ():
        message = f"  {step['message']}" if step.get("message") else ""
        out.say(f"  step {step['id']:<12} {step['status']:<10} {step.get('progress', 0):>4} %{message}")


def _line(event: Event) -> str:
    """An event for people: when, what, about which step, and what it says; a log line's own fields at its end."""
    data = event.data
    at = datetime.fromtimestamp(data["at"], UTC).strftime("%Y-%m-%d %H:%M:%S") if "at" in data else ""
    head = " ".join(str(data[key]) for key in ("step_id", "level", "status") if data.get(key))
    percent = f"{data['progress']} %" if "progress" in data else ""
    error = data.get("error") or {}
    words = str(data.get("message") or data.get("event") or error.get("message") or "")
    fields = " ".join(f"{k}={v}" for k, v in data.items() if k not in KNOWN) if event.type == "log" else ""
    return "  ".join(part for part in (at, event.type, head, percent, words, fields) if part)
