"""How fast, and with how much memory: a 720p film with large text nearly always on, and the same film without."""

from __future__ import annotations

import sys
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from . import films
from .burn import write_over
from .processes import Cost, remove_text, watched
from .scenes import Scene, pictures

_TURNS = 3
"""How often the shots are shown one after the other."""
_SIZE = 0.075
"""Of the letters, as a part of the picture's height: large."""
_SHOTS = (
    Scene(1280, 720, 25, 75, wind=0.6, leaf=2.5, texture=9, grain=1.5),
    Scene(1280, 720, 25, 75, shake=2.5, near=True, leaf=5),
    Scene(1280, 720, 25, 75, pan=0.08, near=True, leaf=5, passing=2),
)
_CRF = 20


class Speed(NamedTuple):
    """Of the same film, run in three ways."""

    seconds: float
    """How long it plays."""
    frames: int
    text: Cost
    """With its text removed."""
    plain: Cost
    """The film that has none."""
    plain_is_exact: bool
    """Whether each packet came back as it went in."""
    floor: Cost
    """Decoding and encoding all of it by the same code and settings, and nothing else, on as many threads."""


def measure(folder: Path, seed: int, threads: int) -> Speed:
    """Make the films, run the command on them.

    Raises:
        Failed: a command did.
    """
    whole = _SHOTS[0]._replace(frames=_TURNS * sum(shot.frames for shot in _SHOTS))
    loop, plain, text = (folder / f"speed.{name}.mp4" for name in ("loop", "plain", "text"))
    filmed = chain.from_iterable(pictures(shot, seed + number) for number, shot in enumerate(_SHOTS))
    films.write(loop, filmed, fps=whole.fps, crf=14)
    truth = write_over(whole, "outline", np.random.default_rng(seed), size=_SIZE)
    turns = [loop] * _TURNS
    films.write(plain, chain.from_iterable(map(films.read, turns)), fps=whole.fps, crf=_CRF)
    burned = (truth.burn(p, t) for t, p in enumerate(chain.from_iterable(map(films.read, turns))))
    films.write(text, burned, fps=whole.fps, crf=_CRF)
    outs = {path: path.with_suffix(".out.mp4") for path in (plain, text)}
    floor = [sys.executable, "-m", "benchmarks.inpaint.floor", str(text), str(folder / "speed.floor.mp4"), str(threads)]
    return Speed(
        seconds=whole.frames / whole.fps,
        frames=whole.frames,
        text=remove_text(text, outs[text]),
        plain=remove_text(plain, outs[plain]),
        plain_is_exact=films.packets(plain) == films.packets(outs[plain]),
        floor=watched(floor),
    )
