"""A watcher that is killed between any two things that it does: the next one goes on where it was."""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.watch.conftest import PIPELINES, Hotbed, film
from vtid.db import Jobs, Watches
from vtid.storage import LocalStorage
from vtid.watch.folder import Folder
from vtid.watch.outbox import Outbox

Make = Callable[..., Hotbed]


class Killed(BaseException):
    """Stands for SIGKILL: nothing that catches errors catches it."""


STEPS = (
    (Folder, ("claim", "claim_companions", "first", "give_back", "put_away", "note", "forget", "remove")),
    (Folder, ("clear_note", "place_for", "bring")),
)

NEVER = ("", 0)
"""A point that nothing passes."""


class Killer:
    """Kills the watcher at one of the things that it does to files or rows, as `("before Jobs.add", 2)`: at the second."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        """What was passed since it was armed, in order."""
        self._point: tuple[str, int] | None = None
        self.dead = False
        self._lock = threading.Lock()

    def arm(self, point: str, time: int) -> None:
        self.seen.clear()
        self._point = (point, time)

    def disarm(self) -> None:
        self._point = None
        self.dead = False

    def pass_by(self, point: str) -> None:
        with self._lock:
            if self.dead:  # other threads may not go on either
                raise Killed
            if self._point is None:
                return
            self.seen.append(point)
            if (point, self.seen.count(point)) == self._point:
                self.dead = True
                raise Killed(point)


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Killer]:
    targets: list[tuple[type, str]] = [(c, name) for c, names in STEPS for name in names]
    targets += [(Watches, name) for name in ("add", "change", "forget")]
    targets += [(Outbox, "deliver"), (Outbox, "_name"), (Jobs, "add")]
    targets += [(LocalStorage, "delete_prefix")]  # nor does a killed process clear up
    killer = Killer()

    for owner, name in targets:
        real = getattr(owner, name)
        label = f"{owner.__name__}.{name}"
        if inspect.iscoroutinefunction(real):

            async def around(self: Any, *args: Any, _real: Any = real, _label: str = label, **more: Any) -> Any:
                killer.pass_by(f"before {_label}")
                value = await _real(self, *args, **more)
                killer.pass_by(f"after {_label}")
                return value
        else:

            def around(self: Any, *args: Any, _real: Any = real, _label: str = label, **more: Any) -> Any:  # type: ignore[misc]
                killer.pass_by(f"before {_label}")
                value = _real(self, *args, **more)
                killer.pass_by(f"after {_label}")
                return value

        monkeypatch.setattr(owner, name, around)

    yield killer
    killer.disarm()


@pytest.mark.slow
@pytest.mark.parametrize(
    "keys", [{}, {"on_done": "keep"}, {"on_done": "delete"}, {"duplicates": "move"}], ids=lambda k: "-".join(k.values())
)
def test_killed_at_every_point_it_goes_on_where_it_was(
    make_hotbed: Make, clip: bytes, killer: Killer, keys: dict[str, str]
) -> None:
    """One good file, one bad one, one that was here before: each is where it belongs in the end, and once."""
    hot = make_hotbed(pipelines=PIPELINES, settings={"watches__stalled_seconds": 0}, **keys)
    # Points are counted by name: in which order two files come past them differs from time to time.
    passed = Counter(_killed_at(hot, killer, clip, 0, NEVER, keys))
    points = [(point, time) for point, times in passed.items() for time in range(1, times + 1)]
    died = 0
    for number, point in enumerate(points[:: 4 if keys else 1], 1):  # with the usual keys at every point, else at some
        seen = _killed_at(hot, killer, clip, number, point, keys)
        died += (seen[-1], seen.count(seen[-1])) == point
    assert died >= 0.8 * number, "points that were learned did not come again"
    if not keys:
        assert {"after Folder.claim", "before Watches.change", "after Watches.change"} <= passed.keys()
        assert {f"{when} {what}.add" for when in ("before", "after") for what in ("Jobs", "Watches")} <= passed.keys()
        assert {"after Outbox.deliver", "before Outbox.deliver"} <= passed.keys()


def _killed_at(
    hot: Hotbed, killer: Killer, clip: bytes, number: int, point: tuple[str, int], keys: dict[str, str]
) -> list[str]:
    """Drop the files, kill the watcher at a point, start it anew, and see where they are; the points that were passed."""
    good, bad = f"good{number}.mp4", f"bad{number}.mp4"
    hot.drop(good, film(clip, number))
    hot.drop(f"{good}.toml", b"")
    hot.drop(bad, b"no video %d" % number)
    killer.arm(*point)
    for _ in range(2):
        _until_killed(hot)
    killer.disarm()
    seen = list(killer.seen)
    hot.watcher.close()
    hot.start()
    for _ in range(4):
        hot.settle()
        hot.round(400)
        hot.work()
        if {f.state.value for f in hot.files() if f.path in (good, bad)} == {"done", "failed"}:
            break
    states = {f.path: [g.state.value for g in hot.files() if g.path == f.path] for f in hot.files()}
    assert states[good] == ["done"], (seen, hot.file(good))
    assert "failed" in states[bad], (seen, states[bad])
    copies = [p for p in hot.outputs() if p.startswith(f"good{number}.")]
    assert copies == [f"good{number}.copy.mp4"], (seen, copies)
    assert (hot.out / copies[0]).read_bytes() == film(clip, number), seen
    kept = keys.get("on_done") == "keep"
    assert ((hot.into / good).exists(), (hot.own / "done" / good).exists()) == (
        (True, False) if kept else (False, keys.get("on_done") is None)
    ), seen
    assert (hot.own / f"failed/{bad}.txt").exists(), seen
    assert not [p for p in (hot.own / "processing").rglob("*") if p.is_file()], seen
    assert not list((hot.out / ".vtid/staging").glob("*")), seen
    return seen


def _until_killed(hot: Hotbed) -> None:
    with contextlib.suppress(Killed):
        hot.settle()
        for file in hot.files():
            if file.job_id and not file.state.ended:
                hot.lab.run(file.job_id)
        hot.round()
        hot.round()


def test_what_no_row_knows_of_is_given_back(make_hotbed: Make, clip: bytes) -> None:
    """As after the database was restored from a backup."""
    hot = make_hotbed()
    hot.drop("x/a.mp4", clip)
    hot.settle()
    hot.lab.bridge.run(hot.watcher._watches.forget(hot.file("x/a.mp4").id))
    hot.watcher.close()
    hot.start()
    hot.round()
    assert (hot.into / "x/a.mp4").exists()
    assert not list((hot.own / "processing").rglob("*.mp4"))
