"""Previews as an editor asks for them: upload once, look, then look elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.conftest import wait_until
from tests.pictures import huge_jpeg, huge_png
from tests.web.site import Site, problem, serving
from vtid.media.synth import Subtitle, draw_clip

PREVIEWS = "/api/v1/previews"
PLUGINS = (Path("plugins").absolute(),)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    subtitles = (Subtitle("Nobody knows the way", 0.4, 1.2), Subtitle("Look over there", 1.4, 1.9))
    draw_clip(path, seconds=2, width=480, height=270, fps=25, subtitles=subtitles, audio=False)
    return path


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A daemon with the real plugin and workers."""
    with serving(tmp_path_factory.mktemp("editor"), workers=True, pipelines={}, plugins__dirs=PLUGINS) as site:
        yield site


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The same without workers: for what is refused at the door."""
    with serving(tmp_path_factory.mktemp("idle"), workers=False, pipelines={}, plugins__dirs=PLUGINS) as site:
        yield site


def done(site: Site, preview_id: str) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        answer = site.http.get(f"{PREVIEWS}/{preview_id}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body if body["status"] in ("completed", "failed", "cancelled") else None

    return wait_until(ended)


@pytest.mark.slow
def test_look_at_a_video_then_at_a_moment_of_it_without_sending_it_again(editor: Site, film: Path) -> None:
    answer = editor.http.post(PREVIEWS, files={"file": ("film.mp4", film.read_bytes())})
    assert answer.status_code == 202, answer.text
    queued = answer.json()
    assert answer.headers["location"] == f"{PREVIEWS}/{queued['preview_id']}"
    assert queued["report"] is queued["still_url"] is None
    first = done(editor, queued["preview_id"])
    assert first["status"] == "completed", first["error"]
    texts = [(f["text"], f["kind"], f["goes"]) for f in first["report"]["found"]]
    assert texts == [("Nobody knows the way", "subtitle", True), ("Look over there", "subtitle", True)]
    assert [f["start_s"] for f in first["report"]["found"]] == pytest.approx([0.4, 1.4], abs=0.0401)
    assert first["still_url"] is None
    assert editor.http.get(first["boxes_url"]).json() == first["report"]

    answer = editor.http.post(PREVIEWS, json={"job_id": first["preview_id"], "at_s": 0.8, "params": {"sample_s": 0.3}})
    second = done(editor, answer.json()["preview_id"])
    assert second["report"]["at_s"] == pytest.approx(0.8)
    picture = cv2.imdecode(np.frombuffer(editor.http.get(second["still_url"]).content, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (270, 480, 3)
    assert editor.job(second["preview_id"])["pipeline"] == "preview-text"


@pytest.mark.slow
def test_a_mask_comes_as_a_second_file(editor: Site, film: Path) -> None:
    mask = np.zeros((270, 480), np.uint8)
    mask[27:81, 48:96] = 255
    files = {"file": ("film.mp4", film.read_bytes()), "mask": ("mask.png", cv2.imencode(".png", mask)[1].tobytes())}
    form = {"at_s": "0.2", "params": '{"policy": "regions"}'}
    told = done(editor, editor.http.post(PREVIEWS, files=files, data=form).json()["preview_id"])
    assert [(f["kind"], f["at"]) for f in told["report"]["found"]] == [
        ("erasure", {"x": 0.1, "y": 0.1, "width": 0.1, "height": 0.2})
    ]


@pytest.mark.parametrize(
    ("form", "field", "words"),
    [
        ({"at_s": "soon"}, "at_s", "must be a number"),
        ({"at_s": "-1"}, "at_s", "at least 0"),
        ({"at_s": "60"}, "look.at_s", "past the end of the video (2.00 s)"),
        ({"params": '{"policy": "some"}'}, "policy", "some"),
        ({"at": "1"}, "at", 'did you mean "at_s"'),
    ],
)
def test_a_bad_wish_is_refused_at_once(idle: Site, film: Path, form: dict[str, str], field: str, words: str) -> None:
    answer = idle.http.post(PREVIEWS, files={"file": ("film.mp4", film.read_bytes())}, data=form)
    body = problem(answer, 400)
    found = [e for e in body["errors"] if field in e["field"]]
    assert found, body
    assert words in found[0]["message"]


@pytest.mark.parametrize("name", ["mask.png", "mask.jpg"])
def test_a_mask_that_would_fill_the_memory_is_refused_at_once(idle: Site, film: Path, name: str) -> None:
    mask = huge_png(30_000, 30_000) if name.endswith("png") else huge_jpeg(30_000, 30_000)
    files = {"file": ("film.mp4", film.read_bytes()), "mask": (name, mask)}
    body = problem(idle.http.post(PREVIEWS, files=files, data={"at_s": "0.2"}), 422, "unreadable_media")
    assert f"{name} has pictures of 30000 x 30000, which is 900 million pixels" in body["detail"]
    assert body["errors"][0]["code"] == "too_many_pixels"


def test_of_an_earlier_job_everything_is_checked_too(idle: Site, film: Path) -> None:
    problem(idle.http.post(PREVIEWS, json={"job_id": "550e8400-e29b-41d4-a716-446655440000"}), 404)
    problem(idle.http.post(PREVIEWS, json={"at_s": 1.0}), 400)
    first = idle.submit(film, "remove-text").json()["job_id"]
    problem(idle.http.post(PREVIEWS, json={"job_id": first, "at_s": 99}), 400)
    problem(idle.http.get(f"{PREVIEWS}/{first}"), 404)
    made = idle.http.post(PREVIEWS, json={"job_id": first}, headers={"Idempotency-Key": "look-1"})
    again = idle.http.post(PREVIEWS, json={"job_id": first}, headers={"Idempotency-Key": "look-1"})
    assert again.json()["preview_id"] == made.json()["preview_id"]
    assert again.headers["idempotency-replayed"] == "true"


def test_a_pipeline_that_takes_no_mask_says_so(still: Site, clip: Path) -> None:
    files = {"file": ("clip.mp4", clip.read_bytes()), "mask": ("mask.png", b"x")}
    body = problem(still.http.post("/api/v1/jobs/submit", files=files, data={"pipeline": "copy"}), 400)
    assert body["errors"][0]["field"] == "mask"
