"""What is swept, and what must not be: uploads that expired, files that never became anything, bytes that are shared."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Lab
from vtid.app import App
from vtid.config import Config
from vtid.engine.bridge import Bridge
from vtid.engine.housekeeping import DRAFT_S
from vtid.errors import NotFound
from vtid.media.synth import draw_clip
from vtid.storage import Storage

COPY = '[[step]]\nid="c"\nuses="lab.pass"\n[[deliver]]\nfrom="c.video"\n'
MakeLab = Callable[..., Lab]


@pytest.fixture
def lab(make_lab: MakeLab) -> Lab:
    return make_lab({"p": COPY})


@pytest.fixture
def clip(tmp_path: Path) -> bytes:
    draw_clip(tmp_path / "clip.mp4", seconds=0.4, width=64, height=48, fps=10)
    return (tmp_path / "clip.mp4").read_bytes()


def sweep(lab: Lab) -> None:
    lab.app.worker(lab.bridge)._housekeeping.sweep()


def store(storage: Storage, key: str, data: bytes = b"x") -> None:
    with storage.writer(key) as writer:
        writer.write(data)


def grow_old(lab: Lab) -> None:
    """As if everything that is stored had been stored long ago."""
    long_ago = time.time() - DRAFT_S - 60
    for path in (lab.app.config.data.path / "files").rglob("*"):
        if path.is_file():
            os.utime(path, (long_ago, long_ago))


def keys(lab: Lab) -> set[str]:
    return {*lab.app.storage.list("users/"), *lab.app.storage.list("temp/")}


def upload(lab: Lab, data: bytes, *, finish: bool = True) -> str:
    async def go() -> str:
        uploading = lab.app.uploading
        begun = await uploading.begin("local", "chunked", "film.mp4", len(data), chunk_size=len(data))
        writer = uploading.writer(begun)
        with writer:
            writer.write(data)
        await uploading.put(begun, writer, 0)
        if finish:
            await uploading.finish(begun)
        return begun.id

    return lab.bridge.run(go())


def test_what_never_became_anything_goes_when_it_is_old(lab: Lab) -> None:
    orphans = {
        "users/local/jobs/0b1f3c52-88a4-4d1f-9a36-0d1f0e6f9b11/source/video/a.mp4",
        "users/local/assets/0b1f3c52-88a4-4d1f-9a36-0d1f0e6f9b12/a.mp4",
        "users/other/jobs/0b1f3c52-88a4-4d1f-9a36-0d1f0e6f9b13/source/video/a.mp4",
        "temp/chunks/0b1f3c52-88a4-4d1f-9a36-0d1f0e6f9b14/part",
    }
    for key in orphans:
        store(lab.app.storage, key)
    sweep(lab)
    assert keys(lab) == orphans, "they are young: somebody may be about to note them"
    grow_old(lab)
    sweep(lab)
    assert keys(lab) == set()


def test_what_is_somebodys_stays_however_old(lab: Lab, clip: bytes, tmp_path: Path) -> None:
    upload(lab, clip)
    upload(lab, clip[:-1], finish=False)
    lab.run(lab.submit("p", files={"video": tmp_path / "clip.mp4"}))
    before = keys(lab)
    assert len(before) == 4, before
    grow_old(lab)
    sweep(lab)
    assert keys(lab) == before


def test_an_upload_that_expires_leaves_nothing_but_what_it_became(make_lab: MakeLab, clip: bytes) -> None:
    lab = make_lab({"p": COPY}, uploads__expire_hours=1e-7)
    with pytest.raises(NotFound):
        upload(lab, clip)  # it expired before its end
    assert len(keys(lab)) == 1
    sweep(lab)
    assert keys(lab) == set()
    assert lab.bridge.run(lab.app.assets.usage("local")).total == 0


def test_bytes_that_others_share_outlive_their_first_owner(lab: Lab, clip: bytes) -> None:
    first, second = upload(lab, clip), upload(lab, clip)
    (key,) = keys(lab)
    lab.bridge.run(lab.app.removal.asset(first, "local"))
    lab.bridge.run(lab.app.uploading._uploads.drop(first))
    grow_old(lab)
    sweep(lab)
    assert keys(lab) == {key}
    assert b"".join(lab.app.storage.read(lab.bridge.run(lab.app.assets.get(second)).key)) == clip
    lab.bridge.run(lab.app.removal.asset(second, "local"))
    assert keys(lab) == set()


def test_in_a_folder_that_others_may_look_into_what_vtid_makes_is_its_own(
    make_config: Callable[..., Config], bridge: Bridge
) -> None:
    """The folder was there before, and is as its owner left it; the mask of the process would let others read."""
    config = make_config()
    data = Path(config.data.path)
    data.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        app = App(config)
        app.queue.ring("nobody")
        bridge.run(app.database.ping())
    finally:
        os.umask(before)
    open_ = [p.name for p in data.iterdir() if p.stat().st_mode & 0o077 and not p.name.endswith(".migrating")]
    assert open_ == []
    assert {"vtid.db", "queue.db", "files"} <= {p.name for p in data.iterdir()}
    assert data.stat().st_mode & 0o777 == 0o755
    bridge.run(app.close())
