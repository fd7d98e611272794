"""A step that may encode on a graphics card; where the card fails, the step is done again in software."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from vtid.domain.encoder import Choices
from vtid.engine.encoders import Encoders
from vtid.engine.isolation import Watch, run_isolated
from vtid.engine.steps import Outcome
from vtid.engine.wire import Done, Encoding, Failed, StepTask
from vtid.errors import StepCrashed
from vtid.sdk import Link


class _Used:
    """The card that a step encoded on last."""

    def __init__(self) -> None:
        self.card: str | None = None
        self.encoder = ""
        self.now = False

    def take(self, told: Encoding) -> None:
        self.now = told.card is not None
        if told.card is not None:
            self.card, self.encoder = told.card, told.encoder


def run_with_hardware(
    encoders: Encoders, task: StepTask, link: Link, watch: Watch, afresh: Callable[[], None]
) -> Outcome:
    """Run a step in a process of its own, on a card where the machine has one that works.

    A failure of the card, a crash or a hang while it encodes, ends that process; the step is then done again, from its
    top, without cards. Only if software can do what the card could not, the card is blamed.

    Args:
        encoders: of this machine.
        task: what to run.
        link: answers the step's questions.
        watch: what ends it early.
        afresh: makes its workspace as it was.

    Raises:
        StepCrashed: as `run_isolated` does.
    """
    choices = encoders.choices(task.step)
    if not choices.candidates:
        return run_isolated(task, link, watch)
    used = _Used()
    watching = msgspec.structs.replace(watch, encoding=used.take, stall_s=choices.stall_s)
    try:
        outcome = run_isolated(msgspec.structs.replace(task, hardware=choices), link, watching)
    except StepCrashed as crash:
        if not used.now:
            raise
        reason = crash.message
    else:
        if not (isinstance(outcome, Failed) and outcome.kind == "hardware"):
            if used.card and isinstance(outcome, Done):
                encoders.did_well(used.card)
            return outcome
        reason = outcome.message
    card = used.card or ""
    link.log("warning", f"{used.encoder} failed; done again in software", {"card": card, "reason": reason})
    link.progress(0.0, f"{used.encoder} failed; doing it again in software")
    afresh()
    outcome = run_isolated(msgspec.structs.replace(task, hardware=Choices()), link, watch)
    if isinstance(outcome, Done):
        encoders.failed(card, reason)
    return outcome
