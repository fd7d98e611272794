"""What the tests of the pro editor share: a daemon with its services simulated, files to send, and ways to look."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np

from tests.simulators.sounds import chirp, write_sound
from tests.web.conftest import OFTEN
from tests.web.site import Site, serving
from vtid.accounts.passwords import Passwords
from vtid.domain.account import User
from vtid.media import PyAVMedia
from vtid.media.synth import Subtitle, draw_clip
from vtid.simulators.syncso import SyncSo

PATH = "/api/v1/video-editors/sync/pro-sync-process"
PASSWORD = "password123 and more"
SEGMENTS = [
    {"startTime": 0.0, "endTime": 1.5, "audioInput": {"refId": "audio-1", "duration": 1.5}, "label": "Segment 1"},
    {"startTime": 1.5, "endTime": 3.0, "audioInput": {"refId": "audio-2", "duration": 1.5}, "label": "Segment 2"},
]
BOTTOM = {"x": 0.0, "y": 0.78, "width": 1.0, "height": 0.22}
ERASE = {"type": "erasure", "coordinates": BOTTOM}


class Studio(NamedTuple):
    """A daemon, the service that it dubs by, files to send, and somebody of the tier pro."""

    site: Site
    service: SyncSo
    video: Path
    voices: list[Path]
    email: str
    http: httpx.Client

    def send(
        self,
        segments: Any = SEGMENTS,
        effects: Any = None,
        path: str = PATH,
        voices: list[Path] | None = None,
        **more: Any,
    ) -> httpx.Response:
        said = {"segments_data": segments, "effects": effects}
        data = {k: v if isinstance(v, str) else json.dumps(v) for k, v in said.items() if v is not None}
        voices = self.voices if voices is None else voices
        files = [("file", ("video.mp4", self.video.read_bytes()))]
        files += [("audio_files", (voice.name, voice.read_bytes())) for voice in voices]
        return self.http.post(path, files=files, data=data | more)

    def done(self, answer: httpx.Response) -> dict[str, Any]:
        assert answer.status_code == 202, answer.text
        return self.site.wait(answer.json()["job_id"])


@contextmanager
def studio_in(
    folder: Path, service: SyncSo, account: dict[str, Any] | None = None, **settings: Any
) -> Iterator[Studio]:
    """A studio, for the length of the block."""
    (folder / "site").mkdir()
    tier = {"requests_per_minute": 0, "concurrent_jobs": 0}
    draw_clip(
        folder / "video.mp4", seconds=3, width=320, height=180, fps=10,
        subtitles=[Subtitle("Nobody knows the way", 0.0, 3.0, size=0.1), Subtitle("On top", 0.0, 3.0, size=0.1, bottom=0.8)],
    )  # fmt: skip
    voices = [
        write_sound(folder / "first.wav", chirp(1.5, 200, 700)),
        write_sound(folder / "second voice.wav", chirp(1.5, 900, 1600)),
    ]
    keys = {"api_key": service.moods.key, "api_url": service.url, "poll_seconds": 0.05, "busy_seconds": 0.05}
    given = {"plugins__lipsync_syncso": keys | (account or {}), "tiers__pro": tier} | OFTEN | settings
    with serving(folder / "site", workers=True, **given) as site:
        new = User(id=str(uuid.uuid4()), email=f"{uuid.uuid4()}@example.org", tier="pro")
        password = site.bridge.run(Passwords().hash(PASSWORD))
        user = site.bridge.run(site.app.accounts.users.add(new, password, 100_000))
        headers = {"Authorization": f"Bearer {site.app.accounts.access.sign(user)}"}
        with site.client(anonymous=True, headers=headers) as http:
            site.http.close()
            site.http = http
            yield Studio(site, service, folder / "video.mp4", voices, new.email, http)


def lines(path: Path) -> dict[str, float]:
    """How much of the upper and of the lower band is as white as letters, as a share of a line of text."""
    shares: dict[str, list[float]] = {"top": [], "bottom": []}
    for frame in PyAVMedia().frames(path):
        luma = np.asarray(frame.luma(), np.float32)
        high = luma.shape[0]
        for name, band in (("top", luma[: round(0.25 * high)]), ("bottom", luma[round(0.78 * high) :])):
            edges = np.abs(np.diff(band, axis=1)) > 60
            shares[name].append(float(edges.mean()) * 10)
    return {name: float(np.median(found)) for name, found in shares.items()}


def duration_at(url: str) -> float:
    """Seconds of the video behind a link."""
    import av

    with av.open(io.BytesIO(httpx.get(url, trust_env=False).content)) as container:
        return (container.duration or 0) / 1_000_000
