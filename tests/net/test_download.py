"""Downloads from servers that break off, lie, lead astray and send too much; over real sockets."""

from __future__ import annotations

import gzip
import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.net.origin import Act, Asked, Origin, origin, say, serves
from vtid.errors import AddressRefused, InvalidInput, TooLarge
from vtid.net import Broken, Download, Limits, Outbound, Reach
from vtid.net.download import SYNC_BYTES

CONTENT = random.Random(1).randbytes(3_000_000)
LIMITS = Limits(max_bytes=10 << 20, idle_s=5)


@pytest.fixture
def download(tmp_path: Path) -> Callable[..., Download]:
    def make(limits: Limits = LIMITS, **options: Any) -> Download:
        outbound = Outbound(Reach(["127.0.0.1"]), lambda *_: ["127.0.0.1"])
        return Download(outbound, limits, tmp_path / "in", field="video_url", **options)

    return make


def test_a_file_comes_whole(download: Callable[..., Download]) -> None:
    told: list[tuple[int, int | None]] = []
    with origin(serves(CONTENT)) as server:
        fetched = download().run(f"{server.url}/a/holiday.mp4?sig=1", got=lambda *t: told.append(t))
        assert server.asked[0].path == "/a/holiday.mp4?sig=1"
        assert server.asked[0].headers["accept-encoding"] == "identity"
    assert fetched.path.read_bytes() == CONTENT
    assert (fetched.size, fetched.filename) == (len(CONTENT), "holiday.mp4")
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [d for d, _ in told] == sorted(d for d, _ in told)


def test_what_broke_off_goes_on_where_it_was(download: Callable[..., Download]) -> None:
    """Each attempt is a new object on the same folder, as after a worker's death."""
    with origin(serves(CONTENT, cut_at=[1_000_000, 1_500_000])) as server:
        url = f"{server.url}/clip.mp4"
        for _ in range(2):
            with pytest.raises(Broken):
                download().run(url)
        assert download().kept == 1_500_000
        fetched = download().run(url)
        assert [a.headers.get("range") for a in server.asked] == [None, "bytes=1000000-", "bytes=1500000-"]
    assert fetched.path.read_bytes() == CONTENT


def test_what_was_not_on_the_disk_for_certain_is_asked_for_again(download: Callable[..., Download]) -> None:
    with origin(serves(CONTENT, cut_at=[1_000_000])) as server:
        with pytest.raises(Broken):
            download().run(server.url)
        body = download()._path
        body.write_bytes(body.read_bytes() + b"\0" * 5000)  # a power cut: the length was kept, the bytes were not
        assert download().run(server.url).path.read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_comes_from_its_start(download: Callable[..., Download]) -> None:
    other = CONTENT[::-1]
    with origin(serves(CONTENT, cut_at=[1_000_000])) as server:
        with pytest.raises(Broken):
            download().run(server.url)
        server.act = serves(other)
        assert download().run(server.url).path.read_bytes() == other


@pytest.mark.parametrize("headers", [{"etag": 'W/"weak"'}, {"etag": ""}])
def test_without_a_strong_mark_it_comes_from_its_start(
    download: Callable[..., Download], headers: dict[str, str]
) -> None:
    with origin(serves(CONTENT, cut_at=[1_000_000], **headers)) as server:
        with pytest.raises(Broken):
            download().run(server.url)
        assert download().run(server.url).path.read_bytes() == CONTENT
        assert "range" not in server.asked[-1].headers


def test_an_old_enough_date_is_a_mark(download: Callable[..., Download]) -> None:
    dates = {"last_modified": "Mon, 01 Jan 2024 00:00:00 GMT", "date": "Tue, 02 Jan 2024 00:00:00 GMT"}
    with origin(serves(CONTENT, cut_at=[1_000_000], etag="", **dates)) as server:
        with pytest.raises(Broken):
            download().run(server.url)
        server.act = serves(CONTENT, etag="", **dates)
        assert download().run(server.url).path.read_bytes() == CONTENT
        assert server.asked[-1].headers["if-range"] == dates["last_modified"]


def answers(status: str = "200 OK", body: bytes = b"", **headers: str) -> Act:
    return lambda _asked, sock: say(sock, status, body, **headers)


@pytest.mark.parametrize(
    "second",
    [
        answers("416 Range Not Satisfiable", content_range="bytes */10"),
        answers("206 Partial Content", b"abc", content_range="bytes 5-7/3000000"),
        answers("206 Partial Content", b"abc", content_range="bytes 1000000-1000002/99"),
    ],
)
def test_a_part_that_does_not_fit_starts_it_over(download: Callable[..., Download], second: Act) -> None:
    acts = [serves(CONTENT, cut_at=[1_000_000]), second, serves(CONTENT)]

    def act(asked: Asked, sock: socket.socket) -> None:
        acts.pop(0)(asked, sock)

    with origin(act) as server:
        with pytest.raises(Broken):
            download().run(server.url)
        assert download().run(server.url).path.read_bytes() == CONTENT
        assert "range" not in server.asked[-1].headers


def test_another_url_knows_nothing_of_the_first(download: Callable[..., Download], tmp_path: Path) -> None:
    with origin(serves(CONTENT, cut_at=[1_000_000])) as server:
        with pytest.raises(Broken):
            download().run(f"{server.url}/a?token=hush")
        assert "hush" not in (tmp_path / "in" / "state.json").read_text()
        assert download().run(f"{server.url}/b").path.read_bytes() == CONTENT
        assert "range" not in server.asked[-1].headers


# --- limits


def test_too_large_is_known_from_the_length(download: Callable[..., Download]) -> None:
    with (
        origin(answers(body=b"x" * 100, content_length=str(11 << 20))) as server,
        pytest.raises(TooLarge, match="10 MB"),
    ):
        download().run(server.url)


def test_too_large_is_found_out_where_no_length_is_told(download: Callable[..., Download]) -> None:
    sent = 0

    def endless(_asked: Asked, sock: socket.socket) -> None:
        nonlocal sent
        sock.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            sock.sendall(b"10000\r\n" + b"\0" * 0x10000 + b"\r\n")
            sent += 0x10000

    with origin(endless) as server, pytest.raises(TooLarge):
        download().run(server.url)
    assert sent < 40 << 20


def test_a_length_that_lies_short_takes_no_more(download: Callable[..., Download]) -> None:
    with origin(answers(body=CONTENT, content_length="1000")) as server:
        assert download().run(server.url).path.read_bytes() == CONTENT[:1000]


def test_packed_bodies_are_not_unpacked(download: Callable[..., Download]) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    with origin(answers(body=bomb, content_encoding="gzip")) as server, pytest.raises(InvalidInput, match="packed"):
        download().run(server.url)


def test_room_is_asked_for_before_it_is_needed(download: Callable[..., Download]) -> None:
    asked: list[int] = []
    with origin(serves(b"x" * (SYNC_BYTES + 1_000_000))) as server:
        download(Limits(max_bytes=40 << 20), require_room=asked.append).run(server.url)
    assert asked[0] == SYNC_BYTES + 1_000_000
    assert len(asked) == 2


# --- what servers answer


@pytest.mark.parametrize("status", ["404 Not Found", "403 Forbidden", "401 Unauthorized", "410 Gone", "204 No Content"])
def test_no_file_is_final(download: Callable[..., Download], status: str) -> None:
    with origin(answers(status)) as server, pytest.raises(InvalidInput, match=status):
        download().run(server.url)


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable", "500 Internal Server Error"])
def test_busy_is_for_later(download: Callable[..., Download], status: str) -> None:
    with origin(answers(status, retry_after="7")) as server, pytest.raises(Broken, match=status) as error:
        download().run(server.url)
    assert error.value.after == 7


def test_nonsense_is_for_later(download: Callable[..., Download]) -> None:
    with origin(lambda _asked, sock: sock.sendall(b"SSH-2.0-OpenSSH\r\n")) as server, pytest.raises(Broken):
        download().run(server.url)


def test_a_part_that_nobody_asked_for(download: Callable[..., Download]) -> None:
    act = answers("206 Partial Content", b"abc", content_range="bytes 0-2/3")
    with origin(act) as server, pytest.raises(InvalidInput, match="not asked for"):
        download().run(server.url)


# --- redirects


def leads(to: str | Callable[[Origin], str], status: str = "302 Found") -> Act:
    return lambda _asked, sock: say(sock, status, location=to)  # type: ignore[arg-type]


def test_redirects_are_followed(download: Callable[..., Download]) -> None:
    def act(asked: Asked, sock: socket.socket) -> None:
        if asked.path == "/clip.mp4":
            serves(CONTENT)(asked, sock)
        else:
            leads({"/": "/b", "/b": "clip.mp4"}[asked.path], "307 Temporary Redirect")(asked, sock)

    with origin(act) as server:
        assert download().run(f"{server.url}/").path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("to", "error", "word"),
    [
        ("http://10.0.0.1/", AddressRefused, "10.0.0.1"),
        ("http://[::1]:1/", AddressRefused, "::1"),
        ("//169.254.169.254/latest/meta-data", AddressRefused, "169"),
        ("http://u:p@127.0.0.1/", InvalidInput, "password"),
        ("file:///etc/passwd", InvalidInput, "http://"),
        ("http://[bad", InvalidInput, "no host name"),
    ],
)
def test_each_hop_is_judged(download: Callable[..., Download], to: str, error: type[InvalidInput], word: str) -> None:
    with origin(leads(to)) as server, pytest.raises(error, match=word):
        download().run(server.url)


def test_a_name_behind_a_redirect_is_judged_too(tmp_path: Path) -> None:
    def resolve(host: str, _port: int) -> list[str]:
        return {"first.example": ["127.0.0.2"], "second.example": ["127.0.0.1"]}[host]

    with origin(serves(CONTENT)) as secret, origin(leads("x"), address="127.0.0.2") as first:
        first.act = leads(f"http://second.example:{secret.port}/")
        fetch = Download(Outbound(Reach(["127.0.0.2"]), resolve), LIMITS, tmp_path / "in", field="u")
        with pytest.raises(AddressRefused, match=r"second\.example"):
            fetch.run(f"http://first.example:{first.port}/")
        assert secret.asked == []


def test_round_and_round(download: Callable[..., Download]) -> None:
    with origin(leads("/")) as server, pytest.raises(InvalidInput, match="more than 5 times"):
        download().run(server.url)


# --- names


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        ("/a/b/clip.mov?x=1", {}, "clip.mov"),
        ("/clip%20one.mp4", {}, "clip one.mp4"),
        ("/", {}, "download"),
        ("/get?id=1", {"content_type": "video/mp4; codecs=x"}, "get.mp4"),
        ("/get", {"content_type": "text/html"}, "get"),
        ("/get", {"content_disposition": 'attachment; filename="film.mkv"'}, "film.mkv"),
        ("/get", {"content_disposition": "attachment; filename*=UTF-8''%D1%84.mp4"}, "ф.mp4"),
    ],
)
def test_the_name(download: Callable[..., Download], path: str, headers: dict[str, str], name: str) -> None:
    with origin(answers(body=b"abc", **headers)) as server:
        assert download().run(server.url + path).filename == name
