"""Ordering once, whatever crashes, and waiting for the end without a worker.

GhostCut takes no idempotency keys: an order whose answer got lost may have arrived, and making it again may cost twice.
So its name is stored before it goes out, and is looked for in the account before another one is made.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from vtid.sdk import Context, Found, Intent, NeedsAttention, RetryLater, StepError

from .client import GhostCut, Ordered, Uploaded, Work
from .failures import DONE, Busy, Remedy, Unsure, error_of, failure_of
from .orders import Order
from .settings import Settings

CLOCKS_DIFFER_S = 900.0
"""How far before it was made an order is looked for: GhostCut's clock and ours are two."""


SOONEST_S = 5.0
"""The first look at a task, and the shortest wait between two."""


class Ordering:
    """One order at GhostCut, of which there may be several tries.

    Args:
        ctx: of the step.
        service: to order at.
        order: what.
        uploaded: the video.
        told: is called with the share of the work that is done.
        words: what is being done, for people.
    """

    def __init__(
        self,
        ctx: Context,
        service: GhostCut,
        order: Order,
        uploaded: Uploaded,
        told: Callable[[float], None],
        words: str,
    ) -> None:
        assert isinstance(ctx.settings, Settings)
        self._ctx = ctx
        self._settings = ctx.settings
        self._service = service
        self._order = order
        self._uploaded = uploaded
        self._told = told
        self._words = words
        self._number = 1

    def finished(self) -> Work:
        """The task that is done.

        Raises:
            StepError: it failed; `NeedsAttention` where a person of this house can do something about it.
        """
        while True:
            task = self._ordered()
            # Its end is noted, so that it is not asked for again while the result is fetched or another order follows.
            work = self._ctx.once(self._key("end"), partial(self._end, task), type=Work)
            if work.status == DONE:
                return work
            if self._number == self._settings.tries or not _may_be_ordered_again(work):
                self._give_up(work)
            self._ctx.log("GhostCut timed out and charged nothing; ordering again", level="warning", task=task.id)
            self._number += 1

    def forget_end(self) -> None:
        """Have a retry ask for the end of the task again."""
        self._ctx.forget(self._key("end"))

    def _key(self, what: str) -> str:
        return f"{what}-{self._number}"

    # --- the order

    def _ordered(self) -> Ordered:
        """The task of this try, ordered once."""
        task = self._ctx.once(self._key("order"), self._create, type=Ordered, reconcile=self._look_for)
        self._ctx.note(ghostcut_task_id=task.id)
        return task

    def _create(self, token: str) -> Ordered:
        body = self._order.body(self._uploaded.url, _name(token), self._ctx.callback_url)
        try:
            task = self._service.create(body, time.time())
        except Unsure:
            raise
        except (StepError, NeedsAttention, Busy):  # certainly not taken: the next try need not look for it
            self._ctx.forget(self._key("order"))
            raise
        self._ctx.log("GhostCut took the order", ghostcut_task_id=task.id, project=task.project)
        return task

    def _look_for(self, intent: Intent) -> Found | None:
        """The task of an order whose answer got lost."""
        work = self._service.find(_name(intent.token), self._uploaded.url, intent.began_at - CLOCKS_DIFFER_S)
        if work:
            self._ctx.log("found the order whose answer got lost", ghostcut_task_id=work.id)
            return Found(Ordered(work.id, work.project, intent.began_at))
        left = intent.began_at + self._settings.settle_seconds - time.time()
        if left > 0:
            raise RetryLater(left, "Looking whether GhostCut took the order")
        # It never arrived. Begun anew rather than made now, so that the next order has a time of its own to settle.
        self._ctx.forget(self._key("order"))
        raise RetryLater(0.0, "Ordering again: GhostCut did not take the order")

    # --- its end

    def _end(self, task: Ordered, _token: str) -> Work:
        """The final state of a task, once it has one."""
        ctx, settings = self._ctx, self._settings
        every = settings.called_poll_seconds
        if not ctx.callback_url:  # a short clip is done soon, and what has taken long may take longer
            every = min(settings.poll_seconds, max(SOONEST_S, (time.time() - task.at) / 4))
        return ctx.poll(partial(self._look_at, task), every=every, message=self._words)

    def _look_at(self, task: Ordered) -> Work | None:
        work, settings = self._service.status(task.id), self._settings
        now = time.time()
        if work is None:
            if now < task.at + settings.settle_seconds:
                return None
            self._ctx.forget(self._key("order"))
            words = f"GhostCut no longer knows its task {task.id}; it may have been deleted there."
            raise StepError(words, suggestion="Retry the job to order it again; that is paid for again.")
        if work.status >= DONE:
            return work
        self._told(work.progress / 100)
        if now > max(self._ctx.started_at, task.at) + settings.give_up_hours * 3600:
            words = f"GhostCut has worked on task {task.id} for {settings.give_up_hours:g} hours without an end."
            raise NeedsAttention(words, suggestion="Look at it in the GhostCut account; a retry waits on for it.")
        return None

    def _give_up(self, work: Work) -> None:
        """Raise what a failed task ends with, having forgotten what a retry has to do anew."""
        remedy = failure_of(work.status).remedy
        self.forget_end()
        if remedy is not Remedy.UNLOCK:  # a locked one is finished, and a retry fetches it
            self._ctx.forget(self._key("order"))
        if remedy is Remedy.UPLOAD:
            self._ctx.forget("upload")
        raise error_of(work.id, work.status, work.detail)


def _name(token: str) -> str:
    """What an order is found by."""
    return f"vtid-{token}"


def _may_be_ordered_again(work: Work) -> bool:
    """Only what GhostCut says to have charged nothing for."""
    return failure_of(work.status).remedy is Remedy.AGAIN and work.points == 0
