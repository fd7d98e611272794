"""The reference job by MoviePy 2, in an environment of its own that is thrown away."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.compose.job import laid
from benchmarks.compose.tables import row
from benchmarks.inpaint.processes import Cost, watched

SCRIPT = """
import sys
from pathlib import Path
from moviepy import AudioFileClip, CompositeAudioClip, CompositeVideoClip, ImageClip, VideoFileClip, vfx
folder = Path(sys.argv[1])
parts = [("a", 2, 7, 0.0), ("b", 2, 7, 4.5), ("c", 1.5, 6.5, 9.0)]
clips, sounds = [], []
for name, begin, end, at in parts:
    clip = VideoFileClip(str(folder / f"{name}.mp4")).subclipped(begin, end).resized(height=720)
    sounds.append(clip.audio.with_start(at).with_volume_scaled(0.7))
    clip = clip.without_audio().with_position("center").with_start(at)
    clips.append(clip.with_effects([vfx.CrossFadeIn(0.5)]) if at else clip)
for number, (x, y, begin, end) in enumerate(eval(sys.argv[3])):
    picture = ImageClip(str(folder / f"text{number}.png"), transparent=True)
    clips.append(picture.with_position((x, y)).with_start(begin).with_end(end))
sounds.append(AudioFileClip(str(folder / "music.mp4")).subclipped(0, 14).with_volume_scaled(0.3))
film = CompositeVideoClip(clips, size=(1280, 720)).with_duration(14).with_audio(CompositeAudioClip(sounds))
film.write_videofile(sys.argv[2], fps=30, codec="libx264", preset="veryfast", ffmpeg_params=["-crf", "23"],
                     audio_codec="aac", audio_bitrate="160k", audio_fps=48000, logger=None)
"""


class MoviePy:
    """Installs it, and renders with it.

    Args:
        scratch: folder for its environment.
    """

    def __init__(self, scratch: Path) -> None:
        home = scratch / "moviepy"
        venv.create(home, with_pip=True)
        self._python = home / "bin" / "python"
        command = [self._python, "-m", "pip", "install", "-q", "moviepy>=2"]
        subprocess.run(command, check=True, stdout=sys.stderr)

    def render(self, folder: Path, paths: dict[str, Path]) -> Cost:
        """The reference job; the texts are the pictures that the graph of FFmpeg took."""
        film, texts = laid(paths)
        rate = film.canvas.rate
        places = [(one.x, one.y, float(one.first / rate), float((one.first + one.frames) / rate)) for one in texts]
        target = str(folder / "moviepy.mp4")
        return watched([str(self._python), "-c", SCRIPT, str(folder), target, repr(places)])


def table(pairs: list[tuple[Cost, Cost]]) -> None:
    """Print what was measured."""
    print("\n| the same job | vtid | MoviePy 2 | ratio | goal |")
    print("|---|---:|---:|---:|---:|")
    row("CPU, s", [(a.cpu_s, b.cpu_s) for a, b in pairs], "≤ 0.33")
    row("wall, s", [(a.wall_s, b.wall_s) for a, b in pairs], "")
