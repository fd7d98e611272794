"""Where things lie: storage keys of a job's files, scratch folders of its steps."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Collection
from pathlib import Path

from vtid.domain.job import StepRun
from vtid.engine.isolation import remove_folder
from vtid.storage.base import safe_filename


def job_prefix(user_id: str, job_id: str) -> str:
    """Everything that belongs to a job."""
    return f"users/{user_id}/jobs/{job_id}/"


def asset_prefix(user_id: str, asset_id: str) -> str:
    """Everything that belongs to a file that was uploaded by itself."""
    return f"users/{user_id}/assets/{asset_id}/"


def asset_key(user_id: str, asset_id: str, filename: str) -> str:
    """A file that was uploaded by itself."""
    return f"{asset_prefix(user_id, asset_id)}{safe_filename(filename)}"


WHOLE = "whole"
CHUNKS = "temp/chunks/"


def parts_prefix(upload_id: str) -> str:
    """The parts of an upload that is on its way."""
    return f"{CHUNKS}{upload_id}/"


def part_key(upload_id: str) -> str:
    """A part; one that is sent again never touches the one before."""
    return f"{parts_prefix(upload_id)}{uuid.uuid4().hex}"


def placed_key(upload_id: str) -> str:
    """Where the parts of an upload lie that could be written to their places at once."""
    return f"{parts_prefix(upload_id)}{WHOLE}"


def is_placed(key: str) -> bool:
    """Whether a part lies there together with others."""
    return key.endswith(f"/{WHOLE}")


def source_key(user_id: str, job_id: str, name: str, filename: str) -> str:
    """A file that came in with a job."""
    return f"{job_prefix(user_id, job_id)}source/{name}/{safe_filename(filename)}"


def artifact_key(user_id: str, job_id: str, run: StepRun, output: str, filename: str) -> str:
    """A file that a step made, in one attempt: a later one never replaces what an earlier one published."""
    return f"{job_prefix(user_id, job_id)}steps/{run.step_id}/{run.attempt}/{output}/{safe_filename(filename)}"


def result_key(user_id: str, job_id: str, index: int, filename: str) -> str:
    """A file that a job gives back."""
    return f"{job_prefix(user_id, job_id)}result/{index}/{safe_filename(filename)}"


class Workspaces:
    """Scratch folders, one for each running step.

    Args:
        root: of all of them; the data folder's `work`.
        owner: the worker. Each has folders of its own, so that one that slept through its lease, and its steps, cannot
            touch the files of the worker that took the job over.
    """

    def __init__(self, root: Path, owner: str) -> None:
        self.root = root
        self._owner = owner

    def folder(self, job_id: str, step_id: str) -> Path:
        """Where a step works."""
        return self.root / job_id / self._owner / step_id

    def make(self, job_id: str, step_id: str) -> Path:
        """An empty folder for a step; what an earlier attempt left is gone."""
        folder = self.folder(job_id, step_id)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            remove_folder(folder)
            folder.mkdir()
        return folder

    def remove(self, job_id: str, step_id: str | None = None) -> None:
        """Remove a step's folder, or all that this worker has of a job."""
        mine = self.root / job_id / self._owner
        remove_folder(mine / step_id if step_id else mine)
        with contextlib.suppress(OSError):  # while another step or worker has something there
            mine.rmdir()
        with contextlib.suppress(OSError):
            mine.parent.rmdir()

    def sweep(self, keep: Collection[str]) -> int:
        """Remove the folders of jobs that no worker has in hand. Returns how many."""
        gone = [p for p in self.root.iterdir() if p.is_dir() and p.name not in keep] if self.root.is_dir() else []
        for folder in gone:
            remove_folder(folder)
        return len(gone)
