"""What an editor needs of a file before it edits it: when each frame is shown, how loud it is, where shots begin.

All times are seconds of the film, counted from its first frame, as everywhere in vtid.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Protocol

from msgspec import Struct

Progress = Callable[[float], None]
"""Is told how far something is, 0 to 1."""


class Timing(Struct, frozen=True):
    """When each frame of a film is shown; what edit lists hide is not counted.

    Frames come, in ticks, at 0, `step`, 2 · `step` … where `step` is set, else at the running sums of `deltas`.
    """

    frames: int
    time_base: str
    """Seconds of a tick, as a fraction: `1/90000`."""
    start_s: float
    """When a player shows the first frame, on its own clock: more than 0 where the sound begins first."""
    step: int | None
    """Ticks from each frame to the next, where they are the same everywhere."""
    deltas: list[int]
    """Ticks from each frame to the next, one fewer than frames; empty where `step` is set."""
    last: int
    """Ticks for which the last frame is shown."""

    @property
    def ticks(self) -> Sequence[int]:
        """When each frame is shown, in ticks from the first."""
        if self.step is not None:
            return range(0, self.frames * self.step, self.step) if self.step else [0] * self.frames
        return array("q", accumulate(self.deltas, initial=0))

    @property
    def duration_s(self) -> float:
        """From the first frame to the end of the last."""
        return float(((self.ticks[-1] if self.frames else 0) + self.last) * Fraction(self.time_base))


class Level(Struct, frozen=True):
    """One level of the pyramid of a waveform, and where it lies in the file."""

    per_second: float
    samples_per_pixel: int
    length: int
    """Pairs of minimum and maximum."""
    offset: int
    """Bytes from the beginning of the file."""
    size: int
    """Bytes, header included."""


class Waveform(Struct, frozen=True):
    """How loud a film is, from fine to coarse."""

    sample_rate: int
    duration_s: float
    levels: list[Level]


class Sprites(Struct, frozen=True):
    """Thumbnails on sheets, in rows from left to right, sheet after sheet."""

    width: int
    """Of a thumbnail, pixels."""
    height: int
    columns: int
    rows: int
    """Of a full sheet."""
    interval_s: float
    """Seconds of the film that each stands for; it shows the middle of them."""
    count: int
    sheets: int


class Shot(Struct, frozen=True):
    """A stretch between two cuts."""

    start_s: float
    end_s: float
    first: int
    """Frame."""
    last: int
    """Lies outside."""
    change: float
    """How much the picture changes at its beginning, 0 to 255; 0 of the first."""


class Previewing(Protocol):
    """Making previews. `vtid.media.previews` is behind it."""

    def timing(self, path: Path) -> Timing:
        """When each frame of a film is shown: by its packets, or by decoding where these cannot be believed."""

    def proxy(self, path: Path, target: Path, *, progress: Progress = ...) -> str:
        """A small copy (720p at most) that players seek to the frame, every frame at its own time. Gives the encoder.

        H.264 without B frames, a key frame every 12 to 15 frames, AAC, its index in front; upright, square pixels,
        BT.709. Second 0 is the first frame.

        Args:
            path: of a video.
            target: an `.mp4` that does not exist yet. Nothing is left there when this raises.
            progress: see `Progress`.
        """

    def waveform(self, path: Path, target: Path, *, progress: Progress = ...) -> Waveform:
        """Peaks of the sound: the least and the greatest sample of each stretch as int8, from 100 a second on.

        The file holds one block for each level, the finest first, each of them a whole file in audiowaveform's binary
        format, version 2, 8 bits, one channel (the extremes of left and right).

        Raises:
            MediaError: there is no sound, or none that decodes.
        """

    def sprites(
        self, path: Path, folder: Path, *, most: int = ..., side: int = ..., progress: Progress = ...
    ) -> tuple[Sprites, list[Path]]:
        """Thumbnails on sheets (JPEG): at most one a second, and `most` in all.

        Args:
            path: of a video; of one with many key frames, such as a proxy, only these are decoded.
            folder: where `sprite-1.jpg` and the others go.
            most: thumbnails.
            side: the longer side of one, pixels.
            progress: is told how far it is, from 0 to 1.
        """

    def shots(self, path: Path, *, progress: Progress = ...) -> list[Shot]:
        """The shots of a film: where the picture changes far more than around that frame. Fades are no cuts."""

    def still(self, path: Path, target: Path, time_s: float, *, width: int | None = None) -> tuple[int, int]:
        """The picture at a time as a JPEG or PNG, by the target's ending, as a player shows it. Gives its size."""
