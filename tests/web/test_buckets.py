"""Buckets as inputs and as targets: those that the operator opened, and no others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.web.site import API, Site, another, problem
from vtid.storage.s3 import S3Storage


def bucket(site: Site, which: int) -> S3Storage:
    name = site.app.config.storage.buckets[which].partition("/")[0]
    assert isinstance(site.app.storage, S3Storage)
    return S3Storage(site.app.storage.client, name)


def store(storage: S3Storage, key: str, data: bytes) -> str:
    with storage.writer(key) as writer:
        writer.write(data)
    return f"s3://{storage.bucket}/{key}"


def submit(site: Site, url: str, pipeline: str = "copy") -> Any:
    return site.http.post(f"{API}/submit", json={"pipeline": pipeline, "video_url": url})


def test_a_video_from_a_bucket_and_its_result_into_one(bucket_site: Site, clip: Path) -> None:
    data, open_ = another(clip), bucket(bucket_site, 0)
    url = store(open_, "in/Mein Film ü.mp4", data)
    answer = submit(bucket_site, url, "send")
    assert answer.status_code == 202, answer.text
    assert answer.json()["original_filename"] == "Mein Film ü.mp4"
    done = bucket_site.wait(answer.json()["job_id"])
    assert done["status"] == "completed", done["error"]
    target = f"s3://{open_.bucket}/done/local/Mein Film ü.out.mp4"
    assert done["metadata"]["delivered"] == [target]
    assert b"".join(open_.read("done/local/Mein Film ü.out.mp4")) == data
    assert bucket_site.http.get(done["result_url"]).content == data, "it is a result as any other, too"
    encoded = url.replace(" ", "%20").replace("ü", "%C3%BC")
    again = bucket_site.wait(submit(bucket_site, encoded, "send").json()["job_id"])
    (other,) = again["metadata"]["delivered"]
    assert other != target
    assert other.endswith(f".out-{again['job_id'][:8]}.mp4"), "what is there is not written over"
    assert b"".join(open_.read("done/local/Mein Film ü.out.mp4")) == data


def test_a_bucket_that_is_open_in_one_folder(bucket_site: Site, clip: Path) -> None:
    part = bucket(bucket_site, 1)
    mine, others = store(part, "for/local/a.mp4", another(clip)), store(part, "for/somebody/a.mp4", another(clip))
    assert submit(bucket_site, mine).status_code == 202
    for url in (others, store(part, "for/local-not.mp4", b"x"), store(part, "a.mp4", b"x")):
        assert problem(submit(bucket_site, url), 400)["errors"][0]["code"] == "forbidden_bucket"


def test_urls_that_lead_nowhere(bucket_site: Site) -> None:
    own = bucket_site.app.config.storage.bucket
    name = bucket(bucket_site, 0).bucket
    part = bucket(bucket_site, 1).bucket
    for url, code in (
        (f"s3://{own}/users/local/jobs/x/y.mp4", "forbidden_bucket"),
        ("s3://somebody-elses-bucket/a.mp4", "forbidden_bucket"),
        (f"s3://{part}/for/local/../somebody/a.mp4", "forbidden_bucket"),
        (f"s3://{part}/for/local/%2e%2e/somebody/a.mp4", "forbidden_bucket"),
        (f"s3://{name}//a.mp4", "forbidden_bucket"),
        (f"s3://{name}", "invalid"),
        (f"s3://{name}/", "invalid"),
        ("s3:///a.mp4", "invalid"),
        (f"s3://{name}/none.mp4", "not_found"),
    ):
        body = problem(submit(bucket_site, url), 400)
        assert [(e["field"], e["code"]) for e in body["errors"]] == [("video_url", code)], url


def test_what_is_no_video_leaves_nothing(bucket_site: Site) -> None:
    keys = bucket_site.keys()
    url = store(bucket(bucket_site, 0), "in/notes.mp4", b"only text " * 100)
    assert "notes.mp4" in problem(submit(bucket_site, url), 415)["detail"]
    assert bucket_site.keys() == keys


def test_a_target_that_is_not_open_is_told_at_once(bucket_site: Site, clip: Path) -> None:
    body = problem(bucket_site.submit(clip, "astray"), 400)
    assert body["errors"][0]["field"] == "deliver[1].to"
    assert "not-a-bucket-of-ours" in body["detail"]


def test_where_no_bucket_is_open(site: Site) -> None:
    body = problem(submit(site, "s3://bucket/a.mp4"), 400)
    assert "buckets that are: none" in body["detail"]


@pytest.mark.parametrize("to", ["folder/out", "s3://", "https://x/y"])
def test_a_target_that_is_no_bucket_is_told_with_the_pipeline(make_lab: Any, to: str) -> None:
    lab = make_lab({"p": f'[[step]]\nid="a"\nuses="lab.write"\n[[deliver]]\nfrom="a.file"\nto="{to}"\n'})
    problems = lab.app.pipelines.record("p").problems
    assert any(p.field == "deliver[0].to" and "s3://BUCKET" in p.message for p in problems), problems
