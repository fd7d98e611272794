"""A daemon that does what a real one does only on its worst days: drops lines, breaks off, restarts, says odd things."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

JOB = "550e8400-e29b-41d4-a716-446655440000"


def job(job_id: str = JOB, status: str = "completed", **more: Any) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "status": status,
        "progress": 100 if status == "completed" else 40,
        "message": "All done",
        "result_url": "/files/result.mp4" if status == "completed" else None,
        "created_at": "2026-01-02T03:04:05Z",
        "completed_at": None,
        "error": None,
        "original_filename": "clip.mp4",
        "display_name": None,
        "pipeline": "lab",
        "metadata": {},
        "steps": [{"id": "clean", "status": "completed", "progress": 100}],
    } | more


def problem(
    status: int, code: str, detail: str, errors: list[dict[str, str]] | None = None
) -> tuple[int, dict[str, Any]]:
    return status, {
        "type": f"urn:vtid:problem:{code}",
        "title": code,
        "status": status,
        "detail": detail,
        "errors": errors or [],
    }


class Stub:
    """Answers from tables that a test fills."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.connections: list[list[tuple[int, str, dict[str, Any]]]] = []
        """The events of each connection to the event stream, which then breaks off."""
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {}
        """Method and path to status and body, before anything else."""
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.result = b"the result" * 1000
        self.short_by = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.stub = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Handler(BaseHTTPRequestHandler):
    @property
    def stub(self) -> Stub:
        return self.server.stub  # type: ignore[attr-defined, no-any-return]

    def log_message(self, *_: Any) -> None:
        pass

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        url = urlsplit(self.path)
        self.stub.seen.append((self.command, self.path, dict(self.headers), body))
        if (self.command, url.path) in self.stub.answers:
            return self._say(*self.stub.answers[self.command, url.path])
        return self._route(url.path.removeprefix("/api/v1/jobs"), url.path, parse_qs(url.query))

    do_GET = do_POST = do_DELETE = _take

    def _route(self, rest: str, path: str, query: dict[str, list[str]]) -> None:
        parts = [p for p in rest.split("/") if p]
        if path == "/files/result.mp4":
            return self._file()
        if self.command == "POST" and parts == ["submit"]:
            return self._say(202, job(status="queued"))
        if not parts:
            text = query.get("text", [""])[0]
            return self._say(200, {"jobs": [j for i, j in self.stub.jobs.items() if text in i], "next": None})
        if parts[0] not in self.stub.jobs:
            return self._say(*problem(404, "not_found", f"There is no job {parts[0]}."))
        if parts[1:] == ["events"]:
            return self._events()
        if self.command == "DELETE":
            del self.stub.jobs[parts[0]]
            return self._say(204, None)
        return self._say(200, self.stub.jobs[parts[0]])

    def _say(self, status: int, body: Any) -> None:
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _file(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(self.stub.result)))
        self.end_headers()
        self.wfile.write(self.stub.result[: len(self.stub.result) - self.stub.short_by])

    def _events(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b": hello\n\n")
        for seq, kind, data in self.stub.connections.pop(0) if self.stub.connections else []:
            self.wfile.write(f"id: {seq}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode())
