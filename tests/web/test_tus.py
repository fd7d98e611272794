"""tus 1.0, with a stock client and by hand: resumed after breaks, checked, expiring."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import PATIENCE_S, wait_until
from tests.web.site import Site, another, problem

TUS = "/api/v1/tus"
VERSION = {"Tus-Resumable": "1.0.0"}
TYPE = {"Content-Type": "application/offset+octet-stream"}


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def create(site: Site, size: int, data: bytes | None = None, filename: str = "fílm 1.mp4") -> httpx.Response:
    headers = VERSION | {"Upload-Length": str(size), "Upload-Metadata": f"filename {b64(filename)},private"}
    return site.http.post(TUS, headers=headers | (TYPE if data else {}), content=data)


def begun(site: Site, size: int) -> str:
    answer = create(site, size)
    assert answer.status_code == 201, answer.text
    return answer.headers["location"]


def patch(site: Site, url: str, offset: int, data: bytes, **headers: str) -> httpx.Response:
    told = VERSION | TYPE | {"Upload-Offset": str(offset)} | {k.replace("_", "-"): v for k, v in headers.items()}
    return site.http.patch(url, headers=told, content=data)


def offset(site: Site, url: str) -> int:
    answer = site.http.head(url, headers=VERSION)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return int(answer.headers["upload-offset"])


# --- a stock client


def test_a_stock_client_uploads(place: Site, clip: Path, tmp_path: Path) -> None:
    from tusclient.client import TusClient

    file = tmp_path / "film.mp4"
    file.write_bytes(another(clip))
    with file.open("rb") as handle:
        client = TusClient(f"{place.url}{TUS}", headers=place.auth)
        told = {"filename": "film.mp4"}
        uploader = client.uploader(file_stream=handle, chunk_size=3000, metadata=told, upload_checksum=True)
        uploader.upload()
    assert uploader.url is not None
    state = place.http.get(uploader.url).json()
    assert (state["complete"], state["asset"]["filename"], state["asset"]["kind"]) == (True, "film.mp4", "video")
    assert state["asset"]["asset_id"] == uploader.url.rpartition("/")[2]
    assert place.http.get(state["asset"]["url"]).content == file.read_bytes()
    assert place.keys("temp/") == set()


def test_a_stock_client_resumes(place: Site, clip: Path, tmp_path: Path) -> None:
    from tusclient.client import TusClient

    file = tmp_path / "film.mp4"
    file.write_bytes(another(clip))
    told = {"filename": "film.mp4"}
    with file.open("rb") as handle:
        first = TusClient(f"{place.url}{TUS}", headers=place.auth).uploader(
            file_stream=handle, chunk_size=3000, metadata=told
        )
        first.upload(stop_at=6000)
    assert first.url is not None
    assert offset(place, first.url) == 6000
    with file.open("rb") as handle:
        again = TusClient(f"{place.url}{TUS}", headers=place.auth).uploader(
            file_stream=handle, chunk_size=4000, url=first.url
        )
        assert again.offset == 6000
        again.upload()
    asset = place.http.get(first.url).json()["asset"]
    assert place.http.get(asset["url"]).content == file.read_bytes()


def test_a_stock_client_hears_that_it_sent_no_video(site: Site, tmp_path: Path) -> None:
    from tusclient.client import TusClient
    from tusclient.exceptions import TusCommunicationError

    file = tmp_path / "notes.mp4"
    file.write_bytes(b"only text\n" * 100)
    with file.open("rb") as handle:
        uploader = TusClient(f"{site.url}{TUS}", headers=site.auth).uploader(
            file_stream=handle, metadata={"filename": "notes.mp4"}
        )
        with pytest.raises(TusCommunicationError) as caught:
            uploader.upload()
    assert caught.value.status_code == 415
    assert uploader.url is not None
    assert site.http.head(uploader.url, headers=VERSION).status_code == 404


# --- the protocol, by hand


def test_what_the_server_can_do(still: Site) -> None:
    answer = still.http.options(TUS)
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == answer.headers["tus-resumable"] == "1.0.0"
    assert answer.headers["tus-max-size"] == str(1 << 20)
    assert set(answer.headers["tus-extension"].split(",")) == {
        "creation",
        "creation-with-upload",
        "expiration",
        "termination",
        "checksum",
    }
    assert "sha1" in answer.headers["tus-checksum-algorithm"].split(",")


def test_creation_tells_where_and_until_when(site: Site) -> None:
    answer = create(site, 100)
    assert answer.status_code == 201
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert parsedate_to_datetime(answer.headers["upload-expires"]).timestamp() > 1.7e9
    head = site.http.head(answer.headers["location"], headers=VERSION)
    assert (head.headers["upload-offset"], head.headers["upload-length"]) == ("0", "100")
    assert head.headers["upload-metadata"] == f"filename {b64('fílm 1.mp4')},private"


def test_creation_with_the_whole_file(place: Site, clip: Path) -> None:
    data = another(clip)
    answer = create(place, len(data), data)
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, str(len(data)))
    state = place.http.get(answer.headers["location"]).json()
    assert state["asset"]["filename"] == "fílm 1.mp4"
    assert place.http.get(state["asset"]["url"]).content == data


def test_the_last_bytes_say_where_the_file_is(site: Site, clip: Path) -> None:
    data = another(clip)
    url = begun(site, len(data))
    answer = patch(site, url, 0, data)
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(len(data)))
    file = site.http.get(answer.headers["content-location"]).json()
    assert (file["asset_id"], file["size"]) == (url.rpartition("/")[2], len(data))
    assert offset(site, url) == len(data)
    body = problem(patch(site, url, 0, b"x"), 409)
    assert f"at {len(data)}" in body["detail"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upload-Length": "5"}, 412),
        ({"Tus-Resumable": "0.2.2", "Upload-Length": "5"}, 412),
        (VERSION, 400),
        (VERSION | {"Upload-Length": "-5"}, 400),
        (VERSION | {"Upload-Length": "5.5"}, 400),
        (VERSION | {"Upload-Length": "9" * 30}, 400),
        (VERSION | {"Upload-Length": "0"}, 400),
        (VERSION | {"Upload-Length": str(3 << 30)}, 413),
        (VERSION | {"Upload-Length": "5", "Upload-Metadata": "filename ###"}, 400),
        (VERSION | {"Upload-Length": "5", "Upload-Metadata": "filename /w=="}, 400),
        (VERSION | {"Upload-Defer-Length": "1"}, 400),
    ],
)
def test_bad_creations(site: Site, headers: dict[str, str], status: int) -> None:
    answer = site.http.post(TUS, headers=headers)
    problem(answer, status)
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert status != 412 or answer.headers["tus-version"] == "1.0.0"


def test_bad_patches_change_nothing(place: Site) -> None:
    url = begun(place, 100)
    patch(place, url, 0, b"a" * 10)
    for answer, status in (
        (patch(place, url, 0, b"b"), 409),
        (patch(place, url, 11, b"b"), 409),
        (patch(place, url, 10, b"b" * 91), 413),
        (place.http.patch(url, headers=VERSION | {"Upload-Offset": "10"}, content=b"b"), 415),
        (place.http.patch(url, headers=VERSION | TYPE, content=b"b"), 400),
        (place.http.patch(url, headers=TYPE | {"Upload-Offset": "10"}, content=b"b"), 412),
        (patch(place, url, 10, b"b", Upload_Checksum="crc99 aGFsbG8="), 400),
        (patch(place, url, 10, b"b", Upload_Checksum="sha1 ???"), 400),
    ):
        problem(answer, status)
        assert answer.headers["tus-resumable"] == "1.0.0"
    assert offset(place, url) == 10
    assert len(place.keys(f"temp/chunks/{url.rpartition('/')[2]}/")) == 1
    assert place.http.delete(url, headers=VERSION).status_code == 204


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
def test_a_checksum_that_does_not_fit_throws_the_bytes_away(place: Site, clip: Path, algorithm: str) -> None:
    data = another(clip)
    url = begun(place, len(data))
    digest = b64(hashlib.new(algorithm, data[:5000]).digest())
    answer = patch(place, url, 0, data[:4999] + b"?", Upload_Checksum=f"{algorithm} {digest}")
    problem(answer, 460, "checksum_mismatch")
    assert offset(place, url) == 0
    assert place.keys(f"temp/chunks/{url.rpartition('/')[2]}/") == set()
    assert patch(place, url, 0, data[:5000], Upload_Checksum=f"{algorithm} {digest}").status_code == 204
    assert offset(place, url) == 5000
    assert patch(place, url, 5000, data[5000:]).status_code == 204


def test_termination(place: Site) -> None:
    url = begun(place, 100)
    patch(place, url, 0, b"a" * 10)
    assert place.http.delete(url, headers=VERSION).status_code == 204
    assert place.keys(f"temp/chunks/{url.rpartition('/')[2]}/") == set()
    assert place.http.head(url, headers=VERSION).status_code == 404
    problem(patch(place, url, 10, b"b"), 404)
    problem(place.http.delete(url, headers=VERSION), 404)


# --- connections that break


def half(site: Site, url: str, at: int, data: bytes, announced: int, *more: bytes) -> socket.socket:
    """A PATCH of which only a part is sent; the line stays open."""
    host = site.url.removeprefix("http://")
    line = socket.create_connection(host.split(":"), timeout=PATIENCE_S)
    head = [f"PATCH {url} HTTP/1.1", f"Host: {host}", f"Content-Length: {announced}", f"Upload-Offset: {at}"]
    head += [f"{name}: {value}" for name, value in site.auth.items()]
    head += ["Tus-Resumable: 1.0.0", "Content-Type: application/offset+octet-stream", *(m.decode() for m in more)]
    line.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + data)
    return line


def test_what_came_before_the_line_broke_is_kept(place: Site, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, begins, writer = another(clip), threading.Event(), place.core.uploading.writer
    monkeypatch.setattr(
        place.core.uploading, "writer", lambda upload, **more: (begins.set(), writer(upload, **more))[1]
    )
    url = begun(place, len(data))
    with half(place, url, 0, data[:5000], len(data)):
        assert begins.wait(PATIENCE_S)
    wait_until(lambda: offset(place, url) == 5000)
    assert patch(place, url, 5000, data[5000:]).status_code == 204
    asset = place.http.get(url).json()["asset"]
    assert place.http.get(asset["url"]).content == data


def test_with_a_checksum_nothing_of_a_broken_line_is_kept(site: Site) -> None:
    url = begun(site, 1000)
    digest = b64(hashlib.sha1(b"a" * 1000).digest())
    before = site.stored()
    with half(site, url, 0, b"a" * 500, 1000, b"Upload-Checksum: sha1 " + digest.encode()):
        wait_until(lambda: site.stored() != before)
    wait_until(lambda: site.stored() == before)
    assert offset(site, url) == 0


def test_of_two_at_once_one_wins_and_the_file_is_right(place: Site, clip: Path) -> None:
    """A client that changed networks begins again while its old line still hangs."""
    data = another(clip)
    url = begun(place, len(data))
    with half(place, url, 0, data[:3000], len(data)):
        assert patch(place, url, 0, data[:5000]).status_code == 204
        assert offset(place, url) == 5000
    assert patch(place, url, 5000, data[5000:]).status_code == 204
    asset = place.http.get(url).json()["asset"]
    assert place.http.get(asset["url"]).content == data
    wait_until(lambda: place.keys("temp/chunks/") == set())


# --- all there, and no file yet


def test_an_end_that_was_cut_short_is_made_up_for(site: Site, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon dies between the last byte and the file: whoever asks next has it made."""
    data = another(clip)
    url = begun(site, len(data))

    async def die(_upload: Any) -> Any:
        raise RuntimeError("the daemon is killed here")

    with monkeypatch.context() as patched:
        patched.setattr(site.core.uploading, "finish", die)
        assert patch(site, url, 0, data).status_code == 500
    assert offset(site, url) == len(data)
    file = site.http.get(f"/api/v1/files/{url.rpartition('/')[2]}")
    assert (file.status_code, file.json()["size"]) == (200, len(data))
