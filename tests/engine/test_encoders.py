"""Encoders of cards: each really tried, used where it works, and done without where it fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.simulators.card import Card
from vtid.config.making import Encoders as Section
from vtid.domain.encoder import Candidate, Encoder
from vtid.engine.encoders import Encoders, opened
from vtid.media.hardware.slots import free_slot
from vtid.plugins import PluginRecord, Plugins, Status


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card(tmp_path / "card")


Make = Callable[..., Encoders]


@pytest.fixture
def make(card: Card, tmp_path: Path) -> Make:
    """The encoders of a machine with that card."""

    def made(encoders: Sequence[Encoder] = (), choose: Any = None, clock: Any = None, **settings: Any) -> Encoders:
        record = PluginRecord(
            name="card", status=Status.ENABLED, encoders=(*encoders,) or (card.encoder,), choose_encoders=choose
        )
        usual = {"path": str(tmp_path / "known"), "ffmpeg": str(card.ffmpeg), "trial_seconds": 60.0}
        terms = Section(**(usual | settings))
        found = opened(Plugins([record]), terms)
        if clock:
            found._clock = clock
        return found

    return made


def verdict(encoders: Encoders, name: str = "h264_card", **more: Any) -> Any:
    return next(one for one in encoders.verdicts(**more) if one.candidate.encoder.name == name)


def test_one_that_works_is_known_until_something_changes(make: Make, card: Card) -> None:
    assert [one.state for one in make().standings(trying=False)] == ["untried"]
    found = verdict(make())
    assert [(one.state, one.psnr) for one in make().standings(trying=False)] == [("works", found.psnr)]
    assert (found.works, found.reason, found.candidate.device) == (True, None, str(card.device))
    assert found.psnr > 35
    tried = card.calls
    assert verdict(make()) == found, "another process remembers"
    assert card.calls == tried
    assert verdict(make(), again=True).tried_at > found.tried_at
    assert card.calls > tried
    card.ffmpeg.write_text(card.ffmpeg.read_text() + "# another version\n")
    tried = card.calls
    assert verdict(make()).works
    assert card.calls > tried


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        ("fails", "Failed to initialise VAAPI connection: -1 (unknown libva error)"),
        ("wrong", "its pictures are wrong"),
        ("dies 10", "GPU reset"),
        ("crashes", "it crashed (SIGSEGV)"),
        ("hangs", "it hung: nothing came of it in 3 s"),
    ],
)
def test_the_true_reason_is_told(make: Make, card: Card, mood: str, reason: str) -> None:
    card.be(mood)
    encoders = make(trial_seconds=3.0 if mood == "hangs" else 60.0)
    encoders.verdicts = lambda again=False: encoders._tried(encoders.candidates(), again=again)  # type: ignore[method-assign]
    found = verdict(encoders)
    assert (found.works, found.psnr is None or mood == "wrong") == (False, True)
    assert reason in found.reason
    assert encoders.choices("a.step").candidates == ()


def test_encoders_that_this_machine_has_no_card_for_say_so(make: Make, card: Card) -> None:
    nvenc = Encoder(name="h264_nvenc", codec="h264", family="nvenc", devices=("/dev/nothing*",))
    apple = Encoder(name="h264_videotoolbox", codec="h264", family="videotoolbox")
    encoders = make([nvenc, apple])
    found = {one.candidate.encoder.name: one for one in encoders._tried(encoders.candidates())}
    assert not any(one.works for one in found.values())
    assert "libcuda" in found["h264_nvenc"].reason
    assert found["h264_videotoolbox"].reason == "PyAV's FFmpeg has no h264_videotoolbox on this system"
    without = make(ffmpeg="/nowhere/ffmpeg")
    assert "there is none" in without._tried(without.candidates())[0].reason


def test_software_is_tried_like_the_rest(make: Make) -> None:
    found = verdict(make(), "libx264")
    assert (found.works, found.candidate.encoder.family) == (True, "software")


def test_plugins_choose_and_the_operator_has_the_last_word(make: Make, card: Card) -> None:
    asked: list[tuple[str, Sequence[Candidate]]] = []

    def choose(step: str, usable: Sequence[Candidate]) -> Sequence[Candidate] | None:
        asked.append((step, usable))
        return [] if step == "never.this" else None

    encoders = make(choose=choose)
    chosen = encoders.choices("some.step").candidates
    assert [one.encoder.name for one in chosen] == ["h264_card"]
    assert encoders.choices("never.this").candidates == ()
    assert [step for step, _ in asked] == ["some.step", "never.this"]
    assert make(hardware="off").choices("some.step").candidates == ()
    card.device.unlink()
    tried = card.calls
    assert encoders.choices("some.step").candidates == (), "no card, nothing to try"
    assert card.calls == tried


def test_a_card_that_keeps_failing_is_rested_and_then_tried_anew(make: Make, card: Card) -> None:
    now = [1000.0]
    encoders = make(clock=lambda: now[0], rest_after=2, rest_minutes=1.0)
    name = encoders.choices("a.step").candidates[0].card
    encoders.failed(name, "GPU reset")
    assert encoders.choices("a.step").candidates, "the next job tries again"
    encoders.failed(name, "GPU reset")
    assert encoders.choices("a.step").candidates == ()
    [stands] = encoders.standings(trying=False)
    assert (stands.candidate.encoder.name, stands.state, stands.reason) == ("h264_card", "rests", "GPU reset")
    assert msgspec.to_builtins(encoders.cards()[name]) == {"failures": 2, "rests_until": 1060.0, "reason": "GPU reset"}
    now[0] += 61
    tried = card.calls
    assert encoders.choices("a.step").candidates
    assert card.calls > tried, "it has to show that it works"
    encoders.did_well(name)
    assert encoders.cards() == {}


def test_sessions_on_a_card_are_counted(make: Make) -> None:
    choices = make(sessions=2).choices("a.step")
    name = choices.candidates[0].card
    with free_slot(choices, name) as one, free_slot(choices, name) as two, free_slot(choices, name) as three:
        assert (one, two, three) == (True, True, False)
    with free_slot(choices, name) as again:
        assert again
