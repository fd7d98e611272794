"""The peaks of a sound, from fine to coarse."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vtid.domain.previewing import Level, Progress, Waveform
from vtid.domain.timeline import SAMPLE_RATE, Sound
from vtid.errors import MediaError, Problem
from vtid.media.compose.sound import samples
from vtid.media.containers import removed_on_failure
from vtid.media.probe import probe

PER_SECOND = 100
FACTOR = 4
"""By how much each level is coarser than the one before."""
LEAST = 256
"""Pairs of the coarsest level, about; a screen is wider."""
_VERSION, _EIGHT_BITS = 2, 1
_HEADER = struct.Struct("<iIiiIi")
"""Of audiowaveform's binary format: version, flags, sample rate, samples per pixel, length, channels.
https://github.com/bbc/audiowaveform/blob/master/doc/DataFormat.md"""
_FULL = 127

Peaks = NDArray[np.int8]
"""n×2, minimum and maximum."""


def waveform(path: Path, target: Path, progress: Progress) -> Waveform:
    """See `vtid.sdk.Previewing.waveform`."""
    finest, total = _peaks(path, progress)
    levels: list[Level] = []
    step, peaks, offset = SAMPLE_RATE // PER_SECOND, finest, 0
    with removed_on_failure(target), target.open("wb") as file:
        while True:
            data = _HEADER.pack(_VERSION, _EIGHT_BITS, SAMPLE_RATE, step, len(peaks), 1) + peaks.tobytes()
            file.write(data)
            levels.append(Level(SAMPLE_RATE / step, step, len(peaks), offset, len(data)))
            if len(peaks) <= LEAST:
                break
            offset += len(data)
            step, peaks = step * FACTOR, coarser(peaks, FACTOR)
    return Waveform(SAMPLE_RATE, round(total / SAMPLE_RATE, 6), levels)


def _peaks(path: Path, progress: Progress) -> tuple[Peaks, int]:
    """The finest level, and how many samples there are."""
    step = SAMPLE_RATE // PER_SECOND
    expected = max(1.0, probe(path).duration_s * SAMPLE_RATE)
    out: list[Peaks] = []
    rest = np.zeros(0, np.float32)
    low = np.zeros(0, np.float32)
    total = 0
    for piece in samples(Sound(path, 0, 0)):
        total += len(piece)
        rest = np.concatenate((rest, piece.max(axis=1)))
        low = np.concatenate((low, piece.min(axis=1)))
        whole = len(rest) // step * step
        if whole:
            out.append(_quantised(low[:whole].reshape(-1, step), rest[:whole].reshape(-1, step)))
            rest, low = rest[whole:], low[whole:]
        progress(min(1.0, total / expected))
    if len(rest):
        out.append(_quantised(low[None], rest[None]))
    if not out:
        words = "has no sound that can be decoded"
        raise MediaError(f"{path.name} {words}.", problems=[Problem("", words, code="no_audio")])
    return np.concatenate(out), total


def _quantised(low: NDArray[np.float32], high: NDArray[np.float32]) -> Peaks:
    """Rows of samples as pairs of int8; what is over full scale is cut there."""
    pairs = np.stack((low.min(axis=1), high.max(axis=1)), axis=1)
    levels: Peaks = np.rint(np.clip(pairs, -1, 1) * _FULL).astype(np.int8)
    return levels


def coarser(peaks: Peaks, factor: int) -> Peaks:
    """Each `factor` pairs as one, the last from what is left."""
    missing = -len(peaks) % factor
    padded = np.concatenate((peaks, peaks[-1:].repeat(missing, axis=0))) if missing else peaks
    grouped = padded.reshape(-1, factor, 2)
    return np.stack((grouped[..., 0].min(axis=1), grouped[..., 1].max(axis=1)), axis=1)
