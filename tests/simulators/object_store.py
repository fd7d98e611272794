"""A real S3-compatible server on this machine: OpenStack Swift with its S3 door, all of it in a folder of its own.

It checks signatures and expiry as AWS does, which is why it and no mock stands here. What it lacks: lifecycle rules.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

ACCESS_KEY, SECRET_KEY, REGION = "test:tester", "testing", "us-east-1"
START_S = 60.0
BIN = Path(sys.executable).parent
_BACKEND = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
swift_dir = {etc}
devices = {devices}
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
log_level = ERROR
log_address = {etc}/nowhere
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
_PROXY = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
swift_dir = {etc}
log_level = ERROR
log_address = {etc}/nowhere
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats bulk s3api tempauth copy slo symlink versioned_writes proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[filter:copy]
use = egg:swift#copy
[filter:symlink]
use = egg:swift#symlink
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
"""


class ObjectStore:
    """A server that runs, and whether it may be talked to by a URL.

    Attributes:
        endpoint: `http://127.0.0.1:PORT`.
    """

    access_key, secret_key, region = ACCESS_KEY, SECRET_KEY, REGION

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def settings(self, bucket: str | None = None, *others: str) -> dict[str, object]:
        """What makes vtid store in a bucket here (None: in its folder), and open others to jobs."""
        account = {"endpoint": self.endpoint, "region": REGION, "access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
        named = {"bucket": bucket} if bucket else {}
        return {f"storage__{key}": value for key, value in (account | named | {"buckets": others}).items()}

    def bucket(self) -> str:
        """A new bucket."""
        from minio import Minio

        name = f"vtid-{uuid.uuid4().hex[:12]}"
        host = self.endpoint.removeprefix("http://")
        Minio(host, ACCESS_KEY, SECRET_KEY, secure=False, region=REGION).make_bucket(name)
        return name


@contextlib.contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """Serve from a folder for the length of the block; skips the test where Swift is not installed or cannot run."""
    pytest.importorskip("swift", reason="Swift, the S3-compatible server of the tests, is not installed")
    if not (BIN / "swift-proxy-server").exists():
        pytest.skip("Swift's commands are not beside this Python")
    _require_attributes(folder)
    etc, devices = folder / "etc", folder / "srv"
    etc.mkdir()
    (devices / "d1").mkdir(parents=True)
    ports = dict(zip(("proxy", "account", "container", "object"), _free_ports(4), strict=True))
    (etc / "swift.conf").write_text(f"[swift-hash]\nswift_hash_path_suffix = {uuid.uuid4().hex}\n")
    (etc / "proxy.conf").write_text(_PROXY.format(port=ports["proxy"], etc=etc))
    for kind in ("account", "container", "object"):
        _ring(etc, kind, ports[kind])
        text = _BACKEND.format(port=ports[kind], etc=etc, devices=devices, kind=kind)
        (etc / f"{kind}.conf").write_text(text)
    with contextlib.ExitStack() as stack:
        for kind in ports:
            stack.enter_context(_running(etc, kind))
        endpoint = f"http://127.0.0.1:{ports['proxy']}"
        _wait(endpoint, etc)
        yield ObjectStore(endpoint)


def _require_attributes(folder: Path) -> None:
    """Swift keeps what it knows of a file in extended attributes."""
    try:
        os.setxattr(folder, "user.vtid", b"1")
    except OSError as error:
        pytest.skip(f"the file system of {folder} has no extended attributes, which Swift needs: {error.strerror}")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _ring(etc: Path, kind: str, port: int) -> None:
    builder = [str(BIN / "swift-ring-builder"), f"{kind}.builder"]
    for step in (["create", "4", "1", "0"], ["add", f"r1z1-127.0.0.1:{port}/d1", "1"], ["rebalance"]):
        subprocess.run([sys.executable, *builder, *step], cwd=etc, check=True, capture_output=True)


_TIED = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"
"""PR_SET_PDEATHSIG: a test run that is killed leaves no servers behind."""


@contextlib.contextmanager
def _running(etc: Path, kind: str) -> Iterator[None]:
    server = [sys.executable, str(BIN / f"swift-{kind}-server"), str(etc / f"{kind}.conf")]
    command = [sys.executable, "-c", _TIED, *server]
    environment = os.environ | {"SWIFT_TEST_IN_PROCESS": "0", "PYTHONWARNINGS": "ignore"}
    with (etc / f"{kind}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=etc)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _wait(endpoint: str, etc: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(endpoint, timeout=5)
        except urllib.error.HTTPError:
            return  # it answers, and wants a signature
        except OSError:
            if time.monotonic() > deadline:
                said = "".join(log.read_text()[-600:] for log in etc.glob("*.log"))
                pytest.fail(f"Swift did not start:\n{said}")
            time.sleep(0.05)
        else:
            return


def main() -> None:
    """Run one until it is interrupted: `python -m tests.simulators.object_store FOLDER`."""
    folder = Path(sys.argv[1]).absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with object_store(folder) as store:
        print(store.endpoint, store.bucket(), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)


if __name__ == "__main__":
    main()
