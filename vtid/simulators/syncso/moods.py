"""What the simulated Sync.so can be made to do."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Share = Annotated[float, Meta(ge=0, le=1)]


class Moods(Struct):
    """How it behaves."""

    key: Annotated[str, Meta(description="The API key that it knows.")] = "sync-simulated-key"
    secret: Annotated[str, Meta(description="What it signs webhooks with.")] = "whsec_simulated"  # noqa: S105 - nobody's
    seconds: Annotated[float, Meta(ge=0, description="How long a generation takes at least.")] = 1.0
    hold: Annotated[bool, Meta(description="No generation ends while this is set.")] = False
    outcome: Annotated[
        Literal["COMPLETED", "FAILED", "REJECTED", "CANCELED", "TIMED_OUT"],
        Meta(description="How generations end."),
    ] = "COMPLETED"
    error_code: Annotated[str, Meta(description="Of those that end badly.")] = "generation_pipeline_failed"
    lost_answers: Annotated[Share, Meta(description="Share of accepted generations whose answer gets lost.")] = 0.0
    failing_answers: Annotated[Share, Meta(description="Share of accepted ones that are answered 500.")] = 0.0
    unknown_outcomes: Annotated[
        Share, Meta(description="Share of accepted ones that are answered 503 IDEMPOTENCY_OUTCOME_UNKNOWN.")
    ] = 0.0
    name_unknown: Annotated[bool, Meta(description="Whether that answer carries the generation's id.")] = True
    conflict_status: Annotated[
        int, Meta(description="Answered to a key that was used for another request; the service does not say which.")
    ] = 409
    slow_s: Annotated[float, Meta(ge=0, description="How long every answer takes.")] = 0.0
    concurrency: Annotated[int, Meta(ge=0, description="Generations at once; more get 429; 0: any number.")] = 0
    creates_per_minute: Annotated[int, Meta(ge=0, description="Creations a minute; more get 429; 0: any number.")] = 0
    retry_after_s: Annotated[float, Meta(ge=0, description="What a 429 says when to come again.")] = 1.0
    most_seconds: Annotated[float, Meta(ge=0, description="Longest video of the plan; 0: any.")] = 0.0
    most_bytes: Annotated[int, Meta(ge=0, description="Largest file of the plan; 0: any up to 5 GiB.")] = 0
    estimates: Annotated[bool, Meta(description="Whether it says beforehand what a generation costs.")] = True
    result_ttl_s: Annotated[float, Meta(gt=0, description="How long a link to a result works.")] = 3600.0
    short_by_s: Annotated[float, Meta(description="By how much results are too short.")] = 0.0
    mute: Annotated[bool, Meta(description="Results without sound.")] = False
    webhook: Annotated[
        Literal["once", "twice", "never", "forged", "late", "old"],
        Meta(description="How webhooks are sent; late: ten seconds after the end; old: with an old timestamp."),
    ] = "once"
    render: Annotated[bool, Meta(description="Whether it draws; false gives the video back as it came.")] = True
