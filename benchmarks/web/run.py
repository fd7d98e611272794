"""What the HTTP side costs: `make bench-web` prints Markdown tables.

1. `GET /api/v1/jobs/{id}` with many jobs in the database, against a bare Litestar route that gives the same JSON from
   memory. Rounds take turns, so that both meet the same machine; what is told is the median of them.
2. A submit of a file that came in before: everything but the upload.
3. The first page of a list, and one far in, with few and with many jobs.

The daemon is `vtid serve --no-workers`; the load comes from a process of its own (`load.py`).
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from vtid.accounts import local_key
from vtid.web import paging

ROOT = Path(__file__).resolve().parents[2]
GOAL_RATIO, GOAL_GET_MS, GOAL_SUBMIT_MS = 0.4, 100.0, 200.0
BARE = """
import sys, uvicorn, msgspec
from litestar import Litestar, get
BODY = msgspec.json.decode(sys.argv[1])
@get("/job")
async def job() -> dict: return BODY
uvicorn.run(Litestar([job], openapi_config=None), port=int(sys.argv[2]), log_config=None, access_log=False)
"""
PIPELINE = (
    '[pipeline]\nname = "bench"\n[[step]]\nid = "pass"\nuses = "bench.pass_video"\n[[deliver]]\nfrom = "pass.video"\n'
)
PLUGIN = '''"""A step that gives back what it gets."""
from msgspec import Struct
from vtid.sdk import Step, Video, hookimpl
class Params(Struct, forbid_unknown_fields=True): pass
class Inputs(Struct): video: Video
class Outputs(Struct): video: Video
class Pass(Step):
    """Give it back."""
    name = "bench.pass_video"
    def run(self, ctx, params: Params, inputs: Inputs) -> Outputs:
        return Outputs(inputs.video)
@hookimpl
def vtid_steps(): return [Pass]
'''


class Daemon:
    """`vtid serve` on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        plugin = folder / "plugins" / "bench" / "src" / "vtid_bench"
        plugin.mkdir(parents=True)
        (plugin / "__init__.py").write_text(PLUGIN)
        (folder / "plugins" / "bench" / "pyproject.toml").write_text(
            '[project]\nname = "vtid-bench"\nversion = "0"\n[project.entry-points.vtid]\nbench = "vtid_bench"\n'
        )
        (folder / "pipelines").mkdir()
        (folder / "pipelines" / "bench.toml").write_text(PIPELINE)
        (folder / "vtid.toml").write_text(
            'server.port = 0\ndata.path = "data"\nplugins.dirs = ["plugins"]\npipelines.dirs = ["pipelines"]\n'
            'limits.min_free_disk_mb = 1\nlogging.format = "json"\nlogging.level = "info"\n'
        )
        self.database = folder / "data" / "vtid.db"

    @contextmanager
    def serving(self) -> Iterator[httpx.Client]:
        """Its address, as a client."""
        command = [
            sys.executable,
            "-m",
            "vtid.cli",
            "--config",
            str(self.folder / "vtid.toml"),
            "serve",
            "--no-workers",
        ]
        with (self.folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                url = self._url(process)
                headers = {"Authorization": f"Bearer {local_key(self.folder / 'data')}"}
                with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as client:
                    yield client
            finally:
                process.terminate()
                process.wait(60)

    def _url(self, process: subprocess.Popen[bytes]) -> str:
        while process.poll() is None:
            for line in (self.folder / "log").read_text().splitlines():
                if line.startswith("{") and json.loads(line)["message"] == "listening":
                    return str(json.loads(line)["metadata"]["url"])
            time.sleep(0.05)
        raise SystemExit((self.folder / "log").read_text())

    def fill(self, count: int, template: str) -> None:
        """Copies of a job and its steps, each a second older than the one before."""
        with closing(sqlite3.connect(self.database)) as db:
            have = db.execute("SELECT count(*) FROM jobs").fetchone()[0]
            columns = [row[1] for row in db.execute("PRAGMA table_info(jobs)")]
            made = {"id": "printf('%08x-0000-4000-8000-%012x', n, n)", "created_at": "created_at - n"}
            values = ", ".join(made.get(c, c) for c in columns)
            numbers = f"WITH RECURSIVE seq(n) AS (SELECT {have} UNION ALL SELECT n + 1 FROM seq WHERE n + 1 < {count}) "
            db.execute(f"{numbers} INSERT INTO jobs SELECT {values} FROM jobs, seq WHERE id = ?", (template,))
            columns = [row[1] for row in db.execute("PRAGMA table_info(step_runs)")]
            values = ", ".join(made["id"] if c == "job_id" else c for c in columns)
            db.execute(
                f"{numbers} INSERT INTO step_runs SELECT {values} FROM step_runs, seq WHERE job_id = ?", (template,)
            )
            db.commit()
            db.execute("ANALYZE")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=100_000, help="in the database for part 1")
    parser.add_argument("--many", type=int, default=1_000_000, help="in the database for part 3")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    print(f"vtid over HTTP on {os.cpu_count()} cores, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory(prefix="vtid-bench-web-") as name:
        daemon = Daemon(Path(name))
        template = prepare(daemon)
        few = listing(daemon, template, 1000)
        reading(daemon, template, args)
        submitting(daemon, args)
        listed(few, listing(daemon, template, args.many), args.many)


def prepare(daemon: Daemon) -> str:
    """One job on a clip that is drawn here; its id."""
    from vtid.media.synth import draw_clip

    clip = daemon.folder / "clip.mp4"
    draw_clip(clip, seconds=1, width=320, height=180, fps=10)
    with daemon.serving() as http, clip.open("rb") as handle:
        answer = http.post("/api/v1/jobs/submit", files={"file": ("clip.mp4", handle)}, data={"pipeline": "bench"})
        answer.raise_for_status()
        return str(answer.json()["job_id"])


def load(http: httpx.Client, requests: list[dict[str, str]], connections: int, seconds: float) -> dict[str, Any]:
    """What the load generator found."""
    url = http.base_url
    command = [sys.executable, "-m", "benchmarks.web.load", url.host, str(url.port), str(connections), str(seconds)]
    told = "\n".join(map(json.dumps, requests))
    ran = subprocess.run(command, input=told, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(ran.stdout)
    if found["wrong"]:
        raise SystemExit(f"{found['wrong']} requests were not answered with success")
    return found


def request(http: httpx.Client, method: str, path: str, body: Any = None) -> dict[str, str]:
    text = "" if body is None else json.dumps(body)
    kind = f"content-type: application/json\r\ncontent-length: {len(text)}\r\n" if text else ""
    who = f"authorization: {http.headers['authorization']}\r\n" if "authorization" in http.headers else ""
    host = f"host: {http.base_url.host}:{http.base_url.port}\r\n"
    return {"head": f"{method} {path} HTTP/1.1\r\n{host}{who}{kind}\r\n", "body": text}


@contextmanager
def bare(body: str) -> Iterator[httpx.Client]:
    """A Litestar application with one route that gives this JSON."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    with subprocess.Popen([sys.executable, "-c", BARE, body, str(port)]) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                for _ in range(200):
                    try:
                        client.get("/job")
                        break
                    except httpx.TransportError:
                        time.sleep(0.05)
                yield client
        finally:
            process.terminate()


def reading(daemon: Daemon, template: str, args: argparse.Namespace) -> None:
    """Part 1."""
    daemon.fill(args.jobs, template)
    step = max(1, args.jobs // 5000)
    ids = [f"{n:08x}-0000-4000-8000-{n:012x}" for n in range(1, args.jobs, step)]
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    with daemon.serving() as http:
        answer = http.get(f"/api/v1/jobs/{ids[0]}")
        answer.raise_for_status()
        with bare(answer.text) as other:
            jobs = [request(http, "GET", f"/api/v1/jobs/{job_id}") for job_id in ids]
            for _ in range(args.rounds):
                ours.append(load(http, jobs, args.connections, args.seconds))
                theirs.append(load(other, [request(other, "GET", "/job")], args.connections, args.seconds))
    ratio = median(o["per_second"] / t["per_second"] for o, t in zip(ours, theirs, strict=True))
    p95 = median(o["p95_ms"] for o in ours)
    print(f"| GET one job of {args.jobs:,}, {args.connections} connections | vtid | bare Litestar | ratio |")
    print("|---|---:|---:|---:|")
    rate = [median(r["per_second"] for r in rows) for rows in (ours, theirs)]
    print(f"| requests a second | {rate[0]:,.0f} | {rate[1]:,.0f} | {ratio:.2f} |")
    for key, title in (("p50_ms", "half within, ms"), ("p95_ms", "95 % within, ms"), ("p99_ms", "99 % within, ms")):
        print(f"| {title} | {median(r[key] for r in ours):.1f} | {median(r[key] for r in theirs):.1f} | |")
    print(f"\nGoals: at least {GOAL_RATIO} of the bare route's rate: {met(ratio >= GOAL_RATIO)}; ", end="")
    print(f"95 % within {GOAL_GET_MS:.0f} ms: {met(p95 <= GOAL_GET_MS)}.\n")


def submitting(daemon: Daemon, args: argparse.Namespace) -> None:
    """Part 2."""
    with closing(sqlite3.connect(daemon.database)) as db:
        asset = db.execute("SELECT id FROM assets").fetchone()[0]
    with daemon.serving() as http:
        body = {"pipeline": "bench", "asset_id": asset}
        asked = [request(http, "POST", "/api/v1/jobs/submit", body)]
        rows = [(n, load(http, asked, n, args.seconds)) for n in (1, 4, 16)]
    print("| submit, without the upload | jobs a second | half within, ms | 95 % within, ms |\n|---|---:|---:|---:|")
    for n, found in rows:
        print(f"| {n} at once | {found['per_second']:,.0f} | {found['p50_ms']:.1f} | {found['p95_ms']:.1f} |")
    good = rows[0][1]["p95_ms"] <= GOAL_SUBMIT_MS
    print(f"\nGoal: 95 % within {GOAL_SUBMIT_MS:.0f} ms, one at a time: {met(good)}.\n")


def listing(daemon: Daemon, template: str, count: int) -> dict[str, float]:
    """Part 3, for a number of jobs: medians in milliseconds."""
    daemon.fill(count, template)
    found = {}
    with daemon.serving() as http:
        with closing(sqlite3.connect(daemon.database)) as db:
            middle = "SELECT created_at, id FROM jobs ORDER BY created_at DESC LIMIT 1 OFFSET ?"
            far = paging.cursor(*db.execute(middle, (count // 2,)).fetchone())
        for title, params in (
            ("the first page", {}),
            ("a page in the middle", {"cursor": far}),
            ("the first page of queued jobs", {"status": "queued"}),
            ("the first page of failed jobs, of which there are none", {"status": "failed"}),
        ):
            times = []
            for _ in range(40):
                begun = time.perf_counter()
                http.get("/api/v1/jobs/", params=params).raise_for_status()
                times.append((time.perf_counter() - begun) * 1000)
            found[title] = median(times)
    return found


def listed(few: dict[str, float], many: dict[str, float], count: int) -> None:
    """Part 3, told."""
    print(f"| listing, median ms | 1,000 jobs | {count:,} jobs | ratio |\n|---|---:|---:|---:|")
    for title, before in few.items():
        print(f"| {title} | {before:.1f} | {many[title]:.1f} | {many[title] / before:.2f} |")


def met(good: bool) -> str:
    return "met" if good else "MISSED"


if __name__ == "__main__":
    main()
