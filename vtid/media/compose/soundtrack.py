"""The sound of a film on its way into the file."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av import Packet
from av.audio.stream import AudioStream
from av.container import OutputContainer

from vtid.domain.timeline import SAMPLE_RATE, Composed, Mix, Sound, Stretch, Timeline, Writing
from vtid.media.compose.ahead import Ahead
from vtid.media.compose.loudness import Meter, gain_for, limited
from vtid.media.compose.mixing import mixed
from vtid.media.compose.sound import Samples, as_frame
from vtid.media.containers import removed_on_failure

SOUND_FILES = {".m4a": "ipod", ".mp3": "mp3", ".wav": "wav", ".ogg": "ogg"}
"""Ending of a file of sound alone -> its container, FFmpeg's name."""

_AUDIO = {"webm": "libopus", "ogg": "libopus", "mp3": "libmp3lame", "avi": "libmp3lame", "wav": "pcm_s16le"}
"""Container -> encoder of its sound; AAC elsewhere."""

_Encoded = tuple[int, "Sequence[Packet[AudioStream]]"]
"""Up to which sample, and what it became."""

_FULL_SCALE = 1.0
_ROUNDING = 1e-6


class SoundTrack:
    """Mixes, measures and encodes, as far as it is asked and a little further. To be closed.

    Args:
        out: where it goes; its streams are not written yet.
        timeline: with a mix.
        writing: how it is encoded.
        threads: with more than one, the sound is made in a thread of its own.
    """

    def __init__(self, out: OutputContainer, timeline: Timeline, writing: Writing, threads: int) -> None:
        assert timeline.mix is not None
        self.encoder = _AUDIO.get(out.format.name, "aac")
        self._out = out
        self._stream: AudioStream = cast("AudioStream", out.add_stream(self.encoder, rate=SAMPLE_RATE, layout="stereo"))
        self._stream.bit_rate = writing.audio_bit_rate
        self._pieces = finished(timeline.mix, timeline.samples)
        self._loudness: float | None = None
        self._at = 0
        self._stream.codec_context.open(strict=False)  # the container would do so later, while the thread encodes
        self._encoded = Ahead(self._encode()) if threads > 1 else self._encode()

    def write_until(self, time_s: Fraction) -> None:
        """Write what is heard until a time."""
        while self._at < time_s * SAMPLE_RATE and (piece := next(self._encoded, None)) is not None:
            self._write(piece)

    def finish(self) -> float | None:
        """Write the rest. Gives the loudness of all that was written."""
        for piece in self._encoded:
            self._write(piece)
        return self._loudness

    def close(self) -> None:
        """Drop what was not written."""
        self._encoded.close()

    def _encode(self) -> Generator[_Encoded, None, None]:
        meter, at = Meter(), 0
        for piece in self._pieces:
            meter.take(piece)
            packets = self._stream.encode(as_frame(piece, at))
            at += len(piece)
            yield at, packets
        self._loudness = meter.integrated()
        yield at, self._stream.encode(None)

    def _write(self, encoded: _Encoded) -> None:
        self._at, packets = encoded
        self._out.mux(packets)


def finished(mix: Mix, total: int) -> Iterator[Samples]:
    """The mix as it is written: at the loudness that was asked for, and nowhere over full scale."""
    if mix.loudness is not None:
        gain = gain_for(lambda: mixed(mix, total), mix.loudness)
        return limited(mixed(mix, total), gain) if gain is not None else mixed(mix, total)
    if _most(mix) > _FULL_SCALE + _ROUNDING:  # they might add up to more than a file holds
        return limited(mixed(mix, total), 1.0, _FULL_SCALE)
    return mixed(mix, total)


def _most(mix: Mix) -> float:
    """How loud a mix can be at most, if each sound is at full scale: gains and fades of those that are heard at once.

    It is so where one begins or ends or a fade does, as gains are straight lines in between.
    """
    edges = {
        edge
        for one in mix.sounds
        for edge in (one.at, one.at + one.fade_in, one.at + one.samples - one.fade_out, one.at + one.samples)
    }
    return max((sum(_gain(one, edge) for one in mix.sounds) for edge in edges), default=0.0)


def _gain(sound: Sound, at: int) -> float:
    """Of a sound at a sample of the mix."""
    since, left = at - sound.at, sound.at + sound.samples - at
    if since < 0 or left < 0:
        return 0.0
    if sound.fade_in + sound.fade_out > sound.samples:  # no straight lines any more
        return sound.gain
    come = min(1.0, since / sound.fade_in) if sound.fade_in else 1.0
    go = min(1.0, left / sound.fade_out) if sound.fade_out else 1.0
    return sound.gain * come * go


def sounded(timeline: Timeline, target: Path, writing: Writing, *, progress: Callable[[int], None]) -> Composed:
    """Write the sound of a film alone. Nothing is left on failure."""
    with (
        removed_on_failure(target),
        av.open(str(target), "w", format=SOUND_FILES[target.suffix]) as out,
        closing(SoundTrack(out, timeline, writing, 1)) as track,
    ):
        for frame in range(0, timeline.frames, max(1, round(timeline.canvas.rate))):
            track.write_until(Fraction(frame) / timeline.canvas.rate)
            progress(frame)
        loudness = track.finish()
    progress(timeline.frames)
    return Composed(
        frames=0,
        samples=timeline.samples,
        encoder=track.encoder,
        audio_encoder=track.encoder,
        loudness=loudness,
        stretches=(Stretch(0, timeline.frames, copied=False, why="only its sound is written"),),
    )
