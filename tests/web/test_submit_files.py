"""Files beside the video: what the pipeline calls `source.NAME` comes as `file_NAME`, or by the id of one that is here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.web.site import API, COPY, PIPELINES, Site, serving
from vtid.client import AsyncClient, Client, Job
from vtid.errors import InvalidInput

JOIN = """
[[step]]
id = "join"
uses = "lab.append"
inputs = { file = "source.head", other = "source.tail" }
with = { text = "!" }
[[deliver]]
from = "join.file"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(tmp_path_factory.mktemp("site"), workers=True, pipelines=PIPELINES | {"join": COPY + JOIN}) as made:
        yield made


@pytest.fixture
def texts(tmp_path: Path) -> dict[str, Path]:
    """Two files that are no media, by what the pipeline calls them."""
    for name, text in (("head", "vt"), ("tail", "id")):
        (tmp_path / f"{name}.txt").write_text(text)
    return {name: tmp_path / f"{name}.txt" for name in ("head", "tail")}


def post(site: Site, clip: Path, pipeline: str, **files: bytes) -> httpx.Response:
    parts = {"file": ("clip.mp4", clip.read_bytes())} | {name: (f"{name}.txt", data) for name, data in files.items()}
    return site.http.post(f"{API}/submit", files=parts, data={"pipeline": pipeline})


def joined(site: Site, job: Job) -> bytes:
    """What came of them."""
    ended = site.wait(job["job_id"])
    assert ended["status"] == "completed", ended
    files = site.http.get(f"{API}/{job['job_id']}/files").json()
    return site.http.get(next(file["url"] for file in files if file["output"] == "file")).content


def test_files_of_any_name_come_in(site: Site, clip: Path) -> None:
    answer = post(site, clip, "join", file_head=b"vt", file_tail=b"id")
    assert answer.status_code == 202, answer.text
    assert joined(site, answer.json()) == b"vtid!"


def test_the_client_sends_them(site: Site, clip: Path, texts: dict[str, Path]) -> None:
    sent: list[int] = []
    with Client(site.url, token=site.key) as client:
        job = client.submit("join", file=clip, beside=texts, sent=sent.append)
        assert joined(site, job) == b"vtid!"
        assert sent[-1] == sum(path.stat().st_size for path in (clip, *texts.values()))
        with pytest.raises(InvalidInput, match="beside a URL"):
            client.submit("join", url="http://films.example/a.mp4", beside=texts)


def test_so_does_the_client_to_await(site: Site, clip: Path, texts: dict[str, Path]) -> None:
    async def submit() -> Job:
        async with AsyncClient(site.url, token=site.key) as client:
            return await client.submit("join", file=clip, beside=texts)

    assert joined(site, asyncio.run(submit())) == b"vtid!"


def test_those_that_are_here_are_named(site: Site, clip: Path, texts: dict[str, Path]) -> None:
    with Client(site.url, token=site.key) as client:
        client.submit("join", file=clip, beside=texts)
    known = {file["filename"]: file["asset_id"] for file in site.http.get("/api/v1/files/").json()["files"]}
    files = {"head": known["tail.txt"], "tail": known["head.txt"]}
    body = {"pipeline": "join", "asset_id": known[clip.name], "files": files}
    answer = site.http.post(f"{API}/submit", json=body)
    assert answer.status_code == 202, answer.text
    assert joined(site, answer.json()) == b"idvt!"


@pytest.mark.parametrize(
    ("files", "field", "words"),
    [
        ({"file_head": b"x", "file_extra": b"x"}, "extra", "join takes no file of this name; it takes: head, tail"),
        ({"file_tail": b"x"}, "head", "the pipeline join needs this file"),
        ({"file_": b"x"}, "file_", "files that are: file, mask, audio, audio_files, file_NAME"),
        ({"file_a.b": b"x"}, "file_a.b", "no file of this name is taken"),
        ({"file_head": b"x", "file_video": b"x"}, "file_video", "is a second file for video; send one"),
    ],
)
def test_what_is_wrong_with_them_is_told(
    site: Site, clip: Path, files: dict[str, bytes], field: str, words: str
) -> None:
    before = site.keys()
    answer = post(site, clip, "join", **files)
    assert answer.status_code == 400, answer.text
    assert any(e["field"] == field and words in e["message"] for e in answer.json()["errors"]), answer.text
    assert site.keys() == before
