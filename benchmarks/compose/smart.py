"""Copying what does not change, beside encoding all of it by FFmpeg's command line."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import av

from benchmarks.compose.tables import row
from benchmarks.inpaint.processes import watched
from vtid.engine.isolation import FRUGAL

ENCODE = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-c:a", "copy"]
CUT_S = 4.5, 24.5
"""Groups of pictures are 2 s long: one and a half seconds are rendered at the beginning, half a one at the end."""
_HOW = (str(len(os.sched_getaffinity(0))), "--spec")
TEXT = {"text": "Three seconds", "position": "bottom", "start_time": 40, "end_time": 43, "font_size": 72}


def smart(folder: Path, source: Path, ffmpeg: str, rounds: int) -> None:
    """A cut of 20 s, and 3 s of text on 80 s; each by the composer, and by `vtid compose`, start of all included."""
    film = folder / "long.mp4"
    if not film.exists():
        repeated(source, film, 10)
    begin, end = CUT_S
    clip: dict[str, Any] = {"video_url": "asset:long"}
    cut = {"clips": [clip | {"trim_start": begin, "trim_end": end}]}
    part = ["-ss", str(begin), "-t", str(end - begin), "-i", str(film)]
    print("| 1080p30, CPU in s | vtid | all encoded by ffmpeg | ratio | goal |")
    print("|---|---:|---:|---:|---:|")
    for name, document, given in (
        ("a cut of 20 s", cut, part),
        ("3 s of text on 80 s", {"clips": [clip], "overlays": [TEXT]}, ["-i", str(film)]),
    ):
        spec, target = folder / "smart.json", folder / "smart.mp4"
        spec.write_text(json.dumps(document | {"output": {"resolution": "source", "fps": "source"}}))
        pairs, commands = [], []
        for _ in range(rounds):
            ours = watched(
                [sys.executable, "-m", "benchmarks.compose.ours", str(folder), str(target), *_HOW, str(spec)],
                FRUGAL,
            )
            theirs = watched([ffmpeg, "-v", "error", "-y", *given, *ENCODE, str(folder / "all.mp4")])
            pairs.append((ours.cpu_s, theirs.cpu_s))
            spec.write_text(spec.read_text().replace("asset:long", film.name))
            command = watched(
                [sys.executable, "-m", "vtid.cli", "compose", str(spec), "-o", str(target), "--overwrite"]
            )
            commands.append((command.cpu_s, theirs.cpu_s))
            spec.write_text(spec.read_text().replace(film.name, "asset:long"))
        row(name, pairs, "≤ 0.20", digits=2)
        row(f"{name}, by `vtid compose`, its start included", commands, "", digits=2)


def repeated(source: Path, target: Path, times: int) -> None:
    """A film packet by packet again and again. What its sound has beyond the picture is left out."""
    with av.open(str(target), "w") as out:
        copies: dict[int, Any] = {}
        begin_s = 0.0
        for _ in range(times):
            with av.open(str(source)) as film:
                length = film.streams.video[0].duration * film.streams.video[0].time_base
                copies = copies or {stream.index: out.add_stream_from_template(stream) for stream in film.streams}
                for packet in film.demux():
                    if (
                        packet.dts is None
                        or packet.pts < 0
                        or (packet.pts + packet.duration) * packet.time_base > length
                    ):
                        continue
                    shift = round(begin_s / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = copies[packet.stream.index]
                    out.mux(packet)
                begin_s += length
