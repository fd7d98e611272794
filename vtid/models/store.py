"""The folder of models: one folder for each, with the file and its record. What is visible is whole."""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from vtid.domain.model import Model
from vtid.errors import (
    Conflict,
    DiskFull,
    InvalidInput,
    NeedsAttention,
    NotFound,
    Problem,
    StorageError,
    did_you_mean,
)

FILE = "model.onnx"
RECORD = "model.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PIECE = 1 << 20

Inspect = Callable[[Path], dict[str, Any]]
"""Runs a file once on a small array and tells what it takes and gives; raises `InvalidInput` where it does not fit."""


class Record(Struct, frozen=True, kw_only=True):
    """What is written down about a model when it is added."""

    name: str
    kind: str
    licence: str
    commercial: bool
    """Whether its licence allows commercial use."""
    source: str = ""
    """Where it comes from, as the operator said."""
    filename: str = ""
    """What the file was called."""
    sha256: str
    size: int
    added_at: str
    layout: dict[str, Any] = field(default_factory=dict)
    """What it takes and gives, as found when it was tried."""


class Standing(Struct, frozen=True):
    """A model and whether it can be used."""

    name: str
    record: Record | None
    """None where it cannot be read."""
    problem: str = ""
    """Why it cannot be used; empty where it can."""


class Store:
    """The operator's models.

    Args:
        folder: made when the first model is added.
        allow_non_commercial: use models whose licences forbid commercial use.
    """

    def __init__(self, folder: Path, *, allow_non_commercial: bool = False) -> None:
        self.folder = folder
        self.allow_non_commercial = allow_non_commercial

    # --- looking

    def names(self) -> list[str]:
        """Every model that is there, sorted."""
        if not self.folder.is_dir():
            return []
        return sorted(p.name for p in self.folder.iterdir() if p.is_dir() and _NAME.fullmatch(p.name))

    def record(self, name: str) -> Record:
        """What is known of a model.

        Raises:
            NotFound: there is none of that name.
            StorageError: its record cannot be read.
        """
        if name not in self.names():
            hint = did_you_mean(name, self.names()) or "; `vtid models list` shows those there are"
            raise NotFound(f'There is no model "{name}"{hint}')
        try:
            return msgspec.json.decode((self.folder / name / RECORD).read_bytes(), type=Record)
        except (OSError, msgspec.DecodeError) as error:
            raise StorageError(
                f'The record of the model "{name}" cannot be read: {error}.',
                suggestion=f"Remove it and add it again: vtid models remove {name}",
            ) from error

    def get(self, name: str, kind: str) -> Model:
        """See `vtid.sdk.Models`."""
        try:
            record = self.record(name)
        except NotFound as error:
            raise InvalidInput(error.message) from error
        except StorageError as error:
            raise NeedsAttention(error.message) from error
        if record.kind != kind:
            raise InvalidInput(f'The model "{name}" is a model for {record.kind}, and one for {kind} is needed.')
        if problem := self._quick_problem(record):
            raise NeedsAttention(f'The model "{name}" cannot be used: {problem}.')
        return Model(name, kind, self.folder / name / FILE, record.licence, record.layout)

    def standings(self, inspect: Callable[[Record], Inspect | None] | None = None) -> Iterator[Standing]:
        """Every model and whether it can be used.

        Args:
            inspect: gives what tries a model of the record's kind; None looks quickly: size and licence only.
        """
        for name in self.names():
            try:
                record = self.record(name)
            except StorageError:
                yield Standing(name, None, f"its record {RECORD} cannot be read")
                continue
            problem = self._quick_problem(record)
            if not problem and inspect is not None:
                problem = self._slow_problem(record, inspect(record))
            yield Standing(name, record, problem)

    def _quick_problem(self, record: Record) -> str:
        file = self.folder / record.name / FILE
        try:
            if file.stat().st_size != record.size:
                return "its file has another size than when it was added"
        except OSError:
            return f"its file {file} is not there"
        return self._forbidden(record.licence, commercial=record.commercial)

    def _slow_problem(self, record: Record, inspect: Inspect | None) -> str:
        file = self.folder / record.name / FILE
        if _sha256(file) != record.sha256:
            return "its file is not the one that was added: the SHA-256 differs"
        if inspect is None:
            return f"no plugin uses models of the kind {record.kind}"
        try:
            inspect(file)
        except InvalidInput as error:
            return error.message.rstrip(".")
        return ""

    def _forbidden(self, licence: str, *, commercial: bool) -> str:
        if commercial or self.allow_non_commercial:
            return ""
        return f"its licence ({licence}) is for non-commercial use, which [models] allow_non_commercial does not allow"

    # --- changing

    def add(
        self, file: Path, inspect: Inspect, *, name: str, kind: str, licence: str, commercial: bool, source: str = ""
    ) -> Record:
        """Copy a model into the folder, tried and written down: whole, or not at all.

        Args:
            file: the model.
            inspect: tries it.
            name: that jobs will use.
            kind: what it is for.
            licence: its name.
            commercial: whether the licence allows commercial use.
            source: where it comes from, for the record.

        Raises:
            InvalidInput: the name, the file, or the licence will not do.
            Conflict: there is a model of that name.
            StorageError: the folder cannot be written.
        """
        if not _NAME.fullmatch(name):
            words = f'"{name}" is no name for a model: take small letters and digits, and between them ".", "_", "-"'
            raise InvalidInput(f"--name: {words}", problems=[Problem("--name", words)])
        if problem := self._forbidden(licence, commercial=commercial):
            raise InvalidInput(
                f"The model was not added: {problem}.",
                suggestion="Where your use is not commercial: [models] allow_non_commercial = true in vtid.toml.",
            )
        if name in self.names():
            raise self._taken(name)
        staged = self.folder / f".{name}.{uuid.uuid4().hex}.part"
        try:
            staged.mkdir(parents=True)
            sha256, size = _copy(file, staged / FILE)
            record = Record(
                name=name,
                kind=kind,
                licence=licence.strip(),
                commercial=commercial,
                source=source,
                filename=file.name,
                sha256=sha256,
                size=size,
                added_at=datetime.now(UTC).isoformat(timespec="seconds"),
                layout=inspect(staged / FILE),
            )
            (staged / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
            staged.rename(self.folder / name)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # somebody was quicker
                raise self._taken(name) from error
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(f"There is no room for the model in {self.folder}.") from error
            raise StorageError(f"The model cannot be kept in {self.folder}: {error.strerror}") from error
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        return record

    def _taken(self, name: str) -> Conflict:
        return Conflict(
            f'There is a model "{name}" already.',
            suggestion=f"Choose another name, or first: vtid models remove {name}",
        )

    def remove(self, name: str) -> None:
        """Delete a model. Jobs that name it fail from now on; one that runs has the file open and goes on.

        Raises:
            NotFound: there is none.
            StorageError: it cannot be deleted.
        """
        if name not in self.names():
            raise NotFound(f'There is no model "{name}"{did_you_mean(name, self.names())}')
        gone = self.folder / f".{name}.{uuid.uuid4().hex}.gone"
        try:
            (self.folder / name).rename(gone)  # at once, so that nobody sees half a model
            shutil.rmtree(gone)
        except OSError as error:
            raise StorageError(f'The model "{name}" cannot be removed: {error.strerror}') from error


def _copy(source: Path, target: Path) -> tuple[str, int]:
    """Copy a file, and say its SHA-256 and size."""
    try:
        reading = source.open("rb")
    except OSError as error:
        raise InvalidInput(f"{source} cannot be read: {error.strerror}.") from error
    digest, size = hashlib.sha256(), 0
    with reading, target.open("xb") as writing:
        while piece := reading.read(_PIECE):
            digest.update(piece)
            size += writing.write(piece)
    return digest.hexdigest(), size


def _sha256(file: Path) -> str:
    with file.open("rb") as reading:
        return hashlib.file_digest(reading, "sha256").hexdigest()
