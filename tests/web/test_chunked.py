"""Uploads in chunks: as documented, in any order, again, at once; what is wrong is told and costs nothing."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.web.site import API, Site, another, problem

CHUNKED = "/api/v1/chunked-upload"


def init(site: Site, size: int, chunk: int, filename: str = "film.mp4") -> dict[str, Any]:
    answer = site.http.post(f"{CHUNKED}/init", json={"filename": filename, "total_size": size, "chunk_size": chunk})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def send(site: Site, upload: str, index: int, data: bytes, *, index_first: bool = True) -> httpx.Response:
    parts = [("chunk_index", (None, str(index))), ("chunk", ("blob", data))]
    return site.http.post(f"{CHUNKED}/chunk/{upload}", files=parts if index_first else parts[::-1])


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def upload_whole(site: Site, data: bytes, chunk: int = 5000, filename: str = "film.mp4") -> httpx.Response:
    begun = init(site, len(data), chunk, filename)
    for index, piece in enumerate(pieces(data, chunk)):
        assert send(site, begun["upload_id"], index, piece).status_code == 200
    return site.http.post(f"{CHUNKED}/complete/{begun['upload_id']}")


@pytest.mark.parametrize("mixed", [False, True], ids=["index first", "either first"])
def test_as_documented(place: Site, clip: Path, *, mixed: bool) -> None:
    data = another(clip)
    begun = init(place, len(data), 4000)
    upload, count = begun["upload_id"], begun["chunk_count"]
    assert count == -(-len(data) // 4000)
    order = list(enumerate(pieces(data, 4000)))
    random.Random(4).shuffle(order)
    for index, piece in order[:-1]:
        answer = send(place, upload, index, piece, index_first=not mixed or index % 2 == 0)
        assert answer.status_code == 200, answer.text
    assert answer.json()["chunks_received"] == count - 1
    last = order[-1][0]
    standing = place.http.get(f"{CHUNKED}/{upload}").json()
    assert (standing["missing"], standing["complete"], standing["total_size"]) == ([last], False, len(data))
    body = problem(place.http.post(f"{CHUNKED}/complete/{upload}"), 409, "conflict")
    assert f"1 of {count} chunks are missing: {last}" in body["detail"]
    assert send(place, upload, *order[-1]).json()["chunks_received"] == count
    answer = place.http.post(f"{CHUNKED}/complete/{upload}")
    assert answer.status_code == 200, answer.text
    asset = answer.json()
    assert asset | {"asset_id": upload, "filename": "film.mp4", "size": len(data), "kind": "video"} == asset
    assert (asset["width"], asset["height"], asset["duration"], asset["video_codec"]) == (160, 90, 0.5, "h264")
    assert place.http.get(asset["url"]).content == data
    again = place.http.post(f"{CHUNKED}/complete/{upload}")
    assert (again.status_code, again.json()["asset_id"]) == (200, upload)
    assert place.keys("temp/") == set()
    standing = place.http.get(f"{CHUNKED}/{upload}").json()
    assert (standing["missing"], standing["complete"]) == ([], True)
    job = place.http.post(f"{API}/submit", json={"pipeline": "copy", "asset_id": upload}).json()
    done = place.wait(job["job_id"])
    assert done["status"] == "completed", done["error"]
    assert place.http.get(done["result_url"]).content == data


def test_a_chunk_sent_again_replaces_the_first(place: Site, clip: Path) -> None:
    data = another(clip)
    first, second = data[: len(data) // 2 + 1], data[len(data) // 2 + 1 :]
    upload = init(place, len(data), len(first))["upload_id"]
    assert send(place, upload, 0, bytes(len(first))).status_code == 200
    assert send(place, upload, 1, second).status_code == 200
    assert send(place, upload, 0, first).json()["chunks_received"] == 2
    asset = place.http.post(f"{CHUNKED}/complete/{upload}").json()
    assert place.http.get(asset["url"]).content == data
    assert place.keys("temp/") == set(), "nothing is left of the chunk that was replaced"


def test_chunks_at_once(place: Site, clip: Path) -> None:
    data = another(clip)
    upload = init(place, len(data), 2500)["upload_id"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: send(place, upload, *one), enumerate(pieces(data, 2500))))
    assert {a.status_code for a in answers} == {200}
    with ThreadPoolExecutor(4) as pool:
        ends = list(pool.map(lambda _: place.http.post(f"{CHUNKED}/complete/{upload}"), range(4)))
    assert {(a.status_code, a.json()["asset_id"]) for a in ends} == {(200, upload)}
    assert place.http.get(ends[0].json()["url"]).content == data


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"total_size": 5}, "filename", "missing"),
        ({"filename": "a.mp4"}, "total_size", "missing"),
        ({"filename": "a.mp4", "total_size": 0}, "total_size", "at least 1"),
        ({"filename": "a.mp4", "total_size": "5"}, "total_size", "whole number"),
        ({"filename": "a.mp4", "total_size": 5, "chunk_size": 0}, "chunk_size", "at least 1"),
        ({"filename": "a.mp4", "total_size": 1_000_000, "chunk_size": 1}, "chunk_size", "take at least 100"),
        ({"filename": "a.mp4", "total_size": 5, "chunksize": 1}, "chunksize", 'did you mean "chunk_size"'),
    ],
)
def test_a_bad_beginning_is_told(site: Site, body: dict[str, Any], field: str, words: str) -> None:
    told = problem(site.http.post(f"{CHUNKED}/init", json=body), 400)
    assert any(e["field"] == field and words in e["message"] for e in told["errors"]), told


def test_too_large_is_told_at_the_beginning(still: Site) -> None:
    body = {"filename": "a.mp4", "total_size": (1 << 20) + 1, "chunk_size": 1 << 20}
    told = problem(still.http.post(f"{CHUNKED}/init", json=body), 413, "too_large")
    assert "1 MB" in told["detail"]
    assert [error["field"] for error in told["errors"]] == ["total_size"]


def test_bad_chunks_are_told_and_leave_nothing(place: Site) -> None:
    upload = init(place, 2500, 1000)["upload_id"]
    for index, data, status, words in (
        (3, b"x" * 1000, 400, "at most 2"),
        (0, b"x" * 999, 400, "must have 1000 bytes"),
        (2, b"x" * 1000, 400, "must have 500 bytes"),
        (0, b"x" * 200_000, 413, "larger than the chunk_size"),
        (-1, b"x", 400, "at least 0"),
    ):
        assert words in str(problem(send(place, upload, index, data), status)["errors"]), (index, words)
    url = f"{CHUNKED}/chunk/{upload}"
    assert "is missing" in str(problem(place.http.post(url, files={"chunk": ("b", b"x")}), 400)["errors"])
    assert "is missing" in str(problem(place.http.post(url, files={"chunk_index": (None, "0")}), 400)["errors"])
    problem(place.http.post(url, content=b"x" * 1000), 415)
    assert place.http.get(f"{CHUNKED}/{upload}").json()["received"] == []
    assert len(place.keys("temp/")) <= 1, "the whole, of which nothing counts yet"
    assert place.http.delete(f"{CHUNKED}/{upload}").status_code == 204
    assert place.keys("temp/") == set()


def test_a_chunk_that_was_refused_may_come_again_and_nothing_is_copied(site: Site, clip: Path) -> None:
    data = another(clip)
    upload = init(site, len(data), 5000)["upload_id"]
    first, *rest = pieces(data, 5000)
    problem(send(site, upload, 0, first[:-1]), 400)
    for index, piece in enumerate([first, *rest]):
        assert send(site, upload, index, piece).status_code == 200
    (whole,) = site.files.glob(f"temp/chunks/{upload}/whole")
    inode = whole.stat().st_ino
    assert site.http.post(f"{CHUNKED}/complete/{upload}").status_code == 200
    (stored,) = site.files.glob(f"users/*/assets/{upload}/*")
    assert (stored.stat().st_ino, stored.read_bytes()) == (inode, data)


def test_two_that_send_the_same_chunk_at_once_mix_nothing(site: Site, clip: Path) -> None:
    data = another(clip)
    size = len(data) // 2 + 1
    upload = init(site, len(data), size)["upload_id"]
    wrong = bytes(size)
    with ThreadPoolExecutor(8) as pool:
        both = list(pool.map(lambda piece: send(site, upload, 0, piece), [data[:size], wrong] * 4))
    assert {a.status_code for a in both} == {200}
    assert send(site, upload, 1, data[size:]).status_code == 200
    answer = site.http.post(f"{CHUNKED}/complete/{upload}")
    if answer.status_code == 200:
        assert site.http.get(answer.json()["url"]).content == data
    else:  # the zeros came last
        problem(answer, 415)


@pytest.mark.parametrize(
    ("content", "name", "status", "words"),
    [
        (b"just some text\n" * 500, "notes.mp4", 415, "not a media file"),
        (b"\0\0\0\x20ftypisom" + bytes(7000), "cut.mp4", 422, "incomplete"),
    ],
)
def test_what_is_no_video_is_refused_and_gone(place: Site, content: bytes, name: str, status: int, words: str) -> None:
    before = place.keys()
    answer = upload_whole(place, content, 3000, name)
    body = problem(answer, status)
    assert words in body["detail"]
    assert name in body["detail"]
    assert place.keys() == before
    assert place.keys("temp/") == set()
    upload = answer.request.url.path.rpartition("/")[2]
    problem(place.http.post(f"{CHUNKED}/complete/{upload}"), 404)


def test_a_dropped_upload_leaves_nothing(place: Site) -> None:
    upload = init(place, 20, 10)["upload_id"]
    send(place, upload, 0, b"x" * 10)
    assert place.keys("temp/")
    assert place.http.delete(f"{CHUNKED}/{upload}").status_code == 204
    assert place.keys("temp/") == set()
    for answer in (
        place.http.get(f"{CHUNKED}/{upload}"),
        send(place, upload, 1, b"x" * 10),
        place.http.post(f"{CHUNKED}/complete/{upload}"),
        place.http.delete(f"{CHUNKED}/{upload}"),
    ):
        problem(answer, 404)


def test_a_chunk_that_a_power_cut_took_is_asked_for_again(site: Site, clip: Path) -> None:
    """It was noted, and its bytes never reached the disk: the file is shorter than it was, or gone."""
    data = another(clip)
    upload = init(site, len(data), 8000)["upload_id"]
    chunks = pieces(data, 8000)
    for index, piece in enumerate(chunks):
        send(site, upload, index, piece, index_first=False)  # else it was on the disk before it was noted
    folder = site.files / "temp" / "chunks" / upload
    first = next(p for p in folder.iterdir() if p.read_bytes() == chunks[0])
    second = next(p for p in folder.iterdir() if p.read_bytes() == chunks[1])
    first.write_bytes(b"")
    second.unlink()
    assert "not complete" in problem(site.http.post(f"{CHUNKED}/complete/{upload}"), 409)["detail"]
    assert site.http.get(f"{CHUNKED}/{upload}").json()["missing"] == [0, 1]
    for index in (0, 1):
        send(site, upload, index, chunks[index])
    asset = site.http.post(f"{CHUNKED}/complete/{upload}").json()
    assert site.http.get(asset["url"]).content == data


@pytest.mark.parametrize("upload", ["nope", "550e8400-e29b-41d4-a716-446655440000", "..%2f..", "%00"])
def test_uploads_that_are_not_there(site: Site, upload: str) -> None:
    problem(site.http.get(f"{CHUNKED}/{upload}"), 404)
    problem(site.http.post(f"{CHUNKED}/complete/{upload}"), 404)
    problem(site.http.post(f"{CHUNKED}/chunk/{upload}", files={"chunk": ("b", b"x")}), 404)
