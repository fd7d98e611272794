"""Where things lie: storage keys of a job's files, scratch folders of its steps."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from pathlib import Path

from vtid.engine.isolation import remove_folder
from vtid.storage.base import safe_filename


def job_prefix(user_id: str, job_id: str) -> str:
    """Everything that belongs to a job."""
    return f"users/{user_id}/jobs/{job_id}/"


def source_key(user_id: str, job_id: str, name: str, filename: str) -> str:
    """A file that came in with a job."""
    return f"{job_prefix(user_id, job_id)}source/{name}/{safe_filename(filename)}"


def artifact_key(user_id: str, job_id: str, step_id: str, output: str, filename: str) -> str:
    """A file that a step made."""
    return f"{job_prefix(user_id, job_id)}steps/{step_id}/{output}/{safe_filename(filename)}"


def result_key(user_id: str, job_id: str, index: int, filename: str) -> str:
    """A file that a job gives back."""
    return f"{job_prefix(user_id, job_id)}result/{index}/{safe_filename(filename)}"


class Workspaces:
    """Scratch folders, one for each running step.

    Args:
        root: of all of them; the data folder's `work`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def make(self, job_id: str, step_id: str) -> Path:
        """An empty folder for a step; what an earlier attempt left is gone."""
        folder = self.root / job_id / step_id
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            remove_folder(folder)
            folder.mkdir()
        return folder

    def remove(self, job_id: str, step_id: str | None = None) -> None:
        """Remove a step's folder, or all of a job's."""
        remove_folder(self.root / job_id / step_id if step_id else self.root / job_id)
        if step_id:
            with contextlib.suppress(OSError):
                (self.root / job_id).rmdir()

    def sweep(self, keep: Collection[str]) -> int:
        """Remove the folders of jobs that no worker has in hand. Returns how many."""
        gone = [p for p in self.root.iterdir() if p.is_dir() and p.name not in keep] if self.root.is_dir() else []
        for folder in gone:
            remove_folder(folder)
        return len(gone)
