"""A hot folder on its worst day: files of every kind dropped while its daemon is killed again and again.

Small videos come by mv, by cp, as rsync brings them (under a hidden name first), from a slow writer and twice; some are
no videos at all. The daemon, or two of them with databases of their own, is killed with SIGKILL every few seconds.
Whoever looks at the output folder meanwhile must never see a file that is not whole. In the end each unique film is
there once, duplicates and bad files where they belong, with words beside them. At last one film after the other is
dropped with nobody killed, which says how long it takes from when a file has settled until a worker begins on it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from vtid.media.synth import draw_clip

REPOSITORY = Path(__file__).resolve().parents[2]
LAB = REPOSITORY / "tests" / "lab"
COPY = (
    '[pipeline]\nname = "copy"\n[[step]]\nid = "copy"\nuses = "lab.pass_in_place"\n[[deliver]]\nfrom = "copy.video"\n'
)
KINDS = ("mv", "cp", "rsync", "slow", "twice", "bad")


class Folders:
    """Where things lie."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.into, self.out, self.own = root / "in", root / "out", root / "in/.vtid"

    def results(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return sorted(e.name for e in os.scandir(self.out) if e.is_file())
        return []

    def waiting(self) -> list[str]:
        return [e.name for e in os.scandir(self.into) if e.is_file()]

    def held(self) -> list[Path]:
        return [p for p in (self.own / "processing").rglob("*") if p.is_file()]


class Daemon:
    """`vtid serve` that can be killed and comes back."""

    def __init__(self, folders: Folders, name: str, settings: dict[str, Any], watch: dict[str, Any]) -> None:
        self.root = folders.root / name
        for folder in (self.root / "pipelines", self.root / "watch"):
            folder.mkdir(parents=True)
        (self.root / "pipelines/copy.toml").write_text(COPY)
        declared = {"path": str(folders.into), "pipeline": "copy", "output": str(folders.out)} | watch
        text = "".join(f"{k} = {json.dumps(v)}\n" for k, v in declared.items())
        (self.root / "watch/in.toml").write_text(f"[watch]\n{text}")
        values = {
            "server.port": 0,
            "data.path": "data",
            "plugins.dirs": [str(LAB)],
            "pipelines.dirs": ["pipelines"],
            "watches.dirs": ["watch"],
            "watches.min_free_disk_mb": 64,
            "logging.format": "json",
            "workers.max_lost": 1000,
            "rate_limits.internal_per_minute": 100_000,
        } | settings
        (self.root / "vtid.toml").write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in values.items()))
        self.start()

    def start(self) -> None:
        with (self.root / "log").open("ab") as log:
            command = [sys.executable, "-m", "vtid.cli", "--config", str(self.root / "vtid.toml"), "serve"]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def film(clip: bytes, number: int) -> bytes:
    """The same video in other bytes."""
    return clip + b"\0\0\0\x18free" + f"{number:016d}".encode()


def drop(folders: Folders, clip: bytes, count: int, begin: int, kinds: tuple[str, ...]) -> None:
    """Put files into the folder, as people and programs do."""
    aside = folders.root / "aside"
    for number in range(begin, begin + count):
        kind, data = kinds[number % len(kinds)], film(clip, number)
        path, hidden = folders.into / f"{number}.mp4", folders.into / f".{number}.mp4.Xa7f2b"
        if kind in ("mv", "rsync"):
            staged = aside if kind == "mv" else hidden
            staged.write_bytes(data)
            staged.rename(path)
        elif kind == "slow":
            with path.open("wb") as handle:
                for at in range(0, len(data), len(data) // 3 + 1):
                    handle.write(data[at : at + len(data) // 3 + 1])
                    handle.flush()
                    time.sleep(0.02)
        elif kind == "bad":
            path.write_bytes(b"this is no video: %d" % number)
        else:
            path.write_bytes(data)
            if kind == "twice":
                (folders.into / f"{number}-again.mp4").write_bytes(data)


class Watchman(threading.Thread):
    """Looks at the output folder all the time: whatever is visible has to be whole."""

    def __init__(self, folders: Folders, clip: bytes) -> None:
        super().__init__(daemon=True)
        self.folders, self.clip = folders, clip
        self.seen: set[str] = set()
        self.partial: list[str] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        pause = 0.05
        while not self.stopped.wait(pause):
            began = time.monotonic()
            for name in set(self.folders.results()) - self.seen:
                self.seen.add(name)
                if (self.folders.out / name).read_bytes() != film(self.clip, _number(name)):
                    self.partial.append(name)
            pause = max(0.05, 5 * (time.monotonic() - began))  # among ten thousand results a look takes time itself


def _number(name: str) -> int:
    return int(name.partition(".")[0].partition("-")[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="films that are dropped")
    parser.add_argument("--kill-every", type=float, default=6.0, help="seconds at work before a kill, on average")
    parser.add_argument("--daemons", type=int, default=1, choices=(1, 2))
    parser.add_argument("--poll", action="store_true")
    parser.add_argument("--settle", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="vtid-watch-"))
    well = measure(given, Folders(folder))
    if well:
        shutil.rmtree(folder)
    else:
        print(f"Something is not as it should be: look into {folder}.", file=sys.stderr)
    sys.exit(0 if well else 1)


def measure(given: argparse.Namespace, folders: Folders) -> bool:
    pick = random.Random(given.seed)
    folders.into.mkdir()
    path = folders.root / "clip.mp4"
    draw_clip(path, seconds=0.2, width=64, height=64, fps=10)
    clip = path.read_bytes()
    watch = {"settle_seconds": given.settle, "duplicates": "move", "poll": given.poll, "poll_seconds": 1.0}
    settings = {"watches.stalled_seconds": 2.0}
    daemons = [Daemon(folders, f"daemon{n}", settings, watch) for n in range(given.daemons)]
    watchman = Watchman(folders, clip)
    watchman.start()
    dropper = threading.Thread(target=drop, args=(folders, clip, given.count, 0, KINDS))
    started = time.monotonic()
    dropper.start()
    good = sum(KINDS[n % len(KINDS)] != "bad" for n in range(given.count))
    again = sum(KINDS[n % len(KINDS)] == "twice" for n in range(given.count))
    kills = 0
    while dropper.is_alive() or folders.waiting() or folders.held():
        _await_work(folders, watchman)
        time.sleep(pick.uniform(0.0, 2.0) * given.kill_every)
        if folders.waiting() or folders.held():
            daemon = pick.choice(daemons)
            daemon.kill()
            daemon.start()
            kills += 1
            took = time.monotonic() - started
            print(f"{took:.0f} s: {kills} kills, {len(watchman.seen)} results out", file=sys.stderr, flush=True)
    took = time.monotonic() - started
    results = sorted(_number(name) for name in folders.results())
    wanted = [n for n in range(given.count) if KINDS[n % len(KINDS)] != "bad"]
    bad = sorted(p.name for p in (folders.own / "failed").glob("*.mp4"))
    twice = sorted(p.name for p in (folders.own / "duplicate").glob("*.mp4"))
    words = len(list((folders.own / "failed").glob("*.txt"))) + len(list((folders.own / "duplicate").glob("*.txt")))
    rows = {
        "films dropped": given.count,
        "daemons, kills, seconds": f"{given.daemons}, {kills}, {took:.0f}",
        "unique films delivered once": f"{len(set(results))} of {good}",
        "delivered twice": len(results) - len(set(results)),
        "seen half": len(watchman.partial),
        "bad files in failed/": f"{len(bad)} of {given.count - good}",
        "duplicates in duplicate/": f"{len(twice)} of {again}",
        "words beside them": words,
    }
    rows |= _latency(given, folders, daemons, clip)
    watchman.stopped.set()
    for daemon in daemons:
        daemon.kill()
    for name, value in rows.items():
        print(f"| {name} | {value} |")
    placed = len(bad) == given.count - good and len(twice) == again and words == len(bad) + len(twice)
    return results == wanted and not watchman.partial and placed


def _await_work(folders: Folders, watchman: Watchman) -> None:
    """Wait until a daemon that was started has brought something out, or has nothing to do.

    On a busy machine that takes its time, and one that is killed at its work is killed at more points.
    """
    before, deadline = len(watchman.seen), time.monotonic() + 60
    while len(watchman.seen) == before and time.monotonic() < deadline and (folders.waiting() or folders.held()):
        time.sleep(0.25)


def _latency(given: argparse.Namespace, folders: Folders, daemons: list[Daemon], clip: bytes) -> dict[str, str]:
    """One film at a time, with nobody killed."""
    for daemon in daemons[1:]:
        daemon.kill()
    for number in range(20):
        before = len(folders.results())
        drop(folders, clip, 1, 6 * (given.count + number), ("mv",))
        deadline = time.monotonic() + 120
        while len(folders.results()) == before and time.monotonic() < deadline:
            time.sleep(0.05)
    with contextlib.closing(sqlite3.connect(daemons[0].root / "data/vtid.db")) as database:
        query = (
            "SELECT j.started_at - f.settled_at FROM watch_files f JOIN jobs j ON j.id = f.job_id "
            "ORDER BY f.claimed_at DESC LIMIT 20"
        )
        took = sorted(row[0] for row in database.execute(query))
    return {
        "settle time": f"{given.settle:g} s",
        "from settled to started, median of 20": f"{took[10]:.2f} s (slowest {took[-1]:.2f} s)",
    }


if __name__ == "__main__":
    main()
