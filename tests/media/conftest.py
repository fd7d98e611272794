from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from vtid.media import PyAVMedia
from vtid.media.synth import draw_clip


@pytest.fixture
def media() -> PyAVMedia:
    return PyAVMedia(threads=2)


@pytest.fixture
def clip(tmp_path: Path) -> Callable[..., Path]:
    """Draws a small clip and says where it is."""

    def draw(name: str = "source.mp4", **options: object) -> Path:
        path = tmp_path / name
        settings = {"seconds": 1.0, "width": 128, "height": 96, **options}
        draw_clip(path, **settings)  # type: ignore[arg-type]
        return path

    return draw


@pytest.fixture
def packets() -> Callable[[Path], dict[str, list[list[tuple[float, str]]]]]:
    """Type of stream -> for each of its streams, the time and digest of every packet."""

    def read(path: Path) -> dict[str, list[list[tuple[float, str]]]]:
        found: dict[int, list[tuple[float, str]]] = defaultdict(list)
        with av.open(str(path)) as container:
            kinds = {stream.index: stream.type for stream in container.streams}
            for packet in container.demux():
                if packet.size:
                    at = round(float((packet.pts or 0) * packet.time_base), 6)
                    found[packet.stream.index].append((at, hashlib.md5(bytes(packet)).hexdigest()))
        grouped: dict[str, list[list[tuple[float, str]]]] = defaultdict(list)
        for index, kind in kinds.items():
            grouped[kind].append(found[index])
        return grouped

    return read
