"""The mix: sounds added up, to the sample, with their fades, and given way to by one another.

Sounds are read as their time comes and closed when it is over: memory does not grow with how many there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from vtid.domain.timeline import SAMPLE_RATE, Mix, Sound
from vtid.media.compose.sound import Samples, samples

BLOCK = 9600
"""Samples that are mixed at a time, 0.2 s."""

_WINDOW = 480
"""Samples by which a voice is listened to, 10 ms; divides a block."""

_VOICE_LEVEL = 0.01
"""Loudness (RMS, of full scale) from which on it is a voice: -40 dB."""

_ATTACK_S, _HOLD_S, _RELEASE_S = 0.05, 0.3, 0.4
"""How fast the others give way, how long they wait for the next word, and how fast they come back."""


def mixed(mix: Mix, total: int) -> Iterator[Samples]:
    """The mix in blocks, `total` samples in all from where it begins."""
    begin, end = mix.before // BLOCK * BLOCK, mix.before + total
    voices = [_Part(sound, begin) for sound in mix.sounds if sound.bus == "voice"]
    others = [_Part(sound, begin) for sound in mix.sounds if sound.bus != "voice"]
    ducker = _Ducker(mix.duck_db) if mix.duck_db and voices and others else None
    for at in range(begin, end, BLOCK):
        block = _added(others, at)
        voice = _added(voices, at) if voices else None
        if voice is not None:
            if ducker:
                block *= ducker.gains(voice)
            block += voice
        yield block[max(0, mix.before - at) : end - at]


def _added(parts: list[_Part], at: int) -> Samples:
    block = np.zeros((BLOCK, 2), np.float32)
    for part in parts:
        part.add_to(block, at)
    return block


class _Part:
    """One sound on its way into the mix, of which blocks are taken from a sample on."""

    def __init__(self, sound: Sound, begin: int) -> None:
        self._sound = sound
        self._passed = max(0, begin - sound.at)
        self._pieces: Iterator[Samples] | None = None
        self._left: Samples = np.zeros((0, 2), np.float32)
        self._over = False

    def add_to(self, block: Samples, at: int) -> None:
        """Add what it has for a block that begins at a sample of the mix. To be called for each block in turn."""
        sound = self._sound
        first, last = max(0, sound.at - at), min(len(block), sound.at + sound.samples - at)
        if first < last and not self._over:
            found = self._take(last - first)
            self._over = len(found) < last - first
            block[first : first + len(found)] += found * self._gains(at + first - sound.at, len(found))
        if sound.at + sound.samples <= at + len(block):
            self._over, self._pieces = True, None

    def _take(self, count: int) -> Samples:
        """The next samples; fewer where the sound has ended."""
        if self._pieces is None:
            self._pieces = self._opened()
        have = [self._left]
        length = len(self._left)
        while length < count and (piece := next(self._pieces, None)) is not None:
            have.append(piece)
            length += len(piece)
        whole = np.concatenate(have) if len(have) > 1 else have[0]
        self._left = whole[count:]
        return whole[:count]

    def _opened(self) -> Iterator[Samples]:
        """The sound, less what was heard of it before."""
        sound, passed = self._sound, self._passed
        if sound.speed == 1 and not sound.loop:
            yield from samples(replace(sound, start_s=sound.start_s + Fraction(passed, SAMPLE_RATE)))
            return
        for piece in samples(sound):
            left = piece[passed:]
            passed = max(0, passed - len(piece))
            if len(left):
                yield left

    def _gains(self, begin: int, count: int) -> NDArray[np.float32] | float:
        """The gain of each sample from the sound's `begin`-th on."""
        sound = self._sound
        if not sound.fade_in and not sound.fade_out:
            return sound.gain
        at = np.arange(begin, begin + count, dtype=np.float64)
        gains = np.full(count, sound.gain)
        if sound.fade_in:
            gains *= np.clip(at / sound.fade_in, 0, 1)
        if sound.fade_out:
            gains *= np.clip((sound.samples - at) / sound.fade_out, 0, 1)
        return gains.astype(np.float32)[:, None]


class _Ducker:
    """Has others give way while a voice is heard."""

    def __init__(self, depth_db: float) -> None:
        self._least = 10 ** (-abs(depth_db) / 20)
        self._gain = 1.0
        self._quiet_s = _HOLD_S

    def gains(self, voice: Samples) -> NDArray[np.float32]:
        """The others' gain at each sample of a block, n×1."""
        levels = np.sqrt(np.mean(np.square(voice.reshape(-1, _WINDOW * 2)), axis=1))
        step_s = _WINDOW / SAMPLE_RATE
        points = [self._gain]
        for level in levels:
            self._quiet_s = 0.0 if level >= _VOICE_LEVEL else self._quiet_s + step_s
            if self._quiet_s < _HOLD_S:
                self._gain = max(self._least, self._gain - (1 - self._least) * step_s / _ATTACK_S)
            else:
                self._gain = min(1.0, self._gain + (1 - self._least) * step_s / _RELEASE_S)
            points.append(self._gain)
        marks = np.arange(len(points)) * _WINDOW
        return np.interp(np.arange(len(voice)), marks, points).astype(np.float32)[:, None]
