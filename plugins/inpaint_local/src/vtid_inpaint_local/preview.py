"""Look before removing: where text is and what it says, and one picture without it. An editor stands on this.

Everything is what removal itself does, over less of the film: the scan is the whole first pass, and for one picture it
sees only the seconds around it, from which that picture is filled too. Removal looks no nearer and mostly farther, so a
preview shows the least that will be reached.
"""

from __future__ import annotations

import bisect
import time
from collections.abc import Iterator, Sequence

import cv2
import msgspec
import numpy as np

from vtid.sdk import Context, File, Frame, Image, MediaInfo, StepError

from . import bounds, policy, tuning
from .asked import require_possible
from .composite import Composite
from .detect import Coming
from .events import Event, Findings
from .geometry import Turn
from .masks import mask_of
from .params import Inputs, PreviewParams, regions
from .remove import FILM_RATE, detector_for
from .report import Found, PreviewOutputs, PreviewReport
from .scan import Scan
from .subtitles import captions
from .track import Rate
from .zones import Zones


def preview(ctx: Context, params: PreviewParams, inputs: Inputs) -> PreviewOutputs:
    """Run the step."""
    return _Preview(ctx, params, inputs).run()


class _Preview:
    """One run; its fields are what the stages share."""

    def __init__(self, ctx: Context, params: PreviewParams, inputs: Inputs) -> None:
        self.ctx, self.params, self.path = ctx, params, inputs.video.path
        self.info: MediaInfo = inputs.video.info or ctx.media.probe(self.path)
        if not self.info.video:
            raise StepError("There is no picture in this file.")
        self.stream = self.info.video[0]
        self.turn = Turn.of(self.stream)
        self.zones = Zones(regions(params, self.info), self.turn)
        self.frame_bytes = int(self.stream.width * self.stream.height * (1.5 if self.stream.bit_depth <= 8 else 3))
        self.mask = mask_of(ctx, inputs.mask, self.turn, self.info)
        require_possible(params, self.zones, self.mask, self.turn)
        cv2.setNumThreads(1)  # as for removal
        wanted = policy.looks(params, self.zones)
        self.detector = Coming(lambda: detector_for(ctx, params)) if wanted else None
        self.seconds: dict[str, float] = {}

    def run(self) -> PreviewOutputs:
        """Look, and where a time was given, show."""
        began = time.monotonic()
        found = self._scan()
        stay = policy.apply(found, self.params.policy, self.zones, self.turn)
        if self.mask is not None:
            found.events += self.mask.events(found.times)
        self.seconds["detect"] = round(time.monotonic() - began, 2)
        still = self._still(found) if self.params.at_s is not None else None
        report = self._report(found, stay)
        boxes = self.ctx.workspace / "boxes.json"
        boxes.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
        return PreviewOutputs(report, File(boxes), still)

    def _frames(self) -> Iterator[Frame]:
        """The film, or the part of it around the time, numbered from 0."""
        at = self.params.at_s
        around = bounds.PREVIEW_S
        frames = (
            self.ctx.media.frames(self.path)
            if at is None
            else self.ctx.media.frames(self.path, start_s=max(0.0, at - around), end_s=at + around)
        )
        for number, frame in enumerate(frames):
            frame.index = number
            yield frame

    def _scan(self) -> Findings:
        rate = float(self.stream.rate or FILM_RATE)
        lengths = Rate.of(rate, self.frame_bytes, self.params.sample_s)
        scan = Scan(self.detector, self.turn, self.zones, lengths)
        span = max(0.001, self.info.duration_s if self.params.at_s is None else 2 * bounds.PREVIEW_S)
        first: float | None = None
        for frame in self._frames():
            first = frame.time_s if first is None else first
            self.ctx.progress(0.6 * min(1.0, (frame.time_s - first) / span), "Looking for text")
            scan.feed(frame)
        if first is None:
            raise StepError(f"There is no picture at {self.params.at_s:g} s.")
        return scan.finish()

    def _still(self, found: Findings) -> Image:
        """The picture that is shown at the time, without what goes."""
        began = time.monotonic()
        number = self._shown(found.times)
        composite = Composite(
            found,
            self.zones,
            self.stream.width,
            self.stream.height,
            threads=self.ctx.threads,
            frame_bytes=self.frame_bytes,
        )
        self.ctx.progress(0.6, "Filling in the background")
        frames = composite(self._frames())
        picture = next(frame.bgr() for i, frame in enumerate(frames) if i == number)
        good, data = cv2.imencode(".png", np.ascontiguousarray(self.turn.upright(picture)))
        if not good:
            raise StepError("The picture could not be drawn as PNG.")
        target = self.ctx.workspace / "still.png"
        target.write_bytes(data.tobytes())
        self.seconds["still"] = round(time.monotonic() - began, 2)
        return Image(target)

    def _shown(self, times: Sequence[float]) -> int:
        """Number of the frame that a player shows at the time: the last that has begun by then."""
        assert self.params.at_s is not None
        return max(0, bisect.bisect_right(times, self.params.at_s + tuning.SAME_TIME_S) - 1)

    def _report(self, found: Findings, stay: Sequence[Event]) -> PreviewReport:
        at = self.params.at_s
        end = self.info.duration_s if at is None else min(self.info.duration_s, at + bounds.PREVIEW_S)
        lines = [
            Found(c.box, c.start_s, c.end_s, c.text, c.confidence, c.kind, goes=goes)
            for events, goes in ((found.events, True), (stay, False))
            for c in captions(events, found.times, end, self.turn)
        ]
        edge = [*found.times, end]
        lines += [
            Found(self.turn.shown_region(e.box), edge[e.start], edge[e.end], None, 1.0, "erasure", goes=True)
            for e in found.events
            if e.erasure
        ]
        width, height = self.turn.shown
        return PreviewReport(
            found=sorted(lines, key=lambda f: (f.start_s, f.at.y)),
            width=width,
            height=height,
            start_s=found.times[0],
            end_s=end,
            at_s=None if at is None else found.times[self._shown(found.times)],
            detector=self.detector.name if self.detector else "none",
            seconds=self.seconds,
        )
