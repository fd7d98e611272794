"""Thumbnails of a whole film on a few sheets."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from pathlib import Path

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from vtid.domain.previewing import Progress, Sprites
from vtid.domain.timeline import Canvas, Placing
from vtid.media.compose.geometry import place, reduced, shape_of
from vtid.media.compose.graphs import Chain, to_sdr
from vtid.media.containers import open_input, reading
from vtid.media.decode import Decoder, main_video
from vtid.media.frame import PlanarFrame
from vtid.media.sidedata import is_mirrored
from vtid.media.smart.index import Index, read_index
from vtid.media.still import write_picture

MOST = 500
SIDE = 160
LEAST_INTERVAL_S = 1.0
COLUMNS = ROWS = 10
QUALITY = 75
_NEAR = 0.5
"""Key frames alone will do where one lies within this part of an interval from every time that is wanted."""

Tile = NDArray[np.uint8]


def sprites(
    path: Path, folder: Path, threads: int, progress: Progress, *, most: int, side: int
) -> tuple[Sprites, list[Path]]:
    """See `vtid.sdk.Previewing.sprites`."""
    with open_input(path) as container:
        stream = main_video(container, path.name)
        base = stream.time_base or Fraction(1, 1000)
        index = read_index(container, stream, path)
    known = _length(index, base) if index.pts and not index.doubt else None
    length = known if known is not None else _declared(path)
    interval = max(LEAST_INTERVAL_S, length / most)
    count = max(1, ceil(length / interval - 1e-9))
    wanted = [(number + 0.5) * interval for number in range(count)]
    keys = known is not None and _keys_are_near(index, base, wanted, interval)
    tiles = list(_tiles(path, threads, wanted, side, progress, keys_only=keys))
    height, width = tiles[0].shape[:2]
    columns = min(COLUMNS, count)
    sheets = []
    for number, first in enumerate(range(0, count, COLUMNS * ROWS), 1):
        sheet = folder / f"sprite-{number}.jpg"
        write_picture(sheet, _sheet(tiles[first : first + COLUMNS * ROWS], columns), quality=QUALITY)
        sheets.append(sheet)
    rows = min(ROWS, -(-count // columns))
    return Sprites(width, height, columns, rows, round(interval, 6), count, len(sheets)), sheets


def _length(index: Index, base: Fraction) -> float:
    return float((index.pts[-1] - index.pts[0] + index.last_duration) * base)


def _declared(path: Path) -> float:
    from vtid.media.probe import probe  # noqa: PLC0415 - for the few whose packets have no times

    return probe(path).duration_s


def _keys_are_near(index: Index, base: Fraction, wanted: list[float], interval: float) -> bool:
    keys = (np.frombuffer(index.anchors.pts, np.int64) - index.pts[0]) * float(base)
    if not len(keys):
        return False
    after = np.searchsorted(keys, wanted).clip(0, len(keys) - 1)
    away = np.minimum(np.abs(keys[after] - wanted), np.abs(keys[np.maximum(after - 1, 0)] - wanted))
    return bool(away.max() <= _NEAR * interval)


def _tiles(
    path: Path, threads: int, wanted: list[float], side: int, progress: Progress, *, keys_only: bool
) -> Iterator[Tile]:
    """The picture nearest to each time."""
    shrink: Chain | None = None

    def tile(frame: PlanarFrame) -> Tile:
        nonlocal shrink
        if shrink is None:
            shrink = _shrinker(frame.av, path, side)
        return shrink(frame.av).to_ndarray(format="bgr24")  # type: ignore[return-value]

    at = 0
    before: PlanarFrame | None = None
    for frame in _frames(path, threads, keys_only=keys_only):
        while at < len(wanted) and wanted[at] <= frame.time_s:
            nearer = before is not None and wanted[at] - before.time_s < frame.time_s - wanted[at]
            yield tile(before if nearer and before else frame)
            at += 1
        before = frame
        progress(min(1.0, frame.time_s / wanted[-1]))
        if at == len(wanted):
            return
    assert before is not None
    last = tile(before)
    for _ in range(len(wanted) - at):
        yield last


def _frames(path: Path, threads: int, *, keys_only: bool) -> Iterator[PlanarFrame]:
    with open_input(path) as container, reading(path):
        stream = main_video(container, path.name)
        decoder = Decoder(path, stream, threads)
        if keys_only:
            stream.codec_context.skip_frame = "NONKEY"
        for packet in container.demux(stream):
            yield from decoder.decode(packet)
        decoder.require_frames()


def _shrinker(frame: VideoFrame, path: Path, side: int) -> Chain:
    """Makes thumbnails of frames: upright, of square pixels, the longer side as wished."""
    with open_input(path) as container:
        aspect = Fraction(main_video(container, path.name).sample_aspect_ratio or 1) or Fraction(1)
    shape = shape_of(frame, aspect, mirrored=is_mirrored(frame))
    width, height = Fraction(frame.width) * aspect, Fraction(frame.height)
    if shape.turn % 180:
        width, height = height, width
    by = Fraction(side) / max(width, height)
    size = max(2, 2 * round(width * by / 2)), max(2, 2 * round(height * by / 2))
    fill, canvas = Placing(fit="stretch"), Canvas(*size, Fraction(25))
    placed = place(shape, fill, canvas, pad=False)
    return Chain(frame, [*to_sdr(frame, reduced(shape, fill, canvas)), *placed.filters, ("format", "yuv420p")])


def _sheet(tiles: list[Tile], columns: int) -> Tile:
    """Tiles in rows; what is left free of the last is black."""
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for number, tile in enumerate(tiles):
        y, x = number // columns * height, number % columns * width
        sheet[y : y + height, x : x + width] = tile
    return sheet
