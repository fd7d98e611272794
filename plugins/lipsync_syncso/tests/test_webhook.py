"""Which webhooks are Sync.so's."""

from __future__ import annotations

import pytest

from vtid.errors import Forged, InvalidInput
from vtid.simulators.syncso import signature
from vtid_lipsync_syncso import vtid_callback, vtid_not_ready, vtid_settings
from vtid_lipsync_syncso.settings import Settings
from vtid_lipsync_syncso.webhook import verified

SECRET, AT, BODY = "whsec_demo", 1700000000, b'{"id":"gen-1","status":"COMPLETED"}'
VECTOR = "t=1700000000,v1=ccc2a7a023e365dab7077e18bcb50fdaa11cfa376df5db23fced33f566ec4c9c"
"""Computed apart from this code, for that secret, time and body."""


def test_the_documented_signature_holds() -> None:
    found = verified(SECRET, {"sync-signature": VECTOR}, BODY, clock=lambda: AT + 200)
    assert (found.key, found.reply) == ("gen-1:COMPLETED", b"ok")


def test_it_is_over_the_bytes_as_they_came() -> None:
    body = '{ "id": "é",\n "status":"FAILED", "outputDuration": 1.10 }'.encode()
    assert verified(SECRET, {"sync-signature": signature(SECRET, AT, body)}, body, clock=lambda: AT).key == "é:FAILED"


@pytest.mark.parametrize(
    ("secret", "header", "body", "now"),
    [
        (SECRET, VECTOR, BODY + b" ", AT),
        (SECRET, VECTOR.replace("1700000000", "1700000001"), BODY, AT),
        (SECRET, VECTOR, BODY, AT + 301),
        (SECRET, VECTOR, BODY, AT - 301),
        (SECRET, "", BODY, AT),
        (SECRET, "t=1700000000", BODY, AT),
        (SECRET, "t=²,v1=x", BODY, AT),
        ("whsec_other", VECTOR, BODY, AT),
        ("", signature("", AT, BODY), BODY, AT),
    ],
)
def test_every_other_is_forged(secret: str, header: str, body: bytes, now: float) -> None:
    with pytest.raises(Forged) as refused:
        verified(secret, {"sync-signature": header}, body, clock=lambda: now)
    assert not secret or secret not in str(refused.value)


@pytest.mark.parametrize("body", [b"x", b"[]", b'{"id": "a"}'])
def test_one_that_names_nothing_cannot_be_read(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="names no generation"):
        verified(SECRET, {"sync-signature": signature(SECRET, AT, body)}, body, clock=lambda: AT)


def test_without_a_key_the_plugin_says_what_to_set() -> None:
    assert vtid_settings() is Settings
    assert vtid_not_ready(Settings()) == "set SYNC_API_KEY"
    assert vtid_not_ready(Settings(api_key="k")) is None
    with pytest.raises(Forged):
        vtid_callback(Settings(), {}, b"")
