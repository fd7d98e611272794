"""The tables. A change here comes with a migration in `migrations/versions`; a test compares the two.

Times are seconds since the epoch (UTC) as floats: leases and wake-ups are arithmetic, and both databases agree on it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def job_id() -> Column[str]:
    """The key of rows that go with their job."""
    return Column("job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)


jobs = Table(
    "jobs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("pipeline_name", String(100), nullable=False),
    Column("pipeline", JSON, nullable=False),  # frozen
    Column("params", JSON, nullable=False),
    Column("inputs", JSON, nullable=False),  # source name -> asset id
    Column("original_filename", Text, nullable=False),
    Column("display_name", Text),
    Column("progress", Integer, nullable=False, default=0),
    Column("message", Text, nullable=False, default=""),
    Column("error", JSON(none_as_null=True)),
    Column("results", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("started_at", Float),
    Column("completed_at", Float),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("wake_at", Float),  # a suspended job's next turn
    Column("rung_at", Float),  # when the queue last heard of it
    Column("worker_id", String(100)),
    Column("lease_until", Float),
    Column("event_seq", Integer, nullable=False, default=0),
    Column("estimated_credits", Integer),
    Column("actual_credits_used", Integer),
    Column("metered", Boolean, nullable=False, default=False),  # whether it is paid for
    Column("reserved_credits", Integer, nullable=False, default=0),  # held back now, until it ends
    # Newest first is how jobs are listed, and the id breaks ties: the key of keyset paging.
    Index(None, "user_id", "created_at", "id"),
    Index(None, "user_id", "status", "created_at", "id"),  # also: how many of a user run, and which is next
    Index(None, "user_id", "pipeline_name", "created_at", "id"),
    # What the reconciler asks for, several times a second.
    Index(None, "status", "lease_until"),
    Index(None, "status", "wake_at"),
    Index(None, "worker_id"),
)

assets = Table(
    "assets",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column(
        "job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), index=True
    ),  # it came with this job and goes with it
    Column("kind", String(16), nullable=False),
    Column("filename", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("key", Text, nullable=False, index=True),  # several assets of a user may share the stored bytes
    Column("info", JSON(none_as_null=True)),
    Column("sha256", String(64)),  # null: nobody asked, as of files that were moved in
    Column("created_at", Float, nullable=False),
    Index(None, "user_id", "created_at", "id"),
    Index(None, "user_id", "sha256"),
)

uploads = Table(  # files on their way in; one that is finished stays until it expires, so that its end can be repeated
    "uploads",
    metadata,
    Column("id", String(36), primary_key=True),  # the asset's id to be
    Column("user_id", String(64), nullable=False, index=True),
    Column("protocol", String(16), nullable=False),
    Column("filename", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("chunk_size", BigInteger),
    Column("metadata", Text),
    Column("key", Text),
    Column("remote_id", Text),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False, index=True),
    Column("finished", Boolean, nullable=False, default=False),
)

upload_parts = Table(
    "upload_parts",
    metadata,
    Column("upload_id", String(36), ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
)

step_runs = Table(
    "step_runs",
    metadata,
    job_id(),
    Column("step_id", String(64), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempt", Integer, nullable=False, default=0),
    Column("lost", Integer, nullable=False, default=0),
    Column("progress", Float, nullable=False, default=0.0),
    Column("message", Text),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("wake_at", Float),
    Column("outputs", JSON, nullable=False),
    Column("error", JSON(none_as_null=True)),
)

artifacts = Table(
    "artifacts",
    metadata,
    job_id(),
    Column("step_id", String(64), primary_key=True),
    Column("output", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("filename", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("key", Text, nullable=False, index=True),
    Column("info", JSON(none_as_null=True)),
    Column("created_at", Float, nullable=False),
)

effects = Table(  # what `ctx.once` did
    "effects",
    metadata,
    job_id(),
    Column("step_id", String(64), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("token", String(64), nullable=False),
    Column("done", Boolean, nullable=False, default=False),
    Column("value", JSON(none_as_null=True)),  # of versions that did not seal it; read, never written
    Column("sealed", Text),  # the value, as JSON
    Column("began_at", Float, nullable=False),
    Column("ended_at", Float),
)

callbacks = Table(  # what services outside called back about
    "callbacks",
    metadata,
    job_id(),
    Column("step_id", String(64), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("at", Float, nullable=False),
    Column("heard", Boolean, nullable=False),  # false: a worker was at the job, and has to look when it lets go
)

events = Table(
    "events",
    metadata,
    job_id(),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("type", String(16), nullable=False),
    Column("data", JSON, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("user_id", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("request_hash", String(64), nullable=False),
    Column("job_id", String(36)),  # of the job that the first request made
    Column("answer", LargeBinary),  # sealed; of a request that made something else. Neither: it is still on its way
    Column("created_at", Float, nullable=False),
)

fetches = Table(  # files that a job was given by their URL
    "fetches",
    metadata,
    job_id(),
    Column("source", String(64), primary_key=True),
    Column("url", Text, nullable=False),  # sealed, since it may carry a key; empty once the file is there
    Column("filename", Text, nullable=False),
    Column("tries", Integer, nullable=False, default=0),  # that brought nothing, in a row
    Column("asset_id", String(36)),  # once it is there
)

webhooks = Table(  # where events are sent: by wish of a user, or of one job
    "webhooks",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("user_id", String(64), nullable=False, index=True),
    Column("job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), index=True),
    Column("url", Text, nullable=False),  # sealed
    Column("host", String(255), nullable=False),
    Column("description", Text, nullable=False, default=""),
    Column("events", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False, default=True),
    Column("reason", Text),  # why vtid disabled it
    Column("failing_since", Float),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("owner", String(100), primary_key=True),  # a webhook's id, or `user:ID` for what jobs call back
    Column("sealed", Text, nullable=False),  # the secrets that are valid
    Column("updated_at", Float, nullable=False),
)

deliveries = Table(  # an event on its way to one receiver
    "deliveries",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("webhook_id", String(36), nullable=False, index=True),
    Column("job_id", String(36)),  # without a key: what happened stays true when the job is deleted
    Column("event", String(32), nullable=False),
    Column("url", Text, nullable=False),  # sealed
    Column("host", String(255), nullable=False),
    Column("key_owner", String(100), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),  # since it was made or replayed
    Column("next_at", Float),
    Column("lease_until", Float),
    Column("status", Integer),
    Column("error", Text),
    Column("created_at", Float, nullable=False),
    Column("ended_at", Float),
    Index(None, "state", "next_at"),
    Index(None, "user_id", "created_at", "id"),
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("delivery_id", String(40), ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("status", Integer),
    Column("error", Text),
    Column("body", Text, nullable=False),  # how the answer began
)

workers = Table(
    "workers",
    metadata,
    Column("id", String(100), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("slots", Integer, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("email", String(254), nullable=False),
    Column("email_key", String(254), nullable=False),  # without case: what has to be unique
    Column("password_hash", Text),  # None: no password was chosen yet
    Column("role", String(16), nullable=False),
    Column("tier", String(64), nullable=False),
    Column("suspended", Boolean, nullable=False, default=False),
    Column("generation", Integer, nullable=False, default=0),
    Column("created_at", Float, nullable=False),
    Column("last_login_at", Float),
    UniqueConstraint("email_key", name="uq_users_email_key"),
    Index(None, "created_at", "id"),
)


def _user_id(**more: Any) -> Column[str]:
    return Column("user_id", String(64), ForeignKey("users.id", ondelete="CASCADE"), nullable=False, **more)


tokens = Table(  # what a person logs in or stays logged in with
    "tokens",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),
    _user_id(index=True),
    Column("family", String(36), nullable=False, index=True),  # all that came from one login
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False, index=True),
    Column("used_at", Float),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(36), primary_key=True),
    _user_id(index=True),
    Column("name", String(200), nullable=False),
    Column("prefix", String(16), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("last_used_at", Float),
    Column("revoked_at", Float),
    UniqueConstraint("hash", name="uq_api_keys_hash"),
)

ledger = Table(  # rows are added, never changed
    "ledger",
    metadata,
    _user_id(primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("balance", BigInteger, nullable=False),  # after this row, so that nobody has to add them all up
    Column("job_id", String(36)),
    Column("reason", Text, nullable=False, default=""),
)

watches = Table(  # hot folders
    "watches",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("token", String(16), nullable=False),
    Column("declared", JSON, nullable=False),
    Column("paused", Boolean, nullable=False, default=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text),
    Column("waiting", Integer, nullable=False, default=0),
    Column("held_back", JSON, nullable=False, server_default="{}"),  # path -> why it is not taken yet
    Column("rescan_at", Float),
    Column("scanned_at", Float),
    Column("holder", String(100)),
    Column("lease_until", Float),
)

watch_files = Table(  # without keys to others: what became of a file stays true when its job is deleted
    "watch_files",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("watch", String(100), nullable=False),
    Column("path", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("stamp", String(200), nullable=False),
    Column("state", String(16), nullable=False),
    Column("outcome", String(16)),
    Column("sha256", String(64)),
    Column("job_id", String(36), index=True),
    Column("companions", JSON, nullable=False),
    Column("targets", JSON, nullable=False),
    Column("kept_at", Text),
    Column("tries", Integer, nullable=False, default=0),
    Column("next_at", Float),
    Column("reason", Text),
    Column("settled_at", Float, nullable=False),
    Column("claimed_at", Float, nullable=False),
    Column("ended_at", Float),
    Index(None, "watch", "state"),
    Index(None, "watch", "sha256"),
    Index(None, "watch", "claimed_at", "id"),
)
