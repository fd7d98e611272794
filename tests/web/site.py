"""A whole daemon within the test's process: the web application on a real socket, workers beside it."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from tests.conftest import LAB, PATIENCE_S, wait_until
from vtid import config as vtid_config
from vtid.accounts import local_key, prepare
from vtid.app import App
from vtid.config import Config
from vtid.daemon import _bind
from vtid.db.rows import emit
from vtid.engine.bridge import Bridge
from vtid.web import create_app
from vtid.web.events import EventFeed

API = "/api/v1/jobs"
COPY = '[[step]]\nid = "copy"\ntitle = "Copying"\nuses = "lab.pass"\n[[deliver]]\nfrom = "copy.video"\nname = "{stem}.copy{suffix}"\n'
SLOW = '[[step]]\nid = "slow"\nuses = "lab.slow"\nwith = {{ ticks = {ticks} }}\n'
PIPELINES = {
    "copy": COPY,
    "slow": SLOW.format(ticks=5000) + COPY,
    "ticking": SLOW.format(ticks=100) + COPY,
    "steady": SLOW.format(ticks=2000) + COPY,
    "fails": COPY + '[[step]]\nid = "fail"\nuses = "lab.fail"\n',
    "broken": '[[step]]\nid = "a"\nuses = "lab.nothing_like_it"\n',
    "not-ready": '[[step]]\nid = "a"\nuses = "keyless.work"\n',
}


def another(clip: Path) -> bytes:
    """The same video in other bytes: what a user sends twice is stored once."""
    return clip.read_bytes() + b"\0\0\0\x18free" + uuid.uuid4().bytes


class Site:
    """A daemon to talk to.

    `core` belongs to the server's own event loop: look at it, but await nothing of it. `app` is the tests' own view of
    the same data.
    """

    def __init__(self, core: App, app: App, bridge: Bridge, url: str, web: Any) -> None:
        self.core = core
        self.app = app
        self.bridge = bridge
        self.url = url
        self.web = web
        self.http = self.client()

    @property
    def files(self) -> Path:
        return Path(self.app.config.data.path) / "files"

    def stored(self) -> set[str]:
        """Every file that is stored, also what is only being written."""
        return {p.relative_to(self.files).as_posix() for p in self.files.rglob("*") if p.is_file()}

    @property
    def key(self) -> str:
        """Of this machine: the first admin's."""
        return local_key(Path(self.app.config.data.path)) or ""

    @property
    def auth(self) -> dict[str, str]:
        """The header that a request needs."""
        return {"Authorization": f"Bearer {self.key}"}

    def keys(self, prefix: str = "users/") -> set[str]:
        """Every key that is stored under a prefix, wherever files lie, but what jobs make: others' may still go on."""
        return {key for key in self.app.storage.list(prefix) if "/steps/" not in key and "/result/" not in key}

    def client(self, *, anonymous: bool = False, **options: Any) -> httpx.Client:
        headers = {} if anonymous else self.auth
        return httpx.Client(
            **{"base_url": self.url, "trust_env": False, "timeout": PATIENCE_S, "headers": headers} | options
        )

    def submit(
        self, clip: Path | bytes, pipeline: str = "copy", *, headers: dict[str, str] | None = None, **fields: Any
    ) -> httpx.Response:
        data = {"pipeline": pipeline} | {k: v if isinstance(v, str) else json.dumps(v) for k, v in fields.items()}
        content = clip if isinstance(clip, bytes) else clip.read_bytes()
        return self.http.post(f"{API}/submit", files={"file": ("clip.mp4", content)}, data=data, headers=headers)

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.http.get(f"{API}/{job_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait(self, job_id: str, *statuses: str) -> dict[str, Any]:
        wanted = statuses or ("completed", "failed", "cancelled")
        return wait_until(lambda: (job := self.job(job_id))["status"] in wanted and job, every=0.05)

    def done(self, clip: Path, pipeline: str = "copy", **fields: Any) -> dict[str, Any]:
        answer = self.submit(clip, pipeline, **fields)
        assert answer.status_code == 202, answer.text
        return self.wait(answer.json()["job_id"])

    def emit(self, job_id: str, count: int, kind: str = "log") -> None:
        """Events, as a worker would write them, each in its own transaction."""

        async def write() -> None:
            for i in range(count):
                async with self.app.database.write() as c:
                    await emit(c, job_id, float(i), kind, {"message": f"event {i}"})

        self.bridge.run(write())


@contextmanager
def serving(
    folder: Path, *, workers: bool, pipelines: dict[str, str] | None = None, heartbeat_s: float = 15.0, **settings: Any
) -> Iterator[Site]:
    """Serve from a folder for the length of the block."""
    config = configure(folder, pipelines or PIPELINES, **settings)
    app, bridge = App(config), Bridge()
    worker = app.worker(bridge) if workers else None
    with _listening(config, heartbeat_s) as (core, web, url):
        if worker:
            worker.start()
        site = Site(core, app, bridge, url, web)
        try:
            yield site
        finally:
            site.http.close()
            if worker:
                worker.stop()
                wait_until(lambda: not worker._runner.active)  # it waits for two seconds, and the bridge goes next
    bridge.run(app.close())
    bridge.close()


def configure(folder: Path, pipelines: dict[str, str], **settings: Any) -> Config:
    (folder / "pipelines").mkdir(parents=True)
    for name, text in pipelines.items():
        (folder / "pipelines" / f"{name}.toml").write_text(f'[pipeline]\nname = "{name}"\n{text}')
    (folder / "no.toml").touch()
    values = {
        "data.path": folder / "data",
        "plugins.dirs": (LAB, Path(__file__).parent / "plugins"),
        "pipelines.dirs": (folder / "pipelines",),
        "limits.min_free_disk_mb": 1,
        "limits.progress_per_second": 50.0,
        "workers.tick_seconds": 0.05,
        "server.drain_seconds": 0.0,
        "retry.base_seconds": 0.05,
    }
    return vtid_config.load(
        folder / "no.toml", {}, overrides=values | {k.replace("__", "."): v for k, v in settings.items()}
    )


@contextmanager
def _listening(config: Config, heartbeat_s: float) -> Iterator[tuple[App, Any, str]]:
    sock = _bind("127.0.0.1", 0)
    made: list[Any] = []
    failed: list[BaseException] = []

    async def main() -> None:
        core = App(config)
        await prepare(core.accounts, config.data.path)
        web = create_app(core, EventFeed(core.jobs, heartbeat_s))
        server = uvicorn.Server(
            uvicorn.Config(
                web, lifespan="on", log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=2
            )
        )
        made.append((core, web, server, asyncio.get_running_loop()))
        await server.serve(sockets=[sock])
        await core.close()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001 - told to whoever waits for the site
            failed.append(error)

    thread = threading.Thread(target=run, name="site")
    thread.start()
    try:
        wait_until(lambda: failed or (made and made[0][2].started))
        if failed:
            raise failed[0]
        core, web, *_ = made[0]
        yield core, web, f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        if made:
            _, web, server, loop = made[0]
            with suppress(RuntimeError):  # it has ended already
                loop.call_soon_threadsafe(web.state.feed.close)
            server.should_exit = True
        thread.join(PATIENCE_S)
        sock.close()
        assert not thread.is_alive()


def problem(answer: httpx.Response, status: int, code: str | None = None) -> dict[str, Any]:
    """The problem document of an answer, having looked that it is a whole one."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    assert answer.headers["content-type"].partition(";")[0] == "application/problem+json"
    body = answer.json()
    assert (
        {"type", "title", "status", "detail", "errors", "request_id"}
        <= body.keys()
        <= {
            "type",
            "title",
            "status",
            "detail",
            "errors",
            "request_id",
            "suggested_action",
        }
    )
    assert body["status"] == status
    assert body["type"].startswith("urn:vtid:problem:")
    assert code is None or body["type"] == f"urn:vtid:problem:{code}"
    assert body["title"]
    assert body["detail"]
    assert all(e.keys() == {"field", "message", "code"} and e["message"] and e["code"] for e in body["errors"])
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    return body


def events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Server-Sent Events as they come; a comment as `{"comment": …}`."""
    event: dict[str, Any] = {}
    for line in lines:
        if not line:
            if event:
                yield event
            event = {}
            continue
        name, _, value = line.partition(": ")
        event["comment" if not name or name == ":" else name.removeprefix(":") or "comment"] = value
