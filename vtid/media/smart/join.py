"""Smart render, third step: copied and rendered spans become one film, with all that goes beside the picture."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from av import Packet
from av.container import InputContainer, OutputContainer
from av.stream import Discard
from av.video.stream import VideoStream

from vtid.domain.rendering import Part, RenderPlan, Rewritten
from vtid.errors import Misfit
from vtid.media.carry import Cargo, clone, packet_time
from vtid.media.containers import open_input, output_format, reading, removed_on_failure
from vtid.media.decode import main_video
from vtid.media.output import add_video, open_target
from vtid.media.smart.joints import check_joints
from vtid.media.smart.matching import Joint
from vtid.media.smart.planning import Coding
from vtid.media.smart.sequence import Origin, Packets, Piece, Row, row_of

_LONG_AGO = Fraction(-(1 << 62))


def join(source: Path, target: Path, plan: RenderPlan, parts: Sequence[Part], *, threads: int) -> Rewritten:
    """See `vtid.sdk.Media.join`."""
    coding: Coding = plan.coding
    if output_format(target) != coding.container:
        raise ValueError(f"{target.name} does not end as planned, in {plan.ending}")
    row = _row(source, plan, parts)
    with removed_on_failure(target):
        copied_streams, dropped = write_beside(source, target, row, threads=threads)
        joints = check_joints(target, row, threads=threads)
    copied = [span for span in plan.spans if span.copied]
    copied_frames = sum(span.frames for span in copied)
    return Rewritten(
        frames=plan.frames,
        encoder=coding.joint.encode.encoder,
        copied_streams=copied_streams,
        dropped=dropped,
        copied_spans=len(copied),
        copied_frames=copied_frames,
        rendered_spans=len(plan.spans) - len(copied),
        rendered_frames=plan.frames - copied_frames,
        joints=joints,
        reason=plan.reason,
    )


def _row(source: Path, plan: RenderPlan, parts: Sequence[Part]) -> Row:
    found = {part.number: part for part in parts}
    if sorted(found) != list(plan.rendered) or len(found) != len(parts):
        raise Misfit(f"The parts are of spans {sorted(found)}, and those to be rendered are {list(plan.rendered)}.")
    coding: Coding = plan.coding
    origin = Origin(source, plan.pts, coding.anchors, coding.delay)
    pieces = [
        Piece(span.first, span.last, origin, span.first)
        if span.copied
        else Piece(span.first, span.last, part=found[number].path)
        for number, span in enumerate(plan.spans)
    ]
    shown = array("q", [pts - coding.late for pts in plan.pts]) if coding.late else plan.pts
    return row_of(pieces, shown, plan.time_base, coding.last_duration, coding.joint)


def write_beside(source: Path, target: Path, row: Row, *, threads: int) -> tuple[int, tuple[str, ...]]:
    """Write a row whose frames have the times of a source, with all other streams of that.

    Returns:
        How many streams were carried over, and those that the container cannot hold, in words.
    """
    with open_input(source) as container, open_target(container, target, row.time_base) as out:
        stream = main_video(container, source.name)
        cargo = Cargo(out, container, source, stream, lambda: add_stream(out, stream, row.joint, threads))
        stream.discard = Discard.all
        _write(out, container, cargo, source, Packets(row))
    return cargo.copied, tuple(cargo.dropped)


def add_stream(out: OutputContainer, source: VideoStream, joint: Joint, threads: int) -> VideoStream:
    """The stream of all pieces: the source's under a header for both, or the encoder's."""
    if joint.header is None:
        return add_video(out, joint.encode, threads)
    stream = clone(out, source)
    if joint.header:
        stream.codec_context.extradata = joint.header
    return stream


def _write(out: OutputContainer, source: InputContainer, cargo: Cargo, path: Path, video: Packets) -> None:
    """Write the video, and beside each of its packets what the other streams have for that time."""
    others = _others(source, cargo, path)
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
