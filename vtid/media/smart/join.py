"""Smart render, third step: copied and rendered spans become one film, with all that goes beside the picture."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from av import Packet
from av.container import InputContainer, OutputContainer
from av.stream import Discard
from av.video.stream import VideoStream

from vtid.domain.rendering import Part, RenderPlan, Rewritten, Span
from vtid.errors import Misfit
from vtid.media.carry import Cargo, clone, packet_time
from vtid.media.containers import open_input, output_format, reading, removed_on_failure
from vtid.media.decode import main_video
from vtid.media.output import add_video, open_target
from vtid.media.smart import headers, nal
from vtid.media.smart.joints import check_joints
from vtid.media.smart.planning import Coding
from vtid.media.smart.spool import unspool
from vtid.media.smart.window import Film

_LONG_AGO = Fraction(-(1 << 62))


def join(source: Path, target: Path, plan: RenderPlan, parts: Sequence[Part], *, threads: int) -> Rewritten:
    """See `vtid.sdk.Media.join`."""
    coding: Coding = plan.coding
    if output_format(target) != coding.container:
        raise ValueError(f"{target.name} does not end as planned, in {plan.ending}")
    rendered = _by_span(plan, parts)
    with removed_on_failure(target):
        with open_input(source) as container, open_target(container, target, coding.joint.encode.time_base) as out:
            stream = main_video(container, source.name)
            cargo = Cargo(out, container, source, stream, lambda: _add_stream(out, stream, coding, threads))
            stream.discard = Discard.all
            _write(out, container, cargo, _Sequence(source, plan, rendered))
        joints = check_joints(source, target, plan, threads=threads)
    copied = [span for span in plan.spans if span.copied]
    copied_frames = sum(span.frames for span in copied)
    return Rewritten(
        frames=plan.frames,
        encoder=coding.joint.encode.encoder,
        copied_streams=cargo.copied,
        dropped=tuple(cargo.dropped),
        copied_spans=len(copied),
        copied_frames=copied_frames,
        rendered_spans=len(plan.spans) - len(copied),
        rendered_frames=plan.frames - copied_frames,
        joints=joints,
        reason=plan.reason,
    )


def _by_span(plan: RenderPlan, parts: Sequence[Part]) -> dict[int, Part]:
    found = {part.number: part for part in parts}
    if sorted(found) != list(plan.rendered) or len(found) != len(parts):
        raise Misfit(f"The parts are of spans {sorted(found)}, and those to be rendered are {list(plan.rendered)}.")
    return found


def _add_stream(out: OutputContainer, source: VideoStream, coding: Coding, threads: int) -> VideoStream:
    """The stream of all spans: the source's under a header for both, or the encoder's."""
    if coding.joint.header is None:
        return add_video(out, coding.joint.encode, threads)
    stream = clone(out, source)
    if coding.joint.header:
        stream.codec_context.extradata = coding.joint.header
    return stream


def _write(out: OutputContainer, source: InputContainer, cargo: Cargo, video: _Sequence) -> None:
    """Write the video, and beside each of its packets what the other streams have for that time."""
    others = _others(source, cargo, video.source)
    reached = _LONG_AGO
    for packet in video:
        at = packet_time(packet)
        while reached <= at and (other := next(others, None)) is not None:
            cargo.carrier.take(other)
            reached = max(reached, packet_time(other)) if other.dts is not None else reached
        cargo.carrier.release(until=at)
        packet.stream = cargo.video
        out.mux_one(packet)
    for other in others:
        cargo.carrier.take(other)
        cargo.carrier.release()
    cargo.carrier.finish()


def _others(source: InputContainer, cargo: Cargo, path: Path) -> Iterator[Packet[Any]]:
    if cargo.carried:
        with reading(path):
            yield from source.demux(cargo.carried)


class _Sequence:
    """The film's video packets in the order of decoding, with times that no joint can be seen in.

    The frames' times on the screen are the source's. The decoding times follow from them: the packet at place i is
    decoded when the frame at place i - delay is shown, for the largest delay that a span needs. That is what encoders
    do within one stream, so that the times rise everywhere, whatever the spans had.
    """

    def __init__(self, source: Path, plan: RenderPlan, parts: dict[int, Part]) -> None:
        self.source = source
        self._plan = plan
        self._coding: Coding = plan.coding
        self._parts = {number: _RenderedSpan(part, plan.spans[number], self._coding) for number, part in parts.items()}
        delays = [part.delay for part in self._parts.values()]
        if any(span.copied for span in plan.spans):
            delays.append(self._coding.delay)
        self._delay = max(delays, default=0)

    def __iter__(self) -> Iterator[Packet[Any]]:
        with Film(self.source, self._plan.pts, self._coding.anchors) as film:
            place = 0
            for number, span in enumerate(self._plan.spans):
                packets = self._copied(film, span) if span.copied else self._parts[number].packets()
                for frame, packet in packets:
                    self._stamp(packet, frame, place)
                    yield packet
                    place += 1

    def _copied(self, film: Film, span: Span) -> Iterator[tuple[int, Packet[Any]]]:
        shown = (packet for packet in film.packets(span.first) if packet.size and not packet.is_discard)
        count = 0
        for packet in islice(shown, span.frames):
            at = bisect_left(self._plan.pts, packet.pts or 0)
            if not span.first <= at < span.last or self._plan.pts[at] != packet.pts:
                raise Misfit(f"{self.source.name}: the packets of {span} are not where they were when it was planned.")
            yield at, packet
            count += 1
        if count != span.frames:
            raise Misfit(f"{self.source.name} has {count} packets of {span}.")

    def _stamp(self, packet: Packet[Any], frame: int, place: int) -> None:
        pts = self._plan.pts
        packet.time_base = self._plan.time_base
        packet.pts = pts[frame]
        packet.duration = pts[frame + 1] - pts[frame] if frame + 1 < len(pts) else self._coding.last_duration
        # before the first frame is shown there is no frame to take the time from: as x264 does it
        packet.dts = pts[place - self._delay] if place >= self._delay else pts[place] - pts[self._delay] + pts[0]


class _RenderedSpan:
    """The packets of a part, in the form of the stream that they become a piece of."""

    def __init__(self, part: Part, span: Span, coding: Coding) -> None:
        self._part, self._span, self._coding = part, span, coding
        times = np.array([packet.pts for packet in unspool(part.path)], np.int64)
        if len(times) != span.frames or len(np.unique(times)) != span.frames:
            raise Misfit(f"{part.path.name} holds {len(np.unique(times))} frames, and {span} has {span.frames}.")
        self._rank = np.argsort(np.argsort(times))
        self.delay = int(np.max(np.arange(len(times)) - self._rank, initial=0))

    def packets(self) -> Iterator[tuple[int, Packet[Any]]]:
        """Each with the number of its frame in the film."""
        for rank, encoded in zip(self._rank, unspool(self._part.path), strict=True):
            packet = Packet(self._fitted(encoded.data))
            packet.is_keyframe = encoded.key
            yield self._span.first + int(rank), packet

    def _fitted(self, data: bytes) -> bytes:
        joint = self._coding.joint
        if joint.numbers is None:
            return data
        codec = "hevc" if joint.encode.encoder == "libx265" else "h264"
        units = headers.without_sets(codec, nal.split(data, nal.ANNEX_B))
        if codec == "hevc":
            try:
                units = [headers.renumbered(unit, joint.numbers) for unit in units]
            except headers.Unjoinable as error:
                raise Misfit(f"{self._part.path.name}: {error}.") from error
        return nal.pack(units, joint.length)
