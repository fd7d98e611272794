"""The reference job: three clips of different kinds, two crossfades, music under their sound, two texts."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import cv2
import msgspec

from vtid import presets
from vtid.media import PyAVMedia
from vtid.media.synth import Look, draw_clip
from vtid.sdk import File, Overlay
from vtid_compose_ffmpeg.complaints import Complaints
from vtid_compose_ffmpeg.compose import given, texts
from vtid_compose_ffmpeg.document import Composition
from vtid_compose_ffmpeg.layout import Laid, lay_out

DOCUMENT = {
    "clips": [
        {"video_url": "asset:a", "trim_start": 2, "trim_end": 7},
        {"video_url": "asset:b", "trim_start": 2, "trim_end": 7, "transition": {"duration": 0.5}},
        {"video_url": "asset:c", "trim_start": 1.5, "trim_end": 6.5, "transition": {"duration": 0.5}},
    ],
    "audio": {"music_url": "asset:music", "music_volume": 0.3, "original_audio_volume": 0.7},
    "overlays": [
        {
            "text": "Holiday in the mountains",
            "position": "bottom",
            "start_time": 1,
            "end_time": 4,
            "font_size": 48,
            "outline": 3,
        },
        {
            "text": "The End",
            "position": "top",
            "start_time": 10,
            "end_time": 13.5,
            "font_size": 72,
            "font_color": "#FFE040",
            "outline": 4,
        },
    ],
    "output": {"resolution": "720p", "fps": 30},
}

LOOK = Look(options={"x264-params": "bitrate=11000"})
SOURCES = {
    "a": {"width": 1920, "height": 1080, "fps": 30, "look": LOOK},
    "b": {"width": 1920, "height": 1080, "fps": 25, "look": LOOK},
    "c": {"width": 1440, "height": 1080, "fps": 60, "look": LOOK},
}
SECONDS = 8


def make(folder: Path) -> dict[str, Path]:
    """Draw the sources, unless they are there."""
    paths = {name: folder / f"{name}.mp4" for name in SOURCES} | {"music": folder / "music.mp4"}
    for seed, (name, kind) in enumerate(SOURCES.items()):
        if not paths[name].exists():
            half = paths[name].with_suffix(".half.mp4")
            draw_clip(half, seconds=SECONDS, seed=seed, **kind)
            half.rename(paths[name])
    if not paths["music"].exists():
        draw_clip(paths["music"], seconds=20, width=64, height=64, fps=5, seed=9)
    return paths


def laid(paths: dict[str, Path], document: object = DOCUMENT) -> tuple[Laid, list[Overlay]]:
    """The job as vtid renders it."""
    film = msgspec.convert(document, Composition)
    named = {f"file_{name}": File(path) for name, path in paths.items()}
    files = given(named, PyAVMedia(), len(os.sched_getaffinity(0)))
    found = lay_out(film, files, presets.load())
    complaints = Complaints()
    overlays = texts(film, found, files, complaints)
    complaints.raise_any()
    return found, overlays


def filter_complex(paths: dict[str, Path], folder: Path) -> list[str]:
    """The same job for FFmpeg's command line: inputs and one graph."""
    found, overlays = laid(paths)
    rate, width, height = found.canvas.rate, found.canvas.width, found.canvas.height
    inputs: list[str] = []
    graph: list[str] = []
    for at, (clip, name) in enumerate(zip(found.main, "abc", strict=True)):
        inputs += [
            "-ss",
            str(float(clip.picture.start_s)),
            "-t",
            str(float(clip.frames / rate)),
            "-i",
            str(paths[name]),
        ]
        graph.append(
            f"[{at}:v]fps={rate}:start_time=0,scale={width}:{height}:force_original_aspect_ratio=decrease:flags=bicubic:"
            f"out_color_matrix=bt709:out_range=tv,pad={width}:{height}:-1:-1,setsar=1,format=yuv420p,settb=1/{rate}[v{at}]"
        )
        seconds = float(clip.frames / rate)
        graph.append(
            f"[{at}:a]aresample=48000:async=1:first_pts=0,aformat=sample_fmts=fltp:channel_layouts=stereo,"
            f"atrim=0:{seconds},apad=whole_dur={seconds},asetpts=N/SR/TB[a{at}]"
        )
    video, audio, offset = "v0", "a0", Fraction(0)
    for at in (1, 2):
        frames = found.main[at].entry.frames
        offset = found.main[at].first / rate
        graph.append(
            f"[{video}][v{at}]xfade=transition=fade:duration={float(frames / rate)}:offset={float(offset)}[x{at}]"
        )
        graph.append(f"[{audio}][a{at}]acrossfade=d={float(frames / rate)}:c1=tri:c2=tri[y{at}]")
        video, audio = f"x{at}", f"y{at}"
    inputs += ["-i", str(paths["music"])]
    total = float(found.frames / rate)
    graph.append(f"[3:a]aresample=48000,aformat=sample_fmts=fltp:channel_layouts=stereo,atrim=0:{total},volume=0.3[mu]")
    graph.append(f"[{audio}]volume=0.7[or];[or][mu]amix=inputs=2:duration=first:normalize=0[sound]")
    for at, text in enumerate(overlays):
        path = folder / f"text{at}.png"
        cv2.imwrite(str(path), cv2.cvtColor(text.rgba, cv2.COLOR_RGBA2BGRA))
        inputs += ["-i", str(path)]
        graph.append(f"[{4 + at}:v]scale=out_color_matrix=bt709:out_range=tv,format=yuva420p[t{at}]")
        when = f"between(n,{text.first},{text.first + text.frames - 1})"
        graph.append(
            f"[{video}][t{at}]overlay=x={text.x}:y={text.y}:eof_action=repeat:format=yuv420:enable='{when}'[o{at}]"
        )
        video = f"o{at}"
    return [*inputs, "-filter_complex", ";".join(graph), "-map", f"[{video}]", "-map", "[sound]"]
