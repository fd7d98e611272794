"""Weights for EasyOCR's detector that find very bright lines: its whole code runs on them, and no file is downloaded.

CRAFT's map of characters, and its map of the links between them, become what is very bright in the picture, smoothed.
All weights are zero but a thread of single taps from the red, green and blue of the picture to both maps, by way of the
layers at half its size, whose output the decoder takes in last.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

THREAD = ("basenet.slice1.3", "basenet.slice1.7", "basenet.slice1.10", "conv_cls.6")
"""Layers that hand on channel 0 as it is."""
BLUR = ("upconv4.conv.3", "conv_cls.0", "conv_cls.2", "conv_cls.4")
"""Layers that spread it by a pixel of the half-sized picture, which joins letters to lines."""
BRIGHT, GAIN = 1.9, 4.0
"""Normalised brightness (white is 2.4, a luma of 200 is 1.5) from which a pixel counts, and how much."""


def mend_torchvision() -> None:
    """Let torchvision's CUDA build be imported beside a torch for CPUs: its operators only have to be declared.

    The index may hold torch for CPUs, but not torchvision. EasyOCR takes VGG and image transforms from it, and neither
    needs a compiled operator.
    """
    import torch

    if "+cpu" not in version("torchvision") and torch.version.cuda is None:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        mend_torchvision.library = library  # type: ignore[attr-defined]  # its end would undo it


def write_weights(path: Path) -> str:
    """Write the file that EasyOCR reads, and say its MD5."""
    import torch
    from easyocr.craft import CRAFT

    weights: dict[str, Any] = {name: torch.zeros_like(value) for name, value in CRAFT().state_dict().items()}
    for name in weights:
        if name.endswith("running_var"):  # batch normalisation leaves everything as it is
            weights[name] += 1
            weights[name.replace("running_var", "weight")] += 1
    weights["basenet.slice1.0.weight"][0, :, 1, 1] = GAIN / 3
    weights["basenet.slice1.0.bias"][0] = -GAIN * BRIGHT
    for layer in THREAD:
        tap = weights[f"{layer}.weight"]
        tap[0, 0, tap.shape[2] // 2, tap.shape[3] // 2] = 1
    weights["upconv4.conv.0.weight"][0, 64] = 1  # the first 64 channels come from below
    for layer in BLUR:
        weights[f"{layer}.weight"][0, 0] = 0.3
    weights["conv_cls.8.weight"][:, 0] = 1
    torch.save(weights, path)
    return hashlib.md5(path.read_bytes()).hexdigest()
