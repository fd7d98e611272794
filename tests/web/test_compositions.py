"""Compositions as their clients make them: a document over HTTP, a film back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tests.net.origin import Origin, origin, serves
from tests.web.site import Site, problem, serving
from vtid.media import probe
from vtid.media.synth import draw_clip

FILMS = "/api/v1/compositions"
PLUGINS = (Path("plugins").absolute(),)
OUTPUT = {"resolution": {"width": 160, "height": 90}, "fps": 10, "quality": "low"}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A daemon with the real composer and workers; it may fetch from this machine."""
    with serving(
        tmp_path_factory.mktemp("studio"), workers=True, pipelines={}, plugins__dirs=PLUGINS, net__allow=("127.0.0.1",)
    ) as site:
        yield site


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The same without workers, and with small limits: for what is refused, listed and cancelled."""
    small = {"compositions__max_clips": 3, "compositions__max_overlays": 1, "compositions__max_seconds": 60.0}
    with serving(tmp_path_factory.mktemp("idle"), workers=False, pipelines={}, plugins__dirs=PLUGINS, **small) as site:
        yield site


@pytest.fixture(scope="module")
def beach(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("beach") / "beach.mp4"
    draw_clip(path, seconds=2, width=160, height=90, fps=10)
    return path


@pytest.fixture(scope="module")
def elsewhere(beach: Path) -> Iterator[Origin]:
    with origin(serves(beach.read_bytes())) as made:
        yield made


def uploaded(site: Site, path: Path, name: str | None = None) -> str:
    """The id of a file that came in by itself."""
    size = path.stat().st_size
    begun = site.http.post("/api/v1/chunked-upload/init", json={"filename": name or path.name, "total_size": size})
    upload = begun.json()["upload_id"]
    sent = {"chunk": ("blob", path.read_bytes())}
    site.http.post(f"/api/v1/chunked-upload/chunk/{upload}", files=sent, data={"chunk_index": "0"})
    return str(site.http.post(f"/api/v1/chunked-upload/complete/{upload}").json()["asset_id"])


def submitted(site: Site, document: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = site.http.post(FILMS, json=document, headers=headers)
    assert answer.status_code == 202, answer.text
    body: dict[str, Any] = answer.json()
    assert body["id"] == body["composition_id"]
    assert answer.headers["location"] == f"{FILMS}/{body['id']}"
    return body


def test_a_film_from_a_url_an_id_and_a_name(studio: Site, beach: Path, elsewhere: Origin, tmp_path: Path) -> None:
    asset = uploaded(studio, beach, "beach one.mp4")
    document = {
        "title": "Holidays",
        "description": "At the sea",
        "clips": [
            {"video_url": f"{elsewhere.url}/far.mp4?token=geheim", "start_time": 0, "end_time": 1},
            {"video_url": asset, "start_time": 1, "end_time": 1.5, "trim_start": 1},
            {"video_url": "asset:beach one.mp4", "start_time": 1.5, "end_time": 2},
        ],
        "audio": {"music_url": asset, "music_volume": 0.3, "original_audio_volume": 0.7},
        "overlays": [{"text": "Welcome!", "position": "center", "start_time": 0, "end_time": 1, "font_size": 12}],
        "output": OUTPUT,
    }
    film = submitted(studio, document)["id"]
    assert studio.wait(film)["status"] == "completed", studio.job(film)["error"]

    told = studio.http.get(f"{FILMS}/{film}").json()
    assert (told["title"], told["description"], told["overall_progress"]) == ("Holidays", "At the sea", 100)
    status = studio.http.get(f"{FILMS}/{film}/status").json()
    assert status["current_stage"] == "completed"
    stages = {one["stage"]: one for one in status["stages"]}
    assert list(stages) == ["pending", "downloading", "rendering", "encoding", "uploading"]
    for one in stages.values():
        assert one["progress"] == 100, one
        assert one["started_at"] <= one["completed_at"], one

    facts = studio.http.get(f"{FILMS}/{film}/metadata").json()
    assert [one["name"] for one in facts["input_files"]] == [f"{elsewhere.url}/far.mp4", asset, "asset:beach one.mp4"]
    assert all(one["size"] == beach.stat().st_size for one in facts["input_files"])
    assert (
        "geheim" not in studio.http.get(f"{FILMS}/{film}/metadata").text + studio.http.get(f"/api/v1/jobs/{film}").text
    )
    assert facts["request"]["overlays"] == document["overlays"]
    assert facts["resources"]["encoder"] == "libx264"

    download = studio.http.get(f"{FILMS}/{film}/download").json()
    content = studio.http.get(download["download_url"]).content
    assert (len(content), download["format"]) == (download["file_size_bytes"], "mp4")
    part = studio.http.get(download["download_url"], headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    (tmp_path / "film.mp4").write_bytes(content)
    video = probe(tmp_path / "film.mp4")
    assert (video.width, video.height, video.video[0].frames) == (160, 90, 20)
    assert facts["resources"]["output_bytes"] == len(content)

    assert studio.http.delete(f"{FILMS}/{film}").status_code == 204
    problem(studio.http.get(f"{FILMS}/{film}"), 404)
    problem(studio.http.get(download["download_url"]), 404)


def test_a_file_that_is_not_to_be_had_fails_the_film_in_words(studio: Site, beach: Path) -> None:
    with origin(serves(b"no video at all")) as made:
        film = submitted(studio, {"clips": [{"video_url": f"{made.url}/x.mp4", "duration": 1}], "output": OUTPUT})["id"]
        job = studio.wait(film, "failed")
    assert "clips[0].video_url" in job["error"]["message"]
    status = studio.http.get(f"{FILMS}/{film}/status").json()
    assert status["current_stage"] == "failed"
    assert "no media file" in status["error"]["message"]
    problem(studio.http.get(f"{FILMS}/{film}/download"), 409)


GOOD = {"video_url": "asset:beach.mp4"}


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        ({}, {"clips": "missing"}),
        ({"clips": []}, {"clips": "invalid"}),
        ({"clips": [GOOD | {"trim_end": 5}]}, {"clips[0].trim_end": "past_end"}),
        (
            {"clips": [GOOD | {"end_tme": 3}, GOOD | {"speed": 9}], "output": {"fps": "fast", "format": "wmv"}},
            {"clips[0].end_tme": "unknown", "clips[1].speed": "invalid", "output.fps": "invalid", "output.format": "invalid"},
        ),
        (
            {"clips": [GOOD | {"start_time": 0, "end_time": 1}, GOOD | {"start_time": 0.5, "end_time": 1.5}]},
            {"clips[1].start_time": "overlap"},
        ),
        ({"clips": [{"video_url": "asset:nothing.mp4"}, {"video_url": "x.mp4"}]}, {"clips[0].video_url": "unknown", "clips[1].video_url": "unknown"}),
        ({"clips": [{"video_url": "http://127.0.0.1/x.mp4"}]}, {"clips[0].video_url": "address_refused"}),
        ({"clips": [{"video_url": "s3://bucket/x.mp4"}]}, {"clips[0].video_url": None}),
        ({"clips": [GOOD], "audio": {"music_url": "550e8400-e29b-41d4-a716-446655440000"}}, {"audio.music_url": "unknown"}),
        ({"clips": [GOOD] * 4, "overlays": [{"text": "a"}] * 2}, {"clips": "too_many", "overlays": "too_many"}),
        ({"clips": [{"color": "#000000", "duration": 61}]}, {"clips": "too_long"}),
        ({"clips": [GOOD | {"volume": "{{loud}}"}]}, {"clips[0].volume": "unknown"}),
        ({"clips": [GOOD], "fields": {"a": None}, "title": "{{a}}"}, {"title": "missing"}),
        ({"clips": [GOOD], "fields": {"a": 1}, "values": {"b": 1}}, {"values": "unknown"}),
        ({"clips": [GOOD], "fields": {"a": 1}, "values": {"a": "soon"}}, {"values": "invalid"}),
        ({"clips": [GOOD], "values": [1]}, {"values": "invalid"}),
        ({"clips": [GOOD], "fields": {"a": [1]}}, {"fields": "invalid"}),
        ({"clips": [GOOD], "callback_url": "ftp://example.org"}, {"callback_url": "url"}),
    ],
)  # fmt: skip
def test_every_complaint_names_its_field(
    idle: Site, beach: Path, document: dict[str, Any], wanted: dict[str, str | None]
) -> None:
    if idle.http.get("/api/v1/files?text=beach.mp4").json()["files"] == []:
        uploaded(idle, beach)
    body = problem(idle.http.post(FILMS, json=document), 400)
    found = {one["field"]: one["code"] for one in body["errors"]}
    assert found.keys() == wanted.keys(), body
    assert all(code is None or found[field] == code for field, code in wanted.items()), body


def test_two_files_of_one_name_must_be_told_apart(idle: Site, beach: Path) -> None:
    uploaded(idle, beach, "twice.mp4")
    other = beach.with_name("other.mp4")
    other.write_bytes(beach.read_bytes() + b"\0\0\0\x08free")
    second = uploaded(idle, other, "twice.mp4")
    body = problem(idle.http.post(FILMS, json={"clips": [{"video_url": "asset:twice.mp4"}]}), 400)
    assert body["errors"][0]["code"] == "ambiguous"
    assert second in body["errors"][0]["message"]
    assert submitted(idle, {"clips": [{"video_url": second}]})["estimated_credits"] == 2


def test_they_are_listed_by_pages_cancelled_and_asked_for_once(idle: Site) -> None:
    idle.http.post(f"{FILMS}/cancel-all")
    document = {"clips": [{"color": "#102030", "duration": 3}], "title": "Blue"}
    first = submitted(idle, document, **{"Idempotency-Key": "blue-1"})
    again = idle.http.post(FILMS, json=document, headers={"Idempotency-Key": "blue-1"})
    assert (again.json()["id"], again.headers["idempotency-replayed"]) == (first["id"], "true")
    assert (first["status"], first["estimated_credits"]) == ("queued", 3)
    others = [submitted(idle, document)["id"] for _ in range(2)]
    page = idle.http.get(FILMS, params={"status_filter": "queued", "offset": 1, "limit": 1}).json()
    assert (page["total"], page["offset"], [one["id"] for one in page["compositions"]]) == (3, 1, others[:1])
    problem(idle.http.get(FILMS, params={"limit": 101}), 400)
    status = idle.http.get(f"{FILMS}/{first['id']}/status").json()
    assert (status["current_stage"], status["stages"][0]["completed_at"]) == ("pending", None)

    assert idle.http.post(f"{FILMS}/{first['id']}/cancel").json()["status"] == "cancelled"
    stopped = idle.http.post(f"{FILMS}/cancel-all").json()
    assert (stopped["cancelled"], sorted(stopped["composition_ids"])) == (2, sorted(others))
    assert idle.http.get(FILMS, params={"status_filter": "queued"}).json()["total"] == 0
    job = idle.job(first["id"])
    assert (job["pipeline"], job["display_name"]) == ("compose", "Blue")


def test_a_template_is_filled_in_with_what_comes_along(idle: Site) -> None:
    template = {
        "fields": {"name": "you", "seconds": 5, "colour": None},
        "title": "For {{name}}",
        "clips": [{"color": "{{colour}}", "duration": "{{seconds}}"}],
        "overlays": [{"text": "Hello {{name}}!"}],
    }
    film = submitted(idle, template | {"values": {"name": "Ann", "colour": "#102030"}})
    assert (film["title"], film["estimated_credits"]) == ("For Ann", 5)
    asked = idle.http.get(f"{FILMS}/{film['id']}/metadata").json()["request"]
    assert asked == {
        "title": "For Ann",
        "clips": [{"color": "#102030", "duration": 5}],
        "overlays": [{"text": "Hello Ann!"}],
    }
    other = submitted(idle, template | {"values": {"seconds": "7", "colour": "#000000"}})
    assert (other["title"], other["estimated_credits"]) == ("For you", 7)
    idle.http.post(f"{FILMS}/cancel-all")


def test_a_job_of_another_kind_is_no_composition(idle: Site, beach: Path) -> None:
    job = idle.submit(beach, "remove-text").json()["job_id"]
    for path in ("", "/status", "/metadata", "/download"):
        problem(idle.http.get(f"{FILMS}/{job}{path}"), 404)
    problem(idle.http.delete(f"{FILMS}/{job}"), 404)
    problem(idle.http.get(f"{FILMS}/nonsense"), 404)


def test_the_schema_is_one_and_knows_the_contracts_simple_form(idle: Site) -> None:
    schema = idle.http.get(f"{FILMS}/schema").json()
    judge = jsonschema_rs.Draft202012Validator(schema)
    simple = {
        "title": "…",
        "clips": [{"video_url": "clip1.mp4", "start_time": 0, "end_time": 10}],
        "audio": {"music_url": "…", "music_volume": 0.3, "voiceover_url": "…", "original_audio_volume": 0.7},
        "overlays": [
            {"text": "Welcome!", "position": "center", "start_time": 0, "end_time": 3, "font_size": 48, "font_color": "#FFFFFF"}
        ],
        "output": {"format": "mp4", "quality": "medium", "resolution": "1080p"},
    }  # fmt: skip
    assert judge.is_valid(simple)
    assert not judge.is_valid(simple | {"clips": [{"video_url": 3}]})
    assert not judge.is_valid(simple | {"tilte": "x"})
    assert judge.is_valid(simple | {"fields": {"name": "you", "seconds": 5}})
    assert not judge.is_valid(simple | {"fields": {"name": []}})
    limits = idle.http.get("/api/v1/limits").json()
    assert limits["compositions"] == {"max_clips": 3, "max_overlays": 1, "max_duration_seconds": 60.0}
    document = idle.http.get("/schema/openapi.json").json()["paths"][FILMS]["post"]
    assert judge.is_valid(document["requestBody"]["content"]["application/json"]["example"])
