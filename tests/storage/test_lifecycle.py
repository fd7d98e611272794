"""The lifecycle rule: what is sent to a server that has such rules, and what a bucket keeps of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from vtid.errors import StorageError
from vtid.storage.lifecycle import is_tidy, make_tidy
from vtid.storage.remote import connect
from vtid.storage.s3 import S3Storage

OTHERS = (
    b"<LifecycleConfiguration><Rule><ID>theirs</ID><Status>Enabled</Status><Filter><Prefix>logs/</Prefix></Filter>"
    b"<Expiration><Days>30</Days></Expiration></Rule></LifecycleConfiguration>"
)


class Rules:
    """The part of S3 that Swift has not: a bucket's lifecycle, kept as it was sent. It looks at no signature."""

    def __init__(self, held: bytes | None, *, built: bool = True) -> None:
        rules = self
        self.held = held

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if not built:
                    self.answer(501, b"<Error><Code>NotImplemented</Code><Message>no</Message></Error>")
                elif rules.held is None:
                    self.answer(404, b"<Error><Code>NoSuchLifecycleConfiguration</Code><Message>none</Message></Error>")
                else:
                    self.answer(200, rules.held)

            def do_PUT(self) -> None:
                rules.held = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(200, b"")

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.storage = S3Storage(
            connect(f"http://127.0.0.1:{self.server.server_address[1]}", "us-east-1", "a", "b"), "bucket"
        )

    def close(self) -> None:
        self.storage.client._http.clear()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(params=[None, OTHERS])
def rules(request: pytest.FixtureRequest) -> Iterator[Rules]:
    rules = Rules(request.param)
    yield rules
    rules.close()


def test_the_rule_is_set_beside_the_others(rules: Rules) -> None:
    others = rules.held is not None
    assert not is_tidy(rules.storage)
    make_tidy(rules.storage, 2)
    assert is_tidy(rules.storage)
    make_tidy(rules.storage, 3)
    assert rules.held is not None
    text = rules.held.decode()
    assert text.count("<ID>vtid-temp</ID>") == 1
    assert text.count("<ID>theirs</ID>") == text.count("<Days>30</Days>") == int(others)
    assert "<Prefix>temp/</Prefix>" in text
    assert "<Days>3</Days>" in text
    assert "<DaysAfterInitiation>3</DaysAfterInitiation>" in text


def test_a_server_without_such_rules() -> None:
    rules = Rules(None, built=False)
    try:
        assert not is_tidy(rules.storage)
        with pytest.raises(StorageError, match="no lifecycle rules"):
            make_tidy(rules.storage, 2)
    finally:
        rules.close()
