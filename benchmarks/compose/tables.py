"""Lines of a table in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def row(name: str, pairs: Sequence[tuple[float, float]], goal: str, digits: int = 1) -> None:
    """One line: medians of both, and the median of the paired ratios."""
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"| {name} | {ours:,.{digits}f} | {theirs:,.{digits}f} | {ratio:.3f} | {goal} |")
