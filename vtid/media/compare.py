"""Two files beside each other: what must be the same after an edit, measured and not taken from what the files say."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.stream import Stream
from msgspec import Struct

from vtid.media.containers import open_input, reading
from vtid.media.decode import frames


class Facts(Struct, frozen=True):
    """What was counted in one file."""

    frames: int
    """Decoded, one by one."""
    duration_s: float
    """From the first to the last frame."""
    audio_packets: int
    audio_sha256: str
    """Of the sound as it is coded, with the time of each packet; of all audio streams."""


class Comparison(Struct, frozen=True):
    """A file before and after."""

    before: Facts
    after: Facts

    @property
    def same_frames(self) -> bool:
        """As many frames."""
        return self.before.frames == self.after.frames

    @property
    def same_duration(self) -> bool:
        """As long, to the millisecond in which containers count."""
        return abs(self.before.duration_s - self.after.duration_s) <= 0.001

    @property
    def same_audio(self) -> bool:
        """The sound is the same, bit for bit and at the same times."""
        return self.before.audio_sha256 == self.after.audio_sha256


def compare(before: Path, after: Path) -> Comparison:
    """Measure two files. Raises `MediaError` where one cannot be read."""
    return Comparison(measure(before), measure(after))


def measure(path: Path) -> Facts:
    """Count and hash what a file holds."""
    count, last = 0, 0.0
    for frame in frames(path):
        count, last = count + 1, frame.time_s
    packets, digest = _sound(path)
    return Facts(count, round(last, 6), packets, digest)


def _sound(path: Path) -> tuple[int, str]:
    """How many packets of sound there are, and a hash over them, stream by stream: files interleave them differently."""
    with open_input(path) as container, reading(path):
        hashes = [_stream_hash(container, stream) for stream in container.streams.audio]
    return sum(count for count, _ in hashes), hashlib.sha256("".join(h for _, h in hashes).encode()).hexdigest()


def _stream_hash(container: InputContainer, stream: Stream) -> tuple[int, str]:
    count, digest = 0, hashlib.sha256()
    container.seek(0)
    for packet in container.demux(stream):
        if packet.size:
            time = Fraction(packet.pts or 0) * (packet.time_base or 0)
            digest.update(f"{float(time):.4f};".encode() + bytes(packet))
            count += 1
    return count, digest.hexdigest()
