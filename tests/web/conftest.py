"""Daemons for all tests of the HTTP side, and a clip to give them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.site import Site, serving
from vtid.media.synth import draw_clip


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A daemon with workers."""
    with serving(tmp_path_factory.mktemp("site"), workers=True) as site:
        yield site


@pytest.fixture(scope="session")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A daemon without workers, whose jobs wait; it takes one megabyte at most, and beats fast."""
    with serving(tmp_path_factory.mktemp("still"), workers=False, heartbeat_s=0.2, server__max_upload_mb=1) as site:
        yield site


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    draw_clip(path, seconds=0.5, width=160, height=90, fps=10)
    return path
