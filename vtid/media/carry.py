"""Carrying streams, metadata and chapters over to another file as they are."""

from __future__ import annotations

import io
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import av
from av import Packet
from av.container import InputContainer, OutputContainer
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from vtid.errors import MediaError

S = TypeVar("S", bound=Stream)

_STALE = ("encoder", "DURATION", "BPS", "NUMBER_OF_FRAMES", "NUMBER_OF_BYTES", "_STATISTICS")
"""Metadata that describes the old file's bytes; the muxer writes its own."""

_BRANDS = ("major_brand", "minor_version", "compatible_brands")

_ISO = ("mp4", "mov", "3gp")


def refusal(stream: Stream, target: str) -> str | None:
    """Why a stream can't be carried over to the container `target`, or None where it can.

    The answer comes from the muxer: it either writes a header with the stream in it, or it doesn't.
    """
    if target == "avi" and stream.codec_context and stream.codec_context.name == "aac":
        return f"audio track {stream.index} (aac): avi cannot hold its times"
    try:
        with av.open(io.BytesIO(), "w", format=target) as scratch:
            clone(scratch, stream)
            scratch.start_encoding()
    except Exception as error:  # noqa: BLE001 - each muxer has its own way to refuse
        return f"{stream.type} track {stream.index} ({_codec(stream)}): {target} cannot hold it ({error})"
    return None


def rebuilt(stream: Stream, source: InputContainer, target: str) -> bool:
    """True for tracks that the muxer writes anew from metadata: chapters and time codes of MP4 and MOV."""
    if target not in _ISO or stream.type != "data":
        return False
    chapter_text = stream.discard == Discard.all and bool(source.chapters())
    return chapter_text or "timecode" in stream.metadata


def _codec(stream: Stream) -> str:
    return stream.codec_context.name if stream.codec_context else (stream.name or "unknown codec")


def add_streams(out: OutputContainer, streams: list[Stream], source: Path) -> dict[int, Stream]:
    """Add streams that take the packets of others as they are.

    Returns:
        Index of the old stream -> new stream, less those that have no packets in the new file.
    """
    matroska = out.format.name == "matroska"
    added = {
        stream.index: _add_cover(out, stream, source) if matroska and is_cover(stream) else clone(out, stream)
        for stream in streams
    }
    return {index: stream for index, stream in added.items() if stream.type != "attachment"}


def is_cover(stream: Stream) -> bool:
    """True for a picture that goes with the file, and is no video."""
    return Disposition.attached_pic in stream.disposition


def _add_cover(out: OutputContainer, stream: Stream, source: Path) -> Stream:
    """Matroska keeps covers as attached files; as a stream, the picture would come out as a second video."""
    kind = "jpeg" if _codec(stream) == "mjpeg" else _codec(stream)
    with av.open(f"file:{source}") as again:
        packets = (bytes(packet) for packet in again.demux(again.streams[stream.index]) if packet.size)
        picture = next(packets, b"")
    name = stream.metadata.get("filename", f"cover.{'jpg' if kind == 'jpeg' else kind}")
    return out.add_attachment(name, stream.metadata.get("mimetype", f"image/{kind}"), picture)


def clone(out: OutputContainer, stream: S) -> S:
    """Add a stream that takes the packets of `stream` as they are."""
    copy = out.add_stream_from_template(stream, opaque=True)
    copy.time_base = stream.time_base
    describe(copy, stream)
    if stream.codec_context and stream.codec_context.name == "hevc" and out.format.name in _ISO:
        copy.codec_context.codec_tag = "hvc1"  # Apple's players refuse the muxer's own choice, hev1
    return copy


def describe(copy: Stream, stream: Stream) -> None:
    """Carry metadata and disposition over."""
    copy.metadata.update({key: text for key, text in stream.metadata.items() if not key.startswith(_STALE)})
    copy.disposition = stream.disposition


def describe_file(out: OutputContainer, source: InputContainer) -> None:
    """Carry the file's metadata and chapters over."""
    kept = {key: text for key, text in source.metadata.items() if key not in _BRANDS and not key.startswith(_STALE)}
    out.metadata.update(kept)
    if chapters := source.chapters():
        out.set_chapters(chapters)


def has_maker_tags(source: InputContainer) -> bool:
    """True where metadata has names of a maker's own, as phones and cameras write."""
    return any(key.startswith("com.") for key in source.metadata)


class Cargo:
    """All that goes beside the edited video: streams that are taken over as they are, metadata, chapters.

    Args:
        out: a container without streams yet. They are added in the source's order.
        source: the file.
        path: of the file.
        video: the stream of the source that is edited.
        add_video: adds the stream that it becomes.

    Raises:
        MediaError: the container can't hold the sound; losing it is not a thing to say afterwards.
    """

    def __init__(
        self,
        out: OutputContainer,
        source: InputContainer,
        path: Path,
        video: VideoStream,
        add_video: Callable[[], VideoStream],
    ) -> None:
        self.copied = 0
        self.dropped: list[str] = []
        carried: dict[int, Stream] = {}
        name = out.format.name
        for stream in source.streams:
            if stream.index == video.index:
                self.video = add_video()
                describe(self.video, video)
            elif rebuilt(stream, source, name):
                continue
            elif reason := refusal(stream, name):
                self._drop(stream, reason)
            else:
                carried |= add_streams(out, [stream], path)
                self.copied += 1
        for stream in source.streams:
            if stream.index not in carried and stream.index != video.index:
                stream.discard = Discard.all
        describe_file(out, source)
        self.carried = [source.streams[index] for index in carried]
        self.carrier = Carrier(out, carried)

    def _drop(self, stream: Stream, reason: str) -> None:
        if stream.type == "audio":
            raise MediaError(f"The sound would be lost: {reason}. Ask for another container, such as mkv.")
        self.dropped.append(reason)


class Carrier:
    """Holds packets of carried streams back until the edited video has come as far, so that the file stays interleaved.

    What is held is no more than what the source has beside the frames that edit and encoder hold.
    """

    def __init__(self, out: OutputContainer, streams: dict[int, Stream]) -> None:
        self._out = out
        self._streams = streams
        self._held: deque[Packet[Stream]] = deque()
        self._undated: defaultdict[int, list[Packet[Stream]]] = defaultdict(list)

    def take(self, packet: Packet[Stream]) -> None:
        """Take a packet of the source, of whatever stream."""
        index = packet.stream.index
        if index not in self._streams or not packet.size:
            return
        if is_cover(packet.stream):
            packet.pts = packet.dts = 0
        if packet.dts is None:
            self._undated[index].append(packet)
            return
        if early := self._undated.pop(index, None):
            self._held.extend(_dated(early, packet.dts))
        self._held.append(packet)

    def release(self, until: Fraction | None = None) -> None:
        """Write what comes before a time, in seconds; without one, all that is held."""
        while self._held and (until is None or packet_time(self._held[0]) <= until):
            packet = self._held.popleft()
            packet.stream = self._streams[packet.stream.index]
            self._out.mux_one(packet)

    def finish(self) -> None:
        """Write what is left, at the end of the source."""
        for early in self._undated.values():
            self._held.extend(_dated(early, max(each.pts or 0 for each in early) + 1))
        self._undated.clear()
        self.release()


def _dated(early: list[Packet[Stream]], next_dts: int) -> Iterator[Packet[Stream]]:
    """Give decoding times to packets that have none, counting back from the first that has one.

    Matroska stores presentation times only. FFmpeg works the others out, but not for the first packets of a stream with
    B-frames: to leave those out, as is often done, loses the first key frame and all that hangs on it.
    """
    step = max(1, min(packet.duration or 1 for packet in early))
    shown = min((packet.pts for packet in early if packet.pts is not None), default=next_dts)
    last = min(next_dts, shown + step)  # none is decoded after it is shown
    for back, packet in zip(range(len(early), 0, -1), early, strict=True):
        packet.dts = last - back * step
        yield packet


def packet_time(packet: Packet[Any]) -> Fraction:
    """When a packet is decoded, in seconds."""
    return (packet.dts or 0) * packet.time_base
