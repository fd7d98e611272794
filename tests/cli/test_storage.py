"""`vtid storage`, and what `check` and `doctor` say of the place where files lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulators.object_store import ObjectStore


@pytest.fixture
def in_bucket(home: Path, store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """Settings that lead to the server; the bucket is each test's to name."""
    with (home / "vtid.toml").open("a") as file:
        file.write(f'storage.endpoint = "{store.endpoint}"\n')
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", store.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", store.secret_key)
    return store


def test_a_folder_needs_no_setup(vtid, home: Path) -> None:
    said = vtid("storage", "setup")
    assert said.code == 6
    assert "needs no setup" in said.err
    facts = {fact["name"]: fact for fact in vtid("doctor", "--json").json["facts"]}
    assert facts["storage"]["value"] == f"files in {home / 'data' / 'files'}"


def test_a_bucket_is_made_and_tried(vtid, in_bucket: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_S3_BUCKET", "vtid-fresh-bucket")
    missing = vtid("storage", "setup")
    assert missing.code == 7
    assert "There is no bucket vtid-fresh-bucket" in missing.err
    said = vtid("storage", "setup", "--create", "--json")
    assert said.code == 0, said.err
    # Swift has no lifecycle rules: that the bucket works is what counts, and the daemon clears up itself.
    assert (said.json["bucket"], said.json["works"], said.json["lifecycle"]) == ("vtid-fresh-bucket", True, None)
    assert "The bucket vtid-fresh-bucket works." in vtid("storage", "setup").out
    facts = {fact["name"]: fact for fact in vtid("doctor", "--json").json["facts"]}
    assert facts["storage"]["state"] == "ok"
    assert "vtid-fresh-bucket" in facts["storage"]["value"]
    assert facts["lifecycle of temp/"]["state"] == "note"


def test_check_says_what_is_wrong_and_no_secret(vtid, in_bucket: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_S3_BUCKET", in_bucket.bucket())
    assert "storage" not in {p["area"] for p in vtid("check", "--json").json["problems"]}
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-this-one")
    for said in (vtid("check", "--show", "--json"), vtid("check", "--show"), vtid("doctor"), vtid("storage", "setup")):
        assert said.code != 0
        assert "refuses access" in said.out + said.err
        assert "not-this-one" not in said.out + said.err
    (problem,) = [p for p in vtid("check", "--json").json["problems"] if p["area"] == "storage"]
    assert problem["field"] == "storage.bucket"


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ('storage.kind = "s3"', "storage.kind", "needs storage.bucket"),
        ('storage.bucket = "mine"', "storage.bucket", "needs storage.access_key or $AWS_ACCESS_KEY_ID"),
        ('storage.bucket = "No Bucket"', "storage.bucket", "no name of a bucket"),
        ('storage.endpoint = "minio:9000"', "storage.endpoint", "must be http:// or https://"),
        ('storage.public_endpoint = "https://x/path"', "storage.public_endpoint", "nothing after it"),
        ('storage.buckets = ["A/b"]', "storage.buckets", "neither a bucket nor bucket/prefix"),
        ("storage.url_ttl_seconds = 999999", "storage.url_ttl_seconds", "604800"),
    ],
)
def test_settings_that_cannot_be(vtid, home: Path, text: str, field: str, words: str) -> None:
    with (home / "vtid.toml").open("a") as file:
        file.write(f"{text}\n")
    problems = vtid("check", "--json").json["problems"]
    assert any(p["field"] == field and words in p["message"] for p in problems), problems
