"""Smart render, first step: what of a film can stay as it is, and into which spans it falls."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream
from msgspec import Struct

from vtid.media.containers import open_input, output_format, reading
from vtid.media.decode import Decoder, lateness, main_video, require_whole_file
from vtid.media.encoders import EncodePlan
from vtid.media.output import encode_plan
from vtid.media.smart.headers import Unjoinable
from vtid.media.smart.index import Anchors, Index, counted_index, last_duration, read_index
from vtid.media.smart.matching import Joint, find_joint
from vtid.media.smart.spans import divide
from vtid.sdk import EncodeOptions, RenderPlan


class Coding(Struct, frozen=True):
    """What rendering and joining need to know beside the spans. Goes in `RenderPlan.coding`."""

    container: str
    """FFmpeg's name of the one that is written."""
    joint: Joint
    anchors: Anchors
    delay: int
    """By how many packets the decoding of copied frames may come late."""
    last_duration: int
    """Of the film's last frame, in ticks."""
    late: int
    """Ticks by which the film's times are told too late; see `lateness`."""


def plan(
    source: Path,
    target: Path,
    touched: Sequence[tuple[int, int]],
    *,
    splits: Sequence[int],
    least_frames: int,
    counted: int | None,
    copy: bool,
    options: EncodeOptions,
    threads: int,
) -> RenderPlan:
    """See `vtid.sdk.Media.plan`."""
    container_name = output_format(target)
    with open_input(source) as container, reading(source):
        stream = main_video(container, source.name)
        require_whole_file(container, stream, source)
        encode = _encoding(container, stream, source, container_name, options)
        index, doubt = _index(source, counted, threads, copy=copy)
        joint, reason = None, doubt
        if not doubt:
            try:
                joint = find_joint(stream, encode, index, container_name)
            except Unjoinable as error:
                reason = str(error)
        spans = divide(
            len(index.pts),
            index.starts if joint else (),
            index.ends,
            (*touched, *index.unfit),
            splits if index.anchors.frame else (),
            least_frames,
        )
        if joint is None or not any(span.copied for span in spans):
            joint = Joint(encode)
        return RenderPlan(
            ending=target.suffix.lower(),
            spans=spans,
            reason=f"Nothing can be copied: {reason}." if reason else None,
            pts=index.pts,
            time_base=stream.time_base or Fraction(1, 1000),
            coding=Coding(
                container_name,
                joint,
                index.anchors,
                index.delay,
                last_duration(stream, index),
                lateness(container, source),
            ),
        )


def _index(source: Path, counted: int | None, threads: int, *, copy: bool) -> tuple[Index, str | None]:
    """The film's index, and why it takes nothing from the packets, if so."""
    with open_input(source) as container:
        index = read_index(container, main_video(container, source.name), source)
    doubt = index.doubt
    if counted not in (None, len(index.pts)):
        doubt = f"decoding gave {counted} frames, and its packets tell of {len(index.pts)}"
    if not copy:
        doubt = "copying was not wanted"
    return (counted_index(source, index, threads), doubt) if doubt else (index, None)


def _encoding(
    container: InputContainer, stream: VideoStream, path: Path, target: str, options: EncodeOptions
) -> EncodePlan:
    """How frames are encoded; the first one tells."""
    decoder = Decoder(path, stream, 1)
    first = next((frame for packet in container.demux(stream) for frame in decoder.decode(packet)), None)
    decoder.require_frames()
    assert first is not None
    return encode_plan(stream, first.av, target, options)
