"""What the engine costs: `make bench-engine` prints a Markdown table of each part.

1. A job whose one step does nothing, from submit to done, against a bare Huey task that does nothing, on SQLite both:
   in one thread without waiting, through the queue and a worker thread, and many at once. Rounds alternate, so that
   both meet the same machine; what is told is the median.
2. Where a job's time goes.
3. `vtid serve`: the time to a healthy answer, and the memory of its processes at rest.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import httpx
import psutil
from huey import SqliteHuey
from huey.consumer import Consumer

from vtid import config as vtid_config
from vtid import logs
from vtid.app import App
from vtid.engine.bridge import Bridge

HERE = Path(__file__).resolve().parent
GOAL_RATIO = 5.0
GOAL_START_S = 2.0
REST_S = 3.0
"""How long a daemon is left alone before its memory is read."""
WORKERS = 2
T = TypeVar("T")

READABLE = {
    "submit": "intake: check, freeze, store the job and its steps",
    "Work.claim": "claim the job: lease, state, event",
    "Jobs.runs": "read its steps",
    "Jobs.artifacts": "read its files",
    "Work.save_run": "the step begins: state, event",
    "Work.complete_run": "the step is done: state, files, event",
    "Work.complete": "the job is done: results, event",
}


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=200, help="jobs and tasks that are run one by one")
    parser.add_argument("--starts", type=int, default=5, help="how often the daemon is started")
    parser.add_argument("--skip-daemon", action="store_true", help="leave out part 3")
    args = parser.parse_args()
    logs.configure("error", "json", service="bench")
    print(
        f"vtid's engine on {os.cpu_count()} cores, Python {sys.version.split()[0]}; medians of {args.rounds} rounds\n"
    )
    with tempfile.TemporaryDirectory(prefix="vtid-bench-") as folder:
        compare(Path(folder), args.rounds)
        if not args.skip_daemon:
            daemon(Path(folder), args.starts)


# --- 1 and 2: a job against a task


class TimedBridge(Bridge):
    """Notes how long each call to the database takes, the way there and back included."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: dict[str, list[float]] = defaultdict(list)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        started = time.perf_counter()
        try:
            return super().run(work)
        finally:
            self.parts[work.__qualname__.removeprefix("Engine.")].append(time.perf_counter() - started)


class Engine:
    """vtid without its web and its command line."""

    def __init__(self, folder: Path) -> None:
        self.bridge = TimedBridge()
        self.app = App(bench_config(folder))
        self.runner = self.app.runner(self.bridge, self.app.work())
        self.ended: set[str] = set()
        self.changed = threading.Condition()
        self.listener: Any = None

    async def submit(self, pipeline: str) -> str:
        async with self.app.intake.draft("local") as draft:
            return (await draft.submit(pipeline=pipeline, params={})).id

    def in_thread(self, pipeline: str = "nothing") -> None:
        """Submit a job and run it, here and now. The bell is rung as for everybody, and nobody listens."""
        self.runner.run(self.bridge.run(self.submit(pipeline)))

    def listen(self) -> None:
        """Have worker threads wait for the bell, as `vtid worker` does."""
        self.listener = self.app.queue.listen(self.handle, WORKERS)
        self.listener.start()

    def handle(self, job_id: str) -> None:
        self.runner.run(job_id)
        with self.changed:
            self.ended.add(job_id)
            self.changed.notify_all()

    def queued(self, count: int = 1) -> None:
        """Submit jobs and wait until worker threads have run them."""
        mine = {self.bridge.run(self.submit("nothing")) for _ in range(count)}
        with self.changed:
            self.changed.wait_for(lambda: mine <= self.ended)

    def close(self) -> None:
        self.listener.stop(2)
        self.bridge.run(self.app.close())
        self.bridge.close()


class BareHuey:
    """A Huey task that does nothing; Huey's defaults, but for the pace of its consumer, which is vtid's."""

    def __init__(self, folder: Path, name: str, *, fsync: bool) -> None:
        self.huey = SqliteHuey(name, filename=str(folder / f"{name}.db"), fsync=fsync)
        self.done = threading.Semaphore(0)
        self.listening = False
        self.task = self.huey.task()(self._nothing)

    def _nothing(self) -> None:
        if self.listening:
            self.done.release()

    def in_thread(self) -> None:
        """Enqueue, dequeue, execute, read the result."""
        result = self.task()
        self.huey.execute(self.huey.dequeue())
        result.get()

    def listen(self) -> None:
        self.listening = True

        class Quiet(Consumer):
            def _set_signal_handlers(self) -> None: ...

        self.consumer = Quiet(
            self.huey, workers=WORKERS, periodic=False, initial_delay=0.02, max_delay=0.2, check_worker_health=False
        )
        self.consumer.start()

    def queued(self, count: int = 1) -> None:
        for _ in range(count):
            self.task()
        for _ in range(count):
            self.done.acquire()

    def close(self) -> None:
        self.consumer.stop_flag.set()


def bench_config(folder: Path) -> vtid_config.Config:
    file = folder / "vtid.toml"
    file.touch()
    settings = {
        "data.path": folder / "data",
        "plugins.dirs": (HERE / "plugins",),
        "pipelines.dirs": (HERE / "pipelines",),
        "limits.min_free_disk_mb": 1,
    }
    return vtid_config.load(file, {}, overrides=settings)


def compare(folder: Path, rounds: int) -> None:
    engine = Engine(folder)
    huey, durable = BareHuey(folder, "fast", fsync=False), BareHuey(folder, "durable", fsync=True)
    ways: dict[str, Callable[[], None]] = {
        "vtid": engine.in_thread,
        "vtid, step in its own process": lambda: engine.in_thread("nothing-isolated"),
        "huey": huey.in_thread,
        "huey, fsync": durable.in_thread,
    }
    in_thread = alternate(ways, rounds, rare={"vtid, step in its own process": max(1, rounds // 20)})
    parts = {name: times[-rounds:] for name, times in engine.bridge.parts.items()}  # before threads add to them
    for one in (engine, huey, durable):
        one.listen()
    engine.queued()  # hears first what rang while nobody listened
    queued = alternate(
        {"vtid": engine.queued, "huey": huey.queued, "huey, fsync": durable.queued}, max(10, rounds // 4)
    )
    burst = alternate(
        {
            "vtid": lambda: engine.queued(rounds),
            "huey": lambda: huey.queued(rounds),
            "huey, fsync": lambda: durable.queued(rounds),
        },
        3,
    )
    burst = {name: value / rounds for name, value in burst.items()}
    for one in (engine, huey, durable):
        one.close()

    print("| submit → done, ms | vtid | bare Huey | ratio | Huey with fsync | ratio |\n|---|---:|---:|---:|---:|---:|")
    for title, times in (
        ("in one thread, no waiting", in_thread),
        (f"through the queue, one at a time, {WORKERS} workers", queued),
        (f"through the queue, {rounds} at once, each", burst),
    ):
        cells = [ms(times["vtid"])]
        for other in ("huey", "huey, fsync"):
            cells += [ms(times[other]), f"{times['vtid'] / times[other]:.1f}"]
        print(f"| {title} | {' | '.join(cells)} |")
    ratio = in_thread["vtid"] / in_thread["huey"]
    print(f"\nGoal: at most {GOAL_RATIO:g} times in one thread: {'met' if ratio <= GOAL_RATIO else 'MISSED'}.")
    print(f"With the step in a process of its own: {ms(in_thread['vtid, step in its own process'])} ms.\n")
    where_it_goes(parts, in_thread["vtid"])


def where_it_goes(parts: dict[str, list[float]], total: float) -> None:
    print("| where a job's time goes, in one thread | ms | share |\n|---|---:|---:|")
    rest = total
    for name, times in parts.items():
        took = median(times)
        rest -= took
        print(f"| {READABLE.get(name, name)} | {ms(took)} | {took / total:.0%} |")
    print(f"| threads, the step itself, folders | {ms(rest)} | {rest / total:.0%} |\n")


def alternate(ways: dict[str, Callable[[], None]], rounds: int, rare: dict[str, int] | None = None) -> dict[str, float]:
    """Seconds per call of each, as medians; a round calls each once. Some are called in the first rounds only."""
    times: dict[str, list[float]] = defaultdict(list)
    for way in ways.values():
        way()  # the first call pays for imports and caches
    for number in range(rounds):
        for name, way in ways.items():
            if number < (rare or {}).get(name, rounds):
                started = time.perf_counter()
                way()
                times[name].append(time.perf_counter() - started)
    return {name: median(found) for name, found in times.items()}


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"


# --- 3: the daemon


def daemon(folder: Path, starts: int) -> None:
    times, memory = [], {}
    for number in range(starts + 1):  # the first one writes caches and makes the database: it is told apart
        with served(folder, number) as (process, seconds):
            times.append(seconds)
            if number == starts:
                time.sleep(REST_S)
                memory = rest_memory(process.pid)
    print("| vtid serve | |\n|---|---:|")
    print(f"| first start, on an empty data folder: to a 200 of /health | {times[0]:.2f} s |")
    print(f"| later starts, median of {starts} | {median(times[1:]):.2f} s |")
    for name, size in memory.items():
        print(f"| {name} | {size / (1 << 20):.0f} MiB |")
    met = median(times[1:]) < GOAL_START_S
    print(f"\nGoal: under {GOAL_START_S:g} s to /health: {'met' if met else 'MISSED'}.")


@contextmanager
def served(folder: Path, number: int) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """A daemon, and how long it took to be healthy."""
    log = folder / f"serve-{number}.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VTID_")}
    command = [sys.executable, "-m", "vtid.cli", "--config", str(folder / "served.toml"), "serve", "--port", "0"]
    (folder / "served.toml").write_text(f'data.path = "{folder / "served"}"\nlogging.format = "json"\n')
    started = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, start_new_session=True)
    try:
        yield process, healthy(process, log, started)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def healthy(process: subprocess.Popen[bytes], log: Path, started: float) -> float:
    url = None
    with httpx.Client(trust_env=False, timeout=5) as client:
        while time.perf_counter() - started < 60 and process.poll() is None:
            url = url or address(log)
            with suppress(httpx.TransportError):
                if url and client.get(f"{url}/health").status_code == httpx.codes.OK:
                    return time.perf_counter() - started
            time.sleep(0.01)
    sys.exit(f"the daemon did not come up:\n{log.read_text()[-2000:]}")


def address(log: Path) -> str | None:
    """Where it says that it listens."""
    for line in log.read_text().splitlines():
        with suppress(ValueError, AttributeError):
            if url := json.loads(line).get("metadata", {}).get("url"):
                return str(url)
    return None


def rest_memory(pid: int) -> dict[str, float]:
    """Memory of a process and its children: RSS counts shared pages in each, PSS counts them once."""
    root = psutil.Process(pid)
    found = {}
    for process in (root, *root.children(recursive=True)):
        words = process.cmdline()
        name = next((w for w in words if w in ("serve", "worker")), Path(words[0]).name if words else "?")
        found[name] = process.memory_full_info()
    memory = {f"memory at rest, {name} (RSS)": float(info.rss) for name, info in found.items()}
    memory["memory at rest, all (RSS)"] = float(sum(info.rss for info in found.values()))
    memory["memory at rest, all, shared pages counted once (PSS)"] = float(sum(info.pss for info in found.values()))
    return memory


if __name__ == "__main__":
    main()
