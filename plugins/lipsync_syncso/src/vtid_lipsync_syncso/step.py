"""The step: files go up, a generation is begun once, waited for, and its result is looked at."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vtid.sdk import (
    Audio,
    Context,
    MediaInfo,
    NeedsAttention,
    Problem,
    RetryLater,
    Step,
    StepError,
    Struct,
    Video,
    segment_problems,
)
from vtid_lipsync_syncso.client import Generation, Progress, Refused, SyncSo, advice_on
from vtid_lipsync_syncso.params import Params, body, by_reference, override_problems, reference, source_of
from vtid_lipsync_syncso.settings import Settings

UPLOADED, WORKED = 1 / 6, 5 / 6
"""How far the step is once the files are there, and once the generation has ended."""
UPLOADING, WORKING, DONE = "Uploading files...", "Lip-sync processing...", "Lip-sync completed"
WIDEST, HIGHEST = 4096, 2160
LEAST_PATIENCE_S = 900.0
PATIENCE = {"lipsync-1.9.0-beta": 15.0, "lipsync-2": 15.0, "lipsync-2-pro": 30.0, "sync-3": 80.0, "react-1": 60.0}
"""Seconds of waiting for a second of video: about three times what its users report. Of other models, the longest."""
TOLERANCE_S = 0.5
TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
    ".avi": "video/x-msvideo",
    ".mkv": "video/x-matroska",
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".aac": "audio/aac",
}


class Inputs(Struct):
    """A video and its voices."""

    video: Video
    audios: dict[str, Audio]


class Outputs(Struct):
    """What came of it."""

    video: Video
    sync_generation_id: str
    segments_processed: int
    """1 where the whole video is one."""
    estimated_usd: float | None = None
    """As the service said beforehand."""


class Begun(Struct, frozen=True):
    """A generation that was begun, and charged."""

    generation_id: str
    at: float
    """Seconds since the epoch."""
    estimated_usd: float | None = None


class Lipsync(Step):
    """Fit the mouths in a video to other sound, by Sync.so: the video and the sound go to that service."""

    name = "lipsync_syncso.lipsync"
    isolated = False
    lazy = True
    paid = True

    client: Callable[[Settings], SyncSo] = SyncSo
    """Makes the client; tests give it another transport."""

    def check(self, params: Params, sources: Mapping[str, MediaInfo]) -> Sequence[Problem]:
        """What the service would refuse, said before anything is sent or paid."""
        problems = [*_limits(params, sources.get("video"))]
        for at, one in enumerate(params.segments):
            problems += override_problems(one.options_override, f"segments[{at}].optionsOverride")
        sounds = {reference(name): info.duration_s for name, info in sources.items() if name != "video"}
        if sounds and not params.segments and len(sounds) > 1:
            problems.append(Problem("segments", f"{len(sounds)} audios came: say which belongs where", "missing"))
        if sounds or "video" in sources:
            video = sources["video"].duration_s if "video" in sources else None
            problems += segment_problems(by_reference(params.segments), video_s=video, audio_s=sounds)
        return problems

    def run(self, ctx: Context, params: Params, inputs: Inputs) -> Outputs:
        """Send, begin, wait, bring, look."""
        settings: Settings = ctx.settings
        info = inputs.video.info or ctx.media.probe(ctx.bring(inputs.video))
        with self.client(settings) as sync:
            webhook = ctx.callback_url if settings.webhook_secret else None

            def begin(token: str) -> Begun:
                request, estimate = self._request(ctx, sync, params, inputs, info, webhook)
                try:
                    begun = Begun(sync.create(request, token), time.time(), estimate)
                except Refused:
                    _forget(ctx, inputs)
                    raise
                ctx.log("generation begun", generation_id=begun.generation_id, estimated_usd=estimate)
                return begun

            # All that goes before lies within, so that a wake-up that only asks how it stands looks up this one value.
            begun = ctx.once("generation", begin, type=Begun)
            ctx.note(sync_generation_id=begun.generation_id, estimated_usd=begun.estimated_usd)

            def look() -> Generation | None:
                found = sync.get(begun.generation_id)
                if found is not None and found.ended:
                    return found
                _require_patience(ctx, params, info, begun)
                share = (found.percent or 0.0) / 100 if found else 0.0
                ctx.progress(UPLOADED + (WORKED - UPLOADED) * share, WORKING)
                return None

            every = settings.called_poll_seconds if webhook else settings.poll_seconds
            ended = ctx.poll(look, every=every, message=WORKING)
            if ended.status != "COMPLETED":
                _forget(ctx, inputs)
                raise _failure(ended)
            target = ctx.workspace / "lipsync.mp4"
            sync.fetch(ended, target, lambda share: ctx.progress(WORKED + (1 - WORKED) * share, DONE))
        _require_good(ctx, params, info, ended, target)
        return Outputs(Video(target), begun.generation_id, len(params.segments) or 1, begun.estimated_usd)

    # --- before

    def _request(
        self, ctx: Context, sync: SyncSo, params: Params, inputs: Inputs, info: MediaInfo, webhook: str | None
    ) -> tuple[dict[str, Any], float | None]:
        """What is asked for, and what it will probably cost.

        It is stored whole: after a restart with other settings, the same key must carry the same request.
        """
        rate = float(info.video[0].rate or 25) if info.video else 25.0

        def estimate() -> float | None:
            return ctx.once("estimate", lambda _: sync.estimate(params.model, info.duration_s, rate))

        def made(token: str) -> dict[str, Any]:
            usd, most = estimate(), ctx.settings.most_usd
            if usd is not None and 0 < most < usd:
                words = f"Sync.so would charge about ${usd:.2f}; at most ${most:.2f} are allowed."
                advice = "Raise most_usd in [plugins.lipsync_syncso], or shorten the video."
                raise NeedsAttention(words, suggestion=advice)
            files = self._files(ctx, sync, {"video": inputs.video, **_used(params, inputs.audios)})
            return body(params, files, f"vtid-{token}", webhook)

        return ctx.once("request", made), estimate()

    def _files(self, ctx: Context, sync: SyncSo, files: Mapping[str, Video | Audio]) -> dict[str, dict[str, str]]:
        """How the service finds each file: where it was put, or under an address of this daemon."""
        found: dict[str, dict[str, str]] = {}
        sizes = {name: file.info.size if file.info else 1 for name, file in files.items()}
        total = sum(sizes.values())
        gone = 0
        for name, file in files.items():

            def told(share: float, gone: int = gone, size: int = sizes[name]) -> None:
                ctx.progress(UPLOADED * (gone + share * size) / total, UPLOADING)

            def send(_: str, name: str = name, file: Video | Audio = file, told: Progress = told) -> dict[str, str]:
                if ctx.settings.send == "link":
                    return {"url": _link(file)}
                kind = "VIDEO" if isinstance(file, Video) else "AUDIO"
                content_type = TYPES.get(file.path.suffix.lower(), "application/octet-stream")
                return {"assetId": sync.upload(ctx.bring(file), f"{name}{file.path.suffix}", kind, content_type, told)}

            found[name] = ctx.once(f"file:{name}", send)
            gone += sizes[name]
        return found


def _forget(ctx: Context, inputs: Inputs) -> None:
    """Let a retry that a person asks for send, ask and pay anew: for certain nothing came of this one.

    By itself nothing is tried again. The generation goes last: until then, what it was asked with does not matter.
    """
    for key in (*(f"file:{name}" for name in ("video", *inputs.audios)), "request", "generation"):
        ctx.forget(key)


def _failure(ended: Generation) -> StepError:
    """The service gave up."""
    why = ended.error or "it says no reason"
    words = f"Sync.so ended the lip-sync as {ended.status}: {why}" + (f" ({ended.code})" if ended.code else "")
    advice = advice_on(ended.code) or "Retry the job to begin a new generation."
    return StepError(f"{words}. Generation {ended.id}.", suggestion=advice)


def _require_patience(ctx: Context, params: Params, info: MediaInfo, begun: Begun) -> None:
    factor = PATIENCE.get(params.model, max(PATIENCE.values()))
    patience = ctx.settings.patience * (LEAST_PATIENCE_S + factor * info.duration_s)
    if time.time() - max(begun.at, ctx.started_at) > patience:
        words = f"Sync.so has not ended generation {begun.generation_id} within {patience / 60:.0f} minutes."
        raise StepError(words, suggestion="Look at it in the Sync.so dashboard. A retry goes on waiting for it.")


def _limits(params: Params, video: MediaInfo | None) -> list[Problem]:
    if video is None:
        return []
    found = []
    if video.duration_s > params.most_seconds:
        words = f"is {video.duration_s / 60:.1f} minutes long; Sync.so takes {params.most_seconds / 60:g}"
        found.append(Problem("video", words, "too_long"))
    if video.size > params.most_mb << 20:
        words = f"has {video.size >> 20} MB; at most {params.most_mb} MB are sent to Sync.so"
        found.append(Problem("video", words, "too_large"))
    if max(video.width, video.height) > WIDEST or min(video.width, video.height) > HIGHEST:
        words = f"has {video.width}×{video.height} pixels; Sync.so takes {WIDEST}×{HIGHEST}"
        found.append(Problem("video", words, "too_large"))
    return found


def _used(params: Params, audios: Mapping[str, Audio]) -> dict[str, Audio]:
    """The audios that are needed: nobody pays to send the others."""
    if not params.segments:
        return dict(list(audios.items())[:1])
    names = dict.fromkeys(source_of(one.audio_input.ref_id) for one in params.segments)
    if missing := names.keys() - audios.keys():
        raise StepError(f"There is no audio {', '.join(sorted(missing))}.")
    return {name: audios[name] for name in names}


def _link(file: Video | Audio) -> str:
    if not file.url:
        words = "Sync.so cannot fetch files here: server.public_url is not an address that it reaches."
        raise NeedsAttention(words, suggestion='Set server.public_url, or send = "upload" in [plugins.lipsync_syncso].')
    return file.url


def _require_good(ctx: Context, params: Params, source: MediaInfo, ended: Generation, target: Path) -> None:
    """Look at the result. Raises `StepError` where it is not what was paid for."""
    info = ctx.media.probe(target)
    if ended.output_s is not None and info.duration_s < ended.output_s - TOLERANCE_S:
        target.unlink()
        raise RetryLater(1.0, "The result came incomplete; fetching it again")
    problems = [what for what, there in (("picture", info.video), ("sound", info.audio)) if not there]
    words = [f"has no {' and no '.join(problems)}"] if problems else []
    kept = all(
        one.sound_s is None or abs(one.sound_s - (one.end_time - one.start_time)) < 0.05 for one in params.segments
    )
    if (
        params.segments
        and kept
        and abs(info.duration_s - source.duration_s) > max(TOLERANCE_S, 0.02 * source.duration_s)
    ):
        words.append(f"is {info.duration_s:.2f} s long instead of {source.duration_s:.2f} s")
    if words:
        told = f"What Sync.so gave back {' and '.join(words)}. Generation {ended.id}."
        raise StepError(told, suggestion="It was paid for: show Sync.so the generation's id.")
