"""Fixtures of several modules here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.db.bank import Bank
from tests.db.test_database import Db, postgres_database
from vtid.db import migrate
from vtid.engine.bridge import Bridge


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def bank(request: pytest.FixtureRequest, tmp_path: Path, bridge: Bridge) -> Iterator[Bank]:
    with ExitStack() as stack:
        sqlite = f"sqlite:///{tmp_path / 'vtid.db'}"
        url = sqlite if request.param == "sqlite" else stack.enter_context(postgres_database())
        migrate(Db(url, bridge).database.url)
        bank = Bank(url, bridge)
        yield bank
        bridge.run(bank.database.close())
