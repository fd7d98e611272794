"""Removing jobs and files for good: the rows first, since a row without its file would be a lie."""

from __future__ import annotations

import asyncio
import contextlib

from vtid.db import Assets, Derived, Jobs, content_of
from vtid.engine.layout import job_prefix
from vtid.errors import Conflict, NotFound
from vtid.storage import Storage


class Removal:
    """Removes what its owner no longer wants.

    Args:
        jobs: that there are.
        assets: files that came in.
        derived: what was made of their contents.
        storage: where files lie.
    """

    def __init__(self, jobs: Jobs, assets: Assets, derived: Derived, storage: Storage) -> None:
        self._jobs = jobs
        self._assets = assets
        self._derived = derived
        self._storage = storage

    async def job(self, job_id: str, user_id: str) -> None:
        """Remove an ended job with its files, and the previews of these.

        Raises:
            NotFound: no such job.
            Conflict: it has not ended, or another job works on a file that came with it.
        """
        own = await self._assets.of_job(job_id)
        keys, shared = await self._jobs.delete(job_id, user_id)
        for key in keys:
            await asyncio.to_thread(self._storage.delete, key)
        await asyncio.to_thread(self._storage.delete_prefix, job_prefix(user_id, job_id), shared)
        for content in {content_of(asset) for asset in own if asset.key in keys}:
            await self._of_content(content, user_id)

    async def asset(self, asset_id: str, user_id: str) -> None:
        """Remove a file that came in; its bytes go with the last that refers to them, and so do its previews.

        Raises:
            NotFound: no such file.
            Conflict: a job that has not ended works on it.
        """
        content = content_of(await self._assets.get(asset_id, user_id))
        key = await self._assets.delete(asset_id, user_id)
        if key:
            await asyncio.to_thread(self._storage.delete, key)
            await self._of_content(content, user_id)

    async def _of_content(self, content: str, user_id: str) -> None:
        """Remove what was made of a content that is gone."""
        for job_id in await self._derived.jobs_of(user_id, content):
            with contextlib.suppress(Conflict, NotFound):  # one still works on a copy of it, or went with another
                await self.job(job_id, user_id)
