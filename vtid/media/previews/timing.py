"""When each frame of a film is shown."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
from av.container import InputContainer

from vtid.domain.previewing import Timing
from vtid.media.containers import open_input
from vtid.media.decode import lateness, main_video, require_whole_file
from vtid.media.smart.index import counted_index, read_index


def timing(path: Path, threads: int) -> Timing:
    """See `vtid.sdk.Previewing.timing`."""
    with open_input(path) as container:
        stream = main_video(container, path.name)
        require_whole_file(container, stream, path)
        base = stream.time_base or Fraction(1, 1000)
        zero = _zero(container) + lateness(container, path) * base
        index = read_index(container, stream, path)
    if index.doubt or not index.pts:
        index = counted_index(path, index, threads)
    shown = np.frombuffer(index.pts, np.int64)
    steps = np.diff(shown)
    steady = int(steps[0]) if len(steps) and (steps == steps[0]).all() else None
    return Timing(
        frames=len(shown),
        time_base=f"{base.numerator}/{base.denominator}",
        start_s=round(float(int(shown[0]) * base - zero), 6),
        step=0 if len(shown) == 1 else steady,
        deltas=[] if steady is not None else steps.tolist(),
        last=index.last_duration or (int(np.median(steps)) if len(steps) else 0),
    )


def _zero(container: InputContainer) -> Fraction:
    """What a player's clock calls 0: of MP4 and MOV, whose edit lists say so, 0 itself; else what comes first."""
    if container.format.name.startswith("mov,") or container.start_time is None:
        return Fraction(0)
    return Fraction(container.start_time, 1_000_000)
