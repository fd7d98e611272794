"""Declarations that change while they are at work: what counts from when, and what becomes of files on their way."""

from __future__ import annotations

from collections.abc import Callable

from tests.watch.conftest import Hotbed, declare, film

Make = Callable[..., Hotbed]


def test_a_declaration_that_comes_changes_and_goes(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed(settle_seconds=60)
    hot.drop("a.mp4", clip)
    hot.settle(20)
    assert hot.files() == [], "it has not settled for a minute"
    declare(hot.config, settle_seconds=5, name="{stem}.new.{ext}")
    declare(hot.config, "more", path=str(hot.folder / "more"))
    (hot.folder / "more").mkdir()
    (hot.folder / "more/b.mp4").write_bytes(film(clip, 1))
    hot.round(3)
    hot.round(3)
    hot.settle()
    assert [f.path for f in hot.files("more")] == ["b.mp4"], "a new one begins"
    hot.work()
    assert "a.new.mp4" in hot.outputs(), "a changed one does what it says now"
    assert hot.record().shown(hot.now) == "ok"
    (hot.config / "in.toml").unlink()
    hot.drop("c.mp4", film(clip, 2))
    hot.round(3)
    hot.settle()
    assert hot.states() == {"a.mp4": "done"}, "one that is gone takes nothing"
    assert hot.record().shown(hot.now) == "stopped"
    declare(hot.config)
    hot.round(3)
    hot.settle()
    hot.settle()
    assert hot.states()["c.mp4"] == "submitted", "and it may come back"


def test_what_is_on_its_way_is_finished_where_it_was_taken(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    hot.drop("a.mp4", clip)
    hot.settle()
    declare(hot.config, path=str(hot.folder / "elsewhere"))
    (hot.folder / "elsewhere").mkdir()
    (hot.folder / "elsewhere/b.mp4").write_bytes(film(clip, 1))
    hot.drop("c.mp4", film(clip, 2))
    hot.round(3)
    hot.settle()
    hot.round(2)
    assert hot.states() == {"a.mp4": "submitted"}
    assert "says something new; that counts once the files on their way are over" in (hot.record().reason or "")
    hot.work()
    hot.round(3)
    hot.settle()
    hot.work()
    hot.round(2)
    assert hot.states() == {"a.mp4": "done", "b.mp4": "done"}
    assert (hot.own / "done/a.mp4").exists()
    assert (hot.into / "c.mp4").exists(), "the old folder is nobody's any more"
    assert hot.outputs() == {"a.copy.mp4", "b.copy.mp4"}
    assert (hot.record().state, hot.record().declared["path"]) == ("ok", str(hot.folder / "elsewhere"))


def test_a_broken_edit_stops_nothing(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    hot.round()
    (hot.config / "in.toml").write_text('[watch]\npath = "x"\npipelin = "copy"\n')
    hot.drop("a.mp4", clip)
    hot.round(3)
    hot.settle()
    hot.work()
    hot.round(2)
    assert hot.outputs() == {"a.copy.mp4"}
    record = hot.record()
    assert record.state == "degraded"
    assert "said before still counts, for now it is wrong" in (record.reason or "")
    assert 'watch.pipelin: unknown key; did you mean "pipeline"?' in (record.reason or "")
    declare(hot.config)
    hot.round(3)
    hot.round(3)
    assert (hot.record().state, hot.record().reason) == ("ok", None)


def test_an_old_wish_to_look_again_does_not_accept_an_empty_folder_after_a_restart(
    make_hotbed: Make, clip: bytes
) -> None:
    hot = make_hotbed()
    hot.round()
    hot.now += 2
    hot.lab.bridge.run(hot.watcher._watches.ask_rescan("in"))
    hot.round(2)
    hot.drop("a.mp4", clip)
    hot.settle()
    hot.round(2)
    hot.watcher.close()
    hot.into.rename(hot.folder / "away")  # the share is gone, and where it was mounted an empty folder is left
    hot.into.mkdir()
    hot.now += 60
    hot.start()
    hot.round()
    hot.round(2)
    assert "is not the folder that it was" in (hot.record().reason or "")
    assert not any(hot.into.iterdir()), "nothing is written there"
    assert hot.states() == {"a.mp4": "submitted"}


def test_a_clock_that_is_set_back_or_ahead_puts_nothing_off(make_hotbed: Make, clip: bytes) -> None:
    hot = make_hotbed()
    hot.drop("a.mp4", clip)
    hot.round()
    hot.wall -= 7200
    hot.round(5.1)
    assert hot.states() == {"a.mp4": "submitted"}, "5 s are 5 s, whatever the clock says"
    settled = hot.file("a.mp4")
    assert settled.settled_at <= settled.claimed_at <= hot.now + hot.wall
    hot.wall += 2 * 7200
    hot.drop("b.mp4", film(clip, 1))
    hot.round()
    assert hot.states() == {"a.mp4": "submitted"}, "nor has anything settled that came just now"
    hot.round(5.1)
    hot.work()
    hot.work()
    assert hot.outputs() == {"a.copy.mp4", "b.copy.mp4"}
