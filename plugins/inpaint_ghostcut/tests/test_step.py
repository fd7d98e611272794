"""The step against the simulated service: what is sent, what comes back, and what is paid for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from vtid.errors import Cancelled, InvalidInput, NeedsAttention, RetryLater, StepError, Suspended
from vtid.media import probe
from vtid.simulators.ghostcut import GhostCut
from vtid_inpaint_ghostcut.client import GhostCut as Client

if TYPE_CHECKING:
    from .conftest import Runs

BOX = {"x": 0.25, "y": 0.5, "width": 0.5, "height": 0.5}
"""Around the text of the clip."""


def luma(path: Path, box: dict[str, float], at: int = 5) -> np.ndarray[Any, Any]:
    """The brightness of a box in one frame, its edges left out: codecs smear."""
    with av.open(str(path)) as container:
        frame = next(f for i, f in enumerate(container.decode(video=0)) if i == at)
        picture = frame.to_ndarray(format="gray")
    height, width = picture.shape
    x, y = round(box["x"] * width) + 4, round(box["y"] * height) + 4
    return picture[y : y + round(box["height"] * height) - 8, x : x + round(box["width"] * width) - 8]


def test_an_erasure_is_painted_over_and_the_rest_stays(runs: Runs, service: GhostCut) -> None:
    outputs = runs.to_the_end({"regions": [{"type": "erasure", "coordinates": BOX}]})
    assert luma(runs.clip, BOX).std() > 20
    assert luma(outputs.video.path, BOX).std() < 3
    above = {"x": 0.0, "y": 0.0, "width": 1.0, "height": 0.4}
    assert np.abs(luma(outputs.video.path, above).astype(int) - luma(runs.clip, above)).mean() < 3
    assert probe(outputs.video.path).audio
    assert outputs.report.summary == "GhostCut worked on one region, for 1 point."
    assert outputs.ghostcut_task_id == str(service.ledger[0]["task"])
    assert len(service.ledger) == 1


def test_of_a_text_region_only_the_text_goes(runs: Runs) -> None:
    outputs = runs.to_the_end({"regions": [{"type": "text", "coordinates": BOX}]})
    before, after = luma(runs.clip, BOX), luma(outputs.video.path, BOX)
    assert before.max() > 220
    assert after.max() < 190, "the letters are gone"
    assert after.std() > 3, "and what is around them is still a picture"


def test_a_region_lasts_as_long_as_it_says(runs: Runs) -> None:
    outputs = runs.to_the_end({"regions": [{"type": "erasure", "coordinates": BOX, "startTime": 0, "endTime": 0.4}]})
    assert luma(outputs.video.path, BOX, at=2).std() < 3
    assert luma(outputs.video.path, BOX, at=7).std() > 20


def test_without_regions_the_whole_picture_is_searched(runs: Runs, service: GhostCut) -> None:
    outputs = runs.to_the_end()
    assert outputs.report.whole_picture
    [task] = service.account.all()
    assert (task.order.mode, task.order.masks, task.order.model) == (1, (), "")


def test_kinds_of_regions_become_kinds_of_masks(runs: Runs, service: GhostCut) -> None:
    corner = {"x": 0, "y": 0, "width": 40, "height": 20}
    kinds = ("erasure", "protection", "text")
    runs.to_the_end({"regions": [{"type": kind, "coordinates": corner} for kind in kinds]})
    [task] = service.account.all()
    assert [mask.type for mask in task.order.masks] == ["remove", "keep", "remove_only_ocr"]
    mask = task.order.masks[0]
    assert (mask.x0, mask.y0, mask.x1, mask.y1) == pytest.approx((0, 0, 0.25, 20 / 90), abs=1e-5)
    assert (mask.start_s, mask.end_s) == (0, 99_999)


def test_protection_alone_searches_everywhere_else(runs: Runs, service: GhostCut) -> None:
    runs.to_the_end({"regions": [{"type": "protection", "coordinates": BOX}]})
    [task] = service.account.all()
    assert (task.order.mode, [m.type for m in task.order.masks]) == (1, ["keep"])


@pytest.mark.parametrize(
    ("tier", "width", "model"),
    [("lite", 1.0, "advanced_lite"), ("pro", 0.3, "advanced"), ("pro", 0.7, "advanced_large_box")],
)
def test_tiers_become_models(runs: Runs, service: GhostCut, tier: str, width: float, model: str) -> None:
    box = {"x": 0, "y": 0.5, "width": width, "height": 0.5}
    runs.to_the_end({"tier": tier, "regions": [{"type": "text", "coordinates": box}]})
    assert [task.order.model for task in service.account.all()] == [model]


def test_pro_without_a_region_works_on_the_whole_picture(runs: Runs, service: GhostCut) -> None:
    runs.to_the_end({"tier": "pro"})
    [task] = service.account.all()
    assert (task.order.model, task.order.mode) == ("advanced_full", 1)


@pytest.mark.parametrize("as_text", [False, True])
def test_ids_may_be_numbers_or_texts(runs: Runs, service: GhostCut, as_text: bool) -> None:
    service.moods.ids_as_text = as_text
    assert runs.to_the_end().ghostcut_task_id.isdigit()


def test_the_upload_is_followed_and_deleted_afterwards(runs: Runs, service: GhostCut) -> None:
    outputs = runs.to_the_end()
    told = [(round(share, 3), words) for share, words in runs.link.reports]
    assert (0.28, "Starting text inpainting...") in told
    assert told[-1] == (1.0, "Fetching the result")
    [key] = service.store.removed
    assert key.endswith(".mp4")
    assert key.isascii()
    assert outputs.report.points == 1.0


def test_an_upload_may_be_left_to_the_vendor(runs: Runs, service: GhostCut) -> None:
    runs.to_the_end(settings=runs.settings(remove_uploads=False))
    assert not service.store.removed


def test_a_video_may_be_fetched_instead_of_sent(runs: Runs, service: GhostCut) -> None:
    with Client(runs.settings()) as client:  # any address that it reaches will do: one of its own
        there = client.upload(runs.clip, "elsewhere.mp4", lambda _: None).url
    runs.to_the_end(settings=runs.settings(send="link"), url=there)
    assert [row["url"] for row in service.ledger] == [there]
    assert not service.store.removed, "what was not uploaded is not deleted"


@pytest.mark.parametrize("url", [None, "https://vtid.example/files/Ä.mp4"])
def test_a_video_that_cannot_be_fetched_is_not_ordered(runs: Runs, service: GhostCut, url: str | None) -> None:
    with pytest.raises(NeedsAttention, match="GhostCut cannot fetch videos here") as error:
        runs.once(settings=runs.settings(send="link"), url=url)
    assert "server.public_url" in error.value.suggestion
    assert not service.ledger


def test_an_upload_that_breaks_off_is_made_again(runs: Runs, service: GhostCut) -> None:
    service.moods.lose_uploads = 2
    runs.to_the_end()
    assert len(service.ledger) == 1
    assert runs.waits[0].startswith("The upload to GhostCut broke off")


def test_while_it_runs_no_worker_is_held(runs: Runs, service: GhostCut) -> None:
    service.moods.hold = True
    with pytest.raises(Suspended) as wait:
        runs.once(settings=runs.settings(poll_seconds=60.0))
    assert wait.value.after == 5.0
    runs.link.effects["order-1"].value["at"] -= 3600
    with pytest.raises(Suspended) as wait:
        runs.once(settings=runs.settings(poll_seconds=60.0))
    assert wait.value.after == 60.0, "what has taken long may take longer"
    service.moods.hold = False
    runs.to_the_end()
    assert len(service.ledger) == 1


def test_a_cancel_is_heard_in_the_middle_of_an_upload(runs: Runs, service: GhostCut) -> None:
    runs.link.cancel_at = 0.1
    with pytest.raises(Cancelled):
        runs.once()
    assert not service.ledger


# --- paid once


@pytest.mark.parametrize("mood", ["lose_creates", "break_creates"])
def test_an_order_whose_answer_is_lost_is_found_and_not_made_again(runs: Runs, service: GhostCut, mood: str) -> None:
    setattr(service.moods, mood, 1)
    outputs = runs.to_the_end()
    assert len(service.ledger) == 1
    assert outputs.ghostcut_task_id == str(service.ledger[0]["task"])
    assert any(event == "found the order whose answer got lost" for _, event, _ in runs.link.lines)


@pytest.mark.parametrize(
    ("code", "error"), [(3006, RetryLater), (2003, NeedsAttention), (4001, StepError), (8888, StepError)]
)
def test_an_order_is_not_forgotten_while_nobody_says_where_it_is(
    runs: Runs, service: GhostCut, code: int, error: type[Exception]
) -> None:
    service.change({"lose_creates": 1, "refuse_lists": 1, "refusal": code})
    with pytest.raises(RetryLater, match="broke off"):
        runs.once()
    with pytest.raises(error):
        runs.once()
    runs.to_the_end()
    assert len(service.ledger) == 1


@pytest.mark.parametrize(("code", "forgotten"), [(2003, True), (4001, True), (8888, False), (9999, False)])
def test_a_refused_order_is_looked_for_unless_the_refusal_is_certain(
    runs: Runs, service: GhostCut, code: int, forgotten: bool
) -> None:
    service.change({"refuse_creates": 1, "refusal": code})
    with pytest.raises((StepError, NeedsAttention, RetryLater)):
        runs.once()
    assert ("order-1" not in runs.link.effects) is forgotten
    runs.to_the_end()
    assert len(service.ledger) == 1


def test_an_order_that_shows_late_in_the_list_is_waited_for(runs: Runs, service: GhostCut) -> None:
    service.moods.lose_creates, service.moods.list_lag_s = 1, 0.25
    runs.to_the_end(settings=runs.settings(settle_seconds=2.0))
    assert len(service.ledger) == 1
    assert "Looking whether GhostCut took the order" in runs.waits


def test_an_order_that_never_arrived_is_made_again_after_a_while(runs: Runs, service: GhostCut) -> None:
    # What a worker leaves that was killed between noting what it is about to do, and doing it.
    runs.link.once_begin("order-1")
    runs.to_the_end()
    assert len(service.ledger) == 1
    assert "Ordering again: GhostCut did not take the order" in runs.waits


def test_a_full_house_is_waited_for(runs: Runs, service: GhostCut) -> None:
    service.moods.refuse_creates, service.moods.refusal = 1, 3006
    with pytest.raises(RetryLater, match="at its limit of tasks") as wait:
        runs.once()
    assert wait.value.after == 60
    runs.to_the_end()
    assert len(service.ledger) == 1


def test_a_timeout_that_cost_nothing_is_ordered_again_once(runs: Runs, service: GhostCut) -> None:
    service.moods.ends_with, service.moods.fail_tasks = 18, 1
    outputs = runs.to_the_end()
    assert len(service.ledger) == 2
    assert outputs.ghostcut_task_id == str(service.ledger[1]["task"])
    assert service.moods.points == 999.0


def test_a_timeout_that_stays_is_told(runs: Runs, service: GhostCut) -> None:
    service.moods.ends_with = 23
    with pytest.raises(StepError, match=r"processing timed out \(status 23\)"):
        runs.to_the_end()
    assert len(service.ledger) == 2


def test_without_points_it_stops_and_a_retry_after_buying_some_goes_on(runs: Runs, service: GhostCut) -> None:
    service.moods.points = 0.5
    with pytest.raises(NeedsAttention, match="not enough points") as error:
        runs.to_the_end()
    assert error.value.suggestion == "Buy points, then retry the job."
    service.moods.points = 10
    runs.to_the_end()
    assert service.moods.points == 9


def test_a_locked_task_is_fetched_after_it_is_unlocked_and_not_ordered_again(runs: Runs, service: GhostCut) -> None:
    service.moods.ends_with = 83
    with pytest.raises(NeedsAttention, match="finished, but locked"):
        runs.to_the_end()
    [task] = service.account.all()
    service.account.end(task, 1)
    assert runs.to_the_end().ghostcut_task_id == str(task.id)
    assert len(service.ledger) == 1


def test_a_task_that_never_ends_is_shown_to_a_person_and_waited_for_on_a_retry(runs: Runs, service: GhostCut) -> None:
    service.moods.hold = True
    with pytest.raises(NeedsAttention, match="without an end"):
        runs.to_the_end(settings=runs.settings(give_up_hours=0.2 / 3600))
    service.moods.hold = False
    runs.to_the_end()
    assert len(service.ledger) == 1


def test_a_task_that_the_account_does_not_show_at_first_is_waited_for(runs: Runs, service: GhostCut) -> None:
    service.moods.forget_tasks = 3
    runs.to_the_end()
    assert len(service.ledger) == 1


def test_a_task_that_is_gone_is_told(runs: Runs, service: GhostCut) -> None:
    service.moods.forget_tasks = 1_000_000
    with pytest.raises(StepError, match="no longer knows its task"):
        runs.to_the_end()


# --- what comes back


def test_a_download_that_breaks_off_is_made_again(runs: Runs, service: GhostCut) -> None:
    service.moods.cut_downloads = 2
    runs.to_the_end()
    assert len([wait for wait in runs.waits if "download from GhostCut broke off" in str(wait)]) == 2
    assert len(service.ledger) == 1


def test_an_address_that_has_expired_is_asked_for_again(runs: Runs, service: GhostCut) -> None:
    runs.to_the_end()
    service._addresses.clear()  # as if hours had passed: what the step has noted leads nowhere now
    runs.to_the_end()
    assert len(service.ledger) == 1


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("short", r"lasts 0\.50 s, and the video 1\.\d\d s; it was not taken"),
        ("silent", "has no sound, and the video had; it was not taken"),
        ("broken", "cannot be read"),
    ],
)
def test_a_result_that_is_not_whole_is_not_taken(runs: Runs, service: GhostCut, kind: str, words: str) -> None:
    service.moods.result = kind
    with pytest.raises(StepError, match=words) as error:
        runs.to_the_end()
    assert "Retry the job to fetch it again" in error.value.suggestion
    assert len(service.ledger) == 1


def test_what_cannot_be_done_is_refused_before_anything_is_sent(runs: Runs, service: GhostCut) -> None:
    with pytest.raises(InvalidInput, match="GhostCut would not take this"):
        runs.once({"tier": "lite"})
    assert not service.ledger
    assert not list(service.folder.iterdir())
