"""Smart render, second step: one span is decoded, edited and encoded into a file of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from av import Packet
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext

from vtid.domain.rendering import Part, RenderPlan, Span
from vtid.media.containers import keeps_headers_apart
from vtid.media.encoders import new_encoder, open_encoder
from vtid.media.frame import PlanarFrame
from vtid.media.pixels import to_planar
from vtid.media.rewrite import Edit
from vtid.media.smart.planning import Coding
from vtid.media.smart.spool import Encoded, Spool
from vtid.media.smart.window import Film


def render(
    source: Path, plan: RenderPlan, number: int, part: Path, edit: Edit, *, before: int, after: int, threads: int
) -> Part:
    """See `vtid.sdk.Media.render`."""
    span, coding = plan.spans[number], plan.coding
    if span.copied:
        raise ValueError(f"span {number} is copied; there is nothing to render")
    first, last = max(0, span.first - before), min(plan.frames, span.last + after)
    with Film(source, plan.pts, coding.anchors, threads) as film, Spool(part) as spool:
        encoder = _encoder(coding, threads)
        for frame in _checked(edit(film.frames(first, last)), span):
            picture = to_planar(frame.av, coding.joint.encode.pixel_format)
            picture.pict_type = 0  # or the encoder repeats the source's I, P and B
            _spool(spool, encoder.encode(picture))
        _spool(spool, encoder.encode(None))
    return Part(part, number, span.frames)


def _encoder(coding: Coding, threads: int) -> VideoCodecContext:
    """It puts its header where the target's container will want it."""
    encoder = new_encoder(coding.joint.encode, threads)
    if keeps_headers_apart(coding.container):
        encoder.flags |= Flags.global_header
    open_encoder(encoder)
    return encoder


def _checked(frames: Iterable[PlanarFrame], span: Span) -> Iterator[PlanarFrame]:
    """What an edit yields, if it is what it should."""
    expected = span.first
    for frame in frames:
        if frame.index != expected or expected >= span.last:
            raise RuntimeError(f"the edit yielded frame {frame.index} where frame {expected} of {span} was due")
        yield frame
        expected += 1
    if expected != span.last:
        raise RuntimeError(f"the edit yielded {expected - span.first} frames of {span}")


def _spool(spool: Spool, packets: Iterable[Packet[Any]]) -> None:
    for packet in packets:
        spool.add(Encoded(packet.pts or 0, packet.is_keyframe, bytes(packet)))
