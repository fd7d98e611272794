"""Names for the arrays that flow through this package, and crops of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]
"""H×W×3; Y, U, V unless a name says BGR."""
Plane = NDArray[Any]
"""H×W numbers."""
Mask = NDArray[np.bool_]
"""H×W, true where something is to be done."""
Floats = NDArray[np.float32]


def eight_bits(pixels: Pixels) -> Floats:
    """Values on the 8-bit scale, of pixels that are kept in 8 bits, or in 16 of which 8 are fraction."""
    values = pixels.astype(np.float32)
    return values / np.float32(256) if pixels.dtype == np.uint16 else values
