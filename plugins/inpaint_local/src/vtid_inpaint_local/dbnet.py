"""A text detector of the DB family as an ONNX file that the operator added.

Liao et al., Real-time scene text detection with differentiable binarization, 2020: the network gives, for every pixel,
the probability that it lies in the shrunken middle of a line of text; every patch above a threshold is a line, and is
grown back by as much as it was shrunk. PP-OCR's detectors are such networks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from vtid.sdk import InvalidInput, Model

from . import tuning
from .arrays import Floats, Pixels
from .detect import Detector, Found, bounds
from .network import Network, is_picture, refuse_unless, tried


class DbNet:
    """A DB network as a `Detector`; another one reads for it."""

    def __init__(self, model: Model, *, threads: int, reader: Detector | None = None) -> None:
        self.name = f"model:{model.name}"
        self._network = Network(model.path, threads)
        self._reader = reader

    def boxes(self, bgr: Pixels) -> list[Found]:
        """See `Detector`."""
        given, scale = _fitted(bgr, self._network)
        chances = _chances(self._network.run(given))
        up = given.shape[2] / chances.shape[0] / scale  # the map may be smaller than what was given
        h, w = bgr.shape[:2]
        out = []
        for (x0, y0, x1, y1), score in lines(chances):
            box = max(0.0, x0 * up), max(0.0, y0 * up), min(float(w), x1 * up), min(float(h), y1 * up)
            if box[2] > box[0] and box[3] > box[1]:  # nothing of it lies in the border
                out.append(Found(box, score))
        return out

    def read(self, bgr: Pixels) -> tuple[str, float] | None:
        """See `Detector`."""
        return self._reader.read(bgr) if self._reader else None


def lines(chances: Floats) -> list[Found]:
    """The lines of text in a probability map (h×w), in its pixels."""
    patches, _ = cv2.findContours(
        (chances > tuning.DB_CHANCE).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    out = []
    for patch in patches:
        centre, (w, h), angle = cv2.minAreaRect(patch)
        if min(w, h) < tuning.DB_MIN_PX:
            continue
        x, y, across, down = cv2.boundingRect(patch)
        inside = cv2.drawContours(np.zeros((down, across), np.uint8), [patch - (x, y)], 0, 1, cv2.FILLED)
        score = float(cv2.mean(chances[y : y + down, x : x + across], inside)[0])
        grown = 2 * w * h * tuning.DB_GROW / (2 * (w + h))  # Vatti's offset of a rectangle, on both sides
        out.append(Found(bounds(cv2.boxPoints((centre, (w + grown, h + grown), angle))), score))
    return out


def inspect(path: Path) -> dict[str, Any]:
    """Try a file as a text detector.

    Returns:
        What it takes and gives, in words.

    Raises:
        InvalidInput: it is none.
    """
    network = Network(path)
    refuse_unless(
        len(network.inputs) == 1 and is_picture(network.inputs[0], 3),
        network,
        "a text detector takes one picture N×3×H×W of 32-bit numbers",
    )
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    given, _ = _fitted(picture, network)
    out = tried(network, given)
    height, width = given.shape[2:]
    maps = [(*one, height // n, width // n) for n in (1, 2, 4) for one in ((1,), (1, 1))]
    shape = "×".join(map(str, out.shape))
    wanted = f"a text detector gives one map of the picture's size, a half or a quarter of it, not {shape}"
    refuse_unless(out.shape in maps, network, wanted)
    if out.min() < 0 or out.max() > 1:
        raise InvalidInput("The model cannot be used: a text detector gives probabilities between 0 and 1.")
    return {"takes": str(network.inputs[0]), "gives": str(network.outputs[0])}


def _fitted(bgr: Pixels, network: Network) -> tuple[Floats, float]:
    """The picture as the network takes it, 1×3×H×W, and the scale that it was brought to.

    Larger ones are made smaller; to the right and below the edge is repeated up to what the network can take.
    """
    h, w = bgr.shape[:2]
    fixed = network.inputs[0].shape[2:]
    scale = min(1.0, (fixed[0] or tuning.DB_SIDE) / h, (fixed[1] or tuning.DB_SIDE) / w)
    if scale < 1:
        bgr = cv2.resize(bgr, (max(1, int(w * scale)), max(1, int(h * scale))), interpolation=cv2.INTER_AREA)
    height, width = (n or -(-side // 32) * 32 for n, side in zip(fixed, bgr.shape[:2], strict=True))
    down, across = height - bgr.shape[0], width - bgr.shape[1]
    framed = cv2.copyMakeBorder(bgr, 0, down, 0, across, cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(framed.transpose(2, 0, 1)[None], np.float32) / np.float32(127.5) - np.float32(1), scale


def _chances(out: Floats) -> Floats:
    """The map, h×w, of the first picture."""
    return np.ascontiguousarray(out.reshape(-1, *out.shape[-2:])[0], np.float32)
