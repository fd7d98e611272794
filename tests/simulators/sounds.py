"""Sounds that can be told apart, and how alike two are."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from vtid.media.dub import RATE, Sound


def chirp(seconds: float, low: float, high: float) -> Sound:
    """A tone that climbs from one frequency to the other: no two moments of it are alike."""
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * (low * time + (high - low) * time**2 / (2 * seconds))
    return np.asarray(0.5 * np.sin(phase), np.float32)


def write_sound(path: Path, sound: Sound) -> Path:
    """As a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((sound * 32767).astype("<i2").tobytes())
    return path


def likeness(one: Sound, at: float, other: Sound, other_at: float, seconds: float, *, slack_s: float = 0.05) -> float:
    """How alike two stretches of sound are, 0 to 1: the normalised correlation, where it is best within the slack.

    An encoder's delay is a few milliseconds, which a correlation at one single place would not forgive.
    """
    slack, count = round(slack_s * RATE), round((seconds - 2 * slack_s) * RATE)
    begin, wanted_at = round((at + slack_s) * RATE), round((other_at + slack_s) * RATE)
    wanted = other[wanted_at : wanted_at + count].astype(np.float64)
    around = one[max(0, begin - slack) : begin + count + slack].astype(np.float64)
    size = 1 << (len(around) + count).bit_length()
    cross = np.fft.irfft(np.fft.rfft(around, size) * np.conj(np.fft.rfft(wanted, size)), size)
    cross = cross[: len(around) - count + 1]
    energy = np.concatenate([[0.0], np.cumsum(around**2)])
    norms = np.sqrt((energy[count:] - energy[:-count])[: len(cross)] * (wanted**2).sum())
    return float(np.max(cross / np.maximum(norms, 1e-9)))
