"""The guard on the way out, over real sockets: what may be reached, and that only what was judged is connected to."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.net.origin import Asked, origin, say
from vtid.errors import AddressRefused, ConfigError, InvalidInput
from vtid.net import Broken, Outbound, Reach, check_url
from vtid.net.addresses import is_public

PUBLIC = ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101", "172.32.0.1"]
CLOSED = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "5f00::1",
]


@pytest.mark.parametrize("text", PUBLIC)
def test_public(text: str) -> None:
    assert is_public(ip_address(text))
    assert Reach().permits("a.example", ip_address(text))


@pytest.mark.parametrize("text", CLOSED)
def test_not_public(text: str) -> None:
    assert not is_public(ip_address(text))
    assert not Reach().permits("a.example", ip_address(text))


@pytest.mark.parametrize(
    ("allowed", "host", "address", "may"),
    [
        ("10.0.0.0/8", "x", "10.1.2.3", True),
        ("10.0.0.0/8", "x", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "x", "11.0.0.1", True),
        ("10.0.0.0/8", "x", "192.168.0.1", False),
        ("192.168.1.5", "x", "192.168.1.5", True),
        ("192.168.1.5", "x", "192.168.1.6", False),
        ("[::1]", "x", "::1", True),
        ("nas.local", "nas.local", "192.168.1.5", True),
        ("NAS.local", "nas.LOCAL.", "192.168.1.5", True),
        ("nas.local", "evil-nas.local", "192.168.1.5", False),
        ("nas.local", "a.nas.local", "192.168.1.5", False),
        (".corp.example", "a.corp.example", "10.0.0.1", True),
        (".corp.example", "evilcorp.example", "10.0.0.1", False),
    ],
)
def test_what_the_operator_allows(allowed: str, host: str, address: str, may: bool) -> None:
    assert Reach([allowed]).permits(host, ip_address(address)) is may


def test_an_entry_that_is_nothing_is_named() -> None:
    with pytest.raises(ConfigError) as error:
        Reach(["10.0.0.0/8", "10.0.0.0/99", "a:b:c", "."])
    assert [p.message.split('"')[1] for p in error.value.problems] == ["10.0.0.0/99", "a:b:c", "."]


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("", "http://"),
        ("clip.mp4", "http://"),
        ("ftp://a.example/x", "http://"),
        ("file:///etc/passwd", "http://"),
        ("gopher://a.example", "http://"),
        ("http://", "no host"),
        ("http:///x", "no host"),
        ("http://a.example:0/", "port"),
        ("http://a.example:99999/", "port"),
        ("http://[bad/", "host name"),
        ("http://u:p@a.example/", "password"),
        ("http://u@a.example/", "password"),
        ("http://a\nb/", "not a URL"),
        ("http://a.example/" + "x" * 5000, "4096"),
    ],
)
def test_what_is_no_url(url: str, word: str) -> None:
    with pytest.raises(InvalidInput, match=word) as error:
        check_url(url, "video_url", Reach())
    assert error.value.problems[0].field == "video_url"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "169.254.169.254", "[::ffff:10.0.0.1]"])
def test_an_address_is_judged_before_anything_is_asked(host: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(f"http://{host}/x", "url", Reach())


def test_a_good_url_keeps_its_query_and_loses_its_fragment() -> None:
    assert str(check_url("https://a.example/x?sig=1#t=5", "url", Reach())) == "https://a.example/x?sig=1"


# --- connections


def get(outbound: Outbound, url: str, **options: float) -> bytes:
    parsed = check_url(url, "url", outbound.reach)
    with outbound.session(**{"seconds": 20, "idle_s": 10} | options) as out, out.get(parsed, {}) as answer:  # type: ignore[arg-type]
        return answer.read()


def hello(asked: Asked, sock: object) -> None:
    say(sock, body=b"hello " + asked.headers["host"].encode())  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["localhost", "0x7f.1", "2130706433", "127.1", "017700000001"])
def test_names_that_come_to_mean_this_machine(host: str) -> None:
    with origin(hello) as server:
        with pytest.raises(AddressRefused):
            get(Outbound(Reach()), f"http://{host}:{server.port}/")
        assert server.asked == []


def test_a_name_that_changes_its_mind_is_judged_each_time() -> None:
    """DNS rebinding: harmless when it is judged, this machine when it is asked for."""
    answers = [["127.0.0.2"], ["127.0.0.1"]]
    with origin(hello, address="127.0.0.2") as friend, origin(hello, port=friend.port) as secret:
        outbound = Outbound(Reach(["127.0.0.2"]), lambda _host, _port: answers.pop(0))
        url = f"http://rebind.example:{friend.port}/"
        assert get(outbound, url) == f"hello rebind.example:{friend.port}".encode()
        with pytest.raises(AddressRefused, match=r"rebind\.example"):
            get(outbound, url)
        assert (len(friend.asked), len(secret.asked)) == (1, 0)


def test_a_name_is_resolved_once_for_a_connection() -> None:
    asked = []

    def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.2"]

    with origin(hello, address="127.0.0.2") as server:
        get(Outbound(Reach(["127.0.0.2"]), resolve), f"http://a.example:{server.port}/")
    assert asked == ["a.example"]


def test_of_several_addresses_only_what_may_be_reached_is_tried() -> None:
    with origin(hello, address="127.0.0.2") as server, origin(hello, port=server.port) as secret:
        outbound = Outbound(Reach(["127.0.0.2/31"]), lambda *_: ["127.0.0.1", "::1", "127.0.0.3", "127.0.0.2"])
        get(outbound, f"http://a.example:{server.port}/")
        assert (len(server.asked), len(secret.asked)) == (1, 0)


def test_an_environment_proxy_is_not_a_way_around(monkeypatch: pytest.MonkeyPatch) -> None:
    with origin(hello) as proxy, origin(hello, address="127.0.0.2") as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert get(Outbound(Reach(["127.0.0.2"])), server.url).startswith(b"hello")
        assert proxy.asked == []


def test_nobody_there() -> None:
    with origin(hello) as server:
        port = server.port
    with pytest.raises(Broken, match=r"127\.0\.0\.1 cannot be connected to: Connection refused"):
        get(Outbound(Reach(["127.0.0.1"])), f"http://127.0.0.1:{port}/")


def test_an_unknown_name() -> None:
    with pytest.raises(Broken, match="cannot be connected to"):
        get(Outbound(Reach()), "http://nowhere.invalid/")


def test_a_server_that_says_nothing() -> None:
    with origin(lambda *_: server.wait()) as server, pytest.raises(Broken, match="fell silent"):
        get(Outbound(Reach(["127.0.0.1"])), server.url, idle_s=0.2)


def test_a_server_that_drips_comes_to_its_end() -> None:
    """Each drop is in time; all of them together are not."""

    def drip(_asked: Asked, sock: object) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\n")  # type: ignore[attr-defined]
        while True:
            sock.sendall(b"x: y\r\n")  # type: ignore[attr-defined]
            time.sleep(0.05)

    with origin(drip) as server, pytest.raises(Broken, match="fell silent"):
        get(Outbound(Reach(["127.0.0.1"])), server.url, seconds=0.5)


def test_a_cancel_is_heard_while_nothing_comes() -> None:
    class Stop(BaseException):
        pass

    def check() -> None:
        if server.asked:
            raise Stop

    outbound = Outbound(Reach(["127.0.0.1"]))
    with origin(lambda *_: server.wait()) as server, outbound.session(seconds=60, idle_s=60, check=check) as out:
        url = check_url(server.url, "url", outbound.reach)
        with pytest.raises(Stop):
            out.post(url, b"{}", {}, 100)


# --- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For secure.example, signed by itself."""
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    subject = ["-subj", "/CN=secure.example", "-addext", "subjectAltName=DNS:secure.example"]
    made = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"), "-days", "2"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *made, *subject], check=True, capture_output=True
    )
    return folder


def test_tls_goes_by_the_name_and_not_by_the_pinned_address(certificate: Path) -> None:
    names: list[str | None] = []
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    server_side.sni_callback = lambda _sock, name, _context: names.append(name)  # type: ignore[assignment]
    trusting = ssl.create_default_context(cafile=certificate / "cert.pem")
    with origin(hello, tls=server_side) as server:
        outbound = Outbound(Reach(["127.0.0.1"]), lambda *_: ["127.0.0.1"], trusting)
        assert get(outbound, f"https://secure.example:{server.port}/").endswith(
            f"secure.example:{server.port}".encode()
        )
        with pytest.raises(Broken, match="certificate is not valid"):
            get(outbound, f"https://other.example:{server.port}/")
        with pytest.raises(Broken, match="certificate is not valid"):
            get(Outbound(Reach(["127.0.0.1"]), lambda *_: ["127.0.0.1"]), f"https://secure.example:{server.port}/")
    assert names[:2] == ["secure.example", "other.example"]
