"""A watcher that is killed between any two things that it does: the next one goes on where it was."""

from __future__ import annotations

import contextlib
import inspect
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


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], list[str]]]:
    """Kill the watcher before or after the n-th thing that it does to files or rows."""
    targets: list[tuple[type, str]] = [(c, name) for c, names in STEPS for name in names]
    targets += [(Watches, name) for name in ("add", "change", "forget")]
    targets += [(Outbox, "deliver"), (Outbox, "_name"), (Jobs, "add")]
    targets += [(LocalStorage, "delete_prefix")]  # nor does a killed process clear up
    seen: list[str] = []
    countdown = [-1]

    def tick(name: str) -> None:
        if countdown[0] == 0:
            return  # dead already: other threads may not go on either
        if countdown[0] > 0:
            countdown[0] -= 1
            seen.append(name)
            if countdown[0] == 0:
                raise Killed(name)

    def dead() -> None:
        if countdown[0] == 0:
            raise Killed

    for owner, name in targets:
        real = getattr(owner, name)
        if inspect.iscoroutinefunction(real):

            async def around(self: Any, *args: Any, _real: Any = real, _name: str = name, **more: Any) -> Any:
                dead()
                tick(f"before {_name}")
                value = await _real(self, *args, **more)
                tick(f"after {_name}")
                return value
        else:

            def around(self: Any, *args: Any, _real: Any = real, _name: str = name, **more: Any) -> Any:  # type: ignore[misc]
                dead()
                tick(f"before {_name}")
                value = _real(self, *args, **more)
                tick(f"after {_name}")
                return value

        monkeypatch.setattr(owner, name, around)

    def kill_at(number: int) -> list[str]:
        countdown[0] = number
        before = list(seen)
        seen.clear()
        return before

    yield kill_at
    countdown[0] = -1


@pytest.mark.slow
@pytest.mark.parametrize(
    "keys", [{}, {"on_done": "keep"}, {"on_done": "delete"}, {"duplicates": "move"}], ids=lambda k: "-".join(k.values())
)
def test_killed_at_every_point_it_goes_on_where_it_was(
    make_hotbed: Make, clip: bytes, killer: Callable[[int], list[str]], keys: dict[str, str]
) -> None:
    """One good file, one bad one, one that was here before: each is where it belongs in the end, and once."""
    hot = make_hotbed(pipelines=PIPELINES, settings={"watches__stalled_seconds": 0}, **keys)
    points: set[str] = set()
    for number in range(1, 60, 4 if keys else 1):  # with the usual keys at every point, with others at some
        good, bad = f"good{number}.mp4", f"bad{number}.mp4"
        hot.drop(good, film(clip, number))
        hot.drop(f"{good}.toml", b"")
        hot.drop(bad, b"no video %d" % number)
        killer(number)
        for _ in range(2):
            _until_killed(hot)
        seen = killer(-1)
        points |= set(seen[-1:])
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
            (True, False) if kept else (False, keys.get("on_done") is None and True)
        ), seen
        assert (hot.own / f"failed/{bad}.txt").exists(), seen
        assert not [p for p in (hot.own / "processing").rglob("*") if p.is_file()], seen
        assert not list((hot.out / ".vtid/staging").glob("*")), seen
        if len(seen) < number:  # it came through before its time: every point was tried
            break
    if not keys:
        assert {"after claim", "before add", "after add", "after change", "before change"} <= points
        assert {"after deliver", "before deliver"} <= points


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
