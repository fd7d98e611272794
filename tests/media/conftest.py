from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest

from vtid.media import PyAVMedia
from vtid.media.synth import draw_clip


@pytest.fixture(autouse=True)
def ordinary() -> Iterator[None]:
    """No test leaves its thread more urgent than all others, as SVT-AV1 would (`vtid.media.priority`)."""
    yield
    if hasattr(os, "sched_getscheduler"):
        assert os.sched_getscheduler(0) == os.SCHED_OTHER


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


@pytest.fixture
def enrich() -> Callable[[Path, Path], None]:
    """Writes a clip anew with a title, chapters, a subtitle track and an attached font."""

    def enrich(plain: Path, rich: Path) -> None:
        text = plain.with_suffix(".srt")
        text.write_text("1\n00:00:00,200 --> 00:00:00,700\nBonjour\n")
        with av.open(str(plain)) as source, av.open(str(text)) as lines, av.open(str(rich), "w") as out:
            streams = {s.index: out.add_stream_from_template(s, opaque=True) for s in source.streams}
            subtitles = out.add_stream_from_template(lines.streams[0], opaque=True)
            subtitles.metadata["language"] = "fra"
            subtitles.disposition = av.stream.Disposition.forced
            out.add_attachment("font.ttf", "font/ttf", b"not really a font")
            streams[0].metadata["language"] = "ita"
            out.metadata["title"] = "A walk"
            base = Fraction(1, 1000)
            out.set_chapters(
                [
                    {"id": 1, "start": 0, "end": 400, "time_base": base, "metadata": {"title": "Out"}},
                    {"id": 2, "start": 400, "end": 1000, "time_base": base, "metadata": {"title": "Home"}},
                ]
            )
            line = next(lines.demux())
            line.stream = subtitles
            out.mux(line)
            for packet in source.demux():
                if packet.dts is not None:
                    packet.stream = streams[packet.stream.index]
                    out.mux(packet)

    return enrich
