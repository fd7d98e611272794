"""Uploads: a form with a ticket, as the vendor's object store takes it, and files that are found again by address."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import secrets
import time
from pathlib import Path
from typing import Any

from vtid.simulators.serving import Body

CHUNK = 1 << 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HEAD_LIMIT = 1 << 14


class Store:
    """What was uploaded.

    Args:
        folder: to keep it in.
        prefix: of the addresses that files get.
    """

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder = folder
        self._prefix = prefix
        self._tickets: dict[str, tuple[dict[str, str], float]] = {}
        self._files: dict[str, Path] = {}
        self.removed: list[str] = []
        """Keys that the customer deleted."""

    def policy(self, seconds: int) -> dict[str, Any]:
        """A ticket for one folder."""
        ticket, until = secrets.token_hex(12), time.time() + seconds
        fields = {
            "accessid": "sim-oss",
            "policy": base64.b64encode(ticket.encode()).decode(),
            "signature": secrets.token_hex(10),
            "dir": f"video/{ticket[:8]}/",
            "base64CallbackBody": base64.b64encode(b"{}").decode(),
        }
        self._tickets[fields["policy"]] = (fields, until)
        return {**fields, "expire": int(until), "urlPrefix": f"{self._prefix}{fields['dir']}"}

    def find(self, url: str) -> Path | None:
        """The file behind an address, None where it was removed. Raises `KeyError` for an address of somebody else."""
        if not url.startswith(self._prefix):
            raise KeyError(url)
        return self._files.get(url.removeprefix(self._prefix))

    def remove(self, key: str) -> bool:
        """Delete a file; whether it was there."""
        there = self._files.pop(key, None) is not None
        self.removed += [key] * there
        return there

    def take(self, body: Body, length: int, boundary: str) -> tuple[bytes, str]:
        """Read a form whose last part is the file, piece by piece.

        Returns:
            The file's md5, and what is wrong with the form.
        """
        reader = io.BufferedReader(_Raw(body), CHUNK)
        fields, head = _fields(reader, boundary)
        tail = len(f"\r\n--{boundary}--\r\n")
        left = length - head - tail
        target = self._folder / f"upload-{secrets.token_hex(8)}{Path(fields.get('key', '')).suffix}"
        digest = hashlib.md5()  # noqa: S324 - the store's own checksum
        with target.open("wb") as file:
            while left > 0 and (piece := reader.read(min(CHUNK, left))):
                left -= len(piece)
                digest.update(piece)
                file.write(piece)
        reader.read(tail)
        complaint = "RequestTimeout: the form ends too early" if left else self._complaint(fields)
        if complaint:
            target.unlink()
            return b"", complaint
        self._files[fields["key"]] = target
        return digest.digest(), ""

    def _complaint(self, fields: dict[str, str]) -> str:
        ticket, until = self._tickets.get(fields.get("policy", ""), ({}, 0.0))
        if time.time() > until:
            return "AccessDenied: no such policy, or it has expired"
        wanted = {
            "OSSAccessKeyId": ticket["accessid"],
            "signature": ticket["signature"],
            "callback": ticket["base64CallbackBody"],
            "success_action_status": "200",
        }
        if wrong := [name for name, value in wanted.items() if fields.get(name) != value]:
            return f"AccessDenied: {', '.join(wrong)}"
        folder, _, name = fields.get("key", "").rpartition("/")
        if f"{folder}/" != ticket["dir"] or not _NAME.fullmatch(name):
            return "AccessDenied: the key is dir and a short ASCII name"
        return ""


class _Raw(io.RawIOBase):
    """A request's body as a file that lines can be read from."""

    def __init__(self, body: Body) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._body.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


def _fields(body: io.BufferedReader[Any], boundary: str) -> tuple[dict[str, str], int]:
    """The parts before the file, and how many bytes came before its content."""
    fields: dict[str, str] = {}
    taken = len(line := body.readline())
    if line.strip() != f"--{boundary}".encode():
        raise ValueError("the form does not begin with its boundary")
    while True:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = body.readline(_HEAD_LIMIT)
            if not line:
                raise ValueError("the form ends within a part's head")
            head += line
        taken += len(head)
        found = re.search(rb'name="([^"]*)"', head)
        name = found[1].decode() if found else ""
        if name == "file":
            return fields, taken
        value = b""
        while not (line := body.readline(_HEAD_LIMIT)).startswith(f"--{boundary}".encode()):
            if not line:
                raise ValueError("the form ends before its file")
            value += line
            taken += len(line)
        taken += len(line)
        fields[name] = value.removesuffix(b"\r\n").decode()
