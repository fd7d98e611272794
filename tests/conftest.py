"""What every test may use: a clean environment, applications in temporary folders, waiting without luck."""

from __future__ import annotations

import os
import signal
import ssl
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import argon2
import pytest

from tests.simulators.object_store import ObjectStore, object_store
from vtid import config as vtid_config
from vtid import logs
from vtid.app import App
from vtid.config import Config
from vtid.engine.bridge import Bridge
from vtid.engine.control import Reason

T = TypeVar("T")
LAB = Path(__file__).parent / "lab"
PATIENCE_S = 180.0
"""How long is waited for what must come, on a machine that others keep busy or that stands still for a while. It is spent
by tests that fail and by no others: nothing is proved by how soon something came."""
WAITING = int(os.environ.get("VTID_TEST_WAITING", "40"))
"""Jobs that wait at once in the tests of many; 500 of them take some minutes, and show nothing else."""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests reaches them."""
    for name in list(os.environ):
        if name.startswith(("VTID_", "SYNC_", "GHOSTCUT_", "DATABASE_", "REDIS_", "CELERY_", "JWT_", "AWS_")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """What tests start can be interrupted, also where a shell started the tests beside it: Ctrl-C is ignored there."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def quiet_logs() -> None:
    logs.configure("error", "json", service="test")


@pytest.fixture(autouse=True, scope="session")
def quick_ciphers() -> Iterator[None]:
    """What is slow so that it is safe, or is read anew each time, would be a fifth of these tests' time.

    Every HTTP client reads the list of authorities, which takes 30 ms; a password's hash is to take long.
    """
    weak = partial(argon2.PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", cache(ssl.create_default_context))
        patch.setattr(argon2, "PasswordHasher", weak)
        yield


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A server that speaks S3, started for the tests that ask for it."""
    with object_store(tmp_path_factory.mktemp("swift")) as store:
        yield store


def wait_until(condition: Callable[[], T], timeout: float = PATIENCE_S, every: float = 0.02) -> T:
    """The first true value of `condition`, or a failure that says what it last was."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout} s; last value: {value!r}"
        time.sleep(every)


@pytest.fixture
def pipelines_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "pipelines"
    folder.mkdir()
    return folder


@pytest.fixture
def make_config(tmp_path: Path, pipelines_dir: Path) -> Callable[..., Config]:
    """A configuration with the lab's plugin; settings as `server__port=1`."""

    def make(**settings: Any) -> Config:
        defaults = {
            "data.path": tmp_path / "data",
            "plugins.dirs": (LAB,),
            "pipelines.dirs": (pipelines_dir,),
            "limits.min_free_disk_mb": 1,
            "workers.lease_seconds": 2.0,
            "workers.tick_seconds": 0.05,
            "retry.base_seconds": 0.05,
        }
        return vtid_config.load(
            tmp_path / "no.toml" if (tmp_path / "no.toml").exists() else _empty(tmp_path),
            {},
            overrides=defaults | {k.replace("__", "."): v for k, v in settings.items()},
        )

    return make


def _empty(folder: Path) -> Path:
    path = folder / "no.toml"
    path.touch()
    return path


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    bridge = Bridge()
    yield bridge
    bridge.close()


class Lab:
    """An application with the lab's steps, driven from a test's own thread."""

    def __init__(self, app: App, bridge: Bridge, pipelines_dir: Path) -> None:
        self.app = app
        self.bridge = bridge
        self.pipelines_dir = pipelines_dir
        self.work = app.work()
        self.runner = app.runner(bridge, self.work)

    def submit(self, pipeline: str, params: dict[str, Any] | None = None, files: dict[str, Path] | None = None) -> str:
        async def intake() -> str:
            async with self.app.intake.draft("local") as draft:
                for name, path in (files or {}).items():
                    draft.put(name, path)
                return (await draft.submit(pipeline=pipeline, params=params or {})).id

        return self.bridge.run(intake())

    def job(self, job_id: str) -> Any:
        return self.bridge.run(self.app.jobs.get(job_id))

    def runs(self, job_id: str) -> dict[str, Any]:
        return {r.step_id: r for r in self.bridge.run(self.app.jobs.runs(job_id))}

    def events(self, job_id: str) -> list[Any]:
        return self.bridge.run(self.app.jobs.events(job_id))

    def run(self, job_id: str) -> Any:
        """Take turns at a job until it has ended."""

        def turn() -> Any:
            if job_id not in self.runner.active:  # its file may be coming beside, and no heart renews the lease here
                self.runner.run(job_id)
            job = self.job(job_id)
            return job if job.status.ended else None

        return wait_until(turn)

    def close(self) -> None:
        """Stop what is still in hand, such as a download that hangs: its thread must not outlive the bridge."""
        for job_id in self.runner.active:
            self.runner.stop(job_id, Reason.STOPPING)
        wait_until(lambda: not self.runner.active)
        self.bridge.run(self.app.close())

    def result_text(self, job_id: str, index: int = 0) -> str:
        return b"".join(self.app.storage.read(self.job(job_id).results[index].key)).decode()


@pytest.fixture
def make_lab(make_config: Callable[..., Config], bridge: Bridge, pipelines_dir: Path) -> Iterator[Callable[..., Lab]]:
    """Build a lab: `make_lab({"name": "toml text"}, limits__step_memory_mb=200)`; `rings` for worker processes to hear."""
    labs: list[Lab] = []

    def make(pipelines: dict[str, str], *, rings: bool = False, **settings: Any) -> Lab:
        for name, text in pipelines.items():
            (pipelines_dir / f"{name}.toml").write_text(f'[pipeline]\nname = "{name}"\n{text}')
        app = App(make_config(**settings), ring=None if rings else lambda _: None)
        labs.append(Lab(app, bridge, pipelines_dir))
        return labs[-1]

    yield make
    for lab in labs:
        lab.close()


REDIS = f"redis://127.0.0.1:6379/{9 + int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:]) % 7}"
"""Each process of a test run has a database of its own."""


@pytest.fixture
def redis_url() -> Iterator[str]:
    """An empty Redis, where one answers."""
    redis = pytest.importorskip("redis", reason="the extra vtid[redis] is not installed")
    client = redis.Redis.from_url(REDIS)
    try:
        client.flushdb()
    except redis.ConnectionError:
        pytest.skip("no Redis answers on 127.0.0.1:6379")
    yield REDIS
    client.flushdb()
    client.close()
