"""Spatial guides: what one frame alone says of what was behind. The classical one, and an ONNX network in its place.

The network is of the kind of LaMa (Suvorov et al., Resolution-robust large mask inpainting with Fourier convolutions,
2022): a picture and a mask in, the picture out. It sees one frame, and so it decides where time shows nothing; where
time shows something, the fusion weighs the two as it does with the classical guide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np

from vtid.sdk import MODEL_PREFIX, Box, InvalidInput, Models

from . import tuning
from .arrays import Floats, Mask, Pixels, eight_bits
from .geometry import grow
from .models import INPAINTING
from .network import Network, is_picture, refuse_unless, tried
from .spatial import Closing

Guide = Callable[[Pixels, Mask, Box], Floats]
"""Takes a crop (h×w×3 Y, U, V as `Patch` keeps it), its hole (h×w) and the span that is wanted of it.

Gives the span on the 8-bit scale with its hole closed; what is known stays as it is. Called from several threads at
once.
"""


_OPENING = Lock()


def classical(pixels: Pixels, hole: Mask, span: Box) -> Floats:
    """Push-pull, from what is known beside the hole in the span; as `Patch.guess`, which works its closing out once."""
    x0, y0, x1, y1 = span
    closing = Closing(hole[y0:y1, x0:x1], tuning.GUESS_RIM)
    return np.asarray(cv2.merge(list(closing.planes(eight_bits(pixels[y0:y1, x0:x1])))), np.float32)


class Painter:
    """A network as a guide; opened when it first paints, in every process for itself.

    Args:
        path: of a network that takes a picture and a mask.
        white: what white is in its output: 1 or 255.
    """

    def __init__(self, path: Path, white: float) -> None:
        self._path, self._white = path, white
        self._opened: Network | None = None

    def __reduce__(self) -> tuple[type[Painter], tuple[Path, float]]:
        return Painter, (self._path, self._white)

    @property
    def network(self) -> Network:
        """The network.

        Raises:
            InvalidInput: it cannot be loaded.
        """
        with _OPENING:
            if self._opened is None:
                # One thread a run, as frames are filled at once: the result is the same however many threads there are.
                self._opened = Network(self._path, threads=1)
            return self._opened

    def __call__(self, pixels: Pixels, hole: Mask, span: Box) -> Floats:
        """See `Guide`."""
        x0, y0, x1, y1 = span
        part = np.s_[y0:y1, x0:x1]
        out = eight_bits(pixels[part])
        if not hole[part].any() or hole.all():
            return out
        painted, left = to_rgb(eight_bits(pixels)), hole.copy()
        network = self.network
        height, width = (n or tuning.PAINT_TILE for n in network.inputs[_port_of(network, 3)].shape[2:])
        for core, window in tiles(span, hole, (height, width)):
            here = np.s_[core[1] : core[3], core[0] : core[2]]
            there = np.s_[window[1] : window[3], window[0] : window[2]]
            got = painted[there].copy()
            got[left[there]] = self._paint(network, got, left[there])[left[there]]
            inner = np.s_[core[1] - window[1] : core[3] - window[1], core[0] - window[0] : core[2] - window[0]]
            painted[here] = got[inner]
            left[here] = False  # the next tile takes what this one painted for known: no seams
        out[hole[part]] = to_yuv(painted[part])[hole[part]]
        return out

    def _paint(self, network: Network, rgb: Floats, hole: Mask) -> Floats:
        """A window with what the network puts into its hole."""
        h, w = hole.shape
        first = _port_of(network, 3)
        fixed, multiple = network.inputs[first].shape[2:], tuning.PAINT_MULTIPLE
        height, width = (n or -(-side // multiple) * multiple for n, side in zip(fixed, (h, w), strict=True))
        edges = 0, height - h, 0, width - w
        framed = cv2.copyMakeBorder(rgb, *edges, cv2.BORDER_REFLECT)
        masked = cv2.copyMakeBorder(hole.astype(np.float32), *edges, cv2.BORDER_REFLECT)
        image = np.ascontiguousarray(framed.transpose(2, 0, 1)[None], np.float32)
        mask = np.asarray(masked[None, None], np.float32)
        out = network.run(*((image, mask) if first == 0 else (mask, image)))
        return np.asarray(np.clip(out[0, :, :h, :w].transpose(1, 2, 0) / self._white, 0, 1), np.float32)


def choose_guide(name: str, models: Models) -> Guide:
    """The guide of that name: `classical`, or `model:NAME`.

    Raises:
        InvalidInput: there is no such model.
        NeedsAttention: it cannot be used.
    """
    if not name.startswith(MODEL_PREFIX):
        return classical
    model = models.get(name.removeprefix(MODEL_PREFIX), INPAINTING)
    return Painter(model.path, float(model.layout.get("white", 1)))


def inspect(path: Path) -> dict[str, Any]:
    """Try a file as an inpainting model.

    Returns:
        What it takes and gives, and `white`: what white is in its output, 1 or 255.

    Raises:
        InvalidInput: it is none.
    """
    network = Network(path)
    ports = network.inputs
    refuse_unless(
        len(ports) == 2 and any(is_picture(a, 3) and is_picture(b, 1) for a, b in (ports, ports[::-1])),
        network,
        "an inpainting model takes a picture 1×3×H×W and a mask 1×1×H×W of 32-bit numbers",
    )
    image = ports[_port_of(network, 3)]
    height, width = (n or 2 * tuning.PAINT_MULTIPLE for n in image.shape[2:])
    picture = np.random.default_rng(0).uniform(0.2, 0.8, (1, 3, height, width)).astype(np.float32)
    mask = np.zeros((1, 1, height, width), np.float32)
    mask[..., height // 4 : height // 2, width // 4 : width // 2] = 1
    out = tried(network, *((picture, mask) if image is ports[0] else (mask, picture)))
    shape = "×".join(map(str, out.shape))
    refuse_unless(
        out.shape == picture.shape, network, f"an inpainting model gives a picture of the same size, not {shape}"
    )
    if out.min() < -1 or out.max() > 300:
        raise InvalidInput("The model cannot be used: the picture that it gives is neither in 0..1 nor in 0..255.")
    white = 255 if out.max() > 4 else 1  # of greys between 0.2 and 0.8, none is between
    return {"takes": ", ".join(map(str, ports)), "gives": str(network.outputs[0]), "white": white}


def tiles(span: Box, hole: Mask, size: tuple[int, int]) -> Iterator[tuple[Box, Box]]:
    """Pieces of the span that have a hole, row by row, and the window around each that is at most `size` (h, w)."""
    height, width = hole.shape
    down, across = (round(n * (1 - 2 * tuning.PAINT_AROUND)) for n in size)
    x0, y0, x1, y1 = span
    for y in range(y0, y1, down):
        for x in range(x0, x1, across):
            core = x, y, min(x1, x + across), min(y1, y + down)
            if hole[core[1] : core[3], core[0] : core[2]].any():
                aside, above = (size[1] - core[2] + x) // 2, (size[0] - core[3] + y) // 2
                yield core, grow(core, aside, above, width, height)


# Picture levels of BT.709, whatever the film's matrix: there and back it is exact, and a network does not mind a tint.
_RGB = np.array([[1, 0, 1.5748], [1, -0.1873, -0.4681], [1, 1.8556, 0]], np.float32)
_YUV = np.linalg.inv(_RGB).astype(np.float32)
_SPAN = np.array([219, 224, 224], np.float32)
_ZERO = np.array([16, 128, 128], np.float32)


def to_rgb(yuv: Floats) -> Floats:
    """Y, U, V on the 8-bit scale as R, G, B in 0..1."""
    return np.clip((yuv - _ZERO) / _SPAN @ _RGB.T, 0, 1).astype(np.float32)


def to_yuv(rgb: Floats) -> Floats:
    """The way back."""
    return np.asarray(rgb @ _YUV.T * _SPAN + _ZERO, np.float32)


def _port_of(network: Network, channels: int) -> int:
    """Which input has so many channels."""
    return next(i for i, port in enumerate(network.inputs) if is_picture(port, channels))
