"""Stored files: links that are ours and others, and ranges byte by byte."""

from __future__ import annotations

import random
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from tests.conftest import PATIENCE_S
from tests.web.site import Site, problem

SIZE = 3 * (1 << 20) + 17
KEY = "users/local/jobs/j/result/0/film.mp4"


@pytest.fixture(scope="module")
def content(still: Site, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    data = random.Random(1).randbytes(SIZE)
    for key, text in ((KEY, data), ("users/local/jobs/j/empty.mp4", b""), ("users/local/jobs/j/other.mp4", b"other")):
        path = tmp_path_factory.mktemp("file") / "f"
        path.write_bytes(text)
        still.app.storage.put(key, path)
    return data


@pytest.fixture
def url(still: Site, content: bytes) -> str:
    return still.app.storage.signed_url(KEY, ttl_s=60, filename="Fílm 1.mp4")


@pytest.fixture
def get(still: Site, url: str) -> Callable[..., httpx.Response]:
    return lambda headers=None, method="GET": still.http.request(method, url, headers=headers)


# --- ranges


def test_the_whole_file(get: Callable[..., httpx.Response], content: bytes) -> None:
    answer = get()
    assert answer.status_code == 200
    assert answer.content == content
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == str(SIZE)
    assert answer.headers["content-type"] == "video/mp4"
    assert "content-range" not in answer.headers
    assert (
        answer.headers["content-disposition"] == "inline; filename=\"F_lm 1.mp4\"; filename*=UTF-8''F%C3%ADlm%201.mp4"
    )
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-", 0, SIZE),
        ("bytes=0-0", 0, 1),
        ("bytes=1000-1999", 1000, 2000),
        ("bytes=1048570-1048580", 1048570, 1048581),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        (f"bytes=100-{SIZE * 10}", 100, SIZE),
        ("bytes=-1", SIZE - 1, SIZE),
        ("bytes=-1500000", SIZE - 1500000, SIZE),
        (f"bytes=-{SIZE * 10}", 0, SIZE),
        ("Bytes=5-9", 5, 10),
    ],
)
def test_one_range(get: Callable[..., httpx.Response], content: bytes, asked: str, start: int, end: int) -> None:
    answer = get({"Range": asked})
    assert answer.status_code == 206
    assert answer.content == content[start:end]
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.headers["content-length"] == str(end - start)
    head = get({"Range": asked}, "HEAD")
    assert head.content == b""
    assert (head.headers["content-type"], head.headers["etag"]) == (
        answer.headers["content-type"],
        answer.headers["etag"],
    )


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 5}", "bytes=-0", "bytes=999999999999-"])
def test_ranges_past_the_end(get: Callable[..., httpx.Response], asked: str) -> None:
    answer = get({"Range": asked})
    problem(answer, 416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,5-6",
        "bytes=-",
        "bytes=9-5",
        "bytes=a-b",
        "frames=0-1",
        "bytes",
        "",
        "bytes=--5",
        "bytes=0-" + "9" * 5000,
        "bytes=" + "9" * 5000 + "-",
    ],
)
def test_ranges_that_are_ignored(get: Callable[..., httpx.Response], content: bytes, asked: str) -> None:
    answer = get({"Range": asked})
    assert answer.status_code == 200
    assert answer.content == content


def test_an_empty_file(still: Site, content: bytes) -> None:
    url = still.app.storage.signed_url("users/local/jobs/j/empty.mp4", ttl_s=60)
    whole = still.http.get(url)
    assert (whole.status_code, whole.content, whole.headers["content-length"]) == (200, b"", "0")
    problem(still.http.get(url, headers={"Range": "bytes=0-"}), 416)
    problem(still.http.get(url, headers={"Range": "bytes=-5"}), 416)


def test_pieces_make_the_whole(get: Callable[..., httpx.Response], content: bytes) -> None:
    pick, pieces, at = random.Random(2), [], 0
    while at < SIZE:
        end = at + pick.randrange(1, 700_000)
        pieces.append(get({"Range": f"bytes={at}-{end - 1}"}).content)
        at = end
    assert b"".join(pieces) == content


# --- conditions


def test_a_copy_that_is_still_good(get: Callable[..., httpx.Response]) -> None:
    first = get()
    tag, date = first.headers["etag"], first.headers["last-modified"]
    for headers in (
        {"If-None-Match": tag},
        {"If-None-Match": f'"other", W/{tag}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": date},
        {"If-None-Match": tag, "Range": "bytes=0-5"},
        {"If-None-Match": tag, "If-Modified-Since": formatdate(0, usegmt=True)},
    ):
        answer = get(headers)
        assert (answer.status_code, answer.content) == (304, b""), headers
        assert answer.headers["etag"] == tag
    for headers in (
        {"If-None-Match": '"other"'},
        {"If-None-Match": '"other"', "If-Modified-Since": date},
        {"If-Modified-Since": formatdate(0, usegmt=True)},
        {"If-Modified-Since": "yesterday"},
        {"If-Modified-Since": "Mon, 99 Jan 99999 00:00:00"},
    ):
        assert get(headers).status_code == 200, headers


def test_if_range(get: Callable[..., httpx.Response], content: bytes) -> None:
    first = get()
    tag, date = first.headers["etag"], first.headers["last-modified"]
    for condition in (tag, date):
        answer = get({"Range": "bytes=10-19", "If-Range": condition})
        assert (answer.status_code, answer.content) == (206, content[10:20]), condition
    later = formatdate(4e9, usegmt=True)
    for condition in ('"other"', f"W/{tag}", formatdate(0, usegmt=True), later, "nonsense"):
        answer = get({"Range": "bytes=10-19", "If-Range": condition})
        assert (answer.status_code, len(answer.content)) == (200, SIZE), condition


def test_head(get: Callable[..., httpx.Response]) -> None:
    whole, head = get(), get(None, "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "last-modified", "accept-ranges", "content-disposition"):
        assert head.headers[name] == whole.headers[name], name


# --- links


def forged(url: str, **changes: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{urlencode(dict(parse_qsl(parts.query)) | changes)}"


def test_links_that_are_not_ours(still: Site, url: str) -> None:
    path, _, query = url.partition("?")
    signature = dict(parse_qsl(query))["signature"]
    far = "99999999999"
    for other in (
        path,
        f"{path}?expires={far}",
        forged(url, signature="0" * 64),
        forged(url, signature=""),
        forged(url, signature="é"),
        forged(url, signature=signature[:-1]),
        forged(url, signature=signature.upper()),
        forged(url, expires=far),
        forged(url, expires="²"),
        forged(url, name="page.html"),
        url.replace("film.mp4", "other.mp4", 1),
        url.replace("/result/0/film", "/other", 1),
        forged(url, expires="-1"),
    ):
        body = problem(still.http.get(other), 403, "bad_link")
        assert signature not in str(body)


def test_links_expire(still: Site, content: bytes) -> None:
    problem(still.http.get(still.app.storage.signed_url(KEY, ttl_s=-1)), 403, "bad_link")


def test_a_link_with_more_appended_is_still_good(still: Site, url: str) -> None:
    assert still.http.get(f"{url}&utm_source=chat").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/files/../secret.key",
        "/files/%2e%2e/secret.key",
        "/files/..%2f..%2fsecret.key",
        "/files//etc/passwd",
        "/files/%2Fetc%2Fpasswd",
        "/files/users/local/jobs/j/%00",
        "/files/users/local/jobs/j/..%5c..%5cx",
        "/files/",
        "/files/" + "a/" * 2000,
    ],
)
def test_no_way_out_of_the_storage(still: Site, path: str) -> None:
    host, port = still.url.removeprefix("http://").split(":")
    for query in ("", "?expires=99999999999&signature=" + "0" * 64):
        answer = raw(host, int(port), path + query)
        assert answer.split(b" ")[1] in (b"403", b"404"), answer[:200]


def raw(host: str, port: int, target: str) -> bytes:
    """A request whose target no client has tidied up."""
    import socket

    with socket.create_connection((host, port), timeout=PATIENCE_S) as line:
        line.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while piece := line.recv(65536):
            answer += piece
    return answer


def test_even_a_signature_opens_nothing_outside(still: Site, tmp_path: Path) -> None:
    """Signed by whoever holds the key, and yet: what is no key of the storage is not read."""
    for key in ("../secret.key", "users/../../secret.key", "/etc/passwd"):
        expires = "99999999999"
        query = urlencode({"expires": expires, "signature": still.app.links.sign(key, expires, "")})
        host, port = still.url.removeprefix("http://").split(":")
        answer = raw(host, int(port), f"/files/{key.replace('.', '%2e').replace('/', '%2f')}?{query}")
        assert answer.split(b" ")[1] in (b"403", b"404", b"503"), answer[:300]
        assert (still.files.parent / "secret.key").read_bytes() not in answer


@pytest.mark.parametrize(
    ("name", "kind", "shown"),
    [
        ("<img src=x>.html", "application/octet-stream", "attachment"),
        ("logo.svg", "application/octet-stream", "attachment"),
        ("subtitles.srt", "application/octet-stream", "attachment"),
        ("facts.JSON", "application/json", "inline"),
        ("no-ending", "application/octet-stream", "attachment"),
        ("song.flac", "audio/", "inline"),
        ("mask.png", "image/png", "inline"),
        ("film.webm", "video/webm", "inline"),
    ],
)
def test_only_what_runs_no_script_is_shown(still: Site, content: bytes, name: str, kind: str, shown: str) -> None:
    """Whatever a stranger stored is saved, not opened as a page of ours."""
    answer = still.http.get(still.app.storage.signed_url(KEY, ttl_s=60, filename=name), headers={"Range": "bytes=0-0"})
    assert answer.status_code == 206
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["content-disposition"].startswith(f"{shown}; filename=")
    assert not set("<>") & set(answer.headers["content-disposition"].partition("''")[2])


def test_a_name_of_the_key_alone_is_judged_too(still: Site, tmp_path: Path) -> None:
    (tmp_path / "page").write_bytes(b"<script>")
    still.app.storage.put("users/local/jobs/j/page.html", tmp_path / "page")
    answer = still.http.get(still.app.storage.signed_url("users/local/jobs/j/page.html", ttl_s=60))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith('attachment; filename="page.html"')
