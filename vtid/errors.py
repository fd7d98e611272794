"""Every error of vtid, drawn once.

::

    VtidError                       something that a person reads
      InvalidInput                  what was given is wrong: params, regions, JSON           400   exit 2
        MediaError                  not a video that can be read                             422   exit 3
        UnsupportedMedia            not a media file at all                                  415   exit 3
        TooLarge                    over a size limit                                        413   exit 2
          QuotaExceeded             over what one user may have stored                       413   exit 2
        AddressRefused              a URL that leads where none may lead                     400   exit 2
        Forged                      a callback that is not from whom it says                 400   exit 2
      ConfigError                   vtid.toml or the environment                             500   exit 4
      PipelineError                 a pipeline file                                          400   exit 4
      NotFound                      no such job, pipeline, plugin, file                      404   exit 5
      Conflict                      the state does not allow it                              409   exit 6
        AlreadyMade                 another job makes the same                               409   exit 6
      Unauthorized                  nobody known, or a token that does not hold              401   exit 8
      Forbidden                     role, scope or tier do not allow it                      403   exit 8
        InsufficientCredits         the account has too few                                  403   exit 8
      RateLimited                   too many requests                                        429   exit 7
      Unavailable                   a dependency is down, a plugin is not ready              503   exit 7
      FetchFailed                   a file could not be had from where its URL leads         503   exit 7
      StorageError                  a file could not be stored or read                       503   exit 7
        DiskFull                    no room left                                             507   exit 7
      HardwareFailed                an encoder of a graphics card; the step is done again in software
      StepFailed                    a step of a job ended badly                                    exit 1
        StepError                   final; the author of the step wrote the words
        NeedsAttention              a person must act: a bad key, no credit
        StepCrashed                 its process died, hung, or passed a limit
    RetryLater                      busy: the same step again after a while (an outcome, not an error)
    Cancelled, Suspended            control flow; BaseException, so that `except Exception` lets them through

`problems` carries the single complaints where there are several: all of them, never only the first.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import ClassVar

from msgspec import Struct


class Problem(Struct, frozen=True, omit_defaults=True):
    """One complaint: where, what is wrong, and what would be right."""

    field: str
    """The place: `clean.with.regions[0].width`, `server.port`, `segments[2].endTime`."""
    message: str
    code: str = "invalid"
    file: str | None = None

    def __str__(self) -> str:
        place = ": ".join(part for part in (self.file, self.field) if part)
        return f"{place}: {self.message}" if place else self.message


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion to end a message with, or nothing: `; did you mean "video"?`."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""


class VtidError(Exception):
    """Something went wrong that a person should read about."""

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Something went wrong"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, problems: Sequence[Problem] = (), suggestion: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.problems = list(problems)
        self.suggestion = suggestion


class InvalidInput(VtidError):
    """What the caller gave is wrong."""

    code = "invalid_input"
    title = "The request is not valid"
    status = 400
    exit_code = 2


class MediaError(InvalidInput):
    """A media file, but not one that can be worked on: truncated, empty, without video."""

    code = "unreadable_media"
    title = "The file cannot be read"
    status = 422
    exit_code = 3


class UnsupportedMedia(InvalidInput):
    """Not a media file."""

    code = "unsupported_media"
    title = "This is not a media file"
    status = 415
    exit_code = 3


class TooLarge(InvalidInput):
    """Over a size limit."""

    code = "too_large"
    title = "This is too large"
    status = 413


class QuotaExceeded(TooLarge):
    """Over what one user may have stored."""

    code = "quota_exceeded"
    title = "There is no more room for you"


class AddressRefused(InvalidInput):
    """A URL leads to an address that is not on the public internet, and that nobody has allowed."""

    code = "address_refused"
    title = "This address may not be reached"


class Forged(InvalidInput):
    """A callback whose signature does not hold. Raised by authors of plugins; the words go to whoever sent it."""

    code = "forged"
    title = "This callback is not genuine"


class ConfigError(VtidError):
    """The configuration has problems; all of them are listed."""

    code = "configuration"
    title = "The configuration has problems"
    exit_code = 4


class PipelineError(VtidError):
    """A pipeline has problems; all of them are listed."""

    code = "pipeline"
    title = "The pipeline has problems"
    status = 400
    exit_code = 4


class NotFound(VtidError):
    """There is no such thing, or it is somebody else's."""

    code = "not_found"
    title = "Not found"
    status = 404
    exit_code = 5


class Conflict(VtidError):
    """The state of the thing does not allow this."""

    code = "conflict"
    title = "The state does not allow this"
    status = 409
    exit_code = 6


class AlreadyMade(Conflict):
    """A job that makes the same of the same content is there already.

    Args:
        job_id: its id.
    """

    code = "already_made"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"The job {job_id} makes this already.")
        self.job_id = job_id


class Unauthorized(VtidError):
    """Who asks is not known, or what they show does not hold. Says no more than that: it may be anybody."""

    code = "unauthorized"
    title = "Log in first"
    status = 401
    exit_code = 8


class Forbidden(VtidError):
    """It is known who asks, and they may not."""

    code = "forbidden"
    title = "Not allowed"
    status = 403
    exit_code = 8


class InsufficientCredits(Forbidden):
    """The account has fewer credits than this costs."""

    code = "insufficient_credits"
    title = "Not enough credits"


class RateLimited(VtidError):
    """Too many requests in too short a time."""

    code = "rate_limited"
    title = "Too many requests"
    status = 429
    exit_code = 7

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(VtidError):
    """Something that is needed is down or not set up."""

    code = "unavailable"
    title = "Not available now"
    status = 503
    exit_code = 7


class FetchFailed(VtidError):
    """A file could not be had from where its URL leads; later it may."""

    code = "download_failed"
    title = "The file could not be downloaded"
    status = 503
    exit_code = 7


class Misfit(VtidError):
    """What was rendered does not fit what is copied, or the film's frames its packets.

    Planning again with `copy=False` helps.
    """

    code = "misfit"
    title = "The parts of the film do not fit together"


class StorageError(VtidError):
    """A file could not be stored or read."""

    code = "storage"
    title = "The storage failed"
    status = 503
    exit_code = 7


class DiskFull(StorageError):
    """No room is left on the device."""

    code = "disk_full"
    title = "The disk is full"
    status = 507


class HardwareFailed(VtidError):
    """An encoder of a graphics card failed: the step in hand is done again in software."""

    code = "hardware"


class StepFailed(VtidError):
    """A step of a job ended badly."""

    code = "step_failed"
    title = "A step failed"


class StepError(StepFailed):
    """Final: the message says to the user what was wrong. Raised by authors of steps."""

    code = "step_error"


class NeedsAttention(StepFailed):
    """A person must act before trying again helps: a bad key, no credit. Raised by authors of steps."""

    code = "needs_attention"
    title = "A person must act"


class StepCrashed(StepFailed):
    """The step's process died, hung or passed a limit; the message says which."""

    code = "step_crashed"


class RetryLater(Exception):
    """The other side is busy: run this step again after `after` seconds. Raised by authors of steps."""

    def __init__(self, after: float, message: str = "Waiting for a busy service") -> None:
        super().__init__(message)
        self.after = max(0.0, float(after))
        self.message = message


class Cancelled(BaseException):
    """Somebody cancelled the job. Let it through."""


class Suspended(BaseException):
    """The step waits for something outside and gives its worker back. Raised by `Context.poll`, never caught."""

    def __init__(self, after: float, message: str | None = None) -> None:
        super().__init__(message or "waiting")
        self.after = max(0.0, float(after))
        self.message = message
