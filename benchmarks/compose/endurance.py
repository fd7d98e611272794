"""How memory behaves with the length of a film, and how fast a film that is being rendered is given up."""

from __future__ import annotations

import contextlib
import json
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil

from benchmarks.inpaint.processes import watched
from vtid.media.synth import draw_clip

SIZE = {"resolution": {"width": 320, "height": 180}, "fps": 15, "quality": "low"}
_PATIENCE_S = 60


def memory(folder: Path, paths: dict[str, Path]) -> None:
    """A film of 1 minute and one of 30, of clips of 5 s with a crossfade each, music and a text."""
    source = folder / "small.mp4"
    if not source.exists():
        draw_clip(source, seconds=6, width=320, height=180, fps=15, seed=4)
    peaks = {}
    for minutes in (1, 30):
        each = {"video_url": str(source), "trim_end": 5}
        count = minutes * 60 * 2 // 9
        clips = [each, *({**each, "transition": {"duration": 0.5}} for _ in range(count))]
        document = {
            "clips": clips,
            "audio": {"music_url": str(paths["music"]), "original_audio_volume": 0.5},
            "overlays": [{"text": "All the time", "position": "bottom"}],
            "output": SIZE,
        }
        target = folder / f"minutes{minutes}.mp4"
        spec = folder / f"minutes{minutes}.json"
        spec.write_text(json.dumps(document))
        peaks[minutes] = watched(
            [sys.executable, "-m", "vtid.cli", "compose", str(spec), "-o", str(target), "--overwrite"]
        ).peak_mb
    print("\n| vtid compose, all its processes, 320×180 | 1 min | 30 min | ratio | goal |")
    print("|---|---:|---:|---:|---:|")
    print(f"| memory, MB | {peaks[1]:.0f} | {peaks[30]:.0f} | {peaks[30] / peaks[1]:.3f} | no growth |")


def cancel(folder: Path, paths: dict[str, Path], rounds: int) -> None:
    """Ctrl-C in the middle of a film: until the process that renders is gone, and until the command has ended."""
    spec = folder / "cancel.json"
    clips = [{"video_url": str(paths["a"])}] * 8
    spec.write_text(json.dumps({"clips": clips, "output": {"quality": "high"}}))
    gone, ended = zip(*(_given_up(spec, folder / "cancelled.mp4") for _ in range(rounds)), strict=True)
    print("\n| Ctrl-C while rendering, s | median | worst | goal |")
    print("|---|---:|---:|---:|")
    print(f"| until the renderer is gone | {statistics.median(gone):.2f} | {max(gone):.2f} | < 0.5 |")
    print(
        f"| until `vtid compose` has ended, its files removed | {statistics.median(ended):.2f} | {max(ended):.2f} | |"
    )


def _given_up(spec: Path, target: Path) -> tuple[float, float]:
    target.unlink(missing_ok=True)
    command = subprocess.Popen(
        [sys.executable, "-m", "vtid.cli", "compose", str(spec), "-o", str(target)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    renderer = _renderer(command, target)
    began = time.monotonic()
    command.send_signal(signal.SIGINT)
    while _lives(renderer) and time.monotonic() - began < _PATIENCE_S:
        time.sleep(0.002)
    gone = time.monotonic() - began
    command.wait(_PATIENCE_S)
    ended = time.monotonic() - began
    left = [path.name for path in target.parent.iterdir() if path == target or path.name.startswith(".vtid-run-")]
    if left:
        raise SystemExit(f"left behind: {', '.join(left)}")
    return gone, ended


def _lives(process: psutil.Process) -> bool:
    """Not one that has ended and is still to be asked about: the command may end first, and init takes its time."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _renderer(command: subprocess.Popen[bytes], target: Path) -> psutil.Process:
    """The process that has begun to write the film."""
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until and command.poll() is None:
        if any(path.stat().st_size > 48 for path in target.parent.glob(".vtid-run-*/**/film.mp4")):
            family = psutil.Process(command.pid).children(recursive=True)
            return max(family, key=lambda one: sum(one.cpu_times()[:2]))
        time.sleep(0.05)
    raise SystemExit("nothing was rendered")
