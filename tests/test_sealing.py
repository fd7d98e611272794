"""Sealed values: unreadable, unchangeable, and of one installation."""

from __future__ import annotations

import pytest

from vtid.errors import ConfigError
from vtid.sealing import Sealer


def test_what_is_sealed_is_opened_by_the_same_key_alone() -> None:
    mine, other = Sealer(b"a" * 32), Sealer(b"b" * 32)
    sealed = mine.seal("whsec_ключ")
    assert Sealer(b"a" * 32).open(sealed) == "whsec_ключ"
    assert "whsec" not in sealed
    assert mine.seal("x") != mine.seal("x")
    with pytest.raises(ConfigError, match=r"secret\.key"):
        other.open(sealed)
    with pytest.raises(ConfigError):
        mine.open(sealed[:-4] + ("AAAA" if sealed[-4:] != "AAAA" else "BBBB"))


def test_a_token_is_ours_and_young() -> None:
    mine = Sealer(b"a" * 32)
    token = mine.seal("me")
    assert mine.unexpired(token, 60) == "me"
    assert mine.unexpired(token, -60) is None
    assert mine.unexpired("nonsense", 60) is None
    assert mine.unexpired("ü", 60) is None
    assert Sealer(b"b" * 32).unexpired(token, 60) is None
