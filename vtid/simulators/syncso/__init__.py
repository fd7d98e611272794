"""Sync.so, simulated: generations by its API v2 as its documents, its SDK and its users describe it.

`vtid/simulators/syncso/checking.py` says what it refuses. Not simulated: the multipart form of a generation, batches,
text that is spoken (`text` inputs are taken and come out silent), dubbing.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vtid.errors import InvalidInput
from vtid.simulators.serving import Answer, Hangup, Request, Simulator, as_json
from vtid.simulators.syncso.assets import Assets
from vtid.simulators.syncso.checking import KEY, MODELS, Refusal, check
from vtid.simulators.syncso.generations import Generation, Generations, Media, cost, signature
from vtid.simulators.syncso.moods import Moods

__all__ = ["Moods", "SyncSo", "signature"]

CATALOGUE = {
    "generation_input_video_inaccessible": "Make the video public, or upload it.",
    "generation_pipeline_failed": "Try again.",
    "rate_limit_exceeded": "Send fewer requests.",
    "concurrency_limit_reached": "Wait for a generation to end, or upgrade.",
}
OUTSTANDING = "A request with this Idempotency-Key has an outcome that is not known yet."


class SyncSo(Simulator):
    """Sync.so on this machine."""

    name = "syncso"
    Moods = Moods

    def __init__(self, folder: Path, **more: Any) -> None:
        self._assets = Assets(folder / "assets")
        self._keys: dict[str, tuple[bytes, Generation]] = {}
        self._created: deque[float] = deque()
        self._random = random.Random(1)
        self._creating = threading.Lock()
        super().__init__(folder, **more)
        self.generations = Generations(folder / "results", self.moods, lambda: self.url, self.work)

    def close(self) -> None:
        """Answer nobody any more."""
        self.generations.close()
        super().close()

    def environment(self) -> dict[str, str]:
        """The account of the simulator."""
        return {"SYNC_API_URL": self.url, "SYNC_API_KEY": self.moods.key, "SYNC_WEBHOOK_SECRET": self.moods.secret}

    def answer(self, request: Request) -> Answer:
        """Answer as the service does."""
        if self.moods.slow_s:
            time.sleep(self.moods.slow_s)
        try:
            return self._route(request)
        except Refusal as refusal:
            return refusal.answer()

    def _route(self, request: Request) -> Answer:
        what = f"{request.method} {request.path}"
        if request.path.startswith("/store/"):
            return self._assets.put(request) if request.method == "PUT" else self._assets.get(request)
        if request.path.startswith("/results/"):
            return self._result(request)
        if what == "GET /v2/errors":
            return Answer.json([{"code": c, "message": c, "suggestion": s} for c, s in CATALOGUE.items()])
        self._require_key(request)
        routes: dict[str, Callable[[], Answer]] = {
            "POST /v2/generate": lambda: self._create(request),
            "GET /v2/generations": lambda: self._list(request),
            "POST /v2/analyze/cost": lambda: self._analyze(request),
            "POST /v2/generations/estimate": lambda: self._estimate(request),
            "POST /v2/generate/estimate-cost": lambda: self._estimate(request),
            "GET /v2/models": lambda: Answer.json([{"id": m, "name": m, "type": "lipsync"} for m in MODELS]),
            "POST /v2/assets/upload": lambda: self._assets.announce(request, self.url, self.moods.most_bytes),
            "POST /v2/assets": lambda: self._assets.register(request, self.url),
            "GET /v2/assets": self._list_assets,
            "GET /v2/organizations/webhook/secret": lambda: Answer.json({"secret": self.moods.secret}),
        }
        return routes[what]() if what in routes else self._one(request)

    def _require_key(self, request: Request) -> None:
        key = request.header("x-api-key")
        if not key:
            words = "Unauthorized: either a session cookie or an x-api-key header is required"
            raise Refusal(401, words, error="Unauthorized")
        if key != self.moods.key:
            raise Refusal(401, "Invalid API key")

    def _one(self, request: Request) -> Answer:
        """The routes with an id in them."""
        parts = request.path.strip("/").split("/")
        match request.method, parts:
            case "GET", ["v2", "generate", wanted]:
                return self._get(request, self._known(wanted))
            case "GET", ["v2", "generate", wanted, "costs"]:
                return self._costs(self._known(wanted))
            case "DELETE", ["v2", "generations", wanted]:
                if self._known(wanted).active:
                    raise Refusal(409, "still processing", "generation_not_deletable_while_processing")
                del self.generations.all[wanted]
                return Answer(204)
            case "GET", ["v2", "assets", wanted] if wanted in self._assets.registered:
                return Answer.json(self._assets.registered[wanted])
            case _, ["v2", "assets", _]:
                raise Refusal(404, "no such asset", "asset_not_found")
        raise Refusal(404, f"Cannot {request.method} {request.path}", error="Not Found")

    def _known(self, wanted: str) -> Generation:
        try:
            uuid.UUID(wanted)
        except ValueError:
            raise Refusal(400, "not the id of a generation", "invalid_generation_id") from None
        if wanted not in self.generations.all:
            raise Refusal(404, "no such generation", "generation_not_found")
        return self.generations.all[wanted]

    # --- making one

    def _create(self, request: Request) -> Answer:
        key, raw = self._idempotency_key(request), request.body()
        body = check(as_json(raw))
        with self._creating:  # two requests with one key must not both find it new
            if key in self._keys:
                return self._again(key, raw)
            self._limit()
            one = self.generations.start(body, self._media(body))
            if key:
                self._keys[key] = raw, one
            frames, dollars = cost(body["model"], one.media.info.duration_s)
            name = body.get("outputFileName", "")
            self.charge(id=one.id, key=key, name=name, model=body["model"], frames=frames, usd=dollars)
        return self._moody(one) or Answer.json(self.generations.view(one), 201)

    def _idempotency_key(self, request: Request) -> str:
        keys = request.headers("idempotency-key")
        if keys and (len(keys) > 1 or not KEY.fullmatch(keys[0])):
            raise Refusal(400, "Idempotency-Key: one, of 1 to 128 letters, digits, . _ ~ -", "INVALID_IDEMPOTENCY_KEY")
        return keys[0] if keys else ""

    def _again(self, key: str, raw: bytes) -> Answer:
        first, one = self._keys[key]
        if first != raw:
            words = "This Idempotency-Key was used with other inputs."
            raise Refusal(self.moods.conflict_status, words, "IDEMPOTENCY_KEY_REUSED")
        return self._moody(one) or Answer.json(self.generations.view(one), 201)

    def _moody(self, one: Generation) -> Answer | None:
        """Something has been accepted and charged; the client may not hear of it."""
        with self.lock:
            lost, failing, unknown = (self._random.random() for _ in range(3))
        if lost < self.moods.lost_answers:
            raise Hangup
        if failing < self.moods.failing_answers:
            raise Refusal(500, "Internal server error", "internal_error", requestId=uuid.uuid4().hex)
        if unknown < self.moods.unknown_outcomes:
            more = {"generationId": one.id} if self.moods.name_unknown else {}
            raise Refusal(503, OUTSTANDING, "IDEMPOTENCY_OUTCOME_UNKNOWN", **more)
        return None

    def _limit(self) -> None:
        moods, now = self.moods, time.time()
        again = {"error": "Too Many Requests"}
        if moods.concurrency and (active := self.generations.active()) >= moods.concurrency:
            facts = {"activeGenerations": active, "concurrencyLimit": moods.concurrency}
            facts |= {"retryAfterSeconds": moods.retry_after_s, "upgradeUrl": "https://sync.so/billing"}
            raise Refusal(429, "too many generations at once", "concurrency_limit_reached", **again, **facts)
        while self._created and self._created[0] < now - 60:
            self._created.popleft()
        if moods.creates_per_minute and len(self._created) >= moods.creates_per_minute:
            raise Refusal(429, "too many requests", "rate_limit_exceeded", **again)
        self._created.append(now)

    def _media(self, body: dict[str, Any]) -> Media:
        """The inputs, judged as the service judges them."""
        from vtid.media import probe  # noqa: PLC0415 - heavy

        files: dict[str, Path] = {}
        for at, one in enumerate(body["input"]):
            if one["type"] != "text":
                name = one["type"] if one["type"] in ("video", "image") else one.get("refId", f"#{at}")
                files[name] = self._assets.file(one, self.url, self.moods.most_bytes)
        video = files.pop("video", None) or files.pop("image")
        try:
            info = probe(video)
        except InvalidInput as error:
            raise Refusal(422, error.message, "generation_input_video_invalid") from error
        for path in files.values():
            try:
                if not probe(path).audio:
                    raise InvalidInput("no sound")
            except InvalidInput as error:
                raise Refusal(422, error.message, "generation_input_audio_invalid") from error
        if self.moods.most_seconds and info.duration_s > self.moods.most_seconds:
            raise Refusal(402, "longer than the plan allows", "generation_plan_duration_exceeded")
        for at, one in enumerate(body.get("segments") or ()):
            if one["endTime"] > info.duration_s + 0.1:
                raise Refusal(422, f"segments[{at}] ends after the video", "generation_input_segments_invalid")
        return Media(video, info, files)

    # --- looking at them

    def _get(self, request: Request, one: Generation) -> Answer:
        wait, included = request.query.get("wait") == ["true"], request.query.get("include") == ["progress"]
        if wait and included:
            raise Refusal(400, "wait and include=progress cannot be combined")
        headers = {}
        if wait:
            seconds = request.query.get("timeout", ["5"])[0]
            if not seconds.isdigit() or not 1 <= int(seconds) <= 10:
                raise Refusal(400, "timeout must lie between 1 and 10")
            until = time.monotonic() + int(seconds)
            while one.active and time.monotonic() < until:
                time.sleep(0.02)
            headers = {"Retry_After": "2", "X_Sync_Wait_Mode": "long_poll", "X_Sync_Wait_Timeout_Seconds": seconds}
        return Answer.json(self.generations.view(one, progress=included), 200, **headers)

    def _list(self, request: Request) -> Answer:
        statuses, ids = (
            {part for text in request.query.get(name, ()) for part in text.split(",")} for name in ("status", "ids")
        )
        found = [
            self.generations.view(one)
            for one in list(self.generations.all.values())
            if (not statuses or one.status in statuses) and (not ids or one.id in ids)
        ]
        return Answer.json(found)

    def _result(self, request: Request) -> Answer:
        name = request.path.rpartition("/")[2].removesuffix(".mp4")
        expires, sign = (request.query.get(n, ["0"])[0] for n in ("expires", "signature"))
        path = self.generations.result(name, expires, sign)
        return Answer(file=path, headers={"Content-Type": "video/mp4"}) if path else Answer(403, b"expired")

    def _list_assets(self) -> Answer:
        found = list(self._assets.registered.values())
        return Answer.json({"items": found, "nextCursor": None, "totalCount": len(found)})

    # --- what it costs

    def _analyze(self, request: Request) -> Answer:
        body = check(as_json(request.body()))
        frames, dollars = cost(body["model"], self._media(body).info.duration_s)
        return Answer.json([{"estimatedFrameCount": frames, "estimatedGenerationCost": dollars}])

    def _estimate(self, request: Request) -> Answer:
        body = as_json(request.body())
        if not isinstance(body, dict) or body.keys() - {"model", "duration", "fps", "reasoningEnabled"}:
            raise Refusal(400, "model and duration are needed")
        duration = body.get("duration")
        if body.get("model") not in MODELS or not isinstance(duration, int | float) or duration <= 0:
            raise Refusal(400, "model and duration are needed")
        if not self.moods.estimates:
            raise Refusal(422, "no estimate", "cost_estimate_unavailable")
        frames, dollars = cost(body["model"], float(duration))
        facts = {"estimatedFrameCount": frames, "estimatedGenerationCost": dollars, "estimatedCredits": None}
        return Answer.json(facts)

    def _costs(self, one: Generation) -> Answer:
        _, dollars = cost(one.body["model"], one.media.info.duration_s)
        facts = {"generationId": one.id, "generationStatus": one.status, "currency": "USD", "retryAfterSeconds": None}
        state = {"availability": "pending" if one.active else "complete", "totalCostUsd": dollars}
        return Answer.json(facts | state | {"knownSubtotalUsd": dollars})
