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
