"""The account: tasks with their states, and points. Knows nothing of HTTP."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from vtid.simulators.ghostcut.rules import Order

RUNNING = (-2, -1, 0)
"""Material is prepared, the task waits, it is worked on; by thirds of its time."""
DONE, NO_POINTS, LOCKED = 1, 73, 83


class Moods(Struct, kw_only=True):
    """How the service behaves. Counts go down as they are used up."""

    key: Annotated[str, Meta(description="The AppKey of its one account.")] = "demo-key"
    secret: Annotated[str, Meta(description="The AppSecret that belongs to it.")] = "demo-secret"  # noqa: S105 - nobody's
    points: Annotated[float, Meta(ge=0, description="What is left on the account.")] = 1000.0
    points_per_second: Annotated[float, Meta(ge=0, description="The price, of a second of video.")] = 1 / 3
    seconds: Annotated[float, Meta(ge=0, description="How long a task takes, at least.")] = 3.0
    hold: Annotated[bool, Meta(description="Tasks stay at work; false lets them go on.")] = False
    slow_s: Annotated[float, Meta(ge=0, description="How long every answer of the gateway takes.")] = 0.0
    lose_creates: Annotated[
        int, Meta(ge=0, description="Orders that are taken and charged, and whose answer gets lost.")
    ] = 0
    lost_answers: Annotated[float, Meta(ge=0, le=1, description="The share of orders that this happens to.")] = 0.0
    break_creates: Annotated[
        int, Meta(ge=0, description="Orders that are taken and charged, and answered with HTTP 500.")
    ] = 0
    refuse_creates: Annotated[int, Meta(ge=0, description="Orders that are not taken.")] = 0
    refuse_lists: Annotated[int, Meta(ge=0, description="Queries of the list that are refused.")] = 0
    refusal: Annotated[int, Meta(description="The envelope's code of what is refused.")] = 3006
    ends_with: Annotated[int, Meta(ge=1, description="The processStatus that tasks end with.")] = DONE
    fail_tasks: Annotated[int | None, Meta(description="How many tasks end so; empty: all.")] = None
    error_detail: Annotated[str, Meta(description="What is said about them beside.")] = ""
    forget_tasks: Annotated[int, Meta(ge=0, description="Status queries that are answered with empty content.")] = 0
    list_lag_s: Annotated[float, Meta(ge=0, description="How long a new task takes to appear in the list.")] = 0.0
    ids_as_text: Annotated[bool, Meta(description="Ids are texts, not numbers.")] = False
    callbacks: Annotated[int, Meta(ge=0, description="How often each end is told.")] = 1
    callback_delay_s: Annotated[float, Meta(ge=0, description="How long after it.")] = 0.0
    forged_callbacks: Annotated[int, Meta(ge=0, description="With a wrong signature, before the true ones.")] = 0
    callback_retry_s: Annotated[
        float, Meta(gt=0, description="When one is repeated that was not answered with 200 and something.")
    ] = 1800.0
    result: Annotated[Literal["good", "short", "silent", "broken"], Meta(description="What results are like.")] = "good"
    render: Annotated[bool, Meta(description="Whether it paints; false gives the video back as it came.")] = True
    result_ttl_s: Annotated[
        float, Meta(ge=0, description="How long a result's address holds; a later query tells a fresh one.")
    ] = 3600.0
    cut_downloads: Annotated[int, Meta(ge=0, description="Downloads that break off half-way.")] = 0
    lose_uploads: Annotated[int, Meta(ge=0, description="Uploads that break off half-way.")] = 0


class Task(Struct, kw_only=True):
    """One task: what was asked, and how it stands."""

    id: int
    project: int
    order: Order
    url: str
    name: str
    created_at: float
    ready_at: float
    price: float = 0.0
    paid: float = 0.0
    status: int | None = None
    """The final `processStatus`; None while it runs."""
    error_detail: str = ""
    result: Path | None = None
    duration_s: float = 0.0
    working: bool = False

    def standing(self, now: float) -> int:
        """Its `processStatus` at this time."""
        if self.status is not None:
            return self.status
        share = (now - self.created_at) / max(self.ready_at - self.created_at, 1e-6)
        return RUNNING[min(2, max(0, int(share * 3)))]


class Account:
    """Tasks and points of one customer.

    Args:
        moods: how the service behaves.
        charge: writes into the ledger.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        moods: Moods,
        charge: Callable[..., None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.moods = moods
        self.tasks: dict[int, Task] = {}
        self.clock = clock
        self._charge = charge
        self._lock = threading.Lock()
        self._next = 476_993_630

    def all(self) -> list[Task]:
        """Every task, the oldest first."""
        with self._lock:
            return list(self.tasks.values())

    def accept(self, order: Order) -> list[Task]:
        """Take an order: one task for each of its addresses."""
        with self._lock:
            now = self.clock()
            self._next += 7
            return [self._add(order, i, now, self._next - 256_000_000) for i in range(len(order.urls))]

    def _add(self, order: Order, i: int, now: float, project: int) -> Task:
        self._next += 1
        task = Task(
            id=self._next,
            project=project,
            order=order,
            url=order.urls[i],
            name=order.names[i] if i < len(order.names) else "",
            created_at=now,
            ready_at=now + self.moods.seconds,
        )
        self.tasks[task.id] = task
        # Written down at the order, whatever becomes of it: what is looked for here is whether anybody ordered twice.
        self._charge(task=task.id, name=task.name, url=task.url, at=now)
        return task

    def price(self, task: Task, seconds: float) -> bool:
        """Charge for the length of the film. False: there are not enough points, and the task ends so."""
        with self._lock:
            task.duration_s = seconds
            task.price = max(1.0, math.ceil(seconds * self.moods.points_per_second))
            if self.moods.points < task.price:
                task.status = NO_POINTS
                return False
            self.moods.points -= task.price
            task.paid = task.price
            return True

    def end(self, task: Task, status: int, detail: str = "") -> None:
        """Write a task's end. What failed is not charged for."""
        with self._lock:
            task.status, task.error_detail = status, detail
            if status not in (DONE, LOCKED):
                self.moods.points += task.paid
                task.paid = 0.0

    def fate(self) -> int:
        """What the next task ends with."""
        with self._lock:
            moods = self.moods
            if moods.ends_with == DONE or moods.fail_tasks == 0:
                return DONE
            if moods.fail_tasks is not None:
                moods.fail_tasks -= 1
            return moods.ends_with

    def use_up(self, mood: str) -> bool:
        """Whether a mood that is a count is on; it is then one less."""
        with self._lock:
            left = getattr(self.moods, mood)
            if left:
                setattr(self.moods, mood, left - 1)
            return bool(left)

    def due(self) -> list[Task]:
        """Tasks whose time has come, each once."""
        with self._lock:
            now = self.clock()
            ready = [t for t in self.tasks.values() if t.status is None and not t.working and t.ready_at <= now]
            for task in ready:
                task.working = True
            return ready

    def item(self, task: Task, result_url: str) -> dict[str, Any]:
        """A task as the service tells of it."""
        status = task.standing(self.clock())
        shown: dict[str, Any] = {
            "id": self._id(task.id),
            "idProject": self._id(task.project),
            "url": task.url,
            "name": task.name,
            "processStatus": status,
            "processStatusEnum": {"code": status, "description": f"status {status}"},
            # The vendor's own sample of a failed task is at 100 too: only the status tells.
            "processProgress": 100.0 if status > 0 else {-2: 5.0, -1: 20.0, 0: 60.0}[status],
            "errorDetail": task.error_detail,
            "paidPoint": task.paid,
            "duration": task.duration_s,
            "createTime": int(task.created_at * 1000),
        }
        return shown | ({"videoUrl": result_url} if status == DONE else {})

    def _id(self, number: int) -> int | str:
        return str(number) if self.moods.ids_as_text else number
