"""The operator's numbers for running jobs, and how long to wait before trying again."""

from __future__ import annotations

import random

from msgspec import Struct


class Backoff(Struct, frozen=True):
    """`base · 2^(n-1)` seconds before try n+1, at most `max`, spread by ±`jitter`: many jobs do not return at once."""

    base_s: float = 2.0
    max_s: float = 300.0
    jitter: float = 0.2

    def delay(self, failures: int, spread: float | None = None) -> float:
        """Seconds to wait after so many failures.

        Args:
            failures: at least 1.
            spread: -1 to 1, random where None.
        """
        spread = random.uniform(-1, 1) if spread is None else spread
        wait: float = min(self.max_s, self.base_s * 2 ** (failures - 1)) * (1 + self.jitter * spread)
        return wait


class Policy(Struct, frozen=True):
    """The operator's numbers for running jobs."""

    backoff: Backoff
    step_timeout_s: float
    progress_per_second: float
    max_lost: int
    """A step under which more workers died than this is given up."""
    labels: frozenset[str] = frozenset()
    """What this worker can do."""
