"""Hot folders in a test's own hands: a clock that is turned, rounds that are called, jobs that are run when they should."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Lab, wait_until
from vtid.accounts import prepare
from vtid.domain.watch import FileState, WatchFile, WatchRecord
from vtid.media.synth import draw_clip
from vtid.watch import Declarations
from vtid.watch import watcher as watcher_module
from vtid.watch.noticing import BucketListener, Listener
from vtid.watch.watcher import Watcher

COPY = '[[step]]\nid="copy"\nuses="lab.pass_in_place"\n[[deliver]]\nfrom="copy.video"\n'
FAIL = '[[step]]\nid="copy"\nuses="lab.pass_in_place"\n[[step]]\nid="fail"\nuses="lab.fail"\n'
PIPELINES = {"copy": COPY, "fail": FAIL}


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    draw_clip(path, seconds=0.2, width=64, height=64, fps=10)
    return path.read_bytes()


def film(clip: bytes, number: int) -> bytes:
    """The same video in other bytes."""
    return clip + b"\0\0\0\x18free" + f"{number:016d}".encode()


class Hotbed:
    """Hot folders, and hands to turn them."""

    def __init__(self, lab: Lab, folder: Path, config: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.config = config
        self.now = time.time()
        self.wall = 0.0
        """By how much somebody has set the clock ahead."""
        self.watcher: Watcher
        self.start()

    def start(self, holder: str = "test") -> Watcher:
        """A fresh watcher, as after a restart; what the last one held in memory is gone."""
        declarations = Declarations([self.config], self.lab.app.pipelines, self.lab.app.plugins.specs)
        self.watcher = Watcher(
            self.lab.app, self.lab.bridge, declarations, holder, lambda: self.now + self.wall, lambda: self.now
        )
        return self.watcher

    @property
    def into(self) -> Path:
        return self.folder / "in"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def own(self) -> Path:
        return self.into / ".vtid"

    def drop(self, name: str, data: bytes) -> Path:
        path = self.into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def round(self, pass_s: float = 0.0) -> None:
        """Let time pass, look again at everything, and wait until what was begun is done."""
        self.now += pass_s
        for hot in self.watcher._hots.values():
            hot.lookout.scanned_at = None
        self.watcher.round()
        wait_until(self.watcher.idle)

    def settle(self, settle_s: float = 5.0) -> None:
        """What lies there is seen, comes to rest, and is taken."""
        self.round()
        self.round(settle_s + 0.1)

    def work(self) -> None:
        """Run every job that is there, and bring out what it made."""
        for file in self.files():
            if file.job_id and not file.state.ended:
                self.lab.run(file.job_id)
        self.round()
        self.round()

    def files(self, watch: str = "in") -> list[WatchFile]:
        from vtid.db import WatchFileFilter

        return list(self.lab.bridge.run(self.watcher._watches.files(WatchFileFilter(watch, limit=10_000))))

    def file(self, path: str) -> WatchFile:
        """The newest row of a path."""
        return next(f for f in self.files() if f.path == path)

    def states(self) -> dict[str, FileState]:
        return {f.path: f.state for f in reversed(self.files())}

    def record(self, watch: str = "in") -> WatchRecord:
        return self.lab.bridge.run(self.watcher._watches.get(watch))

    def outputs(self) -> set[str]:
        return {p.relative_to(self.out).as_posix() for p in self.out.rglob("*") if p.is_file()}

    def lying(self) -> set[str]:
        """Every file in the watched folder but vtid's own marks."""
        found = {p.relative_to(self.into).as_posix() for p in self.into.rglob("*") if p.is_file()}
        return {p for p in found if not p.startswith((".vtid/seen/", ".vtid/claims/", ".vtid/token-"))}


def declare(folder: Path, called: str = "in", **keys: Any) -> Path:
    """Write a declaration; `rules` are its sub-folders, in TOML."""
    folder.mkdir(parents=True, exist_ok=True)
    rules = keys.pop("rules", "")
    values = {"path": str(folder.parent / "in"), "pipeline": "copy", "output": str(folder.parent / "out")} | keys
    file = folder / f"{called}.toml"
    params = values.pop("with_", None)
    text = "[watch]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in values.items())
    file.write_text(text + (f"with = {params}\n" if params else "") + rules)
    return file


@pytest.fixture
def make_hotbed(
    make_lab: Callable[..., Lab], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Hotbed]]:
    """`make_hotbed(on_done="keep", settings={"watches__at_once": 3}, pipelines={…})`; `own=False` writes no declaration."""
    made: list[Hotbed] = []
    monkeypatch.setattr(watcher_module, "ATTEND_S", 60.0)  # a busy machine must not put off what a round is to do

    def make(
        *,
        pipelines: dict[str, str] | None = None,
        settings: dict[str, Any] | None = None,
        own: bool = True,
        listens: bool = False,
        **keys: Any,
    ) -> Hotbed:
        if not listens:  # what is heard comes in real time, and the clock of these tests is another
            monkeypatch.setattr(Listener, "start", lambda _: None)
            monkeypatch.setattr(BucketListener, "start", lambda _: None)
            monkeypatch.setattr(Listener, "deaf", False)
        folder = tmp_path / "hot"
        (folder / "in").mkdir(parents=True, exist_ok=True)
        if own:
            declare(folder / "watch", **keys)
        defaults = {"watches__min_free_disk_mb": 1, "retry__jitter": 0.0}
        lab = make_lab(PIPELINES | (pipelines or {}), **(defaults | (settings or {})))
        lab.bridge.run(prepare(lab.app.accounts, Path(lab.app.config.data.path)))
        made.append(Hotbed(lab, folder, folder / "watch"))
        return made[-1]

    yield make
    for hotbed in made:
        hotbed.watcher.close()
