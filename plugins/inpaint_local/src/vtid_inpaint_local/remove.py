"""The whole step, stage by stage: detect and track, mask, fill and composite, encode, verify."""

from __future__ import annotations

import time
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import cv2

from vtid.sdk import (
    Context,
    EncodeOptions,
    Frame,
    MediaInfo,
    Misfit,
    RenderPlan,
    Rewritten,
    StepError,
    Video,
    VideoStream,
)

from . import memory, policy, spans, tuning
from .ahead import ahead
from .arrays import widen
from .asked import require_possible
from .detect import Coming, Detector
from .detectors import choose
from .events import Event, Findings
from .geometry import Turn, text_height
from .lasting import Lasting
from .masks import mask_of
from .outside import Bystander
from .painter import choose_guide
from .papers import Facts, papers
from .params import Inputs, Looking, Params, Settings, regions
from .report import Outputs, Outside, Report, Spans
from .scan import Scan
from .track import Rate
from .verify import glimpses, looks, neighbours, only_scenery, still_seen
from .zones import Zones

T = TypeVar("T")
FILM_RATE = 25.0
"""Frames a second where the container does not say."""


def remove(ctx: Context, params: Params, inputs: Inputs) -> Outputs:
    """Run the step."""
    memory.keep()
    return _Removal(ctx, params, inputs).run()


def detector_for(ctx: Context, params: Looking) -> Detector:
    """The detector that a job asked for, or the operator's."""
    settings = ctx.settings if isinstance(ctx.settings, Settings) else Settings()
    name = settings.default_detector if params.detector == "auto" else params.detector
    # Decoding and following the texts that were found run beside it, and take about as long.
    threads = max(1, ctx.threads // 2)
    return choose(name, threads=threads, model_dir=settings.model_dir, models=ctx.models)


class _Removal:
    """One run; its fields are what the stages share."""

    def __init__(self, ctx: Context, params: Params, inputs: Inputs) -> None:
        video = inputs.video
        self.ctx, self.params, self.video = ctx, params, video
        self.info: MediaInfo = video.info or ctx.media.probe(video.path)
        if not self.info.video:
            raise StepError("There is no picture in this file.")
        self.stream: VideoStream = self.info.video[0]
        self.turn = Turn.of(self.stream)
        self.zones = Zones(regions(params, self.info), self.turn)
        self.frame_bytes = int(self.stream.width * self.stream.height * (1.5 if self.stream.bit_depth <= 8 else 3))
        self.seconds: dict[str, float] = {}
        self.written: Rewritten | None = None
        self.done: dict[int, spans.Done] = {}
        self.scenery: dict[int, bool] = {}
        cv2.setNumThreads(1)  # threads work on whole frames here; OpenCV's own would fight them
        self._loaded: Detector | None = None
        self.detector_name = "none"
        self.guide = choose_guide(params.guide, ctx.models)
        self.mask = mask_of(ctx, inputs.mask, self.turn, self.info)
        require_possible(params, self.zones, self.mask, self.turn)
        self.stayed: list[Event] = []
        self.outside: Outside | None = None
        self.plan: RenderPlan | None = None

    @property
    def detector(self) -> Detector | None:
        """Being loaded from when it is asked for; None where no text is to be found."""
        if self._loaded is None and policy.looks(self.params, self.zones):
            self._loaded = Coming(lambda: detector_for(self.ctx, self.params))
        return self._loaded

    def _unload(self) -> None:
        """Give back what the detector took, hundreds of megabytes, before the filling takes its own."""
        self._loaded = None
        memory.give_back()

    def run(self) -> Outputs:
        """All stages."""
        found = self._scan()
        if not found.events:
            return self._outputs(self.video, found, {}, second=False)
        self._unload()
        target = self.ctx.workspace / f"clean{self.ctx.media.ending(self.video.path)}"
        plan = self._rewrite(found, target)
        left = self._verify(found, target, 0.85)
        # What is left of a text stands in every look; what is seen in one of them is rather the background's doing. It
        # is reported, but a wider mask would only spoil the picture. And what stands still is nothing left of a ticker.
        worse = [i for i, n in left.items() if 2 * n > tuning.VERIFY_LOOKS and found.events[i].motion is None]
        second = bool(worse)
        self.plan = plan
        if second:
            target, left = self._again(found, plan, target, left, worse)
        return self._outputs(Video(target), found, left, second=second)

    # --- stages -----------------------------------------------------------------------------------------------------

    def _scan(self) -> Findings:
        rate = float(self.stream.rate or FILM_RATE)
        lengths = Rate.of(rate, self.frame_bytes, self.params.sample_s)
        scan = Scan(self.detector, self.turn, self.zones, lengths)
        room = max(tuning.AHEAD, min(2 * lengths.sample + 2, tuning.AHEAD_BYTES // self.frame_bytes))
        frames = scan.ahead(self.ctx.media.frames(self.video.path))
        with self._stage("detect"):
            for frame in self._watched(frames, 0.0, 0.38, "Looking for text", lambda frame: frame, room):
                scan.feed(frame)
            found = scan.finish()
            self.detector_name = self.detector.name if self.detector is not None else "none"
            self.stayed = policy.apply(found, self.params.policy, self.zones, self.turn)
            lasting = Lasting(found.events)
            if lasting.wanted:
                source = self.ctx.media.frames(self.video.path)
                for frame in self._watched(source, 0.38, 0.4, "Following marks", lambda frame: frame):
                    lasting.feed(frame)
                found.events = lasting.finish(found.events)
            if self.mask is not None:
                found.events += self.mask.events(found.times)
            found.events = [e for e in found.events if spans.painted(e, found.times, self.zones)]
            return found

    def _rewrite(self, found: Findings, target: Path) -> RenderPlan:
        """Divide the film, fill what has text in it, and put it together."""
        try:
            return self._divided(found, target, copy=True)
        except Misfit as error:
            self.ctx.log("spans_do_not_fit", reason=str(error))
            return self._divided(found, target, copy=False)

    def _divided(self, found: Findings, target: Path, *, copy: bool) -> RenderPlan:
        params = self.params
        with self._stage("fill"):
            plan = self.ctx.media.plan(
                self.video.path,
                target,
                spans.touched(found, self.zones),
                splits=spans.splits(found, self.zones),
                least_frames=spans.least_frames(len(found.times)),
                counted=len(found.times),
                copy=copy,
                options=EncodeOptions(params.codec, params.crf, params.preset, tuning.CODER_THREADS, quick=True),
            )
            self.done = self._filled(found, plan, plan.rendered, 0.4, 0.85)
            self.written = self._joined(plan, target)
        return plan

    def _filled(
        self, found: Findings, plan: RenderPlan, numbers: Sequence[int], begin: float, end: float
    ) -> dict[int, spans.Done]:
        job = spans.Job(
            self.ctx.media,
            self.video.path,
            plan,
            self.zones,
            self.stream.width,
            self.stream.height,
            self.frame_bytes,
            len(found.times),
            self.guide,
        )
        done = spans.render(
            job,
            found,
            numbers,
            self.ctx.workspace,
            threads=self.ctx.threads,
            progress=lambda share: self.ctx.progress(begin + (end - begin) * share, "Filling in the background"),
        )
        return {one.part.number: one for one in done}

    def _joined(self, plan: RenderPlan, target: Path) -> Rewritten:
        return self.ctx.media.join(self.video.path, target, plan, [one.part for one in self.done.values()])

    def _verify(self, found: Findings, target: Path, begin: float) -> dict[int, int]:
        if not self.params.verify or self.detector is None:
            return {}
        with self._stage("verify"):
            bystander = Bystander(len(found.times), ChainMap(*(one.seen for one in self.done.values())))
            some = glimpses(self.ctx.media, target, found.times, {*looks(found, self.zones), *bystander.seen})
            frames = self._watched(some, begin, min(1.0, begin + 0.1), "Checking the result", lambda one: one[1])
            left = still_seen(bystander.watch(frames), found, self.zones, self.detector, self.turn)
            self.outside = bystander.found
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

    def _again(
        self, found: Findings, plan: RenderPlan, first: Path, left: dict[int, int], worse: Sequence[int]
    ) -> tuple[Path, dict[int, int]]:
        """Once more with wider masks where text is still seen; the better of the two results."""
        for i in worse:
            event = found.events[i]
            event.mask = widen(event.mask, max(2, round(tuning.WIDEN * text_height(event.box))))
        ranges = [(found.events[i].start, found.events[i].end) for i in worse]
        numbers = [
            n for n in plan.rendered if any(plan.spans[n].first < b and a < plan.spans[n].last for a, b in ranges)
        ]
        self._unload()
        target = first.with_name(f"clean-again{first.suffix}")
        before = self.done, self.written, self.outside
        with self._stage("fill"):
            for n in numbers:
                before[0][n].part.path.unlink()
            self.done = {**self.done, **self._filled(found, plan, numbers, 0.85, 0.98)}
            self.written = self._joined(plan, target)
        now = self._verify(found, target, 0.98)
        if len(now) < len(left):
            first.unlink(missing_ok=True)
            return target, now
        target.unlink(missing_ok=True)
        self.done, self.written, self.outside = before
        return first, left

    def _watched(
        self,
        items: Iterable[T],
        begin: float,
        end: float,
        message: str,
        frame_of: Callable[[T], Frame],
        room: int = tuning.AHEAD,
    ) -> Iterator[T]:
        """Frames, decoded by a thread of their own, with a word to the engine at each; a cancelled job stops there."""
        duration = max(self.info.duration_s, 0.001)
        for item in ahead(items, room):
            share = min(1.0, frame_of(item).time_s / duration)
            self.ctx.progress(begin + (end - begin) * share, message)
            yield item

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - start, 2)

    def _outputs(self, video: Video, found: Findings, left: dict[int, int], *, second: bool) -> Outputs:
        looked = policy.looks(self.params, self.zones)
        report = Report(
            summary="",
            unchanged=not found.events,
            detector=self.detector_name,
            frames=len(found.times),
            frames_touched=sum(one.touched for one in self.done.values()),
            verified=self.params.verify and looked and bool(found.events),
            second_try=second,
            outside=self.outside,
            spans=self._spans(),
            seconds=self.seconds,
            encoder=self.written.encoder if self.written else "",
            dropped=list(self.written.dropped) if self.written else [],
        )
        facts = Facts(found, self.stayed, left, self.turn, self.info.duration_s, self.zones)
        return papers(self.ctx, self.params, self.video, video, report, facts)

    def _spans(self) -> Spans | None:
        if self.plan is None:
            return None
        copied = [s.frames for s in self.plan.spans if s.copied]
        rendered = [s.frames for s in self.plan.spans if not s.copied]
        return Spans(len(copied), len(rendered), sum(copied), sum(rendered))
