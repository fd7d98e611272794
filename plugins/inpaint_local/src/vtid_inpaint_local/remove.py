"""The whole step, stage by stage: detect and track, mask, fill and composite, encode, verify."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from vtid.sdk import Context, EncodeOptions, Frame, MediaInfo, StepError, Video, VideoStream

from . import tuning
from .composite import Composite
from .detect import Detector, choose
from .events import Findings
from .geometry import Turn, text_height
from .mask import widen
from .scan import Scan
from .step import Inputs, Outputs, Params, Removed, Report, Settings, regions
from .track import Rate
from .verify import neighbours, only_scenery, still_seen
from .zones import Zones

FILM_RATE = 25.0
"""Frames a second where the container does not say."""


def remove(ctx: Context, params: Params, inputs: Inputs) -> Outputs:
    """Run the step."""
    return _Removal(ctx, params, inputs.video).run()


class _Removal:
    """One run; its fields are what the stages share."""

    def __init__(self, ctx: Context, params: Params, video: Video) -> None:
        self.ctx, self.params, self.video = ctx, params, video
        self.info: MediaInfo = video.info or ctx.media.probe(video.path)
        if not self.info.video:
            raise StepError("There is no picture in this file.")
        self.stream: VideoStream = self.info.video[0]
        self.turn = Turn(self.stream.rotation, self.stream.width, self.stream.height)
        self.zones = Zones(regions(params, self.info), self.turn)
        self.frame_bytes = int(self.stream.width * self.stream.height * (1.5 if self.stream.bit_depth <= 8 else 3))
        self.seconds: dict[str, float] = {}
        self.encoder = ""
        self.touched = 0
        self.scenery: dict[int, bool] = {}
        cv2.setNumThreads(1)  # threads work on whole frames here; OpenCV's own would fight them
        self.detector: Detector | None = self._detector() if params.find_text else None

    def _detector(self) -> Detector:
        settings = self.ctx.settings if isinstance(self.ctx.settings, Settings) else Settings()
        name = settings.default_detector if self.params.detector == "auto" else self.params.detector
        return choose(name, threads=self.ctx.threads, model_dir=settings.model_dir)

    def run(self) -> Outputs:
        """All stages."""
        found = self._scan()
        if not found.events:
            return Outputs(self.video, self._report(found, {}, second=False))
        target = self.ctx.workspace / f"clean{self.video.path.suffix}"
        self._rewrite(found, target, 0.4, 0.85)
        left = self._verify(found, target, 0.85)
        # What is left of a text stands in every look; what is seen in one of them is rather the background's doing. It
        # is reported, but a wider mask would only spoil the picture.
        second = any(2 * seen > tuning.VERIFY_LOOKS for seen in left.values())
        if second:
            target, left = self._again(found, target, left)
        return Outputs(Video(target), self._report(found, left, second=second))

    # --- stages -----------------------------------------------------------------------------------------------------

    def _scan(self) -> Findings:
        rate = float(self.stream.rate or FILM_RATE)
        lengths = Rate.of(rate, self.frame_bytes, self.params.sample_s)
        scan = Scan(self.detector, self.turn, self.zones, lengths, tuning.DETECT_WIDTH)
        with self._stage("detect"):
            for frame in self._watched(self.ctx.media.frames(self.video.path), 0.0, 0.4, "Looking for text"):
                scan.feed(frame)
            return scan.finish()

    def _rewrite(self, found: Findings, target: Path, begin: float, end: float) -> None:
        composite = Composite(
            found,
            self.zones,
            self.stream.width,
            self.stream.height,
            threads=self.ctx.threads,
            frame_bytes=self.frame_bytes,
        )
        options = EncodeOptions(self.params.codec, self.params.crf, self.params.preset, self.ctx.threads)

        def edit(frames: Iterator[Frame]) -> Iterable[Frame]:
            return composite(self._watched(frames, begin, end, "Filling in the background"))

        with self._stage("fill"):
            done = self.ctx.media.rewrite(self.video.path, target, edit, options=options)
        self.encoder, self.touched = done.encoder, composite.touched

    def _verify(self, found: Findings, target: Path, begin: float) -> dict[int, int]:
        if not self.params.verify or self.detector is None:
            return {}
        with self._stage("verify"):
            frames = self._watched(self.ctx.media.frames(target), begin, min(1.0, begin + 0.1), "Checking the result")
            left = still_seen(frames, found.events, self.detector, self.turn)
            return {i: n for i, n in left.items() if not self._is_scenery(found, i)}

    def _is_scenery(self, found: Findings, index: int) -> bool:
        """Whether the detector sees text there in the source too, where there is none."""
        if index not in self.scenery:
            event = found.events[index]
            self.scenery[index] = False
            for numbers in neighbours(event, found.events, len(found.times), found.cuts):
                frames = [self._source_frame(found.times[n]) for n in numbers]
                if self.detector is not None and frames[0] is not None and frames[1] is not None:
                    seen = only_scenery(frames[0], frames[1], event, self.detector, self.turn)
                    self.scenery[index] = self.scenery[index] or seen
        return self.scenery[index]

    def _source_frame(self, time_s: float) -> Frame | None:
        """The frame that is shown from this time on."""
        frames = self.ctx.media.frames(self.video.path, start_s=max(0.0, time_s - 0.001), end_s=time_s + 1)
        return next((f for f in frames if f.time_s >= time_s - 0.001), None)

    def _again(self, found: Findings, first: Path, left: dict[int, int]) -> tuple[Path, dict[int, int]]:
        """Once more with wider masks where text is still seen; the better of the two results."""
        for i in left:
            event = found.events[i]
            event.mask = widen(event.mask, max(2, round(tuning.WIDEN * text_height(event.box))))
        target = first.with_name(f"clean-again{first.suffix}")
        self._rewrite(found, target, 0.85, 0.98)
        now = self._verify(found, target, 0.98)
        if len(now) < len(left):
            first.unlink(missing_ok=True)
            return target, now
        target.unlink(missing_ok=True)
        return first, left

    def _watched(self, frames: Iterable[Frame], begin: float, end: float, message: str) -> Iterator[Frame]:
        """The frames, with a word to the engine at each, which is also where a cancelled job stops."""
        duration = max(self.info.duration_s, 0.001)
        for frame in frames:
            self.ctx.progress(begin + (end - begin) * min(1.0, frame.time_s / duration), message)
            yield frame

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - start, 2)

    # --- report -----------------------------------------------------------------------------------------------------

    def _report(self, found: Findings, left: dict[int, int], *, second: bool) -> Report:
        times = [*found.times, self.info.duration_s]
        events = [
            Removed(self.turn.shown_region(e.box), times[e.start], times[e.end], e.text, e.erasure, left.get(i, 0))
            for i, e in enumerate(found.events)
        ]
        verified = self.params.verify and self.detector is not None and bool(found.events)
        return Report(
            summary=_summary(events, found, verified=verified),
            unchanged=not events,
            detector=self.detector.name if self.detector else "none",
            events=events,
            frames=len(found.times),
            frames_touched=self.touched,
            looks=found.looks,
            moving=found.moving,
            doubtful=found.doubtful,
            verified=verified,
            residual=len(left),
            second_try=second,
            seconds=self.seconds,
            encoder=self.encoder,
        )


def _summary(events: list[Removed], found: Findings, *, verified: bool) -> str:
    """Plain words; what is left is said as plainly as what is gone."""
    parts = []
    erased = sum(e.erasure for e in events)
    texts = len(events) - erased
    if not events:
        parts.append("No text to remove was found; the video is given back unchanged.")
    if texts:
        left = [e for e in events if e.still_seen]
        if left:
            when = ", ".join(f"{e.start_s:.1f} to {e.end_s:.1f} s" for e in left[:5])
            more = ", …" if len(left) > 5 else ""
            parts.append(
                f"The detector still sees text in {len(left)} of the {texts} places that were filled ({when}{more})."
            )
        else:
            checked = "none of it is seen in the result" if verified else "the result was not checked"
            parts.append(f"{texts} text(s) removed; {checked}.")
    if erased:
        parts.append(f"{erased} region(s) erased.")
    if found.moving:
        parts.append("Text that moves was seen too, and left alone.")
    return " ".join(parts)
