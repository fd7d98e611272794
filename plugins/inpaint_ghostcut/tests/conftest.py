"""A simulated GhostCut, a clip with a text on it, and the step run until it has ended."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PATIENCE_S
from vtid.errors import RetryLater, Suspended
from vtid.media import probe
from vtid.media.synth import Subtitle, draw_clip
from vtid.sdk import Video
from vtid.simulators.ghostcut import GhostCut
from vtid.testing import RecordingLink, run_step
from vtid_inpaint_ghostcut import Remove, Settings
from vtid_inpaint_ghostcut.step import Outputs

FAST = {"poll_seconds": 0.02, "called_poll_seconds": 0.02, "settle_seconds": 0.4}
"""The patience of these tests."""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[GhostCut]:
    """GhostCut, whose tasks take no time beyond the painting."""
    with GhostCut(tmp_path / "ghostcut", seconds=0.0) as service:
        yield service


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second with a text low in the picture, and sound."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    draw_clip(path, seconds=1, width=160, height=90, fps=10, subtitles=[Subtitle("words", 0, 1, size=0.2)])
    return path


class Runs:
    """Runs the step again and again, as the engine does, until it has ended.

    Args:
        service: to run it against.
        clip: to give it.
        folder: for workspaces.
    """

    def __init__(self, service: GhostCut, clip: Path, folder: Path) -> None:
        self.service = service
        self.clip = clip
        self.link = RecordingLink()
        self.waits: list[str | None] = []
        """What was told at each wait."""
        self._folder = folder
        self._numbers = itertools.count()

    def settings(self, **more: Any) -> Settings:
        account = {
            "api_url": self.service.url,
            "api_key": self.service.moods.key,
            "app_secret": self.service.moods.secret,
        }
        return Settings(**{**account, **FAST, **more})

    def once(
        self, params: dict[str, Any] | None = None, settings: Settings | None = None, url: str | None = None
    ) -> Outputs:
        """One attempt, which may raise; `url` is where the video can be fetched from outside."""
        workspace = self._folder / f"work-{next(self._numbers)}"
        workspace.mkdir()
        how = {"params": params, "settings": settings or self.settings(), "link": self.link}
        video = Video(self.clip, url=url, info=probe(self.clip))
        outputs = run_step(Remove(), workspace, inputs={"video": video}, **how)
        assert isinstance(outputs, Outputs)
        return outputs

    def to_the_end(
        self, params: dict[str, Any] | None = None, settings: Settings | None = None, url: str | None = None
    ) -> Outputs:
        """Attempts, until it ends."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return self.once(params, settings, url)
            except (Suspended, RetryLater) as wait:
                self.waits.append(str(wait))
                assert time.monotonic() < deadline, self.waits[-5:]
                time.sleep(min(wait.after, 0.5))


@pytest.fixture
def runs(service: GhostCut, clip: Path, tmp_path: Path) -> Runs:
    return Runs(service, clip, tmp_path)


@pytest.fixture
def names(service: GhostCut) -> Callable[[], list[str]]:
    """By what names tasks were charged, in order."""
    return lambda: [row["name"] for row in service.ledger]
