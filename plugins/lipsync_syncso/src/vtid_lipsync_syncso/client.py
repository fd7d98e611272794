"""Sync.so's HTTP API, version 2, and nothing else: the only module that knows its words.

Whatever goes wrong becomes one of the errors of the SDK, in words that somebody can act on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from vtid.sdk import NeedsAttention, RetryLater, StepError, Struct
from vtid_lipsync_syncso.settings import Settings

PIECE = 1 << 18
FETCH_TRIES = 4
UNKNOWN_OUTCOME = "IDEMPOTENCY_OUTCOME_UNKNOWN"
ENDED = frozenset({"COMPLETED", "FAILED", "REJECTED", "CANCELED", "TIMED_OUT"})
"""Every other status, unknown ones too, is not the end."""
Progress = Callable[[float], None]

ADVICE = {
    "generation_input_video_inaccessible": 'Sync.so could not fetch the video. Set send = "upload" for the plugin.',
    "generation_input_audio_inaccessible": 'Sync.so could not fetch the audio. Set send = "upload" for the plugin.',
    "generation_unsupported_model": "Choose one of the models that `GET /v2/models` of the account lists.",
    "generation_plan_duration_exceeded": "The video is longer than the account's plan allows: shorten it, or upgrade.",
    "generation_model_duration_exceeded": "The video is longer than this model takes: shorten it, or choose another.",
    "file_size_exceeds_plan_limit": "The file is larger than the account's plan allows.",
    "free_tier_generations_exhausted": "The account's free generations are used up.",
    "account_payment_required": "An invoice of the account is open.",
    "account_on_hold": "The account is on hold; ask Sync.so.",
    "generation_input_face_selection_invalid": "Say whose mouth it is by active_speaker_detection, or show a face.",
    "generation_input_resolution_unsupported": "Make the picture smaller.",
    "generation_audio_length_exceeded": "Shorten the audio, or cut it by segments.",
}
"""What a person can do about an error code."""
_ABOUT_THE_FILES = ("generation_input_", "generation_media_", "asset_", "uploaded_file_", "file_")
_FOR_THE_OPERATOR = frozenset({"account_payment_required", "account_on_hold", "free_tier_generations_exhausted"})


def advice_on(code: str) -> str | None:
    """What a person can do about an error code; None of those that another try may help with."""
    about_files = "Sync.so cannot use these files, and a retry sends the same: change them."
    return ADVICE.get(code) or (about_files if code.startswith(_ABOUT_THE_FILES) else None)


class Refused(StepError):
    """The service cannot use the files: whoever asks again, asks with the same ones for nothing."""


class Generation(Struct, frozen=True):
    """How a generation stands."""

    id: str
    status: str
    output_url: str | None = None
    output_s: float | None = None
    """Seconds, as the service says."""
    error: str = ""
    code: str = ""
    percent: float | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ENDED


class SyncSo:
    """The API, of one account.

    Args:
        settings: of the account.
        transport: in place of the network, for tests.
    """

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        self._busy_s = settings.busy_seconds
        timeout = httpx.Timeout(60.0, connect=15.0)
        headers = {"x-api-key": settings.api_key, "User-Agent": "vtid"}
        base = settings.api_url.rstrip("/")
        authorities = httpx.create_ssl_context()  # read once for both: it takes longer than a request
        self._api = httpx.Client(
            base_url=base, headers=headers, timeout=timeout, transport=transport, verify=authorities
        )
        # Without the key, which is the API's alone: files are put to, and come from, a store of somebody else's.
        self._store = httpx.Client(
            headers={"User-Agent": "vtid"}, timeout=timeout, transport=transport, verify=authorities
        )

    def __enter__(self) -> SyncSo:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._api.close()
        self._store.close()

    # --- generations

    def create(self, body: Mapping[str, Any], key: str) -> str:
        """Begin a generation, which costs money; the same key never begins a second one. Returns its id.

        Raises:
            RetryLater: it is busy, or did not answer: to be asked again, with the same key and body.
            NeedsAttention: the account cannot.
            StepError: it refuses, for good.
        """
        try:
            answer = self._api.post("/v2/generate", json=dict(body), headers={"Idempotency-Key": key})
        except httpx.TransportError as error:
            raise self._later(f"Sync.so did not answer ({_reason(error)}); asking again under the same key") from error
        told = _json(answer)
        if answer.is_success:
            if told.get("id"):
                return str(told["id"])
            raise self._later("The answer of Sync.so cannot be read; asking again under the same key")
        if told.get("errorCode") == UNKNOWN_OUTCOME:
            if known := told.get("generationId"):
                return str(known)
            raise self._later("Sync.so does not know yet what became of the request; asking again under the same key")
        raise self._error(answer, told)

    def get(self, generation_id: str) -> Generation | None:
        """How a generation stands; None where the service does not say just now."""
        try:
            answer = self._api.get(f"/v2/generate/{generation_id}", params={"include": "progress"})
        except httpx.TransportError:
            return None
        if answer.status_code == 429 or answer.status_code >= 500:
            return None
        told = _json(answer)
        if not answer.is_success:
            raise self._error(answer, told)
        seconds, percent = told.get("outputDuration"), told.get("progress_percent")
        return Generation(
            id=generation_id,
            status=str(told.get("status", "")),
            output_url=told.get("outputUrl") or None,
            output_s=float(seconds) if isinstance(seconds, int | float) else None,
            error=str(told.get("error") or told.get("error_message") or ""),
            code=str(told.get("errorCode") or told.get("error_code") or ""),  # polling and webhooks spell it apart
            percent=float(percent) if isinstance(percent, int | float) else None,
        )

    def estimate(self, model: str, seconds: float, fps: float) -> float | None:
        """Dollars that a generation will probably cost; None where the service does not say."""
        body = {"model": model, "duration": round(seconds, 3), "fps": round(fps, 3)}
        try:
            answer = self._api.post("/v2/generations/estimate", json=body)
        except httpx.TransportError:
            return None
        found = _json(answer).get("estimatedGenerationCost") if answer.is_success else None
        return float(found) if isinstance(found, int | float) else None

    def models(self) -> list[str]:
        """The models that the account may use."""
        try:
            answer = self._api.get("/v2/models")
        except httpx.TransportError as error:
            raise self._later(f"Sync.so did not answer ({_reason(error)})") from error
        if not answer.is_success:
            raise self._error(answer, _json(answer))
        return [str(one.get("id")) for one in answer.json() if isinstance(one, dict)]

    # --- files

    def upload(self, path: Path, name: str, kind: str, content_type: str, progress: Progress) -> str:
        """Put a file into the account, as a stream; returns the asset's id. Free, and may be done again.

        Args:
            path: of the file.
            name: for people.
            kind: `VIDEO` or `AUDIO`.
            content_type: of the file.
            progress: told how much of it has gone, 0 to 1; may raise.
        """
        size = path.stat().st_size
        told = {"fileName": name, "contentType": content_type, "size": size}
        where = self._posted("/v2/assets/upload", told)
        headers = {"Content-Type": content_type, "Content-Length": str(size)}
        try:
            put = self._store.put(where["uploadUrl"], content=_pieces(path, progress), headers=headers)
        except httpx.TransportError as error:
            raise self._later(f"The upload to Sync.so broke off ({_reason(error)})") from error
        if not put.is_success:
            raise self._later(f"The store of Sync.so refused the upload ({put.status_code})")
        return str(self._posted("/v2/assets", {"url": where["url"], "type": kind, "name": name})["id"])

    def _posted(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = self._api.post(path, json=body)
        except httpx.TransportError as error:
            raise self._later(f"Sync.so did not answer ({_reason(error)})") from error
        told = _json(answer)
        if not answer.is_success:
            raise self._error(answer, told)
        return told

    def fetch(self, generation: Generation, target: Path, progress: Progress) -> None:
        """Bring a result; its link expires, and is asked for anew where it has.

        Raises:
            RetryLater: it could not be had now.
        """
        url, reason = generation.output_url, "it names no result"
        for attempt in range(FETCH_TRIES):
            if attempt:
                again = self.get(generation.id)
                url = again.output_url if again else url
            if url is None:
                continue
            try:
                with self._store.stream("GET", url) as answer, target.open("wb") as file:
                    if answer.is_success:
                        _save(answer, file.write, progress)
                        return
                    reason = f"{answer.status_code}"
            except httpx.TransportError as error:
                reason = _reason(error)
        raise self._later(f"The result could not be fetched from Sync.so ({reason})")

    # --- what goes wrong

    def _later(self, message: str, after: float | None = None) -> RetryLater:
        return RetryLater(self._busy_s if after is None else after, message)

    def _error(self, answer: httpx.Response, told: Mapping[str, Any]) -> Exception:
        """The error that an answer means."""
        status, code = answer.status_code, str(told.get("errorCode") or "")
        if status == 429:
            return self._busy(answer, told)
        if status >= 500 or status == 408:
            return self._later(f"Sync.so has trouble of its own ({status}); asking again")
        said = told.get("message")
        words = "; ".join(map(str, said)) if isinstance(said, list) else str(said or answer.reason_phrase)
        message = f"Sync.so refuses: {words}" + (f" ({code})" if code else "")
        if status == 401:
            message = "Sync.so does not know this API key."
            return NeedsAttention(message, suggestion="Set SYNC_API_KEY to a key of the account, and retry the job.")
        advice = ADVICE.get(code) or (str(told["suggestion"]) if told.get("suggestion") else advice_on(code))
        if status == 402 or code in _FOR_THE_OPERATOR:
            return NeedsAttention(message, suggestion=advice)
        return (Refused if code.startswith(_ABOUT_THE_FILES) else StepError)(message, suggestion=advice)

    def _busy(self, answer: httpx.Response, told: Mapping[str, Any]) -> RetryLater:
        """Two things are said by 429: too many generations at once, or too many requests."""
        named = _seconds(told.get("retryAfterSeconds")) or _seconds(answer.headers.get("Retry-After"))
        if told.get("errorCode") == "concurrency_limit_reached":
            many = f"{told.get('activeGenerations', '?')} of {told.get('concurrencyLimit', '?')}"
            return self._later(f"Waiting for a free place at Sync.so ({many} generations run)", named)
        return self._later("Waiting: Sync.so takes no more requests just now", named)


def _pieces(path: Path, progress: Progress) -> Iterator[bytes]:
    sent, size = 0, max(1, path.stat().st_size)
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
            sent += len(piece)
            progress(sent / size)


def _save(answer: httpx.Response, write: Callable[[bytes], object], progress: Progress) -> None:
    total, came = _seconds(answer.headers.get("Content-Length")) or 0, 0
    for piece in answer.iter_bytes(PIECE):
        write(piece)
        came += len(piece)
        progress(min(1.0, came / total) if total else 0.5)


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(value: Any) -> float | None:
    try:
        return max(0.0, float(value))
    except (TypeError, ValueError):
        return None


def _reason(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__
