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
from vtid.media.probe import probe, require_video

SLIDE_S = 0.01
"""Less than anybody sees between lips and voice, more than containers round by."""


class Facts(Struct, frozen=True):
    """What was counted in one file."""

    frames: int
    """Decoded, one by one."""
    duration_s: float
    """From the first to the last frame."""
    audio_packets: int
    audio_start_s: float
    """When the first of them is heard, from the first frame."""
    audio_sha256: str
    """Of the sound as it is coded, of all audio streams."""


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
        """The sound is the same bit for bit, and has not slid against the picture."""
        slid = abs(self.before.audio_start_s - self.after.audio_start_s)
        return self.before.audio_sha256 == self.after.audio_sha256 and slid <= SLIDE_S


def compare(before: Path, after: Path) -> Comparison:
    """Measure two files. Raises `MediaError` where one cannot be read."""
    return Comparison(measure(before), measure(after))


def measure(path: Path) -> Facts:
    """Count and hash what a file holds."""
    base = Fraction(require_video(probe(path), path.name).time_base)
    count, last, origin = 0, 0.0, 0.0
    for frame in frames(path):
        if not count:
            origin = float(frame.pts * base)
        count, last = count + 1, frame.time_s
    packets, start, digest = _sound(path)
    return Facts(count, round(last, 6), packets, round(start - origin, 6), digest)


def _sound(path: Path) -> tuple[int, float, str]:
    """How many packets of sound there are, when the first is heard, and a hash over them.

    Stream by stream: files differ in how they interleave.
    """
    with open_input(path) as container, reading(path):
        found = [_stream(container, stream) for stream in container.streams.audio]
    digest = hashlib.sha256("".join(each[2] for each in found).encode()).hexdigest()
    return sum(each[0] for each in found), min((each[1] for each in found), default=0.0), digest


def _stream(container: InputContainer, stream: Stream) -> tuple[int, float, str]:
    count, start, digest = 0, 0.0, hashlib.sha256()
    container.seek(0)
    for packet in container.demux(stream):
        if packet.size:
            if not count:
                start = float((packet.pts or 0) * (packet.time_base or 0))
            digest.update(bytes(packet))
            count += 1
    return count, start, digest.hexdigest()
