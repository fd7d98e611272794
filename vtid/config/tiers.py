"""What accounts may do, by their tier: the type, and the tiers that vtid brings."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Tier(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an account of a tier may do."""

    credits: Annotated[int, Meta(ge=0)] = 0
    """Given to a new account."""
    requests_per_minute: Annotated[int, Meta(ge=0)] = 60
    """0 for any number."""
    concurrent_jobs: Annotated[int, Meta(ge=0)] = 1
    """Jobs at work at once, 0 for any number; more of them wait their turn."""
    segments: Annotated[int, Meta(ge=0)] = 0
    """Segments of a pro job; 0 allows none."""
    quota_mb: Annotated[int, Meta(ge=0)] = 0
    """Megabytes that a user may have stored, uploads and results; 0 for any number."""
    metered: bool = True
    """Whether jobs cost credits."""
    paid_steps: bool = False
    """Whether jobs may use steps that cost the operator money: services in the cloud."""


OWNER_TIER = "owner"
"""Of the first admin."""
USUAL_TIERS: dict[str, Tier] = {
    "free": Tier(credits=100, requests_per_minute=10, concurrent_jobs=1, segments=0),
    "pro": Tier(credits=1000, requests_per_minute=60, concurrent_jobs=3, segments=5, paid_steps=True),
    "enterprise": Tier(credits=5000, requests_per_minute=300, concurrent_jobs=10, segments=10, paid_steps=True),
    OWNER_TIER: Tier(requests_per_minute=0, concurrent_jobs=0, segments=100, metered=False, paid_steps=True),
}
