"""The settings: what vtid.toml may hold, what it means, and what holds without it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from vtid.config.making import Compositions, Encoders
from vtid.config.section import Section
from vtid.config.server import Server
from vtid.config.tiers import USUAL_TIERS, Tier


class Data(Section, frozen=True, kw_only=True):
    """Where vtid keeps what it must not lose."""

    path: Annotated[Path, Meta(description="Folder of the database, the queue, the files and the scratch space.")] = (
        Path("data")
    )


class Database(Section, frozen=True, kw_only=True):
    """Jobs and their events."""

    url: Annotated[
        str, Meta(description='postgresql://… or sqlite:///…; "" keeps an SQLite file vtid.db in the data folder.')
    ] = ""


class Queue(Section, frozen=True, kw_only=True):
    """The doorbell between daemon and workers."""

    url: Annotated[str, Meta(description='redis://…; "" keeps an SQLite file queue.db in the data folder.')] = ""


class Storage(Section, frozen=True, kw_only=True):
    """Where the bytes of assets and results lie."""

    kind: Annotated[
        Literal["auto", "local", "s3"],
        Meta(description="local: files in the data folder; s3: in a bucket; auto: s3 where a bucket is named."),
    ] = "auto"
    endpoint: Annotated[
        str, Meta(description='The S3 server, https://host:port; "" for that of AWS in the region.')
    ] = ""
    public_endpoint: Annotated[
        str, Meta(description='How browsers reach that server, for links; "" for the endpoint.')
    ] = ""
    region: Annotated[str, Meta(min_length=1, description="Region that the server says it is.")] = "us-east-1"
    bucket: Annotated[str, Meta(description="Bucket of the files; it must be there.")] = ""
    access_key: Annotated[str, Meta(description="Names the account at the server; better from $AWS_ACCESS_KEY_ID.")] = (
        ""
    )
    secret_key: Annotated[str, Meta(description="Its secret; better from $AWS_SECRET_ACCESS_KEY.")] = ""
    direct_links: Annotated[
        bool, Meta(description="Links to files lead to the bucket; false: through the daemon, if only it reaches it.")
    ] = True
    buckets: Annotated[
        tuple[str, ...],
        Meta(description="Other buckets, or bucket/prefix, that jobs may read and fill; {user_id} in a prefix."),
    ] = ()
    url_ttl_seconds: Annotated[int, Meta(ge=1, le=604800, description="How long a signed link to a file works.")] = 3600

    @property
    def is_s3(self) -> bool:
        """Whether files lie in a bucket."""
        return self.kind == "s3" or (self.kind == "auto" and bool(self.bucket))

    @property
    def endpoint_url(self) -> str:
        """Where the server is, the default written out."""
        return (self.endpoint or f"https://s3.{self.region}.amazonaws.com").rstrip("/")


class Uploads(Section, frozen=True, kw_only=True):
    """Files that come in by themselves, in parts."""

    expire_hours: Annotated[
        float, Meta(gt=0, description="An upload that is not finished this long after it was begun is dropped.")
    ] = 24.0
    max_open: Annotated[int, Meta(ge=1, description="Unfinished uploads that one user may have at a time.")] = 100


class Workers(Section, frozen=True, kw_only=True):
    """Who runs the jobs."""

    count: Annotated[int, Meta(ge=1, le=256, description="Jobs at once on this machine.")] = 2
    threads_per_step: Annotated[
        int, Meta(ge=0, description="Threads that a step may keep busy; 0 shares the cores out among the jobs.")
    ] = 0
    downloads: Annotated[
        int,
        Meta(ge=1, description="Jobs beside those that bring files from URLs; half of them may be one user's."),
    ] = 4
    labels: Annotated[
        tuple[str, ...],
        Meta(description='What this machine can do ("gpu"); a step with labels runs only where all are.'),
    ] = ()
    lease_seconds: Annotated[
        float, Meta(ge=1, description="A worker that has not been heard of for so long has lost its job.")
    ] = 30.0
    tick_seconds: Annotated[float, Meta(gt=0, le=10, description="How often a worker looks for messages.")] = 0.25
    max_lost: Annotated[
        int, Meta(ge=1, description="How many workers a job may lose before it is taken for the cause and fails.")
    ] = 3

    @property
    def threads(self) -> int:
        """Threads for one step: as configured, or this process's cores shared out."""
        return self.threads_per_step or max(1, len(os.sched_getaffinity(0)) // self.count)


class Auth(Section, frozen=True, kw_only=True):
    """Logging in."""

    registration: Annotated[bool, Meta(description="Whether strangers may make accounts for themselves.")] = False
    registration_tier: Annotated[str, Meta(description="The tier of whoever registers.")] = "free"
    access_token_minutes: Annotated[int, Meta(ge=1, description="How long an access token works.")] = 30
    refresh_token_days: Annotated[
        int, Meta(ge=1, description="How long a refresh token, or a login in a browser, works.")
    ] = 7
    login_link_hours: Annotated[int, Meta(ge=1, description="How long a one-time login link works.")] = 24
    jwt_secret_key: Annotated[
        str, Meta(description='Signs access tokens, 32 characters or more; "" takes one from the data folder.')
    ] = ""
    jwt_algorithm: Annotated[Literal["HS256"], Meta(description="How they are signed.")] = "HS256"


class Credits(Section, frozen=True, kw_only=True):
    """What jobs cost."""

    per_second: Annotated[float, Meta(ge=0, description="Credits for a second of output video; 0 charges nothing.")] = (
        1.0
    )


class RateLimits(Section, frozen=True, kw_only=True):
    """Requests of one address or user: so many a minute, of which so many may come at once. Tiers have their own."""

    public_per_minute: Annotated[int, Meta(ge=1, description="Of an address that is not logged in.")] = 60
    public_burst: Annotated[int, Meta(ge=1, description="Of these, at once.")] = 10
    login_per_minute: Annotated[
        int, Meta(ge=1, description="Attempts to log in: of an address, and on an account.")
    ] = 5
    login_burst: Annotated[int, Meta(ge=1, description="Of these, at once.")] = 5
    internal_per_minute: Annotated[int, Meta(ge=1, description="Of machines: health, metrics, internal routes.")] = 1000
    internal_burst: Annotated[int, Meta(ge=1, description="Of these, at once.")] = 100
    websocket_per_minute: Annotated[int, Meta(ge=1, description="Openings of WebSockets.")] = 10
    websocket_burst: Annotated[int, Meta(ge=1, description="Of these, at once.")] = 2
    transfer_per_minute: Annotated[
        int, Meta(ge=1, description="Parts of uploads; they do not count as a tier's requests.")
    ] = 600
    transfer_burst: Annotated[int, Meta(ge=1, description="Of these, at once.")] = 100


class Tiers(Section, frozen=True, kw_only=True):
    """What accounts may do, by the name of their tier; each stands in a table [tiers.NAME]."""

    tables: dict[str, Tier] = field(default_factory=lambda: dict(USUAL_TIERS))


class Limits(Section, frozen=True, kw_only=True):
    """What a step may use before it is stopped."""

    step_timeout_seconds: Annotated[
        float, Meta(gt=0, description="Time for one attempt of a step whose pipeline names no timeout.")
    ] = 21600.0
    step_memory_mb: Annotated[int, Meta(ge=64, description="Memory of a step's process.")] = 4096
    step_disk_mb: Annotated[int, Meta(ge=1, description="Scratch space of a step.")] = 51200
    step_open_files: Annotated[int, Meta(ge=32, description="Files that a step's process may hold open.")] = 512
    min_free_disk_mb: Annotated[
        int, Meta(ge=0, description="No job is accepted or begun with less room than this.")
    ] = 512
    progress_per_second: Annotated[
        float, Meta(gt=0, le=100, description="How many progress reports of a job are kept and sent on each second.")
    ] = 2.0


class Net(Section, frozen=True, kw_only=True):
    """What vtid fetches from elsewhere and posts to elsewhere."""

    allow: Annotated[
        tuple[str, ...],
        Meta(
            description="Hosts (nas.local, .corp.example), addresses and networks (10.0.0.0/8) that may be reached "
            "beside the public internet."
        ),
    ] = ()
    download_seconds: Annotated[
        float, Meta(gt=0, description="Time for one attempt at a file that a job was given by its URL.")
    ] = 21600.0
    silence_seconds: Annotated[
        float, Meta(gt=0, description="How long the other side may be silent before the line counts as broken.")
    ] = 30.0
    download_least_kb: Annotated[
        float,
        Meta(ge=0, description="A download that brings less than so many KB a second for half a minute is broken off."),
    ] = 64.0
    download_tries: Annotated[
        int, Meta(ge=1, description="Attempts in a row that may bring nothing, or too little, before the job fails.")
    ] = 8


class Webhooks(Section, frozen=True, kw_only=True):
    """Telling others that jobs have ended."""

    timeout_seconds: Annotated[float, Meta(gt=0, le=60, description="How long a receiver may take to answer.")] = 15.0
    parallel: Annotated[int, Meta(ge=1, le=64, description="Deliveries that a worker has in hand at once.")] = 8
    disable_after_hours: Annotated[
        float, Meta(gt=0, description="A webhook to which nothing could be delivered for so long is disabled.")
    ] = 120.0
    keep_days: Annotated[float, Meta(gt=0, description="How long the log of deliveries is kept.")] = 30.0


class Retry(Section, frozen=True, kw_only=True):
    """How long to wait before a failed step is tried again: base, then doubling."""

    base_seconds: Annotated[
        float, Meta(ge=0, description="The wait before the second attempt; it doubles each time.")
    ] = 2.0
    max_seconds: Annotated[float, Meta(ge=0, description="The longest wait.")] = 300.0
    jitter: Annotated[float, Meta(ge=0, le=1, description="Share of the wait that is random, so that jobs part.")] = 0.2


class Plugins(Section, frozen=True, kw_only=True):
    """Plugins; the settings of one stand in a table [plugins.NAME]."""

    dirs: Annotated[tuple[Path, ...], Meta(description="Folders with one plugin in each folder inside.")] = (
        Path("plugins"),
    )
    disabled: Annotated[tuple[str, ...], Meta(description="Names of plugins that are not loaded.")] = ()
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    """[plugins.NAME] as it was written; the plugin loader checks it against the plugin's own type."""


class Pipelines(Section, frozen=True, kw_only=True):
    """Pipelines."""

    dirs: Annotated[
        tuple[Path, ...], Meta(description="Folders with pipelines; a file here wins over a shipped one of its name.")
    ] = (Path("config/pipelines"),)


class Watches(Section, frozen=True, kw_only=True):
    """Hot folders; each is declared in a file of its own."""

    dirs: Annotated[tuple[Path, ...], Meta(description="Folders with declarations of hot folders.")] = (
        Path("config/watch"),
    )
    at_once: Annotated[
        int,
        Meta(
            ge=0,
            description="Jobs of all hot folders that may be open at a time, the rest waits in its folders; 0 for two "
            "for each slot of the workers.",
        ),
    ] = 0
    rescan_seconds: Annotated[
        float, Meta(gt=0, description="How often each folder is looked through, whatever was heard of it.")
    ] = 300.0
    stalled_seconds: Annotated[
        float,
        Meta(
            ge=0,
            description="A video that is not whole is waited for so long after its last change, before it is taken for "
            "damaged.",
        ),
    ] = 120.0
    min_free_disk_mb: Annotated[
        int, Meta(ge=0, description="No file is taken with less room than this, for files or for results.")
    ] = 1024
    keep_days: Annotated[float, Meta(gt=0, description="How long it is known what became of a file.")] = 90.0


class Presets(Section, frozen=True, kw_only=True):
    """Presets."""

    dirs: Annotated[
        tuple[Path, ...],
        Meta(
            description="Folders with presets, which say what a quality means; a file here wins over a shipped one of "
            "its name."
        ),
    ] = (Path("config/presets"),)


class Editor(Section, frozen=True, kw_only=True):
    """The pro editor's routes."""

    inpainter: Annotated[
        Literal["auto", "local", "ghostcut"],
        Meta(description="What removes text there; auto: GhostCut where its keys are set, else this machine."),
    ] = "auto"


class Models(Section, frozen=True, kw_only=True):
    """Model files that the operator added."""

    path: Annotated[Path | None, Meta(description='Folder of the models; "" for models in the data folder.')] = None
    allow_non_commercial: Annotated[
        bool,
        Meta(description="Take models whose licences forbid commercial use (only where yours is not)."),
    ] = False


class Logging(Section, frozen=True, kw_only=True):
    """What is written about what happens."""

    level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="The least that is logged.")] = (
        "info"
    )
    format: Annotated[
        Literal["auto", "json", "console"],
        Meta(description="json: a line for machines; console: for people; auto: console where a person looks on."),
    ] = "auto"


class Config(Struct, frozen=True, kw_only=True):
    """Everything that can be configured."""

    server: Server = field(default_factory=Server)
    data: Data = field(default_factory=Data)
    database: Database = field(default_factory=Database)
    queue: Queue = field(default_factory=Queue)
    storage: Storage = field(default_factory=Storage)
    auth: Auth = field(default_factory=Auth)
    tiers: Tiers = field(default_factory=Tiers)
    credits: Credits = field(default_factory=Credits)
    rate_limits: RateLimits = field(default_factory=RateLimits)
    uploads: Uploads = field(default_factory=Uploads)
    workers: Workers = field(default_factory=Workers)
    limits: Limits = field(default_factory=Limits)
    net: Net = field(default_factory=Net)
    webhooks: Webhooks = field(default_factory=Webhooks)
    retry: Retry = field(default_factory=Retry)
    plugins: Plugins = field(default_factory=Plugins)
    pipelines: Pipelines = field(default_factory=Pipelines)
    presets: Presets = field(default_factory=Presets)
    watches: Watches = field(default_factory=Watches)
    editor: Editor = field(default_factory=Editor)
    compositions: Compositions = field(default_factory=Compositions)
    encoders: Encoders = field(default_factory=Encoders)
    models: Models = field(default_factory=Models)
    logging: Logging = field(default_factory=Logging)
    file: Path | None = None
    """The file that was read; not a setting."""

    def tier(self, name: str) -> Tier:
        """A tier; of one that vtid.toml has no more, what a stranger would get."""
        return self.tiers.tables.get(name) or self.tiers.tables[self.auth.registration_tier]

    @property
    def database_url(self) -> str:
        """Where the database is, the default written out."""
        return self.database.url or f"sqlite:///{self.data.path / 'vtid.db'}"

    @property
    def queue_url(self) -> str:
        """Where the queue is, the default written out."""
        return self.queue.url or f"sqlite:///{self.data.path / 'queue.db'}"

    @property
    def models_path(self) -> Path:
        """Where the models are, the default written out."""
        return self.models.path or self.data.path / "models"


SECTIONS: dict[str, type[Section]] = {
    f.name: f.type for f in msgspec.structs.fields(Config) if isinstance(f.type, type) and issubclass(f.type, Section)
}
