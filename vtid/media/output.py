"""The file that is written: how its video is encoded and tagged, whoever writes it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from av import Packet, VideoFrame
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from vtid.errors import MediaError, Problem
from vtid.media import carry
from vtid.media.containers import open_output
from vtid.media.encoders import EncodePlan, configure, open_encoder, plan_encode
from vtid.media.probe import describe_video
from vtid.sdk import EncodeOptions


def encode_plan(stream: VideoStream, first: VideoFrame, container: str, options: EncodeOptions) -> EncodePlan:
    """How a stream is encoded; see `plan_encode`.

    Raises:
        MediaError: also where a WebM has its transparency beside the picture, which no decoder here reads.
    """
    context = stream.codec_context
    if any(key.lower() == "alpha_mode" and text == "1" for key, text in stream.metadata.items()):
        words = "has transparency beside its picture, as WebM keeps it, and that would be lost"
        raise MediaError(
            f"The video {words}. Convert it first: to ProRes 4444 in a MOV, or to FFV1 in an MKV.",
            problems=[Problem("", words, code="transparent")],
        )
    facts = describe_video(stream, first)
    return plan_encode(facts, first, container, options, profile=context.profile, field_order=context.field_order)


def open_target(source: InputContainer, target: Path, time_base: Fraction) -> OutputContainer:
    """Open the file that will hold what the source holds, its video in this time base."""
    timescale = time_base.denominator if time_base.numerator == 1 else None
    return open_output(target, timescale=timescale, keep_tags=carry.has_maker_tags(source))


class Track:
    """The encoded video of a file that is written.

    Args:
        out: the container.
        plan: how it is encoded.
        threads: of the encoder.
        frame_threads: encode frames beside one another; slices, PyAV's own choice, cost 1.2 % of the bytes, and time.
    """

    stream: VideoStream
    encoder: str
    """FFmpeg's name of it."""

    def __init__(self, out: OutputContainer, plan: EncodePlan, threads: int, *, frame_threads: bool = False) -> None:
        self.encoder = plan.encoder
        self.stream = add_video(out, plan, threads, frame_threads=frame_threads)

    def encode(self, frame: VideoFrame | None) -> Sequence[Packet[VideoStream]]:
        """Hand a frame in, or None at the end; gives the packets that are done."""
        return self.stream.encode(frame)


def add_video(out: OutputContainer, plan: EncodePlan, threads: int, *, frame_threads: bool = False) -> VideoStream:
    """Add the encoded stream to a container, its encoder open."""
    stream: VideoStream = out.add_stream(plan.encoder, rate=plan.rate, options=dict(plan.options))  # type: ignore[assignment]
    configure(stream.codec_context, plan, threads)
    stream.time_base = plan.time_base
    tag_track(stream, plan)
    if frame_threads:
        stream.codec_context.thread_type = "FRAME"
    open_encoder(stream.codec_context)
    return stream


def tag_track(stream: VideoStream, plan: EncodePlan) -> None:
    """Say in the container how players are to take the stream."""
    context = stream.codec_context
    if context.name.startswith("hevc") or context.name == "libx265":
        assert stream.container is not None
        if stream.container.format.name in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # Apple's players refuse the muxer's own choice, hev1
    if plan.display_matrix:
        stream.set_display_matrix(plan.display_matrix)
