"""Generations at the simulated Sync.so: made, worked at, ended, told of."""

from __future__ import annotations

import hashlib
import hmac
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from vtid.domain.media import MediaInfo
from vtid.simulators.serving import post
from vtid.simulators.syncso.moods import Moods
from vtid.simulators.syncso.rendering import render

TICK_S = 0.02
LATE_S = 10.0
OLD_S = 3600.0
CALLED = ("COMPLETED", "FAILED")
"""Ends that a webhook is sent for."""
PER_SECOND = {"lipsync-2": 0.05, "lipsync-2-pro": 0.083, "sync-3": 0.133}
"""Dollars for a second of output at 25 frames."""


class Media(Struct):
    """The files of a generation."""

    video: Path
    info: MediaInfo
    sounds: dict[str, Path]


class Generation(Struct):
    """One generation."""

    id: str
    body: dict[str, Any]
    media: Media
    begun: float
    work: Future[tuple[Path, float]]
    status: str = "PENDING"
    ended: float = 0.0

    @property
    def active(self) -> bool:
        """Whether it has not ended."""
        return self.status in ("PENDING", "PROCESSING")


def cost(model: str, seconds: float) -> tuple[int, float]:
    """Frames and dollars of a generation."""
    frames = round(seconds * 25)
    return frames, round(PER_SECOND.get(model, 0.05) / 25 * frames, 4)


class _How(NamedTuple):
    """The moods that a result is made in."""

    render: bool
    short_by_s: float
    mute: bool


class Generations:
    """All generations, and the thread that ends them.

    Args:
        folder: for results.
        moods: how they go.
        base: address of the simulator.
        pool: does the work.
    """

    def __init__(self, folder: Path, moods: Moods, base: Callable[[], str], pool: Executor) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._moods, self._base, self._pool = folder, moods, base, pool
        self._lock = threading.Lock()
        self._made: dict[str, Future[tuple[Path, float]]] = {}
        """Results by what they are made of: what is asked for a hundred times is drawn once."""
        self.all: dict[str, Generation] = {}
        self._over = threading.Event()
        self._clock = threading.Thread(target=self._tick, name="syncso-clock", daemon=True)
        self._clock.start()

    def close(self) -> None:
        """End the clock."""
        self._over.set()
        self._clock.join()

    def active(self) -> int:
        """How many have not ended."""
        return sum(one.active for one in list(self.all.values()))

    def start(self, body: dict[str, Any], media: Media) -> Generation:
        """Begin one."""
        with self._lock:
            how = _How(self._moods.render, self._moods.short_by_s, self._moods.mute)
            what = f"{_digest(body, media)[:32]}-{how.render:d}-{how.short_by_s:g}-{how.mute:d}"
            if what not in self._made:
                self._made[what] = self._pool.submit(self._work, what, how, body, media)
            one = Generation(str(uuid.uuid4()), body, media, time.time(), self._made[what])
            self.all[one.id] = one
        return one

    def _work(self, what: str, how: _How, body: dict[str, Any], media: Media) -> tuple[Path, float]:
        from vtid.media import probe  # noqa: PLC0415 - heavy

        target = self._folder / f"{what}.mp4"
        if not how.render:
            shutil.copyfile(media.video, target)
            return target, media.info.duration_s
        mode = body.get("options", {}).get("sync_mode", "bounce")
        seconds = max(0.2, media.info.duration_s - how.short_by_s) if how.short_by_s else None
        render(
            media.video, media.info, media.sounds, body.get("segments"), mode, target, seconds=seconds, mute=how.mute
        )
        return target, probe(target).duration_s

    def _tick(self) -> None:
        while not self._over.wait(TICK_S):
            for one in [g for g in list(self.all.values()) if g.active]:
                self._advance(one)

    def _advance(self, one: Generation) -> None:
        moods, age = self._moods, time.time() - one.begun
        if age > moods.seconds * 0.2:
            one.status = "PROCESSING"
        if moods.hold or age < moods.seconds or not one.work.done():
            return
        one.ended = time.time()
        one.status = moods.outcome if one.work.exception() is None else "FAILED"
        if one.status in CALLED and one.body.get("webhookUrl"):
            threading.Thread(target=self._tell, args=(one,), daemon=True).start()

    # --- as it is shown

    def view(self, one: Generation, *, progress: bool = False) -> dict[str, Any]:
        """As GET shows it: the code of an error is spelt `errorCode` here."""
        code = self._facts(one)
        if "error_code" in code:
            code["errorCode"] = code.pop("error_code")
        age = time.time() - one.begun
        share = 100 if not one.active else min(99, round(100 * age / max(0.01, self._moods.seconds)))
        return code | ({"progress_percent": share} if progress else {})

    def _facts(self, one: Generation) -> dict[str, Any]:
        at = datetime.fromtimestamp(one.begun, UTC).isoformat()
        facts = {"id": one.id, "createdAt": at, "status": one.status, "outputUrl": None} | one.body
        if one.status == "COMPLETED":
            _, seconds = one.work.result()
            facts |= {"outputUrl": self.link(one.id), "outputDuration": seconds}
        elif not one.active:
            words = str(one.work.exception() or f"The generation ended as {one.status}.")
            facts |= {"error": words, "error_code": self._moods.error_code}
        return facts

    # --- results

    def link(self, generation_id: str) -> str:
        """A link to a result, which expires."""
        expires = f"{time.time() + self._moods.result_ttl_s:.3f}"
        query = urlencode({"expires": expires, "signature": self._sign(generation_id, expires)})
        return f"{self._base()}/results/{generation_id}.mp4?{query}"

    def result(self, generation_id: str, expires: str, signature: str) -> Path | None:
        """The file behind a link that still works."""
        one = self.all.get(generation_id)
        good = hmac.compare_digest(signature, self._sign(generation_id, expires)) and time.time() < float(expires)
        return one.work.result()[0] if one and good and one.status == "COMPLETED" else None

    def _sign(self, generation_id: str, expires: str) -> str:
        return hmac.new(self._moods.secret.encode(), f"{generation_id}{expires}".encode(), hashlib.sha256).hexdigest()

    # --- webhooks

    def _tell(self, one: Generation) -> None:
        mood = self._moods.webhook
        if mood == "never" or (mood == "late" and self._over.wait(LATE_S)):
            return
        body = msgspec.json.encode(self._facts(one))
        secret = "whsec_somebody_elses" if mood == "forged" else self._moods.secret
        at = int(time.time() - (OLD_S if mood == "old" else 0))
        headers = {"Content-Type": "application/json", "Sync-Signature": signature(secret, at, body)}
        for _ in range(2 if mood == "twice" else 1):
            post(one.body["webhookUrl"], body, headers)


def signature(secret: str, at: int, body: bytes) -> str:
    """The header `Sync-Signature`."""
    made = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={made}"


def _digest(body: Mapping[str, Any], media: Media) -> str:
    """The same for the same work."""
    made = hashlib.sha256(msgspec.json.encode([body.get("segments"), body.get("options")]))
    for name, path in [("", media.video), *sorted(media.sounds.items())]:
        made.update(name.encode())
        with path.open("rb") as file:
            made.update(hashlib.file_digest(file, "sha256").digest())
    return made.hexdigest()
