"""Files that came in: list, look, stream, share, delete, and what they cost; what is sent twice is stored once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.web.site import API, Site, another, problem, serving
from tests.web.test_chunked import CHUNKED, init, upload_whole

FILES = "/api/v1/files"


def uploaded(site: Site, data: bytes, name: str = "film.mp4") -> dict[str, Any]:
    answer = upload_whole(site, data, len(data), name)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def usage(site: Site) -> dict[str, Any]:
    body: dict[str, Any] = site.http.get(f"{FILES}/usage").json()
    return body


# --- list and look


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A daemon whose files are those of these tests alone."""
    with serving(tmp_path_factory.mktemp("own"), workers=False) as site:
        yield site


def test_pages_newest_first(own: Site, clip: Path) -> None:
    names = [f"page {i}.mp4" for i in range(7)]
    made = [uploaded(own, another(clip), name)["asset_id"] for name in names]
    seen: list[str] = []
    wanted: dict[str, Any] = {"limit": 3, "text": "page "}
    while True:
        page = own.http.get(FILES, params=wanted).json()
        seen += [f["asset_id"] for f in page["files"]]
        if page["next"] is None:
            break
        assert len(page["files"]) == 3
        wanted["cursor"] = page["next"]
    assert seen == made[::-1]


def test_filters(own: Site, clip: Path) -> None:
    with_job = own.submit(another(clip), display_name="x").json()["job_id"]
    mine = uploaded(own, another(clip), "Only 100% THIS_one.mp4")["asset_id"]

    def ids(**wanted: str) -> list[str]:
        return [f["asset_id"] for f in own.http.get(FILES, params=wanted).json()["files"]]

    assert ids(text="100% this_ONE") == ids(q="100%") == [mine]
    assert ids(text="1000") == []
    assert mine in ids(kind="video")
    assert ids(kind="audio") == []
    listed = own.http.get(FILES).json()["files"]
    assert next(f["job_id"] for f in listed if f["asset_id"] != mine) == with_job
    for wanted, field in (({"kind": "pdf"}, "kind"), ({"limit": "0"}, "limit"), ({"cursor": "x"}, "cursor")):
        assert problem(own.http.get(FILES, params=wanted), 400)["errors"][0]["field"] == field


def test_one_file_with_all_that_is_known(place: Site, clip: Path) -> None:
    made = uploaded(place, another(clip))
    told = place.http.get(f"{FILES}/{made['asset_id']}").json()
    assert {k: v for k, v in told.items() if k not in ("info", "url")} == {k: v for k, v in made.items() if k != "url"}
    assert told["info"]["video"][0]["width"] == 160
    assert told["container"] == "mp4"


def test_pictures_and_sound_are_files_too(site: Site, tmp_path: Path) -> None:
    import wave

    import cv2
    import numpy as np

    picture = cv2.imencode(".png", np.zeros((20, 30), np.uint8))[1].tobytes()
    told = uploaded(site, picture, "mask.mp4")
    assert (told["kind"], told["width"], told["height"], told["duration"]) == ("image", 30, 20, None)
    sound = tmp_path / "sound.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(8000))
    told = uploaded(site, sound.read_bytes(), "sound.wav")
    assert (told["kind"], told["duration"], told["width"], told["audio_codec"]) == ("audio", 0.5, None, "pcm_s16le")
    refused = site.http.post(f"{API}/submit", json={"pipeline": "copy", "asset_id": told["asset_id"]})
    assert "sound without a picture; a video is needed" in problem(refused, 422)["detail"]


@pytest.mark.parametrize("asset", ["nope", "550e8400-e29b-41d4-a716-446655440000", "%00", "..%2f"])
def test_files_that_are_not_there(site: Site, asset: str) -> None:
    for method, path in (
        ("GET", ""),
        ("GET", "/content"),
        ("POST", "/share"),
        ("DELETE", ""),
    ):
        problem(site.http.request(method, f"{FILES}/{asset}{path}"), 404)


# --- stream and share


def test_the_content_with_ranges_and_conditions(place: Site, clip: Path) -> None:
    data = another(clip)
    url = f"{FILES}/{uploaded(place, data)['asset_id']}/content"
    whole = place.http.get(url)
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, data, "video/mp4")
    tag = whole.headers["etag"]
    part = place.http.get(url, headers={"Range": "bytes=10-19", "If-Range": tag})
    assert (part.status_code, part.content) == (206, data[10:20])
    assert place.http.get(url, headers={"If-None-Match": tag}).status_code == 304
    head = place.http.head(url)
    assert (head.status_code, head.headers["content-length"], head.headers["etag"]) == (200, str(len(data)), tag)
    problem(place.http.get(url, headers={"Range": f"bytes={len(data)}-"}), 416)


def test_a_shared_file_until_it_expires_or_goes(place: Site, clip: Path) -> None:
    data = another(clip)
    asset = uploaded(place, data)["asset_id"]
    share = place.http.post(f"{FILES}/{asset}/share", json={"ttl_seconds": 60}).json()
    left = datetime.fromisoformat(share["expires_at"]).timestamp() - time.time()
    assert 50 < left <= 61
    with httpx.Client(trust_env=False) as stranger:
        assert stranger.get(share["url"]).content == data
        assert stranger.get(share["url"], headers={"Range": "bytes=0-3"}).content == data[:4]
        assert place.http.delete(f"{FILES}/{asset}").status_code == 204
        assert stranger.get(share["url"]).status_code == 404
    assert place.http.post(f"{FILES}/{asset}/share").status_code == 404


def test_what_a_share_may_say(site: Site, clip: Path) -> None:
    url = f"{FILES}/{uploaded(site, another(clip))['asset_id']}/share"
    assert site.http.post(url).status_code == 200
    for body, field in (({"ttl_seconds": 0}, "ttl_seconds"), ({"ttl_seconds": 604801}, "ttl_seconds"), ({"x": 1}, "x")):
        assert problem(site.http.post(url, json=body), 400)["errors"][0]["field"] == field
    problem(site.http.post(url, content=b"[]"), 400)


# --- delete


def test_a_file_that_a_job_works_on_stays(still: Site, clip: Path) -> None:
    asset = uploaded(still, another(clip))["asset_id"]
    job = still.http.post(f"{API}/submit", json={"pipeline": "copy", "asset_id": asset}).json()["job_id"]
    assert job in problem(still.http.delete(f"{FILES}/{asset}"), 409)["detail"]
    assert still.http.get(f"{FILES}/{asset}/content").status_code == 200
    still.http.post(f"{API}/{job}/cancel")
    assert still.http.delete(f"{FILES}/{asset}").status_code == 204
    problem(still.http.get(f"{FILES}/{asset}"), 404)
    problem(still.http.post(f"{API}/submit", json={"pipeline": "copy", "asset_id": asset}), 404)


def test_a_result_outlives_the_file_that_it_was_made_of(site: Site, clip: Path) -> None:
    """The pipeline gives back the very bytes that it got."""
    data = another(clip)
    asset = uploaded(site, data)["asset_id"]
    job = site.http.post(f"{API}/submit", json={"pipeline": "copy", "asset_id": asset}).json()["job_id"]
    done = site.wait(job)
    assert site.http.delete(f"{FILES}/{asset}").status_code == 204
    assert site.http.get(done["result_url"]).content == data
    files = site.http.get(f"{API}/{job}/files").json()
    assert [site.http.get(f["url"]).content for f in files] == [data]
    assert site.http.delete(f"{API}/{job}").status_code == 204


# --- twice


def test_what_is_sent_twice_is_stored_once(place: Site, clip: Path) -> None:
    data = another(clip)
    before, keys = usage(place), place.keys()
    first = uploaded(place, data, "first.mp4")
    stored = place.keys() - keys
    second = uploaded(place, data, "second.mp4")
    assert place.keys() - keys == stored
    assert len(stored) == 1
    assert first["asset_id"] != second["asset_id"]
    assert (first["sha256"], second["filename"]) == (second["sha256"], "second.mp4")
    after = usage(place)
    assert (after["assets"] - before["assets"], after["asset_count"] - before["asset_count"]) == (len(data), 2)
    assert place.http.delete(f"{FILES}/{first['asset_id']}").status_code == 204
    assert place.http.get(second["url"]).content == data
    assert place.http.delete(f"{FILES}/{second['asset_id']}").status_code == 204
    assert place.keys() == keys


def test_a_job_shares_what_was_sent_before_and_the_other_way_round(site: Site, clip: Path) -> None:
    data = another(clip)
    keys = site.stored()
    job = site.done(data)
    mine = uploaded(site, data, "again.mp4")
    held = {k for k in site.stored() - keys if "/source/" in k or "/assets/" in k}
    assert len(held) == 1, held
    assert site.http.delete(f"{API}/{job['job_id']}").status_code == 204
    assert site.stored() - keys == held, "the file that another asset shares stays, and nothing else"
    assert site.http.get(mine["url"]).content == data
    assert site.http.delete(f"{FILES}/{mine['asset_id']}").status_code == 204
    assert site.stored() == keys


# --- asset_id wherever a file is taken


def test_asset_ids_in_forms(site: Site, clip: Path) -> None:
    data = another(clip)
    asset = uploaded(site, data)["asset_id"]
    answer = site.http.post(f"{API}/submit", files={"pipeline": (None, "copy"), "asset_id": (None, asset)})
    assert answer.status_code == 202, answer.text
    assert site.http.get(site.wait(answer.json()["job_id"])["result_url"]).content == data
    both = site.http.post(
        f"{API}/submit", files={"file": ("a.mp4", data)}, data={"pipeline": "copy", "asset_id": asset}
    )
    assert problem(both, 400)["errors"][0]["code"] == "ambiguous"
    none = site.http.post(f"{API}/submit", files={"pipeline": (None, "copy")})
    assert "or its `asset_id`" in problem(none, 400)["detail"]
    unknown = site.http.post(f"{API}/submit", files={"pipeline": (None, "copy"), "asset_id": (None, "x")})
    problem(unknown, 404)


# --- quota


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Site]:
    """A daemon that grants each user one megabyte, and two unfinished uploads; each test's own, for what it fills up."""
    settings = {"tiers__owner": {"quota_mb": 1}, "uploads__max_open": 2}
    with serving(tmp_path, workers=False, **settings) as site:
        yield site


def test_the_quota_holds_at_every_door(narrow: Site, clip: Path) -> None:
    pad = b"\0\0\0\x08free" * 75_000  # 600 kB
    assert usage(narrow)["quota"] == 1 << 20
    first = uploaded(narrow, another(clip) + pad)
    for answer in (
        narrow.http.post(f"{CHUNKED}/init", json={"filename": "a.mp4", "total_size": 700_000, "chunk_size": 700_000}),
        narrow.http.post("/api/v1/tus", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "700000"}),
        narrow.submit(another(clip) + pad),
        narrow.http.post(f"{API}/batch", files=[("files", ("a.mp4", another(clip) + pad))], data={"pipeline": "copy"}),
    ):
        assert "may have 1 MB" in problem(answer, 413)["detail"]
    stream = narrow.http.post(
        f"{API}/submit", content=_form(another(clip) + pad), headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert "may have 1 MB" in problem(stream, 413, "quota_exceeded")["detail"], "nobody said how long it would be"
    assert narrow.stored() == {key for key in narrow.stored() if first["asset_id"] in key}
    assert uploaded(narrow, another(clip))["kind"] == "video", "what fits is still taken"
    narrow.http.delete(f"{FILES}/{first['asset_id']}")
    assert narrow.submit(another(clip) + pad).status_code == 202


def _form(data: bytes) -> Iterator[bytes]:
    yield b'--x\r\nContent-Disposition: form-data; name="pipeline"\r\n\r\ncopy\r\n--x\r\n'
    yield b'Content-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n' + data
    yield b"\r\n--x--\r\n"


def test_many_at_once_do_not_pass_the_quota(narrow: Site, clip: Path) -> None:
    for asset in narrow.http.get(FILES).json()["files"]:
        narrow.http.delete(f"{FILES}/{asset['asset_id']}")
    pad = b"\0\0\0\x08free" * 40_000  # 320 kB
    left = (1 << 20) - usage(narrow)["total"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: narrow.submit(another(clip) + pad), range(8)))
    taken = [a for a in answers if a.status_code == 202]
    assert len(taken) == left // (len(another(clip)) + len(pad))
    assert usage(narrow)["total"] <= 1 << 20
    for answer in answers:
        if answer not in taken:
            problem(answer, 413, "quota_exceeded")


def test_unfinished_uploads_are_counted_and_limited(narrow: Site) -> None:
    before = usage(narrow)["uploads"]
    one, two = init(narrow, 1000, 1000), init(narrow, 2000, 1000)
    assert usage(narrow)["uploads"] - before == 3000
    third = narrow.http.post(f"{CHUNKED}/init", json={"filename": "a.mp4", "total_size": 5, "chunk_size": 5})
    assert "2 unfinished uploads" in problem(third, 503)["detail"]
    for begun in (one, two):
        assert narrow.http.delete(f"{CHUNKED}/{begun['upload_id']}").status_code == 204
    assert usage(narrow)["uploads"] == before
