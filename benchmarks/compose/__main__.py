"""What composing costs beside other ways to do the same: `make bench-compose`.

Draws its sources, renders the same film in turns by vtid and by FFmpeg's own command line with one `filter_complex`,
and compares CPU time (user and system of the whole process tree), wall time and memory; at crf 0 it compares all pixels
of luma. Needs `pip install imageio-ffmpeg`, for its binary.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

import av
import numpy as np

from benchmarks.compose import endurance, moviepy
from benchmarks.compose.job import filter_complex, make
from benchmarks.compose.smart import smart
from benchmarks.compose.tables import row
from benchmarks.inpaint.processes import Cost, watched
from vtid.engine.isolation import FRUGAL


def main() -> int:
    """Measure and print tables. Returns 1 where luma differs."""
    parser = argparse.ArgumentParser(prog="benchmarks/compose", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--smart", action="store_true", help="only a cut, and 3 s of text on 80 s, beside encoding it all"
    )
    parser.add_argument("--long", action="store_true", help="only memory of 1 and of 30 minutes, and Ctrl-C")
    parser.add_argument(
        "--moviepy", action="store_true", help="MoviePy too; it is installed in a folder that goes again"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep sources and results; drawn once")
    args = parser.parse_args()
    import imageio_ffmpeg

    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        paths = make(folder)
        cores = len(os.sched_getaffinity(0))
        print(f"{cores} cores, {args.rounds} rounds in turns, load average {os.getloadavg()[0]:.1f}\n")
        ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
        if args.smart:
            smart(folder, paths["a"], ffmpeg, args.rounds)
            return 0
        if args.long:
            endurance.cancel(folder, paths, args.rounds)
            endurance.memory(folder, paths)
            return 0
        rival = moviepy.MoviePy(Path(scratch)) if args.moviepy else None
        return reference(folder, paths, ffmpeg, args.rounds, rival)


def reference(folder: Path, paths: dict[str, Path], ffmpeg: str, count: int, rival: moviepy.MoviePy | None) -> int:
    """The reference job by all. Returns 1 where luma differs."""
    graph = filter_complex(paths, folder)
    threads = len(os.sched_getaffinity(0))

    def ours(crf: int, target: Path) -> Cost:
        return watched(
            [sys.executable, "-m", "benchmarks.compose.ours", *map(str, (folder, target, threads, "--crf", crf))],
            FRUGAL,
        )

    def theirs(crf: int, target: Path) -> Cost:
        encode = ["-c:v", "libx264", "-preset", "veryfast", "-crf", str(crf), "-c:a", "aac", "-b:a", "160k"]
        return watched([ffmpeg, "-v", "error", "-y", *graph, *encode, "-movflags", "+faststart", str(target)])

    one, other = folder / "ours0.mp4", folder / "theirs0.mp4"
    ours(0, one)
    theirs(0, other)
    frames, different = compared(one, other)
    rounds, rivals = [], []
    for _ in range(count):
        rounds.append((ours(23, folder / "ours.mp4"), theirs(23, folder / "theirs.mp4")))
        if rival:
            rivals.append((rounds[-1][0], rival.render(folder, paths)))
    sizes = [float((folder / name).stat().st_size) for name in ("ours.mp4", "theirs.mp4")]
    print("| 14 s at 720p from 1080p: 3 clips, 2 crossfades, music, 2 texts | vtid | ffmpeg | ratio | goal |")
    print("|---|---:|---:|---:|---:|")
    row("CPU, s", [(a.cpu_s, b.cpu_s) for a, b in rounds], "≤ 0.90")
    row("wall, s", [(a.wall_s, b.wall_s) for a, b in rounds], "≤ 1.00")
    row("memory, MB", [(a.peak_mb, b.peak_mb) for a, b in rounds], "≤ 300 MB")
    row("size, bytes", [(sizes[0], sizes[1])], "")
    if rivals:
        moviepy.table(rivals)
    print(f"\nAt crf 0, {frames - different} of {frames} frames have the very same luma.")
    return 1 if different else 0


def compared(one: Path, other: Path) -> tuple[int, int]:
    """How many frames two films have, and in how many luma differs; a frame that one lacks is one that differs."""
    with av.open(str(one)) as a, av.open(str(other)) as b:
        frames = [film.decode(video=0) for film in (a, b)]
        count = different = 0
        for left, right in zip(*frames, strict=False):
            count += 1
            different += not np.array_equal(luma(left), luma(right))
        rest = sum(1 for film in frames for _ in film)
    return count + rest, different + rest


def luma(frame: av.VideoFrame) -> np.ndarray:
    """The plane as it was decoded, without the padding of its lines."""
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]


if __name__ == "__main__":
    sys.exit(main())
