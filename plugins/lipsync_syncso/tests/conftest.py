"""A video, two voices, the service, and a way to run the step against it as the engine does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.conftest import wait_until
from tests.simulators.sounds import chirp, write_sound
from vtid.errors import RetryLater, Suspended
from vtid.media.synth import draw_clip
from vtid.simulators.syncso import SyncSo
from vtid.testing import RecordingLink, run_step
from vtid_lipsync_syncso.settings import Settings
from vtid_lipsync_syncso.step import Lipsync, Outputs

SEGMENTS = [
    {"startTime": 0.0, "endTime": 1.0, "audioInput": {"refId": "audio-1", "startTime": 0.0, "endTime": 1.0}},
    {"startTime": 1.5, "endTime": 2.5, "audioInput": {"refId": "audio-2", "startTime": 0.5, "endTime": 1.5}},
]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    draw_clip(path, seconds=3, width=160, height=90, fps=10)
    return path


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("voices")
    return {
        "audio_1": write_sound(folder / "one.wav", chirp(2.0, 200, 600)),
        "audio_2": write_sound(folder / "two.wav", chirp(2.0, 900, 1500)),
    }


@pytest.fixture
def service(tmp_path: Path) -> Iterator[SyncSo]:
    with SyncSo(tmp_path / "service", seconds=0.05) as service:
        yield service  # type: ignore[misc]


class Job:
    """One step of one job: `turn` is a worker's turn at it, and `finish` takes turns until it ends."""

    def __init__(self, folder: Path, clip: Path, voices: dict[str, Path], settings: Settings) -> None:
        self.link = RecordingLink()
        self.settings = settings
        self.inputs: dict[str, Any] = {"video": clip, "audios": voices}
        self.params: dict[str, Any] = {"segments": SEGMENTS}
        self.callback_url: str | None = None
        self.waits: list[str] = []
        self._folder = folder

    def turn(self) -> Outputs | None:
        """None where it waits."""
        workspace = self._folder / "work"
        workspace.mkdir(exist_ok=True)
        try:
            return run_step(
                Lipsync(), workspace, inputs=self.inputs, params=self.params, settings=self.settings,
                link=self.link, callback_url=self.callback_url,
            )  # fmt: skip
        except (Suspended, RetryLater) as wait:
            self.waits.append(str(wait))
            return None

    def finish(self) -> Outputs:
        return wait_until(self.turn)


@pytest.fixture
def job(tmp_path: Path, clip: Path, voices: dict[str, Path], service: SyncSo) -> Job:
    settings = Settings(api_key=service.moods.key, api_url=service.url, poll_seconds=0.01, patience=1.0)
    return Job(tmp_path, clip, voices, settings)


@pytest.fixture
def with_settings(job: Job) -> Callable[..., None]:
    def change(**settings: Any) -> None:
        job.settings = msgspec.structs.replace(job.settings, **settings)

    return change
