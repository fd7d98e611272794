"""`vtid storage`: the bucket that files lie in, made ready."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from vtid.cli.local import json_option, load_config, output
from vtid.errors import Conflict, StorageError

if TYPE_CHECKING:
    from vtid.storage.s3 import S3Storage


@click.group("storage", help="Make the bucket ready that files lie in.")
def command() -> None:
    """Commands on the storage."""


@command.command("setup", help="Try the bucket, and have it clear what half uploads leave. Other rules of it stay.")
@click.option("--create", is_flag=True, help="Make the bucket where it is not there.")
@json_option
@click.pass_context
def setup(ctx: click.Context, *, create: bool) -> None:
    """Store and read a few bytes, then set the lifecycle rule; a server without such rules is no error."""
    from vtid.storage.lifecycle import make_tidy
    from vtid.storage.opening import open_bucket

    out, config = output(ctx), load_config(ctx)
    if not config.storage.is_s3:
        raise Conflict(
            "Files lie in a folder, which needs no setup.", suggestion="For a bucket, set storage.bucket in vtid.toml."
        )
    bucket = open_bucket(config.storage)
    if create:
        _create(bucket, config.storage.region)
    bucket.check()
    days = math.ceil(config.uploads.expire_hours / 24) + 1
    rule: str | None = f"what lies under temp/ goes after {days} days"
    try:
        make_tidy(bucket, days)
    except StorageError as error:
        rule, why = None, error.message
    if out.as_json:
        out.json({"bucket": bucket.bucket, "works": True, "lifecycle": rule})
        return
    out.say(f"The bucket {bucket.bucket} works.")
    out.say(f"Lifecycle rule set: {rule}." if rule else f"No lifecycle rule: {why} The daemon clears up itself.")


def _create(bucket: S3Storage, region: str) -> None:
    from vtid.storage.remote import remote_errors

    with remote_errors(bucket.bucket, ""):
        if not bucket.client.bucket_exists(bucket.bucket):
            bucket.client.make_bucket(bucket.bucket, location=region)
