"""The settings: what vtid.toml may hold, what it means, and what holds without it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, field


class _Section(Struct, frozen=True, kw_only=True):
    """A table of vtid.toml. The description of a field is its documentation everywhere."""


class Server(_Section, frozen=True, kw_only=True):
    """The HTTP server."""

    host: Annotated[str, Meta(description="Address to listen on; loopback only until accounts are built.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 8750
    public_url: Annotated[
        str | None,
        Meta(description='How browsers reach vtid from outside (https://…), for links; "" for host and port.'),
    ] = None
    cors_origins: Annotated[
        tuple[str, ...], Meta(description="Origins of other sites whose pages may call the API (https://example.org).")
    ] = ()
    max_upload_mb: Annotated[int, Meta(ge=1, description="Largest upload, in megabytes.")] = 2048
    drain_seconds: Annotated[
        float, Meta(ge=0, description="How long a stopping daemon lets requests and steps finish before it ends them.")
    ] = 30.0


class Data(_Section, frozen=True, kw_only=True):
    """Where vtid keeps what it must not lose."""

    path: Annotated[Path, Meta(description="Folder of the database, the queue, the files and the scratch space.")] = (
        Path("data")
    )


class Database(_Section, frozen=True, kw_only=True):
    """Jobs and their events."""

    url: Annotated[
        str, Meta(description='postgresql://… or sqlite:///…; "" keeps an SQLite file vtid.db in the data folder.')
    ] = ""


class Queue(_Section, frozen=True, kw_only=True):
    """The doorbell between daemon and workers."""

    url: Annotated[str, Meta(description='redis://…; "" keeps an SQLite file queue.db in the data folder.')] = ""


class Storage(_Section, frozen=True, kw_only=True):
    """Where the bytes of assets and results lie."""

    kind: Annotated[Literal["local"], Meta(description="local: files in the data folder.")] = "local"
    url_ttl_seconds: Annotated[int, Meta(ge=1, description="How long a signed link to a file works.")] = 3600


class Workers(_Section, frozen=True, kw_only=True):
    """Who runs the jobs."""

    count: Annotated[int, Meta(ge=1, le=256, description="Jobs at once on this machine.")] = 2
    threads_per_step: Annotated[
        int, Meta(ge=0, description="Threads that a step may keep busy; 0 shares the cores out among the jobs.")
    ] = 0
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


class Limits(_Section, frozen=True, kw_only=True):
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


class Net(_Section, frozen=True, kw_only=True):
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
    download_tries: Annotated[
        int, Meta(ge=1, description="Attempts in a row that may bring nothing before the job fails.")
    ] = 8


class Webhooks(_Section, frozen=True, kw_only=True):
    """Telling others that jobs have ended."""

    timeout_seconds: Annotated[float, Meta(gt=0, le=60, description="How long a receiver may take to answer.")] = 15.0
    parallel: Annotated[int, Meta(ge=1, le=64, description="Deliveries that a worker has in hand at once.")] = 8
    disable_after_hours: Annotated[
        float, Meta(gt=0, description="A webhook to which nothing could be delivered for so long is disabled.")
    ] = 120.0
    keep_days: Annotated[float, Meta(gt=0, description="How long the log of deliveries is kept.")] = 30.0


class Retry(_Section, frozen=True, kw_only=True):
    """How long to wait before a failed step is tried again: base, then doubling."""

    base_seconds: Annotated[
        float, Meta(ge=0, description="The wait before the second attempt; it doubles each time.")
    ] = 2.0
    max_seconds: Annotated[float, Meta(ge=0, description="The longest wait.")] = 300.0
    jitter: Annotated[float, Meta(ge=0, le=1, description="Share of the wait that is random, so that jobs part.")] = 0.2


class Plugins(_Section, frozen=True, kw_only=True):
    """Plugins; the settings of one stand in a table [plugins.NAME]."""

    dirs: Annotated[tuple[Path, ...], Meta(description="Folders with one plugin in each folder inside.")] = (
        Path("plugins"),
    )
    disabled: Annotated[tuple[str, ...], Meta(description="Names of plugins that are not loaded.")] = ()
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    """[plugins.NAME] as it was written; the plugin loader checks it against the plugin's own type."""


class Pipelines(_Section, frozen=True, kw_only=True):
    """Pipelines."""

    dirs: Annotated[
        tuple[Path, ...], Meta(description="Folders with pipelines; a file here wins over a shipped one of its name.")
    ] = (Path("config/pipelines"),)


class Presets(_Section, frozen=True, kw_only=True):
    """Presets."""

    dirs: Annotated[
        tuple[Path, ...], Meta(description="Folders with presets; a file here wins over a shipped one of its name.")
    ] = (Path("config/presets"),)


class Models(_Section, frozen=True, kw_only=True):
    """Model files that the operator added."""

    path: Annotated[Path | None, Meta(description='Folder of the models; "" for models in the data folder.')] = None
    allow_non_commercial: Annotated[
        bool,
        Meta(description="Take models whose licences forbid commercial use (only where yours is not)."),
    ] = False


class Logging(_Section, frozen=True, kw_only=True):
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
    workers: Workers = field(default_factory=Workers)
    limits: Limits = field(default_factory=Limits)
    net: Net = field(default_factory=Net)
    webhooks: Webhooks = field(default_factory=Webhooks)
    retry: Retry = field(default_factory=Retry)
    plugins: Plugins = field(default_factory=Plugins)
    pipelines: Pipelines = field(default_factory=Pipelines)
    presets: Presets = field(default_factory=Presets)
    models: Models = field(default_factory=Models)
    logging: Logging = field(default_factory=Logging)
    file: Path | None = None
    """The file that was read; not a setting."""

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


SECTIONS: dict[str, type[_Section]] = {
    f.name: f.type for f in msgspec.structs.fields(Config) if isinstance(f.type, type) and issubclass(f.type, _Section)
}


class Setting(NamedTuple):
    """One setting, for documentation."""

    section: str
    key: str
    default: Any
    description: str


def describe() -> Iterator[Setting]:
    """Every setting that vtid.toml may hold, in its order."""
    for section, type_ in SECTIONS.items():
        for known in msgspec.structs.fields(type_):
            if get_origin(known.type) is Annotated:
                yield Setting(section, known.name, known.default, get_args(known.type)[1].description)
