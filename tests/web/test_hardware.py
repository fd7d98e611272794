"""Jobs on a graphics card: encoded there, done again in software where it fails, in whatever way it does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.simulators.card import Card
from tests.web.site import Site, serving
from vtid.media import probe

FILMS = "/api/v1/compositions"
PLUGINS = Path("plugins").absolute()
FRAMES = 60
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Card:
    return Card(tmp_path_factory.mktemp("card"))


@pytest.fixture(scope="module")
def studio(card: Card, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A daemon whose machine has the card."""
    folder = tmp_path_factory.mktemp("studio")
    settings = {
        "path": str(folder / "known"),
        "ffmpeg": str(card.ffmpeg),
        "stall_seconds": 8.0,
        "rest_after": 3,
        "trial_seconds": 60.0,
    }
    with serving(
        folder / "site",
        workers=True,
        pipelines={},
        plugins__dirs=(PLUGINS, card.plugin(folder)),
        plugins__compose_ffmpeg={"hardware": []},  # whose twenty encoders would all be tried
        **{f"encoders__{name}": value for name, value in settings.items()},
    ) as site:
        yield site


@pytest.fixture(autouse=True)
def rested(card: Card, studio: Site) -> Iterator[None]:
    """Each test meets a card that has not failed."""
    card.be("works")
    yield
    for name in studio.app.encoders.cards():
        studio.app.encoders.did_well(name)


def composed(site: Site, colour: str, **output: Any) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """A film of one colour: the job, its report, the film."""
    document = {
        "clips": [{"color": colour, "duration": FRAMES / 20}],
        "output": {"resolution": {"width": 320, "height": 180}, "fps": 20} | output,
    }
    made = site.http.post(FILMS, json=document)
    assert made.status_code == 202, made.text
    job = site.wait(made.json()["id"])
    assert job["status"] == "completed", job["error"]
    return job, job["metadata"]["film"]["report"], site.http.get(job["result_url"]).content


def shown(film: bytes, path: Path) -> tuple[int, list[float]]:
    """How many frames it has, and the mean Y, U and V of its last one."""
    path.write_bytes(film)
    with av.open(str(path)) as video:
        frames = list(video.decode(video=0))
    planes = frames[-1].to_ndarray(format="yuv420p").reshape(-1)
    luma, rest = np.split(planes, [320 * 180])
    return len(frames), [float(luma.mean()), *(float(half.mean()) for half in np.split(rest, 2))]


def in_709(colour: str) -> list[float]:
    """Y, U and V of `#RRGGBB`, limited range."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return [16 + 219 * luma, 128 + 224 * (blue - luma) / 1.8556, 128 + 224 * (red - luma) / 1.5748]


def said(site: Site, job: dict[str, Any]) -> str:
    """All log lines of a job."""
    events = site.http.get(f"/api/v1/jobs/{job['job_id']}/events", headers={"Accept": "text/event-stream"})
    return events.text


def test_a_film_is_encoded_on_the_card(studio: Site, card: Card, tmp_path: Path) -> None:
    before = card.calls
    _, report, film = composed(studio, "#20C040")
    assert report["encoder"] == "h264_card"
    assert card.calls > before
    count, colour = shown(film, tmp_path / "film.mp4")
    assert count == FRAMES
    assert colour == pytest.approx(in_709("#20C040"), abs=2)
    assert probe(tmp_path / "film.mp4").duration_s == pytest.approx(FRAMES / 20, abs=0.03)


@pytest.mark.parametrize("codec", ["hevc", "h264"])
def test_what_the_card_has_not_is_encoded_in_software(studio: Site, codec: str) -> None:
    small = {"resolution": {"width": 128, "height": 72}} if codec == "h264" else {}
    assert composed(studio, "#203040", codec=codec, **small)[1]["encoder"] in ("libx265", "libx264")


@pytest.mark.parametrize(
    ("mood", "reason"), [("dies 40", "GPU reset"), ("stalls 40", "for 8 s"), ("crashes", "SIGSEGV")]
)
def test_a_failure_in_the_middle_is_done_again_in_software_and_said(
    studio: Site, card: Card, tmp_path: Path, mood: str, reason: str
) -> None:
    composed(studio, "#000001")  # by now it is known that the card works
    card.be(mood)
    job, report, film = composed(studio, "#C08040")
    assert report["encoder"] == "libx264"
    count, colour = shown(film, tmp_path / "film.mp4")
    assert count == FRAMES
    assert colour == pytest.approx(in_709("#C08040"), abs=2)
    told = said(studio, job)
    assert "h264_card failed; done again in software" in told
    assert reason in told
    (state,) = studio.app.encoders.cards().values()
    assert (state.failures, state.rests_until) == (1, 0)
    card.be("works")
    assert composed(studio, "#000002")[1]["encoder"] == "h264_card", "the next job tries the card again"
    assert studio.app.encoders.cards() == {}


def test_a_card_that_keeps_failing_is_left_alone(studio: Site, card: Card) -> None:
    for number in range(3):
        card.be("dies 40")
        assert composed(studio, f"#0000{number + 16:02x}")[1]["encoder"] == "libx264"
    before = card.calls
    card.be("works")
    assert composed(studio, "#000040")[1]["encoder"] == "libx264"
    assert card.calls == before
    told = studio.http.get("/api/v1/encoders", timeout=120).json()
    (state,) = told["cards"]
    assert (state["failures"], state["rests_until"] is not None) == (3, True)
    assert "GPU reset" in state["reason"]
    metrics = studio.http.get("/metrics").text
    assert f'vtid_encoder_up{{device="{card.device}",encoder="h264_card"}} 0.0' in metrics
    assert f'vtid_card_failures{{card="{state["card"]}"}} 3.0' in metrics


def test_the_api_tells_of_every_encoder(studio: Site, card: Card) -> None:
    told = studio.http.get("/api/v1/encoders", timeout=120).json()
    by_name = {one["name"]: one for one in told["encoders"]}
    assert (told["hardware"], told["ffmpeg"]) == ("auto", str(card.ffmpeg))
    assert (by_name["libx264"]["works"], by_name["h264_card"]["works"]) == (True, True), told
    assert by_name["h264_card"]["device"] == str(card.device)
