"""Every way to go wrong answers with one shape."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.web.site import API, Site, problem
from vtid.errors import NotFound

NOBODY = "00000000-0000-4000-8000-000000000000"
SUBMIT = f"{API}/submit"
JSON = {"Content-Type": "application/json"}
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\nabc'


def form(boundary: str = "x") -> dict[str, str]:
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}


TABLE: dict[str, tuple[str, str, dict[str, Any], int, str]] = {
    "no such route": ("GET", "/api/v2/jobs", {}, 404, "not_found"),
    "no such page": ("GET", "/favicon.ico", {}, 404, "not_found"),
    "wrong method": ("PUT", f"{API}/", {}, 405, "method_not_allowed"),
    "wrong method on submit": ("PUT", SUBMIT, {}, 405, "method_not_allowed"),
    "invented method": ("BREW", "/health", {}, 405, "method_not_allowed"),
    "limit too small": ("GET", f"{API}/?limit=0", {}, 400, "invalid_input"),
    "limit too large": ("GET", f"{API}/?limit=201", {}, 400, "invalid_input"),
    "limit no number": ("GET", f"{API}/?limit=many", {}, 400, "invalid_input"),
    "limit enormous": ("GET", f"{API}/?limit={'9' * 5000}", {}, 400, "invalid_input"),
    "unknown status": ("GET", f"{API}/?status=happy", {}, 400, "invalid_input"),
    "text too long": ("GET", f"{API}/?text={'a' * 201}", {}, 400, "invalid_input"),
    "text with a NUL": ("GET", f"{API}/?text=a%00b", {}, 400, "invalid_input"),
    "json with a NUL": (
        "POST",
        SUBMIT,
        {"json": {"pipeline": "copy", "asset_id": NOBODY, "display_name": "a\0"}},
        400,
        "invalid_input",
    ),
    "a cursor with a NUL": ("GET", f"{API}/?cursor=WzEuMCwiXHUwMDAwIl0", {}, 400, "invalid_input"),
    "not a cursor": ("GET", f"{API}/?cursor=abc", {}, 400, "invalid_input"),
    "not a cursor either": ("GET", f"{API}/?cursor=%C3%A4%C3%A4", {}, 400, "invalid_input"),
    "a cursor of something else": ("GET", f"{API}/?cursor=WzEsMl0", {}, 400, "invalid_input"),
    "event id no number": ("GET", f"{API}/{NOBODY}/events?last_event_id=x", {}, 400, "invalid_input"),
    "bad json": ("POST", SUBMIT, {"content": b"{", "headers": JSON}, 400, "invalid_input"),
    "json not utf-8": ("POST", SUBMIT, {"content": b'{"pipeline": "\xff"}', "headers": JSON}, 400, "invalid_input"),
    "json but no object": ("POST", SUBMIT, {"json": [1]}, 400, "invalid_input"),
    "unknown field in json": ("POST", SUBMIT, {"json": {"pipeline": "copy", "asset": "x"}}, 400, "invalid_input"),
    "wrong type in json": ("POST", SUBMIT, {"json": {"pipeline": "copy", "params": 3}}, 400, "invalid_input"),
    "json without pipeline": ("POST", SUBMIT, {"json": {"asset_id": NOBODY}}, 400, "invalid_input"),
    "json without asset": ("POST", SUBMIT, {"json": {"pipeline": "copy"}}, 400, "invalid_input"),
    "a url that is a file": (
        "POST",
        SUBMIT,
        {"json": {"pipeline": "copy", "video_url": "file:///etc/passwd"}},
        400,
        "invalid_input",
    ),
    "a url that leads inside": (
        "POST",
        SUBMIT,
        {"json": {"pipeline": "copy", "video_url": "http://169.254.169.254/latest"}},
        400,
        "invalid_input",
    ),
    "a url and an asset": (
        "POST",
        SUBMIT,
        {"json": {"pipeline": "copy", "video_url": "http://a.example/b.mp4", "asset_id": NOBODY}},
        400,
        "invalid_input",
    ),
    "unknown asset": ("POST", SUBMIT, {"json": {"pipeline": "copy", "asset_id": NOBODY}}, 404, "not_found"),
    "endless json": (
        "POST",
        SUBMIT,
        {"content": b'{"pipeline": "' + b"a" * (2 << 20), "headers": JSON},
        413,
        "too_large",
    ),
    "no body": ("POST", SUBMIT, {}, 415, "unsupported_content_type"),
    "not multipart": ("POST", SUBMIT, {"data": {"pipeline": "copy"}}, 415, "unsupported_content_type"),
    "a raw file": (
        "POST",
        SUBMIT,
        {"content": b"abc", "headers": {"Content-Type": "video/mp4"}},
        415,
        "unsupported_content_type",
    ),
    "no boundary": (
        "POST",
        SUBMIT,
        {"content": b"abc", "headers": {"Content-Type": "multipart/form-data"}},
        400,
        "invalid_input",
    ),
    "empty multipart": ("POST", SUBMIT, {"content": b"", "headers": form()}, 400, "invalid_input"),
    "broken multipart": ("POST", SUBMIT, {"content": b"abc", "headers": form()}, 400, "invalid_input"),
    "multipart cut off": ("POST", SUBMIT, {"content": PART, "headers": form()}, 400, "invalid_input"),
    "multipart without an end": (
        "POST",
        SUBMIT,
        {"content": PART + b"\r\n--x", "headers": form()},
        400,
        "invalid_input",
    ),
    "part without a name": (
        "POST",
        SUBMIT,
        {"content": b"--x\r\nA: b\r\n\r\nabc\r\n--x--\r\n", "headers": form()},
        400,
        "invalid_input",
    ),
    "file name not utf-8": (
        "POST",
        SUBMIT,
        {"content": PART.replace(b"a.mp4", b"\xff.mp4") + b"\r\n--x--\r\n", "headers": form()},
        400,
        "invalid_input",
    ),
    "no file": ("POST", SUBMIT, {"files": {"pipeline": (None, "copy")}}, 400, "invalid_input"),
    "file is no file": (
        "POST",
        SUBMIT,
        {"files": {"pipeline": (None, "copy"), "file": (None, "abc")}},
        400,
        "invalid_input",
    ),
    "file of another name": (
        "POST",
        SUBMIT,
        {"data": {"pipeline": "copy"}, "files": {"movie": ("a.mp4", b"abc")}},
        400,
        "invalid_input",
    ),
    "two files": (
        "POST",
        SUBMIT,
        {"data": {"pipeline": "copy"}, "files": [("file", ("a.mp4", b"a")), ("file", ("b.mp4", b"b"))]},
        400,
        "invalid_input",
    ),
    "a field twice": (
        "POST",
        SUBMIT,
        {"files": [("file", ("a.mp4", b"a")), ("pipeline", (None, "copy")), ("pipeline", (None, "slow"))]},
        400,
        "invalid_input",
    ),
    "many parts": ("POST", SUBMIT, {"files": [(f"f{i}", (None, "1")) for i in range(500)]}, 400, "invalid_input"),
}


@pytest.mark.parametrize("case", TABLE)
def test_requests_that_are_wrong(still: Site, case: str) -> None:
    method, path, request, status, code = TABLE[case]
    before = still.stored()
    problem(still.http.request(method, path, **request), status, code)
    assert still.stored() == before


def test_405_says_what_is_possible(still: Site) -> None:
    assert "POST" in still.http.put(SUBMIT).headers["allow"]


def test_every_complaint_is_told_with_its_field(still: Site, clip: Path) -> None:
    answer = still.http.post(SUBMIT, data={"params": "{", "piepline": "copy"}, files={"movie": ("a.mp4", b"a")})
    fields = {e["field"] for e in problem(answer, 400)["errors"]}
    assert {"file", "params", "piepline", "pipeline", "movie"} <= fields
    said = problem(still.http.post(SUBMIT, json={"piepline": "copy", "params": 1}), 400)["errors"]
    assert {e["field"] for e in said} >= {"piepline", "params", "pipeline"}
    assert 'did you mean "pipeline"?' in next(e["message"] for e in said if e["field"] == "piepline")
    query = problem(still.http.get(f"{API}/?limit=0&status=happy&cursr=x"), 400)["errors"]
    assert {e["field"] for e in query} == {"limit", "status", "cursr"}


@pytest.mark.parametrize("params", ["{", '{"a": "\\u0000"}', "[]", "3", '"a"', "null", '{"a": NaN}'])
def test_params_must_be_a_json_object(still: Site, clip: Path, params: str) -> None:
    body = problem(still.submit(clip, params=params), 400, "invalid_input")
    assert [e["field"] for e in body["errors"]] == ["params"]


# --- pipelines


def test_unknown_pipeline(still: Site, clip: Path) -> None:
    assert 'did you mean "copy"?' in problem(still.submit(clip, "copi"), 404, "not_found")["detail"]


def test_broken_pipeline(still: Site, clip: Path) -> None:
    assert problem(still.submit(clip, "broken"), 400, "pipeline")["errors"]


def test_plugin_not_ready(still: Site, clip: Path) -> None:
    assert "the key of the service" in problem(still.submit(clip, "not-ready"), 503, "unavailable")["detail"]


def test_unknown_param(still: Site, clip: Path) -> None:
    body = problem(still.submit(clip, "slow", params={"tick": 3}), 400, "invalid_input")
    assert 'did you mean "ticks"?' in body["detail"]


def test_a_region_outside_the_frame(still: Site, clip: Path) -> None:
    box = {"x": 100, "y": 50, "width": 200, "height": 100}
    body = problem(
        still.submit(clip, "remove-text", params={"regions": [{"type": "erasure", "coordinates": box}]}),
        400,
        "invalid_input",
    )
    assert [(e["field"], e["code"]) for e in body["errors"]] == [("clean.regions[0].coordinates", "outside_frame")]
    assert "160×90" in body["errors"][0]["message"]


# --- media


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("media")
    with av.open(str(folder / "a.m4a"), "w") as out:
        stream = out.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with av.open(str(folder / "a.png"), "w", format="image2") as out:
        picture = out.add_stream("png", rate=1)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "rgb24"
        out.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        out.mux(picture.encode(None))
    whole = clip.read_bytes()
    return {
        "text": b"not a video\n" * 1000,
        "empty": b"",
        "truncated": whole[: len(whole) // 2],
        "noise": bytes(range(256)) * 100,
        "audio only": (folder / "a.m4a").read_bytes(),
        "image": (folder / "a.png").read_bytes(),
        "html": b"<!doctype html><script>alert(1)</script>",
    }


@pytest.mark.parametrize("kind", ["text", "empty", "truncated", "noise", "audio only", "image", "html"])
def test_files_that_are_no_video(still: Site, media: dict[str, bytes], kind: str) -> None:
    before = still.stored()
    answer = still.submit(media[kind])
    problem(answer, answer.status_code)
    assert answer.status_code in (415, 422)
    assert "clip.mp4" in answer.json()["detail"], "the owner's name for the file, and no path of ours"
    assert str(still.files) not in answer.text
    assert still.stored() == before


# --- failures of our own


def test_a_bug_is_told_in_plain_words(still: Site, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(still.core.jobs, "with_runs", broken)
    answer = still.http.get(f"{API}/{NOBODY}", headers={"X-Request-ID": "my-id"})
    body = problem(answer, 500, "internal")
    assert "secret detail" not in answer.text
    assert body["request_id"] == "my-id"


def test_a_database_that_is_away(still: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from vtid.errors import Unavailable

    async def away(*_: object) -> None:
        raise Unavailable("The database does not answer: test")

    monkeypatch.setattr(still.core.jobs, "list", away)
    monkeypatch.setattr(still.core.jobs, "counts", away)
    problem(still.http.get(f"{API}/"), 503, "unavailable")
    assert still.http.get("/metrics").status_code == 200, "metrics outlive the database"


def test_a_file_that_vanishes_is_not_found(still: Site, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = still.core.storage.signed_url("users/local/jobs/x/gone.mp4", ttl_s=60)
    problem(still.http.get(url), 404, NotFound.code)


def test_errors_in_their_own_words_only(still: Site) -> None:
    """What a request says comes back as data and never as markup."""
    answer = still.http.get("/<script>alert(1)</script>")
    problem(answer, 404)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert json.loads(answer.text)


def test_disk_full(tmp_path: Path, clip: Path) -> None:
    from tests.web.site import serving

    with serving(tmp_path, workers=False, limits__min_free_disk_mb=10**9) as full:
        body = problem(full.submit(clip), 507, "disk_full")
        assert "suggested_action" in body
        assert not full.stored()
        assert full.http.get("/health").json()["problems"].keys() == {"storage", "workers"}
        assert full.http.get("/health/storage").status_code == 503
