"""What a step tells before its end, and what the engine keeps of what it did once."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from tests.conftest import Lab, wait_until
from vtid.db.tables import effects
from vtid.engine.control import Reason

MakeLab = Callable[..., Lab]
TELL = 'metadata = {{ order = "t.number" }}\n[[step]]\nid="t"\nuses="lab.{}"\nprogress=[20, 70]\n'
NEXT = '[[step]]\nid="n"\nuses="lab.noop"\nwhen="t.number"'
BOTH = pytest.mark.parametrize("step", ["tell", "tell_in_place"])


@BOTH
def test_what_was_told_stays_when_the_step_fails(make_lab: MakeLab, step: str) -> None:
    lab = make_lab({"p": TELL.format(step) + NEXT})
    job = lab.run(lab.submit("p", {"how": "fail"}))
    assert (job.status, job.error.message) == ("failed", "after it told")
    assert job.metadata == {"order": 7, "t": {"number": 7}}
    assert job.progress == 40, "it failed at 0.4 of 20 to 70"


@BOTH
def test_it_is_known_at_once_and_stays_when_the_job_is_cancelled(make_lab: MakeLab, step: str) -> None:
    lab = make_lab({"p": TELL.format(step)})
    job_id = lab.submit("p", {"how": "hang"})
    thread = threading.Thread(target=lab.runner.run, args=(job_id,))
    thread.start()
    wait_until(lambda: lab.job(job_id).metadata == {"order": 7, "t": {"number": 7}})
    lab.bridge.run(lab.app.jobs.cancel(job_id))
    lab.runner.stop(job_id, Reason.CANCELLED)
    thread.join()
    job = lab.job(job_id)
    assert (job.status, job.metadata["order"]) == ("cancelled", 7)
    assert job.progress < 70


def test_a_failure_that_may_be_passed_over_leaves_what_was_told_and_meets_no_condition(make_lab: MakeLab) -> None:
    lab = make_lab({"p": TELL.format("tell_in_place") + 'on_error="continue"\n' + NEXT})
    job = lab.run(lab.submit("p", {"how": "fail"}))
    assert (job.status, job.metadata["order"]) == ("completed", 7)
    assert lab.runs(job.id)["n"].status == "skipped", "only of a step that is done, outputs count"


def test_the_last_word_counts_and_repeats_leave_no_trail(make_lab: MakeLab) -> None:
    lab = make_lab({"p": TELL.format("tell_in_place")})
    job = lab.run(lab.submit("p", {"how": "wait"}))
    assert (job.status, job.metadata) == ("completed", {"order": 8, "t": {"number": 8}})
    told = [e.data["outputs"] for e in lab.events(job.id) if e.type == "step" and "outputs" in e.data]
    assert told == [{"number": 7}, {"number": 8}]


@BOTH
def test_only_outputs_can_be_told(make_lab: MakeLab, step: str) -> None:
    lab = make_lab({"p": TELL.format(step)})
    job = lab.run(lab.submit("p", {"name": "nummer"}))
    assert (job.status, job.metadata) == ("failed", {})
    assert "note() takes outputs of the step that are data; nummer is none" in job.error.message


def test_what_was_done_once_is_sealed_and_forgotten_at_a_good_end(
    make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "https://files.example/clip.mp4?signature=0123456789abcdef"
    lab = make_lab({"p": TELL.format("tell_in_place")})

    def kept(job_id: str) -> list[str]:
        async def ask() -> list[str]:
            async with lab.app.database.read() as c:
                return [str(row) for row in await c.execute(select(effects).where(effects.c.job_id == job_id))]

        return lab.bridge.run(ask())

    failed = lab.submit("p", {"how": "fail"})
    monkeypatch.setenv("LAB_LINK", secret)
    assert lab.run(failed).status == "failed"
    assert len(kept(failed)) == 1
    assert "signature" not in kept(failed)[0]
    lab.bridge.run(lab.app.jobs.retry(failed))
    assert lab.run(failed).status == "failed", "and is opened again"
    good = lab.submit("p", {"how": "well"})
    assert lab.run(good).status == "completed"
    assert kept(good) == []


def test_what_an_older_version_did_once_is_not_done_again(make_lab: MakeLab) -> None:
    """It kept values as they are; jobs that it left go on."""
    lab = make_lab({"p": TELL.format("tell_in_place")})
    job_id = lab.submit("p", {"how": "fail"})
    assert lab.run(job_id).metadata["order"] == 7

    async def as_it_was() -> None:
        async with lab.app.database.write() as c:
            await c.execute(update(effects).values(sealed=None, value={"is": 5, "link": None}))

    lab.bridge.run(as_it_was())
    lab.bridge.run(lab.app.jobs.retry(job_id))
    assert lab.run(job_id).metadata["order"] == 5
