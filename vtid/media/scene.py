"""Draws pictures that look filmed: for tests, the demo and benchmarks, from nothing but a seed."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

_PAN = 0.35
"""How far the camera moves over a clip, in picture widths."""

_GRAIN_TILES = 7


class _Layer(NamedTuple):
    """Hills at one distance: a ridge from line `top` on that lets the sky through, and ground from `solid` on."""

    depth: float
    top: int
    solid: int
    ridge: Picture
    mask: Picture
    ground: Picture


class Scene:
    """A place with hills, haze and passing things, seen by a panning camera.

    Args:
        width: pixels.
        height: pixels.
        seed: the same seed draws the same scene.
    """

    def __init__(self, width: int, height: int, seed: int) -> None:
        self._size = width, height
        self._rng = np.random.default_rng(seed)
        self._sky = self._backdrop()
        self._layers = [self._ridge(depth) for depth in (0.35, 0.65, 1.0)]
        self._things = [self._thing() for _ in range(6)]
        self._vignette = self._lens()
        self._grain = self._rng.normal(0, 2.6, (_GRAIN_TILES, height, width, 1)).round().astype(np.int8)

    def at(self, progress: float, number: int) -> Picture:
        """The picture, BGR.

        Args:
            progress: 0 at the start of the clip, 1 at its end: where the camera is.
            number: of the frame, which the grain goes by.
        """
        width, height = self._size
        out = self._window(self._sky, progress * 0.15).copy()
        for layer in self._layers:
            shift = progress * layer.depth
            ridge, ground = out[layer.top : layer.solid], out[layer.solid :]
            ridge[:] = _over(ridge, self._window(layer.ridge, shift), self._window(layer.mask, shift))
            ground[:] = self._window(layer.ground, shift)
            self._draw_things(out, progress, layer.depth)
        lit = cv2.multiply(out, self._vignette, scale=1 / 255)
        gain = 1.0 + 0.06 * np.sin(progress * 9.0)
        grain = np.roll(self._grain[number % _GRAIN_TILES], (number * 37 % height, number * 91 % width), axis=(0, 1))
        return cv2.add(cv2.convertScaleAbs(lit, alpha=gain), np.repeat(grain, 3, axis=2), dtype=cv2.CV_8U)  # type: ignore[return-value]

    def _window(self, wide: Picture, shift: float) -> Picture:
        """What the camera sees of a picture wider than it, with the fraction of a pixel it needs to pan smoothly."""
        width = self._size[0]
        move = np.float32([[1, 0, -shift * _PAN * width], [0, 1, 0]])  # type: ignore[arg-type]
        return cv2.warpAffine(wide, move, (width, wide.shape[0]), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)  # type: ignore[call-overload,no-any-return]

    def _wide(self) -> tuple[int, int]:
        width, height = self._size
        return int(width * (1 + _PAN)) + 2, height

    def _backdrop(self) -> Picture:
        """A sky: a gradient with clouds."""
        width, height = self._wide()
        fall = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
        top, bottom = self._colour((150, 95, 55), 20), self._colour((190, 195, 215), 15)
        clouds = _noise(self._rng, width, height, base=3, octaves=6)[..., None]
        sky = top * (1 - fall) + bottom * fall
        cover = np.clip((clouds - 0.5) * 3, 0, 1)
        return (sky * (1 - cover) + np.float32([225, 222, 220]) * cover).astype(np.uint8)  # type: ignore[arg-type,no-any-return]

    def _ridge(self, depth: float) -> _Layer:
        """Hills at a depth; 1 is nearest."""
        width, height = self._wide()
        line = _noise(self._rng, width, 1, base=4, octaves=6)[0]
        horizon = height * (0.25 + 0.42 * depth) + (line - 0.5) * height * 0.5
        rows = np.arange(height, dtype=np.float32)[:, None]
        mask = np.clip((rows - horizon[None]) * 0.5 + 0.5, 0, 1)
        bumps = _noise(self._rng, width, height, base=int(5 + 8 * depth), octaves=7)
        slope = cv2.Sobel(bumps, cv2.CV_32F, 1, 0, ksize=3) - cv2.Sobel(bumps, cv2.CV_32F, 0, 1, ksize=3)
        light = np.clip(0.55 + 0.9 * (bumps - 0.5) + slope * 1.8, 0.12, 1.5)[..., None]
        haze = np.float32([200, 190, 185])  # type: ignore[arg-type]
        tint = self._colour((55, 105, 95), 40)
        patches = _noise(self._rng, width, height, base=6, octaves=4)[..., None]
        ground = (tint * (1 - patches) + self._colour((60, 85, 140), 30) * patches) * light
        mixed = ground * (0.35 + 0.65 * depth) + haze * (0.65 - 0.65 * depth)
        hills = np.clip(mixed, 0, 255).astype(np.uint8)
        top = int(np.clip(horizon.min() - 2, 0, height - 2))
        solid = int(np.clip(horizon.max() + 2, top + 1, height - 1))
        return _Layer(
            depth, top, solid, hills[top:solid], np.rint(mask[top:solid] * 255).astype(np.uint8), hills[solid:]
        )

    def _thing(self) -> dict[str, Any]:
        """A shaded ball of its own texture, its way across and its size."""
        radius = max(3, int(self._size[1] * self._rng.uniform(0.04, 0.11)))
        grid = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float32) / radius
        away = np.sqrt((grid**2).sum(axis=0))
        light = np.clip(1.05 - 0.75 * np.hypot(grid[0] + 0.4, grid[1] + 0.35), 0.15, 1.0)[..., None]
        skin = 0.7 + 0.6 * _noise(self._rng, 2 * radius + 1, 2 * radius + 1, base=4, octaves=4)[..., None]
        colour = self._rng.uniform(60, 235, 3).astype(np.float32)
        return {
            "picture": np.clip(colour * light * skin, 0, 255).astype(np.uint8),
            "mask": np.rint(np.clip((1 - away) * radius + 0.5, 0, 1) * 255).astype(np.uint8),
            "from": self._rng.uniform(-0.2, 1.2),
            "speed": self._rng.uniform(0.3, 0.9) * self._rng.choice([-1, 1]),
            "height": self._rng.uniform(0.3, 0.75),
            "depth": self._rng.choice([0.35, 0.65]),
        }

    def _draw_things(self, out: Picture, progress: float, depth: float) -> None:
        width, height = self._size
        for thing in self._things:
            if thing["depth"] != depth:
                continue
            side = thing["mask"].shape[0]
            x = int((thing["from"] + thing["speed"] * progress) % 1.4 * width - 0.2 * width)
            y = int((thing["height"] + 0.05 * np.sin(8 * progress + thing["from"])) * height)
            x0, y0, x1, y1 = max(0, x), max(0, y), min(width, x + side), min(height, y + side)
            if x0 < x1 and y0 < y1:
                cut = np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
                out[y0:y1, x0:x1] = _over(out[y0:y1, x0:x1], thing["picture"][cut], thing["mask"][cut])

    def _lens(self) -> Picture:
        width, height = self._size
        across = np.linspace(-1, 1, width, dtype=np.float32)[None]
        down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        fall = 255 * (1 - 0.22 * (across**2 + down**2) / 2)
        return np.repeat(fall.astype(np.uint8)[..., None], 3, axis=2)

    def _colour(self, middle: tuple[int, int, int], spread: int) -> NDArray[np.float32]:
        return (np.array(middle) + self._rng.uniform(-spread, spread, 3)).astype(np.float32)


def _over(below: Picture, above: Picture, mask: Picture) -> Picture:
    """`above` laid on `below` where the mask (H×W, 255 = all of it) says."""
    return cv2.blendLinear(above, below, mask * np.float32(1 / 255), (255 - mask) * np.float32(1 / 255))  # type: ignore[return-value]


def _noise(rng: np.random.Generator, width: int, height: int, *, base: int, octaves: int) -> NDArray[np.float32]:
    """Fractal noise from 0 to 1, H×W: smooth at `base` waves across, with finer and fainter octaves on top."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        waves = base << octave
        rows = max(2, round(waves * height / width) + 2)
        grid = rng.random((rows, waves + 2), dtype=np.float32) * np.float32(0.55**octave)
        if waves > 2 * width:
            break
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    total -= total.min()
    return total / max(1e-6, float(total.max()))
