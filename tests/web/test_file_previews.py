"""Previews of files as an editor asks for them: once for each content, over ranges, to the frame."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from tests.conftest import wait_until
from tests.web.site import Site, problem, serving
from tests.web.test_compositions import uploaded
from vtid.media.synth import draw_clip

FILES = "/api/v1/files"
PLUGINS = (Path("plugins").absolute(),)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A daemon with the real plugins and workers; accounts of the tier free pay for what they get."""
    with serving(tmp_path_factory.mktemp("desk"), workers=True, pipelines={}, plugins__dirs=PLUGINS) as site:
        yield site


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    draw_clip(path, seconds=2, width=320, height=180, fps=25)
    return path


def asked(site: Site, asset: str, what: str = "previews", **sent: Any) -> dict[str, Any]:
    """The previews, once they have ended."""

    def ended() -> dict[str, Any] | None:
        answer = site.http.post(f"{FILES}/{asset}/{what}", **sent)
        assert answer.status_code in (200, 202), answer.text
        body: dict[str, Any] = answer.json()
        return body if body["status"] in ("completed", "failed", "cancelled") else None

    return wait_until(ended)


def test_previews_of_a_film_hang_together(desk: Site, film: Path, tmp_path: Path) -> None:
    asset = uploaded(desk, film)
    problem(desk.http.get(f"{FILES}/{asset}/previews"), 404)
    first = desk.http.post(f"{FILES}/{asset}/previews")
    assert (first.status_code, first.json()["proxy"]) == (202, None)
    told = asked(desk, asset)
    assert told["status"] == "completed", told["error"]
    assert told == desk.http.get(f"{FILES}/{asset}/previews").json() | _links(told)

    facts = desk.http.get(told["facts"]["url"]).json()
    assert facts["media"]["video"][0]["width"] == 320
    timing = facts["timing"]
    assert (timing["frames"], timing["deltas"], told["facts"]["variable"]) == (50, [], False)

    beside = f"{FILES}/{asset}/previews"
    proxy = desk.http.get(f"{beside}/proxy.mp4")
    assert (proxy.headers["content-type"], len(proxy.content)) == ("video/mp4", told["proxy"]["size"])
    again = desk.http.get(f"{beside}/proxy.mp4", headers={"If-None-Match": proxy.headers["etag"]})
    part = desk.http.get(f"{beside}/proxy.mp4", headers={"Range": "bytes=-100", "If-Range": proxy.headers["etag"]})
    assert (again.status_code, part.status_code, part.content) == (304, 206, proxy.content[-100:])
    head = desk.http.head(f"{beside}/proxy.mp4")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(proxy.content)))
    (tmp_path / "proxy.mp4").write_bytes(proxy.content)
    with av.open(str(tmp_path / "proxy.mp4")) as small:
        assert [frame.pts * frame.time_base * 25 for frame in small.decode(video=0)] == list(range(50))

    wave = told["waveform"]
    level = wave["levels"][-1]
    wanted = f"bytes={level['offset']}-{level['offset'] + level['size'] - 1}"
    block = desk.http.get(f"{beside}/waveform.dat", headers={"Range": wanted}).content
    assert len(block) == level["size"] == 24 + 2 * level["length"]
    assert np.frombuffer(block[24:], np.int8).any(), "it has a voice"

    cues = desk.http.get(f"{beside}/sprites.vtt")
    assert cues.headers["content-type"] == "text/vtt; charset=utf-8"
    assert cues.text.splitlines()[:4] == ["WEBVTT", "", "00:00:00.000 --> 00:00:01.000", "sprite-1.jpg#xywh=0,0,160,90"]
    assert cues.text.count("-->") == told["sprites"]["count"] == 2
    sheet = desk.http.get(f"{beside}/sprite-1.jpg")
    assert sheet.content == desk.http.get(told["sprites"]["sheets"][0]).content
    picture = cv2.imdecode(np.frombuffer(sheet.content, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (90, 320, 3)

    shots = desk.http.get(f"{beside}/shots.json").json()["shots"]
    assert (len(shots), shots[0]["last"], told["shots"]["count"]) == (1, 50, 1)
    assert "proxy.mp4" in problem(desk.http.get(f"{beside}/nothing.mp4"), 404)["detail"]
    job = desk.job(told["job_id"])
    assert (job["pipeline"], job["estimated_credits"], job["actual_credits_used"]) == ("previews", 0, 0)


def _links(told: dict[str, Any]) -> dict[str, Any]:
    """Signed links differ by the second in which they were made."""
    return {name: value for name, value in told.items() if isinstance(value, dict)}


def test_the_same_content_is_prepared_once_whoever_asks_how_often(desk: Site, film: Path) -> None:
    other = film.with_name("other.mp4")
    other.write_bytes(film.read_bytes() + b"\0\0\0\x08free")
    one, two = uploaded(desk, other), uploaded(desk, other, "under another name.mp4")
    answers: list[dict[str, Any]] = []

    def ask(asset: str) -> None:
        with desk.client() as client:
            answers.append(client.post(f"{FILES}/{asset}/previews").json())

    threads = [threading.Thread(target=ask, args=(asset,)) for asset in (one, two) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    jobs = {one["job_id"] for one in answers}
    assert len(jobs) == 1, answers
    assert asked(desk, two)["job_id"] in jobs
    before = desk.stored()
    assert desk.http.delete(f"{FILES}/{one}").status_code == 204
    assert desk.http.get(f"{FILES}/{two}/previews/proxy.mp4").status_code == 200, "the other file still has them"
    assert desk.http.delete(f"{FILES}/{two}").status_code == 204
    problem(desk.http.get(f"/api/v1/jobs/{jobs.pop()}"), 404)
    assert any("proxy.mp4" in key for key in before - desk.stored()), "they went with the last"


def test_previews_of_what_came_with_a_job_go_with_it(desk: Site, film: Path) -> None:
    other = film.with_name("with-a-job.mp4")
    other.write_bytes(film.read_bytes() + b"\0\0\0\x0bfreejob")
    job = desk.submit(other, "previews").json()["job_id"]
    desk.wait(job, "completed")
    asset = desk.http.get(FILES).json()["files"][0]["asset_id"]
    made = asked(desk, asset, "stills", json={"at": [0]})["job_id"]
    assert any(made in key for key in desk.stored())
    assert desk.http.delete(f"/api/v1/jobs/{job}").status_code == 204
    problem(desk.http.get(f"/api/v1/jobs/{made}"), 404)
    assert not any(made in key or job in key for key in desk.stored())


def test_previews_that_were_cancelled_are_made_anew(film: Path, tmp_path: Path) -> None:
    with serving(tmp_path, workers=False, pipelines={}, plugins__dirs=PLUGINS) as idle:
        asset = uploaded(idle, film)
        first = idle.http.post(f"{FILES}/{asset}/previews")
        again = idle.http.post(f"{FILES}/{asset}/previews")
        assert (first.status_code, again.status_code, again.json()["job_id"]) == (202, 200, first.json()["job_id"])
        idle.http.post(f"/api/v1/jobs/{first.json()['job_id']}/cancel")
        anew = idle.http.post(f"{FILES}/{asset}/previews")
        assert anew.status_code == 202
        assert anew.json()["job_id"] != first.json()["job_id"]


def test_stills_are_what_a_player_shows(desk: Site, film: Path) -> None:
    asset = uploaded(desk, film)
    told = asked(desk, asset, "stills", json={"at": [0, 1.48], "width": 160})
    assert [(one["at_s"], one["width"], one["height"]) for one in told["stills"]] == [(0, 160, 90), (1.48, 160, 90)]
    shown = [
        cv2.imdecode(np.frombuffer(desk.http.get(one["url"]).content, np.uint8), cv2.IMREAD_COLOR)
        for one in told["stills"]
    ]
    with av.open(str(film)) as source:
        for number, frame in enumerate(source.decode(video=0)):
            if number in (0, 37):
                wanted = frame.to_ndarray(format="bgr24", width=160, height=90)
                away = np.abs(shown[number > 0].astype(int) - wanted).mean()
                assert away < 4, f"frame {number} is off by {away}"
    assert asked(desk, asset, "stills", json={"at": [0, 1.48], "width": 160})["job_id"] == told["job_id"]
    body = problem(desk.http.post(f"{FILES}/{asset}/stills", json={"at": [1, 9]}), 400)
    assert (body["errors"][0]["field"], body["errors"][0]["code"]) == ("stills.at[1]", "past_end")


def test_a_sound_has_a_waveform_and_a_picture_has_nothing(desk: Site, film: Path, tmp_path: Path) -> None:
    from tests.simulators.sounds import chirp, write_sound

    sound = uploaded(desk, write_sound(tmp_path / "song.wav", chirp(1.0, 200, 800)))
    told = asked(desk, sound)
    assert (told["status"], told["proxy"], told["waveform"]["duration_s"]) == ("completed", None, 1.0)
    problem(desk.http.post(f"{FILES}/{sound}/stills", json={"at": [0]}), 422)
    cv2.imwrite(str(tmp_path / "photo.png"), np.zeros((9, 16, 3), np.uint8))
    picture = uploaded(desk, tmp_path / "photo.png")
    assert "still picture" in problem(desk.http.post(f"{FILES}/{picture}/previews"), 422)["detail"]
