"""What GhostCut's numbers mean, and what to do about them: final states of tasks, and refusals of requests."""

from __future__ import annotations

from enum import Enum, auto

from vtid.sdk import NeedsAttention, RetryLater, StepError, Struct

DONE = 1


class Remedy(Enum):
    """Who can do something about a task that failed."""

    INPUT = auto()
    """Whoever made the video: another one, or a shorter one."""
    UPLOAD = auto()
    """Nobody but a retry, which uploads the video anew: the address no longer leads to it."""
    ACCOUNT = auto()
    """The operator, in the GhostCut account; then retry."""
    UNLOCK = auto()
    """The same, but the task is finished and waits there: a retry fetches it, and orders nothing."""
    AGAIN = auto()
    """Another order may do, if nothing was charged for this one."""
    VENDOR = auto()
    """GhostCut itself."""
    OURS = auto()
    """vtid: an order that GhostCut does not take should have been refused here."""


class Failure(Struct, frozen=True):
    """A final state other than done."""

    meaning: str
    advice: str
    remedy: Remedy


_SPLIT = Failure("the video is longer than 15 minutes", "Split it and send the parts.", Remedy.INPUT)
_PLATFORM = "Retry the job; if it fails again, ask GhostCut's support, naming the task."
_TIMED_OUT = "Retry the job later; if it stays so, ask GhostCut's support, naming the task."

FAILURES: dict[int, Failure] = {
    2: Failure("GhostCut could not resolve the video's address", "Retry the job: it sends it again.", Remedy.UPLOAD),
    3: Failure(
        "GhostCut could not download the video, or found it damaged",
        "Retry the job: it sends it again. If that does not help, convert the video to MP4 first.",
        Remedy.UPLOAD,
    ),
    5: _SPLIT,
    99: _SPLIT,
    100: Failure("the video is over GhostCut's 1000 MB", "Encode it smaller, or split it.", Remedy.INPUT),
    14: Failure("the uploaded video is no longer at GhostCut", "Retry the job: it uploads it again.", Remedy.UPLOAD),
    16: Failure("the video looks damaged to GhostCut", "Convert it to H.264 in MP4 and try that.", Remedy.INPUT),
    26: Failure("GhostCut did not take the order's values", "Please report this with the details.", Remedy.OURS),
    73: Failure(
        "the GhostCut account has not enough points, and the task was not started",
        "Buy points, then retry the job.",
        Remedy.ACCOUNT,
    ),
    83: Failure(
        "the task is finished, but locked: the GhostCut account had not enough points",
        "Buy points and unlock the task in the GhostCut account, then retry the job, which fetches the result.",
        Remedy.UNLOCK,
    ),
    98: Failure(
        "the storage of the GhostCut account is full",
        "Delete old works in the GhostCut account, then retry the job.",
        Remedy.ACCOUNT,
    ),
    18: Failure("GhostCut's processing timed out", _TIMED_OUT, Remedy.AGAIN),
    23: Failure("GhostCut's processing timed out", _TIMED_OUT, Remedy.AGAIN),
    43: Failure("GhostCut's processing timed out", _TIMED_OUT, Remedy.AGAIN),
    111: Failure("GhostCut failed for a reason that it does not know", _TIMED_OUT, Remedy.AGAIN),
    6: Failure("GhostCut's platform failed", _PLATFORM, Remedy.VENDOR),
    7: Failure("GhostCut's platform failed", _PLATFORM, Remedy.VENDOR),
    13: Failure("GhostCut's platform failed", _PLATFORM, Remedy.VENDOR),
    20: Failure("GhostCut could not erase the text", _PLATFORM, Remedy.VENDOR),
    21: Failure("GhostCut's platform failed", _PLATFORM, Remedy.VENDOR),
    22: Failure("GhostCut's platform failed", _PLATFORM, Remedy.VENDOR),
}
_UNKNOWN = Failure("GhostCut ended it in a state that vtid does not know", _PLATFORM, Remedy.VENDOR)


def failure_of(status: int) -> Failure:
    """What a `processStatus` above 1 means; every one of them is final, the unknown ones too."""
    return FAILURES.get(status, _UNKNOWN)


def error_of(task: str, status: int, detail: str) -> StepError | NeedsAttention:
    """The same as what the step raises.

    Args:
        task: its id, which the vendor's support asks for.
        status: `processStatus`.
        detail: what the vendor adds, often nothing.
    """
    failure = failure_of(status)
    said = f": {detail}" if detail else ""
    words = f"GhostCut task {task} failed: {failure.meaning} (status {status}{said})."
    needs_person = failure.remedy in (Remedy.ACCOUNT, Remedy.UNLOCK)
    return (NeedsAttention if needs_person else StepError)(words, suggestion=failure.advice)


# --- refusals of requests


class Busy(RetryLater):
    """Certainly not accepted, and welcome later."""


class Unsure(StepError):
    """Refused in words that vtid does not know: it cannot be told whether anything was begun."""


OK = 1000
_NO_ANSWER = {3001, 3002, 9999, 500}
"""The service failed within: something may have been begun."""
_KEY = {
    2003: ("GhostCut does not know the key", "Check GHOSTCUT_API_KEY: it is the AppKey of the account."),
    2004: ("GhostCut does not accept the signature", "Check GHOSTCUT_APP_SECRET: it has to belong to the key."),
    3007: ("GhostCut wants the account's identity verified", "Do that in the GhostCut account, then retry the job."),
}
_ASKED_WRONG = {
    2001: "key or signature did not arrive; a proxy may drop the headers AppKey and AppSign",
    2002: "the request did not arrive as POST; a proxy or a redirect may have changed it",
    3003: "the task is not known in this account",
    3008: "the address of the video did not arrive",
    4001: "a value, a function of the account, or its user (uid) is not right for it",
}
_ASKED_WRONG |= dict.fromkeys((4002, 4003, 4004), _ASKED_WRONG[4001])
BUSY_S = 60.0


def refusal(code: int, msg: str, trace: str, *, again_s: float) -> Exception:
    """What an envelope's code other than 1000 becomes.

    Args:
        code: of the envelope.
        msg: the vendor's words.
        trace: by which the vendor finds the request.
        again_s: when to ask again where asking again may help.
    """
    said = f'code {code}, "{msg}", trace {trace}'
    if code in _NO_ANSWER:
        return RetryLater(again_s, f"GhostCut failed within ({said})")
    if code == 3006:
        return Busy(max(again_s, BUSY_S), "GhostCut is at its limit of tasks; waiting for a place")
    if code in _KEY:
        words, advice = _KEY[code]
        return NeedsAttention(f"{words} ({said}).", suggestion=advice)
    if code in _ASKED_WRONG:
        return StepError(f"GhostCut refused the request: {_ASKED_WRONG[code]} ({said}).")
    return Unsure(f"GhostCut refused the request ({said}).")
