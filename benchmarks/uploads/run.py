"""Upload throughput beside a bare ASGI app that writes the same bytes to the same disk.

Four ways take turns, in one run: the bare app (uvicorn, as vtid runs it, one thread that writes, one fsync), and vtid's
multipart form, tus and chunks, each from the first byte to the answer that the file is an asset: hashed, looked at by
its content, in the database. The client is a process of its own that sends from memory over a socket.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from vtid.accounts import local_key

GOAL = 0.7
MIB = 1 << 20
CHUNK = 16 * MIB
HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
BARE = """
import asyncio, os, sys, uuid, uvicorn
folder = sys.argv[1]
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    path = os.path.join(folder, uuid.uuid4().hex)
    buffer = bytearray()
    with open(path, "wb", buffering=0) as file:
        more = True
        while more:
            message = await receive()
            buffer += message.get("body", b"")
            more = message.get("more_body", False)
            if len(buffer) >= 1 << 20 or not more:
                piece, buffer = bytes(buffer), bytearray()
                await asyncio.to_thread(file.write, piece)
        await asyncio.to_thread(os.fsync, file.fileno())
    os.unlink(path)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})
import socket
sock = socket.socket()
sock.bind(("127.0.0.1", 0))
print(sock.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")).run(sockets=[sock])
"""


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mb", type=int, default=512, help="size of the file, in MiB")
    parser.add_argument("--rounds", type=int, default=5, help="uploads of each way")
    parser.add_argument(
        "--memory-mb", type=int, default=2000, help="size of one upload whose memory is watched; 0: none"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vtid-bench-", dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        clip = folder / "clip.mp4"
        _draw(clip)
        with (
            bare(folder) as (bare_port, bare_process),
            vtid(folder) as (port, process),
            client(clip, folder / "data") as ask,
        ):
            ways: dict[str, tuple[str, int, psutil.Process]] = {
                "bare ASGI app": ("bare", bare_port, bare_process),
                "multipart form": ("form", port, process),
                "tus, one request": ("tus", port, process),
                f"chunks of {CHUNK >> 20} MiB": ("chunks", port, process),
            }
            times: dict[str, list[float]] = {title: [] for title in ways}
            busy: dict[str, list[float]] = {title: [] for title in ways}
            for number in range(args.rounds + 1):  # the first one warms up
                for title, (way, where, server) in ways.items():
                    before = cpu(server)
                    took = ask(way, where, args.mb)
                    if number:
                        times[title].append(took)
                        busy[title].append((cpu(server) - before) * 1024 / args.mb)
            report(times, busy, args)
            if args.memory_mb:
                memory(ask, port, process, args.memory_mb)


def cpu(process: psutil.Process) -> float:
    """Seconds of processor time that it has used; unlike the clock's, they say the same on a busy machine."""
    used = process.cpu_times()
    return float(used.user + used.system)


def report(times: dict[str, list[float]], busy: dict[str, list[float]], args: argparse.Namespace) -> None:
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"{args.mb} MiB, {args.rounds} rounds, {machine}; medians, the ways taking turns\n")
    print("| upload | MB/s | of the bare app | processor seconds per GiB |\n|---|---:|---:|---:|")
    medians = {title: statistics.median(found) for title, found in times.items()}
    first = next(iter(medians.values()))
    for title, took in medians.items():
        used = statistics.median(busy[title])
        print(f"| {title} | {args.mb * MIB / 1e6 / took:.0f} | {first / took:.2f} | {used:.1f} |")
    least = min(first / took for took in medians.values())
    print(f"\nGoal: at least {GOAL:g} of the bare app, whatever the way: {'met' if least >= GOAL else 'MISSED'}.\n")


def memory(ask: Callable[..., float], port: int, process: psutil.Process, mebibytes: int) -> None:
    """RSS of the API process over large uploads, read as they go."""
    print("| upload of a large file | MiB | RSS before | at most |\n|---|---:|---:|---:|")
    for way, title in (("form", "multipart form"), ("tus", "tus, one request"), ("chunks", "chunks")):
        before, peak = process.memory_info().rss, 0

        def watch() -> None:
            nonlocal peak
            peak = max(peak, process.memory_info().rss)

        ask(way, port, mebibytes, watch)
        print(f"| {title} | {mebibytes} | {before >> 20} MiB | {peak >> 20} MiB |")


def _draw(path: Path) -> None:
    from vtid.media.synth import draw_clip

    draw_clip(path, seconds=0.5, width=160, height=90, fps=10)


@contextmanager
def bare(folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    target = folder / "bare"
    target.mkdir()
    process = subprocess.Popen([sys.executable, "-c", BARE, str(target)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield int(process.stdout.readline()), psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def vtid(folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    """A daemon without workers, so that jobs wait."""
    config = folder / "vtid.toml"
    settings = {
        "server.port": 0,
        "data.path": str(folder / "data"),
        "server.max_upload_mb": 8192,
        "plugins.dirs": [str(REPOSITORY / "plugins")],
        "pipelines.dirs": [str(REPOSITORY / "config/pipelines")],
        "logging.format": "json",
    }
    config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
    log = folder / "log"
    command = [sys.executable, "-m", "vtid.cli", "--config", str(config), "serve", "--no-workers"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 60
        while (port := _port(log)) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the daemon did not come up:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)


def _port(log: Path) -> int | None:
    for line in log.read_text().splitlines():
        with suppress(ValueError, KeyError):
            return int(json.loads(line)["metadata"]["url"].rpartition(":")[2])
    return None


# --- the client, in a process of its own


@contextmanager
def client(clip: Path, data: Path) -> Iterator[Callable[..., float]]:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(there, clip.read_bytes(), local_key(data)), daemon=True)
    process.start()

    def ask(way: str, port: int, mebibytes: int, watch: Callable[[], None] = lambda: None) -> float:
        here.send((way, port, mebibytes))
        while not here.poll(0.02):
            watch()
        answer = here.recv()
        if isinstance(answer, str):
            sys.exit(answer)
        return float(answer)

    try:
        yield ask
    finally:
        process.kill()
        process.join()


def _serve(line: Connection, clip: bytes, key: str | None) -> None:
    WHO["Authorization"] = f"Bearer {key}"
    while True:
        way, port, mebibytes = line.recv()
        try:
            line.send(globals()[f"_{way}"](port, Film(clip, mebibytes)))
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            line.send(f"{way}: {type(error).__name__}: {error}")


class Film:
    """A video of about that size, of which no other has the bytes; made as it is sent."""

    def __init__(self, clip: bytes, mebibytes: int) -> None:
        self.size = mebibytes * MIB
        filler = self.size - len(clip)
        # A box of the large kind, whose length takes 64 bits.
        self._head = clip + b"\0\0\0\1free" + filler.to_bytes(8, "big") + uuid.uuid4().bytes
        self._block = os.urandom(MIB)

    def pieces(self, start: int = 0, end: int | None = None) -> Iterator[bytes | memoryview]:
        end, block = self.size if end is None else end, memoryview(self._block)
        at = start
        while at < end:
            if at < len(self._head):
                piece: bytes | memoryview = self._head[at : min(end, len(self._head))]
            else:
                offset = at % MIB
                piece = block[offset : offset + end - at]
            yield piece
            at += len(piece)


WHO: dict[str, str] = {}
"""What every request says of its sender; the bare app does not care."""


def _request(
    port: int,
    method: str,
    path: str,
    headers: dict[str, str],
    length: int,
    body: Iterator[bytes | memoryview] | tuple[()],
) -> tuple[dict[str, str], Any]:
    """One request on a connection of its own. Returns headers and JSON of the answer."""
    with socket.create_connection(("127.0.0.1", port)) as line:
        told = {"Host": f"127.0.0.1:{port}", "Content-Length": str(length), "Connection": "close"} | WHO | headers
        head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        line.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode())
        for piece in body:
            line.sendall(piece)
        answer = b""
        while data := line.recv(65536):
            answer += data
    first, _, rest = answer.partition(b"\r\n")
    told_back, _, content = rest.partition(b"\r\n\r\n")
    if not first.split(b" ")[1].startswith(b"2"):
        raise RuntimeError(answer.decode(errors="replace")[:500])
    pairs = (line.split(": ", 1) for line in told_back.decode().splitlines())
    return {name.lower(): value for name, value in pairs}, json.loads(content) if content.startswith(b"{") else None


def _bare(port: int, film: Film) -> float:
    started = time.perf_counter()
    _request(port, "PUT", "/", {}, film.size, film.pieces())
    return time.perf_counter() - started


FORM = {"Content-Type": "multipart/form-data; boundary=x"}
TAIL = b"\r\n--x--\r\n"


def _part(name: str, filename: str = "") -> bytes:
    more = f'; filename="{filename}"' if filename else ""
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode()


def _form(port: int, film: Film) -> float:
    head = _part("pipeline") + b"remove-text\r\n" + _part("file", "film.mp4")

    def body() -> Iterator[bytes | memoryview]:
        yield head
        yield from film.pieces()
        yield TAIL

    started = time.perf_counter()
    _, job = _request(port, "POST", "/api/v1/jobs/submit", FORM, len(head) + film.size + len(TAIL), body())
    took = time.perf_counter() - started
    _request(port, "POST", f"/api/v1/jobs/{job['job_id']}/cancel", {}, 0, ())
    _request(port, "DELETE", f"/api/v1/jobs/{job['job_id']}", {}, 0, ())
    return took


def _tus(port: int, film: Film) -> float:
    version = {"Tus-Resumable": "1.0.0"}
    started = time.perf_counter()
    told, _ = _request(port, "POST", "/api/v1/tus", version | {"Upload-Length": str(film.size)}, 0, ())
    headers = version | {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    told, _ = _request(port, "PATCH", told["location"], headers, film.size, film.pieces())
    took = time.perf_counter() - started
    _request(port, "DELETE", told["content-location"], {}, 0, ())
    return took


def _chunks(port: int, film: Film) -> float:
    root = "/api/v1/chunked-upload"
    started = time.perf_counter()
    wish = json.dumps({"filename": "film.mp4", "total_size": film.size, "chunk_size": CHUNK}).encode()
    _, begun = _request(port, "POST", f"{root}/init", {"Content-Type": "application/json"}, len(wish), iter([wish]))
    for index in range(begun["chunk_count"]):
        start, end = index * CHUNK, min(film.size, (index + 1) * CHUNK)
        head = _part("chunk_index") + f"{index}\r\n".encode() + _part("chunk", "c")

        def body(head: bytes = head, start: int = start, end: int = end) -> Iterator[bytes | memoryview]:
            yield head
            yield from film.pieces(start, end)
            yield TAIL

        length = len(head) + end - start + len(TAIL)
        _request(port, "POST", f"{root}/chunk/{begun['upload_id']}", FORM, length, body())
    _, asset = _request(port, "POST", f"{root}/complete/{begun['upload_id']}", {}, 0, ())
    took = time.perf_counter() - started
    _request(port, "DELETE", f"/api/v1/files/{asset['asset_id']}", {}, 0, ())
    return took


if __name__ == "__main__":
    main()
