"""The daemon as people start it: `vtid serve` in a process of its own, which may be killed and started again."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.conftest import LAB, PATIENCE_S, wait_until
from vtid.accounts import local_key


class Daemon:
    """`vtid serve` on a folder.

    Args:
        folder: for its configuration, its pipelines and its data.
        pipelines: name to text.
        workers: whether it runs one beside the API.
        settings: as `server__drain_seconds=3`.
    """

    def __init__(self, folder: Path, pipelines: dict[str, str], *, workers: bool = True, **settings: Any) -> None:
        self.folder = folder
        self.data = Path(settings.get("data__path", folder / "data"))
        self.log = folder / "log"
        self.config = folder / "vtid.toml"
        self._flags = [] if workers else ["--no-workers"]
        (folder / "pipelines").mkdir(parents=True)
        for name, text in pipelines.items():
            (folder / "pipelines" / f"{name}.toml").write_text(f'[pipeline]\nname = "{name}"\n{text}')
        values = {
            "server.port": 0,
            "plugins.dirs": [str(LAB)],
            "pipelines.dirs": [str(folder / "pipelines")],
            "data.path": str(self.data),
            "limits.min_free_disk_mb": 1,
            "limits.progress_per_second": 50,
            "workers.lease_seconds": 2,
            "workers.tick_seconds": 0.05,
            "workers.max_lost": 100,
            "retry.base_seconds": 0.05,
            "logging.format": "json",
        }
        values |= {k.replace("__", "."): v for k, v in settings.items()}
        self.config.write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in values.items()))
        self.process: subprocess.Popen[bytes]
        self.http = httpx.Client()

    def __enter__(self) -> Daemon:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.kill()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "vtid.cli", "--config", str(self.config), "serve", *self._flags]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            url = wait_until(self._address)
        except BaseException:  # nobody will leave a block that was never entered
            self.process.kill()
            self.process.wait()
            raise
        self.http.close()
        auth = {"Authorization": f"Bearer {local_key(self.data)}"}
        self.http = httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE_S, headers=auth)

    def ready(self) -> None:
        """Wait until it is well, its worker too."""
        wait_until(lambda: self.http.get("/health").status_code == 200)

    def _address(self) -> str | None:
        assert self.process.poll() is None, self.log.read_text()
        for line in self.lines():
            if line["message"] == "listening":
                return str(line["metadata"]["url"])
        return None

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged."""
        found = []
        for line in self.log.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                found.append(json.loads(line))
        return found

    def family(self) -> list[psutil.Process]:
        """Its processes below it."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, command: str) -> psutil.Process | None:
        """Its process that runs `vtid COMMAND`, once there is one; one that ended a moment ago is none."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):  # a zombie is one of these
                if command in process.cmdline():
                    return process
        return None

    def worker(self) -> psutil.Process | None:
        """The worker's process, once there is one."""
        return self.child("worker")

    def kill(self) -> None:
        """SIGKILL, as when the machine has no memory left; what it had started has to be gone soon after."""
        family = self.family()
        self.process.kill()
        self.process.wait()
        _, left = psutil.wait_procs(family, timeout=PATIENCE_S)
        assert not left, left

    def terminate(self) -> int:
        """SIGTERM. Returns the exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def relatives(self) -> list[int]:
        """Every process on this machine that was started with this daemon's folder."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.pid != os.getpid() and str(self.folder) in " ".join([*process.cmdline(), process.cwd()]):
                    found.append(process.pid)
        return found
