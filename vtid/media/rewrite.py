"""Writing a file anew with its pictures edited and everything else carried over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from av import Packet
from av.container import InputContainer, OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from vtid.errors import MediaError
from vtid.media import carry
from vtid.media.containers import open_input, open_output, output_format, reading, removed_on_failure
from vtid.media.decode import Decoder, lateness, main_video, require_whole_file
from vtid.media.encoders import EncodePlan
from vtid.media.frame import PlanarFrame
from vtid.media.hardware import Hardware
from vtid.media.output import Track, encode_plan, open_target
from vtid.media.pixels import to_planar
from vtid.sdk import EncodeOptions, Rewritten

Edit = Callable[[Iterator[Any]], Iterable[Any]]


def rewrite(
    source: Path,
    target: Path,
    edit: Edit,
    options: EncodeOptions,
    *,
    threads: int = 1,
    hardware: Hardware | None = None,
) -> Rewritten:
    """Write `source` to `target` with its first video stream edited and everything else carried over.

    Nothing is left at `target` when this raises.

    Raises:
        MediaError: the source is cut off, doesn't decode, or can't be kept as it is in the target's container.
        InvalidInput: the target's ending or the codec asked for won't do.
        RuntimeError: the edit lost, doubled or reordered frames.
    """
    container_name, cards = output_format(target), hardware or Hardware()
    with open_input(source) as container:
        tape = _Tape(container, source, threads)
        plan = encode_plan(tape.stream, tape.first().av, container_name, options)
        with removed_on_failure(target), open_target(container, target, plan.time_base) as out:
            with ExitStack() as held:
                writer = _Writer(out, tape, plan, lambda: held.enter_context(cards.track(out, plan, threads)))
                writer.encode(edit(tape.frames()))
            return Rewritten(
                frames=writer.frames,
                encoder=writer.track.encoder,
                copied_streams=writer.cargo.copied,
                dropped=tuple(writer.cargo.dropped),
                rendered_spans=1,
                rendered_frames=writer.frames,
                reason="every frame was given to the edit",
            )


class _Tape:
    """One pass over the source: frames come out decoded, all other packets go to whoever asked for them."""

    def __init__(self, container: InputContainer, path: Path, threads: int) -> None:
        self.path = path
        with reading(path):
            self.container = container
            self.stream = main_video(container, path.name)
            require_whole_file(container, self.stream, path)
            self._decoder = Decoder(path, self.stream, threads)
        self._early: list[Packet[Stream]] = []
        self.on_packet: Callable[[Packet[Stream]], None] = self._early.append
        self._frames = self._run()
        self._first: PlanarFrame | None = None
        self.read = 0

    def first(self) -> PlanarFrame:
        """The first frame, which comes out of `frames()` again."""
        self._first = next(self._frames, None)
        self._decoder.require_frames()
        assert self._first is not None
        return self._first

    def send_packets(self, taker: Callable[[Packet[Stream]], None]) -> None:
        """Say who takes the packets of all other streams, beginning with those that have already passed."""
        for packet in self._early:
            taker(packet)
        self._early.clear()
        self.on_packet = taker

    def frames(self) -> Iterator[PlanarFrame]:
        """All frames in order."""
        frame, self._first = self._first, None
        while frame is not None:
            self.read += 1
            yield frame
            frame = next(self._frames, None)

    def more(self) -> bool:
        """Are there frames that nobody has taken?"""
        return self._first is not None or next(self._frames, None) is not None

    def last_duration(self, frame: PlanarFrame) -> int:
        """How long the last frame is shown, in ticks; the frame itself says how far apart packets lie, not frames."""
        begin, length = self.stream.start_time, self.stream.duration
        left = begin + length - frame.pts if begin is not None and length else 0
        return left if left > 0 else frame.av.duration

    def _run(self) -> Iterator[PlanarFrame]:
        with reading(self.path):
            for packet in self.container.demux():
                if packet.stream.index == self.stream.index:
                    yield from self._decoder.decode(packet)  # type: ignore[arg-type]
                else:
                    self.on_packet(packet)


class _Writer:
    """The target: one encoded stream, and the carried ones beside it."""

    def __init__(self, out: OutputContainer, tape: _Tape, plan: EncodePlan, open_track: Callable[[], Track]) -> None:
        self._out = out
        self._tape = tape
        self._plan = plan
        self._late = lateness(tape.container, tape.path)
        self._durations: dict[int, int] = {}
        self.frames = 0
        self.track: Track

        def add() -> VideoStream:
            self.track = open_track()
            return self.track.stream

        self.cargo = carry.Cargo(out, tape.container, tape.path, tape.stream, add)
        tape.send_packets(self.cargo.carrier.take)

    def encode(self, frames: Iterable[PlanarFrame]) -> None:
        """Encode the frames and write them with all that lies beside them."""
        held: PlanarFrame | None = None  # one frame back: how long it is shown is known when the next one comes
        for frame in frames:
            if held is not None:
                if frame.pts <= held.pts:
                    raise RuntimeError(f"the edit yielded frame {frame.index} after frame {held.index}")
                self._encode(held, frame.pts - held.pts)
            held = frame
            self.frames += 1
        if self.frames != self._tape.read or self._tape.more():
            raise RuntimeError(f"the edit yielded {self.frames} frames of {self._tape.read} or more that there are")
        if held is not None:
            self._encode(held, self._tape.last_duration(held))
        self._mux(self.track.encode(None))
        self.cargo.carrier.finish()

    def _encode(self, frame: PlanarFrame, duration: int) -> None:
        picture = to_planar(frame.av, self._plan.pixel_format)
        picture.pict_type = 0  # or the encoder repeats the source's I, P and B
        picture.pts, picture.time_base = frame.pts - self._late, self._tape.stream.time_base
        if self._plan.time_base == picture.time_base:
            self._durations[picture.pts] = duration
        self._mux(self.track.encode(picture))

    def _mux(self, packets: Iterable[Packet[VideoStream]]) -> None:
        for packet in packets:
            if known := self._durations.pop(packet.pts or 0, 0):
                packet.duration = known
            at = (packet.dts or 0) * packet.time_base
            self.cargo.carrier.release(until=at)
            self._out.mux_one(packet)


def remux(source: Path, target: Path) -> tuple[str, ...]:
    """Copy every stream, packet by packet, into the target's container.

    Returns:
        What the container could not hold, in words.

    Raises:
        MediaError: the source can't be read, or the container holds none of its video and audio.
        InvalidInput: the target's ending names no container.
    """
    container_name = output_format(target)
    with open_input(source) as container, removed_on_failure(target):
        refused = {
            stream.index: carry.refusal(stream, container_name)
            for stream in container.streams
            if not carry.rebuilt(stream, container, container_name)
        }
        kept = [container.streams[index] for index, reason in refused.items() if reason is None]
        dropped = tuple(reason for reason in refused.values() if reason)
        if not any(stream.type in ("video", "audio") for stream in kept):
            raise MediaError(f"{source.name} cannot go into {container_name}: {'; '.join(dropped) or 'it is empty'}.")
        with open_output(target, keep_tags=carry.has_maker_tags(container)) as out, reading(source):
            carried = carry.add_streams(out, kept, source)
            carry.describe_file(out, container)
            carrier = carry.Carrier(out, carried)
            for packet in container.demux(kept):
                carrier.take(packet)
                carrier.release()
            carrier.finish()
    return dropped
