"""Running jobs: the graph, conditions, errors, retries, waits, delivery."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Lab
from vtid.errors import InvalidInput, StorageError

MakeLab = Callable[..., Lab]


def test_a_job_runs_and_delivers_under_its_name(make_lab: MakeLab) -> None:
    lab = make_lab(
        {"p": '[[step]]\nid = "w"\nuses = "lab.write"\n[[deliver]]\nfrom = "w.file"\nname = "{stem}.out{suffix}"'}
    )
    job = lab.run(lab.submit("p", {"text": "hi"}))
    assert (job.status, job.progress, job.message) == ("completed", 100, "p completed")
    assert job.results[0].filename == "p.out.txt"
    assert lab.result_text(job.id) == "hi"
    assert not (lab.runner.workspaces.root / job.id).exists()


def test_outputs_flow_by_type_without_being_named(make_lab: MakeLab) -> None:
    lab = make_lab(
        {
            "p": '[[step]]\nid="a"\nuses="lab.write"\nwith={text="1"}\n[[step]]\nid="b"\nuses="lab.append"\nwith={text="2"}\n[[step]]\nid="c"\nuses="lab.append"\nwith={text="3"}'
        }
    )
    assert lab.result_text(lab.run(lab.submit("p")).id) == "123"


def test_a_lazy_step_has_its_files_when_it_asks(make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = make_lab({"p": '[[step]]\nid="a"\nuses="lab.write"\n[[step]]\nid="b"\nuses="lab.look_first"'})
    fetched: list[str] = []
    fetch = lab.app.storage.fetch
    monkeypatch.setattr(lab.app.storage, "fetch", lambda key, *a, **k: (fetched.append(key), fetch(key, *a, **k))[1])
    assert lab.result_text(lab.run(lab.submit("p")).id) == "False hello True"
    assert len(fetched) == 1, "once, although it was run twice and asked twice"


@pytest.mark.parametrize("step", ["gather", "gather_isolated"])
def test_an_input_may_take_all_files_whose_names_begin_alike(make_lab: MakeLab, tmp_path: Path, step: str) -> None:
    lab = make_lab({"p": f'[[step]]\nid="g"\nuses="lab.{step}"\ninputs={{ files = "source.part_*" }}'})
    files = {}
    for name in ("part_1", "part_2", "part_10"):
        files[name] = tmp_path / f"{name}.txt"
        files[name].write_text(name[5:])
    assert lab.result_text(lab.run(lab.submit("p", files=files)).id) == "part_1=1 part_10=10 part_2=2"
    with pytest.raises(InvalidInput, match=r"part_\*: the pipeline p needs this file"):
        lab.submit("p")
    with pytest.raises(InvalidInput, match=r"apart: p takes no file of this name; it takes: part_\*"):
        lab.submit("p", files=files | {"apart": files["part_1"]})


def test_independent_steps_run_at_once(make_lab: MakeLab, tmp_path: Path) -> None:
    step = '[[step]]\nid="{me}"\nuses="lab.meet"\nwith={{folder="{folder}", me="{me}", other="{other}"}}\n'
    lab = make_lab(
        {"p": step.format(me="a", other="b", folder=tmp_path) + step.format(me="b", other="a", folder=tmp_path)}
    )
    job = lab.run(lab.submit("p"))
    assert job.status == "completed"
    assert job.metadata == {"a": {"number": 1}, "b": {"number": 1}}


@pytest.mark.parametrize(("flag", "text"), [(True, "12"), (False, "1")])
def test_when_and_the_delivery_fallback(make_lab: MakeLab, flag: bool, text: str) -> None:
    lab = make_lab(
        {
            "p": '[params.more]\ndefault = false\n[[step]]\nid="a"\nuses="lab.write"\nwith={text="1"}\n'
            '[[step]]\nid="b"\nuses="lab.append"\nwith={text="2"}\nwhen="job.more"\n[[deliver]]\nfrom=["b.file", "a.file"]'
        }
    )
    job = lab.run(lab.submit("p", {"more": flag}))
    assert lab.result_text(job.id) == text
    assert lab.runs(job.id)["b"].status == ("completed" if flag else "skipped")


def test_on_error_continue_goes_on_without_the_step(make_lab: MakeLab) -> None:
    lab = make_lab(
        {
            "p": '[[step]]\nid="a"\nuses="lab.write"\n[[step]]\nid="f"\nuses="lab.fail"\non_error="continue"\n'
            '[[step]]\nid="b"\nuses="lab.append"\ninputs={file="a.file"}\nwhen="not f.number"'
        }
    )
    job = lab.run(lab.submit("p"))
    run = lab.runs(job.id)["f"]
    assert job.status == "completed"
    assert (run.status, run.error.message) == ("skipped", "the moon is in the wrong phase")


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("error", "step_error", "the moon is in the wrong phase"),
        ("attention", "needs_attention", "the key was refused; set LAB_KEY"),
        ("bug", "step_crashed", "f: it has a bug: ValueError: secret detail"),
    ],
)
def test_a_failed_step_fails_the_job_in_its_words(make_lab: MakeLab, how: str, code: str, words: str) -> None:
    lab = make_lab({"p": '[[step]]\nid="f"\nuses="lab.fail"\n[[step]]\nid="n"\nuses="lab.write"\nwhen="f.number"'})
    job = lab.run(lab.submit("p", {"how": how}))
    assert (job.status, job.error.code, job.error.message, job.error.step_id) == ("failed", code, words, "f")
    assert lab.runs(job.id)["n"].status == "skipped"


def test_retries_with_backoff_until_it_works(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab({"p": '[[step]]\nid="f"\nuses="lab.fail"\nretries=3'})
    job_id = lab.submit("p", {"how": "bug", "times": 2, "folder": str(tmp_path)})
    lab.runner.run(job_id)
    waiting = lab.job(job_id)
    assert waiting.status == "processing"
    assert waiting.worker_id is None, "a job that waits holds no worker"
    assert "Trying again in" in waiting.message
    assert "(try 2 of 4)" in waiting.message
    job = lab.run(job_id)
    assert job.status == "completed"
    assert lab.runs(job_id)["f"].attempt == 3


def test_what_an_author_calls_final_is_not_retried(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab({"p": '[[step]]\nid="f"\nuses="lab.fail"\nretries=3'})
    job = lab.run(lab.submit("p", {"how": "error", "times": 1, "folder": str(tmp_path)}))
    assert (job.status, lab.runs(job.id)["f"].attempt) == ("failed", 1)


def test_retry_later_waits_without_using_up_tries(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab({"p": '[[step]]\nid="f"\nuses="lab.fail"'})
    job = lab.run(lab.submit("p", {"how": "later", "times": 4, "folder": str(tmp_path)}))
    assert (job.status, job.metadata, lab.runs(job.id)["f"].attempt) == ("completed", {"f": {"number": 4}}, 1)


def test_the_timeout_counts_waiting_too(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab({"p": '[[step]]\nid="f"\nuses="lab.fail"\ntimeout=0.3'})
    job = lab.run(lab.submit("p", {"how": "later", "folder": str(tmp_path)}))
    assert job.status == "failed"
    assert "longer than" in job.error.message


def test_people_retry_from_the_step_that_failed(make_lab: MakeLab, tmp_path: Path) -> None:
    lab = make_lab(
        {
            "p": f'[[step]]\nid="a"\nuses="lab.write"\n[[step]]\nid="f"\nuses="lab.fail"\nwith={{times=1, folder="{tmp_path}"}}\nwhen="a.file"\n[[deliver]]\nfrom="a.file"'
        }
    )
    job_id = lab.submit("p")
    assert lab.run(job_id).status == "failed"
    before = lab.runs(job_id)["a"].ended_at
    lab.bridge.run(lab.app.jobs.retry(job_id))
    assert lab.run(job_id).status == "completed"
    assert lab.runs(job_id)["a"].ended_at == before, "what is done stays done"


def test_a_failing_step_ends_its_running_siblings(make_lab: MakeLab) -> None:
    lab = make_lab({"p": '[[step]]\nid="s"\nuses="lab.slow"\nwith={ticks=100000}\n[[step]]\nid="f"\nuses="lab.fail"'})
    job = lab.run(lab.submit("p"))
    assert (job.status, job.error.step_id) == ("failed", "f")
    assert lab.runs(job.id)["s"].status == "skipped"


def test_progress_stays_in_the_ranges_and_never_goes_back(make_lab: MakeLab) -> None:
    lab = make_lab(
        {
            "p": '[[step]]\nid="a"\nuses="lab.slow_in_place"\nwith={ticks=30, seconds=0.002}\nprogress=[10,60]\n[[step]]\nid="b"\nuses="lab.slow_in_place"\nwith={ticks=30, seconds=0.002}\nwhen="job.go"\nprogress=[60,95]\n[params.go]\ndefault=true\n[[step]]\nid="w"\nuses="lab.write"\nprogress=[95,100]'
        },
        limits__progress_per_second=100,
    )
    job_id = lab.submit("p")
    seen: list[int] = []
    original = lab.work.progress

    async def spy(*args: object, **kwargs: object) -> None:
        seen.append(kwargs["job_progress"])  # type: ignore[arg-type]
        await original(*args, **kwargs)  # type: ignore[arg-type]

    lab.work.progress = spy  # type: ignore[method-assign,assignment]
    lab.run(job_id)
    assert seen == sorted(seen)
    assert seen[0] >= 10
    assert seen[-1] <= 95
    assert any(10 < p < 60 for p in seen)


def test_a_broken_job_of_ours_fails_in_plain_words(make_lab: MakeLab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = make_lab({"p": '[[step]]\nid="w"\nuses="lab.write"'})

    def broken(*_: object, **__: object) -> None:
        raise StorageError("the storage is gone")

    monkeypatch.setattr(lab.app.storage, "put", broken)
    job = lab.run(lab.submit("p"))
    assert (job.status, job.error.code, job.error.message) == ("failed", "storage", "the storage is gone")


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"txt": "x"}, "txt"),
        ({"numbers": [1, -2]}, "w.numbers[1]"),
        ({"w": {"text": 3, "x": 1}}, "w.x"),
        ({"w.text": []}, "w.text"),
    ],
)
def test_bad_params_never_become_a_job(make_lab: MakeLab, params: dict[str, object], field: str) -> None:
    lab = make_lab({"p": '[[step]]\nid="w"\nuses="lab.write"'})
    with pytest.raises(InvalidInput) as caught:
        lab.submit("p", params)
    assert field in [p.field for p in caught.value.problems]
    assert list(lab.app.storage.root.glob("users/**/*")) == []


def test_a_changed_pipeline_file_does_not_change_a_job(make_lab: MakeLab) -> None:
    lab = make_lab({"p": '[[step]]\nid="w"\nuses="lab.write"\nwith={text="old"}'})
    job_id = lab.submit("p")
    (lab.pipelines_dir / "p.toml").write_text("broken")
    assert lab.run(job_id).status == "completed"
    assert lab.result_text(job_id) == "old"


def test_a_step_for_another_worker_goes_round(make_lab: MakeLab) -> None:
    lab = make_lab({"p": '[[step]]\nid="w"\nuses="lab.write"\nlabels=["gpu"]'})
    job_id = lab.submit("p")
    lab.runner.run(job_id)
    assert lab.job(job_id).message == "Waiting for a worker with: gpu"
    able = make_lab({}, workers__labels=("gpu", "big"))
    assert able.run(job_id).status == "completed"
