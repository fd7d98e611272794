"""Workers and daemons killed with SIGKILL at any moment: no job is lost, nothing is paid twice, nothing half is shown."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import LAB, PATIENCE_S, WAITING, Lab, wait_until
from tests.simulators.shop import Shop
from vtid.db import LeaseLost

MakeLab = Callable[..., Lab]
PAY = '[[step]]\nid="buy"\nuses="lab.pay"\nretries=20\nwith={{url="{url}", blind={blind}}}'


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop(lost_answers=0.2)
    yield shop
    shop.close()


class Workers:
    """Worker processes that can be killed and come back."""

    def __init__(self, folder: Path, count: int) -> None:
        self.config = folder / "vtid.toml"
        self.config.write_text(
            f'[data]\npath = "{folder / "data"}"\n[plugins]\ndirs = ["{LAB}"]\n[pipelines]\ndirs = ["{folder / "pipelines"}"]\n'
            "[workers]\ncount = 1\nlease_seconds = 2\ntick_seconds = 0.05\n[limits]\nmin_free_disk_mb = 1\n"
            '[retry]\nbase_seconds = 0.05\nmax_seconds = 0.5\n[logging]\nlevel = "error"\n'
        )
        self.processes = [self.start() for _ in range(count)]

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "vtid.cli", "--config", str(self.config), "worker"]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def kill_one(self, pick: random.Random) -> None:
        i = pick.randrange(len(self.processes))
        self.processes[i].kill()
        self.processes[i].wait()
        self.processes[i] = self.start()

    def stop(self) -> list[int]:
        for process in self.processes:
            process.terminate()
        return [p.wait(PATIENCE_S) for p in self.processes]


@pytest.fixture
def start_workers(tmp_path: Path) -> Iterator[Callable[[int], Workers]]:
    started: list[Workers] = []

    def start(count: int) -> Workers:
        started.append(Workers(tmp_path, count))
        return started[-1]

    yield start
    for workers in started:
        for process in workers.processes:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_many_jobs_wait_on_two_workers_and_each_pays_once(
    make_lab: MakeLab, shop: Shop, start_workers: Callable[[int], Workers]
) -> None:
    lab = make_lab(
        {"keyed": PAY.format(url=shop.url, blind="false"), "blind": PAY.format(url=shop.url, blind="true")}, rings=True
    )
    ids = [lab.submit(name) for _ in range(WAITING // 2) for name in ("keyed", "blind")]
    workers = start_workers(2)
    pick = random.Random(7)
    kills = 0
    while len(shop.charges) < len(ids) or kills < 6:
        # Somebody has got to work before one dies: of workers that are only starting nothing would be found out.
        before = len(shop.charges)
        wait_until(lambda before=before: len(shop.charges) > before or before == len(ids))  # type: ignore[misc]
        time.sleep(pick.uniform(0.0, 0.7))  # not for luck: the moments of the kills are what is random here
        workers.kill_one(pick)
        kills += 1
    # All of them wait on the two workers at once, most of the time without holding one.
    wait_until(lambda: sum(lab.job(i).worker_id is None for i in ids) >= len(ids) - 2, every=0.2)
    assert {lab.job(i).status for i in ids} == {"processing"}
    shop.gate.set()
    for _ in range(4):
        time.sleep(pick.uniform(0.2, 1.0))
        workers.kill_one(pick)
    wait_until(lambda: all(lab.job(i).status.ended for i in ids), every=0.5)
    assert {lab.job(i).status for i in ids} == {"completed"}, [lab.job(i).error for i in ids if lab.job(i).error]
    assert shop.charges == dict.fromkeys(ids, 1)
    assert all(lab.job(i).metadata["buy"]["receipt"].startswith("paid ") for i in ids)
    assert set(workers.stop()) <= {0, -signal.SIGTERM}  # the latter of one that was only starting


def test_a_killed_workers_job_starts_again_elsewhere(
    make_lab: MakeLab, tmp_path: Path, start_workers: Callable[[int], Workers]
) -> None:
    pid_file = tmp_path / "pid"
    lab = make_lab(
        {
            "p": '[[step]]\nid="w"\nuses="lab.write"\n'
            f'[[step]]\nid="m"\nuses="lab.misbehave"\nwhen="w.file"\nwith={{how="hang", report="{pid_file}"}}'
        },
        rings=True,
    )
    job_id = lab.submit("p")
    workers = start_workers(1)
    first = wait_until(lambda: pid_file.exists() and pid_file.read_text())
    workers.kill_one(random.Random(0))
    wait_until(lambda: pid_file.read_text() not in ("", first))
    run = lab.runs(job_id)
    assert (run["m"].lost, run["m"].attempt) == (1, 2)
    assert run["w"].attempt == 1, "what was done is not done again"
    lab.bridge.run(lab.app.jobs.cancel(job_id))
    wait_until(lambda: lab.job(job_id).status == "cancelled")


def test_a_step_that_kills_its_workers_is_given_up(
    make_lab: MakeLab, tmp_path: Path, start_workers: Callable[[int], Workers]
) -> None:
    pid_file = tmp_path / "pid"
    lab = make_lab(
        {"p": f'[[step]]\nid="m"\nuses="lab.misbehave"\nwith={{how="hang", report="{pid_file}"}}'}, rings=True
    )
    job_id = lab.submit("p")
    workers = start_workers(1)
    seen = ""
    for _ in range(4):
        seen = wait_until(
            lambda s=seen: pid_file.exists() and pid_file.read_text() not in ("", s) and pid_file.read_text()
        )  # type: ignore[misc]
        workers.kill_one(random.Random(0))
    job = wait_until(lambda: (j := lab.job(job_id)).status.ended and j)
    assert job.status == "failed"
    assert "4 workers died while running it" in job.error.message


def test_a_worker_that_stops_hands_its_job_back(
    make_lab: MakeLab, tmp_path: Path, start_workers: Callable[[int], Workers]
) -> None:
    pid_file = tmp_path / "pid"
    lab = make_lab(
        {"p": f'[[step]]\nid="m"\nuses="lab.misbehave"\nwith={{how="hang", report="{pid_file}"}}'}, rings=True
    )
    job_id = lab.submit("p")
    workers = start_workers(1)
    with workers.config.open("a") as f:
        f.write("[server]\ndrain_seconds = 0.5\n")
    wait_until(lambda: pid_file.exists() and pid_file.read_text())
    # This worker began with the default drain time; the next one has the short one.
    workers.kill_one(random.Random(0))
    wait_until(lambda: lab.runs(job_id)["m"].attempt == 2 and lab.runs(job_id)["m"].status == "running")
    assert workers.stop() == [0]
    assert (lab.job(job_id).status, lab.job(job_id).worker_id) == ("queued", None)
    assert lab.runs(job_id)["m"].lost == 1, "handing back is not dying"


def test_a_worker_that_slept_through_its_lease_changes_nothing(make_lab: MakeLab) -> None:
    lab = make_lab({"p": '[[step]]\nid="w"\nuses="lab.write"'})
    job_id = lab.submit("p")
    asleep = lab.app.work()
    asleep.lease_s = -1
    lab.bridge.run(asleep.claim(job_id))
    assert lab.run(job_id).status == "completed"
    with pytest.raises(LeaseLost, match=job_id):
        lab.bridge.run(asleep.complete(job_id, [], {}, "mine"))
    assert lab.job(job_id).results


def test_a_worker_killed_as_it_fails_a_job_leaves_the_failure_to_the_next(
    make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not leave a failed step in a job that goes on, with steps after it that miss their inputs."""
    lab = make_lab({"p": '[[step]]\nid="a"\nuses="lab.fail"\n[[step]]\nid="b"\nuses="lab.write"\nwhen="not a.number"'})
    job_id = lab.submit("p")

    async def killed(*_: Any, **__: Any) -> None:
        raise LeaseLost(job_id)

    with monkeypatch.context() as patch:
        patch.setattr(lab.work, "fail", killed)
        lab.runner.run(job_id)
    assert not lab.job(job_id).status.ended
    assert lab.runs(job_id)["a"].status == "running", "nothing was written of its end"
    job = lab.run(job_id)
    assert (job.status, job.error.step_id) == ("failed", "a")
    assert {k: v.status for k, v in lab.runs(job_id).items()} == {"a": "failed", "b": "skipped"}


def test_of_racing_workers_one_gets_the_job(make_lab: MakeLab) -> None:
    from concurrent.futures import ThreadPoolExecutor

    lab = make_lab({"p": '[[step]]\nid="w"\nuses="lab.write"'})
    job_id = lab.submit("p")
    works = [lab.app.work() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        got: list[Any] = list(pool.map(lambda w: lab.bridge.run(w.claim(job_id)), works))
    assert sum(job is not None for job in got) == 1


def test_a_job_whose_bell_got_lost_is_rung_for_again(make_lab: MakeLab) -> None:
    lab = make_lab({"p": '[[step]]\nid="w"\nuses="lab.write"'})
    job_id = lab.submit("p")
    assert lab.bridge.run(lab.work.due()) == [], "it was rung for just now"
    later = lab.app.work()
    later._clock = lambda: time.time() + 120
    assert lab.bridge.run(later.due()) == [job_id]
    assert lab.bridge.run(later.due()) == []


def test_a_cancel_that_comes_as_a_step_goes_to_sleep_is_heard(make_lab: MakeLab) -> None:
    lab = make_lab({"p": '[[step]]\nid="w"\nuses="lab.write"'})
    job_id = lab.submit("p")
    work = lab.app.work()
    claim = lab.bridge.run(work.claim(job_id))
    assert claim is not None
    lab.bridge.run(lab.app.jobs.cancel(job_id))
    assert lab.job(job_id).status == "processing", "its worker is to end it"
    in_an_hour = time.time() + 3600
    lab.bridge.run(work.suspend(job_id, in_an_hour, (), job_progress=0, message="Waiting"))
    assert lab.bridge.run(work.due()) == [job_id]
    assert lab.run(job_id).status == "cancelled"


def test_a_dead_process_is_told_from_one_that_reuses_its_id() -> None:
    from vtid.engine.processes import is_alive

    assert is_alive(os.getpid(), time.time())
    assert not is_alive(os.getpid(), 1.0), "a process that began later is another one"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert not is_alive(gone.pid, time.time())
    assert signal.SIGKILL
