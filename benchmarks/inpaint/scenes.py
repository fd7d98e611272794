"""Scenes to burn text into: what a camera sees of a world of dead leaves.

Pictures of leaves that fell on each other, their sizes by a power law, have the statistics of photographs: edges,
occlusion, detail at every scale (Lee, Mumford and Huang, "Occlusion models for natural images", 2001). Fractal noise
alone has no edges, and flatters whoever fills smoothly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .films import Picture

Floats = NDArray[np.float32]

_SHUTTER = 0.5
"""Part of a frame's time during which the shutter is open, as film cameras have it (180 degrees)."""
_MARGIN = 0.12
"""How far a world reaches beyond what the camera sees at rest, as a part of the picture: room for shake and zoom."""
_TILT = np.radians(25)
"""How far from the level a pan goes, at most; one that is quite level shows nothing behind a line of text."""
_GRAIN_TILES = 8
_NEARER = 1.7
"""How much faster what is near passes the camera."""


class Scene(NamedTuple):
    """What is filmed, and how. Lengths of the picture are its widths."""

    width: int
    height: int
    fps: int
    frames: int
    pan: float = 0.0
    """How fast the camera turns, widths a second."""
    shake: float = 0.0
    """Of the hand that holds it, pixels (standard deviation)."""
    zoom: float = 0.0
    """Growth of the picture a second."""
    near: bool = False
    """With things near the camera, which pass faster than the rest."""
    cut_s: float = 0.0
    """Length of a shot; 0: one shot."""
    passing: int = 0
    """How many people run through the lower half, without an end."""
    wind: float = 0.0
    """How far leaves sway, pixels."""
    leaf: float = 3.0
    """Radius of the smallest leaf, pixels."""
    texture: float = 8.0
    """Of each leaf, grey levels (standard deviation)."""
    grain: float = 1.2
    """Of the sensor, grey levels (standard deviation). What still clips have; with twice as much, no fill that does not
    know each grain can halve the flicker."""

    @property
    def moves(self) -> bool:
        """Whether what lies behind a mark changes."""
        return bool(self.pan or self.cut_s)


SCENES = {
    "locked": Scene(1280, 720, 25, 100, wind=0.6, leaf=2.5, texture=9, grain=1.5),
    "handheld": Scene(854, 480, 24, 110, shake=2.2, zoom=0.02, near=True, leaf=4),
    "pan": Scene(640, 360, 30, 120, pan=0.06, near=True, leaf=4, texture=6),
    "fast": Scene(432, 240, 24, 90, pan=0.55, shake=1.0, near=True),
    "cuts": Scene(640, 272, 25, 140, pan=0.12, zoom=0.05, cut_s=1.5, leaf=4),
    "crossing": Scene(720, 480, 25, 120, passing=5, leaf=3, texture=10),
}
"""Still, held by hand, turning slowly and fast, with cuts, with people running past; 240 to 720 lines."""


def pictures(scene: Scene, seed: int) -> Iterator[Picture]:
    """Film a scene; the same seed films the same one."""
    rng = np.random.default_rng(seed)
    shot = round(scene.cut_s * scene.fps) or scene.frames
    grain = rng.normal(0, scene.grain, (_GRAIN_TILES, scene.height, scene.width)).astype(np.float32)
    for first in range(0, scene.frames, shot):
        count = min(shot, scene.frames - first)
        for number, picture in enumerate(_shot(scene, count, rng), first):
            moved = np.roll(grain[number % _GRAIN_TILES], tuple(rng.integers(0, 1000, 2)), axis=(0, 1))
            yield (picture + moved[..., None]).round().clip(0, 255).astype(np.uint8)


def _shot(scene: Scene, count: int, rng: np.random.Generator) -> Iterator[Floats]:
    travel = int(abs(scene.pan) * scene.width * count / scene.fps)
    angle = rng.uniform(-_TILT, _TILT) + rng.choice([0, np.pi])
    way = np.array([np.cos(angle), np.sin(angle)], np.float32)
    far = _World(scene, travel, rng)
    near = _World(scene, travel, rng, holes=True) if scene.near else None
    people = [_Person(scene, rng) for _ in range(scene.passing)]
    breeze = _Breeze(scene, rng) if scene.wind else None
    hand = _hand(count, rng) * scene.shake
    for number in range(count):
        speed = scene.pan * scene.width / scene.fps
        exposures = int(np.clip(np.ceil(speed * _SHUTTER), 1, 8))
        seen = np.zeros((scene.height, scene.width, 3), np.float32)
        for part in range(exposures):
            time = number + _SHUTTER * part / exposures
            since = time - count / 2
            pose = way * since * speed, hand[number], 1 + scene.zoom * since / scene.fps
            view = far.seen(*pose)
            if near is not None:
                view = near.over(view, *pose)
            seen += view / exposures
        if breeze is not None:
            seen = breeze.bend(seen, number / scene.fps)
        for person in people:
            person.pass_by(seen, number)
        yield seen * np.float32(1 + 0.03 * np.sin(number / scene.fps * 1.7))  # clouds


class _World:
    """A wide picture, and with holes a layer of things that stand before another."""

    def __init__(self, scene: Scene, travel: int, rng: np.random.Generator, *, holes: bool = False) -> None:
        self._scene = scene
        self._rate = _NEARER if holes else 1.0
        width = round(scene.width * (1 + 2 * _MARGIN) + travel * self._rate)
        height = round(scene.height * (1 + 2 * _MARGIN) + travel * self._rate * np.sin(_TILT))
        self._wide = leaves(rng, width, height, smallest=scene.leaf * self._rate, texture=scene.texture)
        self._cover = None
        if holes:
            cover = noise(rng, width, height, waves=7) - np.linspace(0.75, 0.45, height, dtype=np.float32)[:, None]
            self._cover = np.clip(cover * 60, 0, 1)

    def seen(self, pan: Floats, hand: Floats, zoom: float) -> Floats:
        """The camera's picture, turned by `pan` (x, y) pixels from the middle, shaken by `hand`, magnified."""
        return self._window(self._wide, pan, hand, zoom)

    def over(self, view: Floats, pan: Floats, hand: Floats, zoom: float) -> Floats:
        """The same laid on a picture of what is behind."""
        assert self._cover is not None
        cover = self._window(self._cover, pan, hand, zoom)[..., None]
        return view + cover * (self._window(self._wide, pan, hand, zoom) - view)

    def _window(self, wide: Floats, pan: Floats, hand: Floats, zoom: float) -> Floats:
        size, scale = (self._scene.width, self._scene.height), 1 / zoom
        x = wide.shape[1] / 2 + pan[0] * self._rate + hand[0] - scale * size[0] / 2
        y = wide.shape[0] / 2 + pan[1] * self._rate + hand[1] - scale * size[1] / 2
        move = np.array([[scale, 0, x], [0, scale, y]], np.float32)
        how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(wide, move, size, flags=how, borderMode=cv2.BORDER_REFLECT), np.float32)


class _Person:
    """Somebody who runs through the picture again and again, blurred as the shutter is open."""

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        self._scene = scene
        height = int(scene.height * rng.uniform(0.3, 0.55))
        width = int(height * rng.uniform(0.35, 0.6))
        speed = scene.width * rng.uniform(0.35, 0.9) / scene.fps
        body = np.zeros((height, width), np.float32)
        cv2.ellipse(body, (width // 2, height // 8), (height // 11, height // 9), 0, 0, 360, 1.0, -1)
        cv2.ellipse(body, (width // 2, height * 3 // 5), (width * 2 // 5, height * 2 // 5), 0, 0, 360, 1.0, -1)
        blur = max(1, int(speed * _SHUTTER)), 1
        room = [(0, 0), (blur[0], blur[0])]
        self._cover = cv2.blur(np.pad(body, room), blur)
        clothes = leaves(rng, width, height, smallest=height / 25, texture=6) * body[..., None]
        self._colours = cv2.blur(
            np.pad(clothes, [*room, (0, 0)]), blur
        )  # premultiplied, so that it blurs as light does
        self._start = rng.uniform(0, scene.width + 2 * width)
        self._speed = speed * rng.choice([-1, 1])
        self._top = scene.height - height * rng.uniform(0.7, 1.0)

    def pass_by(self, picture: Floats, number: int) -> None:
        """Draw the person into a shot's picture."""
        height, width = self._cover.shape
        track = self._scene.width + 2 * width
        x = int((self._start + self._speed * number) % track) - width
        y = int(self._top + 0.02 * height * np.sin(number * 1.3))
        x0, x1 = max(0, x), min(self._scene.width, x + width)
        y0, y1 = max(0, y), min(self._scene.height, y + height)
        if x0 < x1 and y0 < y1:
            cut = np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
            picture[y0:y1, x0:x1] *= 1 - self._cover[cut][..., None]
            picture[y0:y1, x0:x1] += self._colours[cut]


class _Breeze:
    """Bends what is seen by smooth fields that swing; a part of the picture stands still."""

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        size = scene.width, scene.height
        self._strength = scene.wind * np.clip(noise(rng, *size, waves=3) * 3 - 1, 0, 1)
        self._phase = noise(rng, *size, waves=9) * np.float32(12)
        grid = np.mgrid[0 : scene.height, 0 : scene.width].astype(np.float32)
        self._y, self._x = grid[0], grid[1]

    def bend(self, picture: Floats, time_s: float) -> Floats:
        """The picture at a time."""
        x = self._x + self._strength * np.sin(self._phase + np.float32(3.1 * time_s))
        y = self._y + self._strength * np.float32(0.4) * np.cos(self._phase + np.float32(2.3 * time_s))
        bent = cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
        return np.asarray(bent, np.float32)


def _hand(count: int, rng: np.random.Generator) -> Floats:
    """Where a hand holds the camera, count × 2: drift and tremor, of standard deviation one."""
    tremor = rng.normal(0, 1, (count + 60, 2))
    drift = np.stack([np.convolve(tremor[:, axis], np.hanning(30), "valid") for axis in (0, 1)], axis=1)[:count]
    quick = np.stack([np.convolve(tremor[:, axis], np.hanning(6), "valid") for axis in (0, 1)], axis=1)[:count]
    both = drift / max(1e-6, drift.std()) + 0.35 * quick / max(1e-6, quick.std())
    return np.asarray(both, np.float32)


def leaves(rng: np.random.Generator, width: int, height: int, *, smallest: float, texture: float) -> Floats:
    """A picture of dead leaves, height × width × 3: radii by a cubic power law, colours that go together, textured.

    Args:
        rng: draws it.
        width: pixels.
        height: pixels.
        smallest: radius of the smallest leaf, pixels.
        texture: of each leaf, grey levels (standard deviation).
    """
    largest = max(2 * smallest, height / 3)
    count = int(3 * width * height / (2 * np.pi * smallest**2 * np.log(largest / smallest)))  # thrice its area
    # The inverse of the cumulative distribution of r**-3 between smallest and largest.
    radii = 1 / np.sqrt(smallest**-2 - rng.random(count) * (smallest**-2 - largest**-2))
    places = rng.random((count, 2)) * (width, height)
    axes = radii[:, None] * rng.uniform(0.4, 1.0, (count, 2))
    light, matter = (noise(rng, width, height, waves=waves, octaves=2) for waves in (2, 4))
    # Like lies by like, as grass does by grass; and colours are faint beside light and dark, as they are outdoors.
    tints = np.linspace(55, 185, 6)[:, None] + rng.normal(0, 10, (6, 3))
    kinds = rng.normal(0, 0.45, count)
    shades = rng.normal(0, 10, (count, 1)) + rng.normal(0, 3, (count, 3))
    wide = np.full((height, width, 3), tints.mean(0), np.uint8)
    for (x, y), (a, b), angle, kind, shade in zip(places, axes, rng.uniform(0, 180, count), kinds, shades, strict=True):
        at = min(height - 1, int(y)), min(width - 1, int(x))
        tint = tints[int(np.clip(matter[at] * 6 + kind, 0, 5))]
        colour = np.clip(tint * (0.5 + 0.9 * light[at]) + shade, 4, 250)
        cv2.ellipse(wide, ((x, y), (2 * a, 2 * b), angle), colour.tolist(), -1, cv2.LINE_AA)
    rough = noise(rng, width, height, waves=max(2, width // 24))
    rough = (rough - rough.mean()) / max(1e-6, float(rough.std()))
    return np.asarray(cv2.GaussianBlur(wide + texture * rough[..., None], (0, 0), 0.6), np.float32)  # 0.6: of a lens


def noise(rng: np.random.Generator, width: int, height: int, *, waves: int, octaves: int = 6) -> Floats:
    """Fractal noise from 0 to 1, height × width, its coarsest octave with so many waves across."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        across = waves << octave
        if across > width:
            break
        grid = rng.random((max(2, across * height // width) + 2, across + 2), dtype=np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(0.6**octave)
    total -= total.min()
    return np.asarray(total / max(1e-6, float(total.max())), np.float32)
