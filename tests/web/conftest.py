"""Daemons for all tests of the HTTP side, and a clip to give them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulators.object_store import ObjectStore
from tests.web.site import COPY, PIPELINES, Site, serving
from vtid.media.synth import draw_clip

OFTEN = {f"rate_limits__{who}_{what}": 1_000_000 for who in ("public", "websocket") for what in ("per_minute", "burst")}
"""All tests come from one address."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A daemon with workers, and with a key of a service that is not there."""
    nowhere = {"api_key": "k", "api_url": "http://127.0.0.1:1"}
    with serving(tmp_path_factory.mktemp("site"), workers=True, plugins__lipsync_syncso=nowhere, **OFTEN) as site:
        yield site


@pytest.fixture(scope="session")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A daemon without workers, whose jobs wait; it takes one megabyte at most, and beats fast."""
    more = {"heartbeat_s": 0.2, "server__max_upload_mb": 1} | OFTEN
    with serving(tmp_path_factory.mktemp("still"), workers=False, **more) as site:
        yield site


@pytest.fixture(scope="session")
def bucket_site(tmp_path_factory: pytest.TempPathFactory, store: ObjectStore) -> Iterator[Site]:
    """A daemon with workers whose files lie in a bucket; a second bucket is open to jobs, a third in one folder."""
    mine, open_, part = store.bucket(), store.bucket(), store.bucket()
    settings = store.settings(mine, open_, f"{part}/for/{{user_id}}")
    to = f'[[deliver]]\nfrom = "copy.video"\nname = "{{stem}}.out{{suffix}}"\nto = "s3://{open_}/done/{{user_id}}"\n'
    closed = to.replace(open_, "not-a-bucket-of-ours")
    pipelines = PIPELINES | {"send": COPY.partition("[[deliver]]")[0] + to, "astray": COPY + closed}
    with serving(tmp_path_factory.mktemp("bucket"), workers=True, pipelines=pipelines, **settings) as site:
        yield site


@pytest.fixture(params=["site", "bucket_site"])
def place(request: pytest.FixtureRequest) -> Site:
    """Daemons that keep files in a folder, and in a bucket."""
    found: Site = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    draw_clip(path, seconds=0.5, width=160, height=90, fps=10)
    return path
