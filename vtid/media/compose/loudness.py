"""Loudness as EBU R 128 measures it, and bringing a mix to a wanted one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import av
import numpy as np
from av.filter import Graph

from vtid.media.compose.graphs import chained
from vtid.media.compose.mixing import BLOCK
from vtid.media.compose.sound import SOURCE, Samples, as_frame, filtered

PEAK = 10 ** (-1.5 / 20)
"""Over which no sample goes that is made louder: -1.5 dB, as R 128 leaves room for what decoding adds."""

_NEAR = 0.3
"""LUFS by which a mix may miss what was wanted."""

_WHISPER = np.tile(np.array([[1e-9], [-1e-9]], np.float32), (BLOCK // 2, 2))
"""Is heard by nobody (-180 dB), and keeps the meter's filters from fading out in numbers so small that processors take
ten times as long for them."""

_TRIES = 3
_SILENCE = -69.0


class Meter:
    """Measures what passes."""

    def __init__(self) -> None:
        self._graph = Graph()
        self._source = self._graph.add("abuffer", SOURCE)
        self._sink = chained(self._graph, self._source, [("ebur128", "metadata=1"), ("abuffersink", "")])
        self._graph.configure()
        self._at = 0
        self._measured: float | None = None

    def take(self, piece: Samples) -> None:
        """Listen to the next samples."""
        self._source.push(as_frame(piece + np.resize(_WHISPER, piece.shape), self._at))
        self._at += len(piece)
        self._read()

    def integrated(self) -> float | None:
        """LUFS of all that was taken; None for silence. Nothing can be taken afterwards."""
        self._source.push(None)
        self._read()
        return None if self._measured is None or self._measured <= _SILENCE else self._measured

    def _read(self) -> None:
        while True:
            try:
                frame = self._sink.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            if (said := frame.metadata.get("lavfi.r128.I")) is not None:
                self._measured = float(said)


def limited(pieces: Iterable[Samples], gain: float, ceiling: float = PEAK) -> Iterator[Samples]:
    """The same, louder or softer, its peaks held under a ceiling; not a sample more or fewer."""
    limiter = ("alimiter", f"limit={ceiling:.4f}:level=disabled:latency=1")
    yield from filtered(pieces, [("volume", f"{gain:.6f}"), limiter])


def gain_for(mix: Callable[[], Iterable[Samples]], wanted: float) -> float | None:
    """By which factor a mix must be made louder to have a loudness once its peaks are held down; None for silence.

    Args:
        mix: gives it from the beginning, at each call.
        wanted: LUFS.
    """
    found = _loudness(mix())
    if found is None:
        return None
    gain_db = wanted - found
    for _ in range(_TRIES):
        gain = 10 ** (gain_db / 20)
        after = _loudness(limited(mix(), gain))
        if after is None or abs(after - wanted) <= _NEAR:
            break
        gain_db += wanted - after
    return 10 ** (gain_db / 20)


def _loudness(pieces: Iterable[Samples]) -> float | None:
    meter = Meter()
    for piece in pieces:
        meter.take(piece)
    return meter.integrated()
