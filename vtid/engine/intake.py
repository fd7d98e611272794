"""The door in: files and wishes become a job, checked whole, in one transaction, or leave nothing behind."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from vtid.accounts import Accounts, pricing
from vtid.db import Jobs, NewJob
from vtid.domain.artifact import Asset
from vtid.domain.job import Job, JobStatus
from vtid.domain.media import MediaInfo
from vtid.domain.pipeline import Pipeline, freeze
from vtid.engine.isolation import remove_folder
from vtid.engine.layout import job_prefix, source_key
from vtid.engine.prober import Prober
from vtid.errors import InvalidInput, Problem
from vtid.models import Store, model_problems
from vtid.pipelines import Pipelines
from vtid.plugins import Plugins
from vtid.storage import Storage, Writer

PROBED_KINDS = ("video", "audio")


class Source(Struct, frozen=True):
    """A file of a draft, already stored."""

    filename: str
    key: str
    asset: Asset | None = None
    """Set when the file had come in before."""


class Intake:
    """Every way in ends here: uploads, URLs, hot folders, the command line.

    Args:
        jobs: the database's side of jobs.
        storage: where files go.
        pipelines: that there are.
        plugins: whose steps check their params.
        prober: looks at files.
        ring: tells the queue of a new job.
        scratch: a folder on the way of files to the prober.
        models: that params may name.
        accounts: who pays.
    """

    def __init__(
        self,
        jobs: Jobs,
        storage: Storage,
        pipelines: Pipelines,
        plugins: Plugins,
        prober: Prober,
        ring: Callable[[str], None],
        scratch: Path,
        models: Store,
        accounts: Accounts,
    ) -> None:
        self.jobs = jobs
        self.storage = storage
        self.pipelines = pipelines
        self.plugins = plugins
        self.prober = prober
        self.ring = ring
        self.scratch = scratch
        self.models = models
        self.accounts = accounts

    def estimate(self, pipeline: Pipeline, seconds: float) -> int:
        """Credits that a job of a pipeline will probably cost, given the length of its longest video."""
        return pricing.estimate(pipeline, self.plugins.specs, seconds, self.accounts.config.credits.per_second)

    @asynccontextmanager
    async def draft(self, user_id: str) -> AsyncIterator[Draft]:
        """A job in the making; its files are removed if the block ends before `submit` was reached."""
        draft = Draft(self, user_id, str(uuid.uuid4()))
        try:
            yield draft
        finally:
            if not draft.submitted:
                await asyncio.shield(asyncio.to_thread(self.storage.delete_prefix, job_prefix(user_id, draft.job_id)))


class Draft:
    """A job in the making: put its files in, then submit it."""

    def __init__(self, intake: Intake, user_id: str, job_id: str) -> None:
        self._intake = intake
        self.user_id = user_id
        self.job_id = job_id
        self.submitted = False
        self.sources: dict[str, Source] = {}

    def writer(self, name: str, filename: str) -> Writer:
        """Store a stream as the source `name`. Blocks."""
        return self._intake.storage.writer(self._keep(name, filename))

    def put(self, name: str, path: Path, filename: str | None = None, *, move: bool = False) -> None:
        """Store a local file as the source `name`. Blocks."""
        self._intake.storage.put(self._keep(name, filename or path.name), path, move=move)

    def use_asset(self, name: str, asset: Asset) -> None:
        """Take a file that came in before as the source `name`."""
        self.sources[name] = Source(asset.filename, asset.key, asset)

    def _keep(self, name: str, filename: str) -> str:
        key = source_key(self.user_id, self.job_id, name, filename)
        self.sources[name] = Source(filename, key)
        return key

    async def submit(
        self,
        *,
        pipeline: str,
        params: Mapping[str, Any],
        display_name: str | None = None,
        idempotency_key: str | None = None,
        seconds: float | None = None,
    ) -> Job:
        """Check everything, store the job, hold back what it will cost, ring the queue.

        Args:
            pipeline: its name.
            params: of the job.
            display_name: for people.
            idempotency_key: that was reserved for this job.
            seconds: of its output, where that is known to differ from its longest video.

        Raises:
            NotFound, PipelineError, Unavailable: about the pipeline.
            MediaError, UnsupportedMedia: about a file.
            InvalidInput: about params, with every problem.
            InsufficientCredits: its owner cannot pay for it.
        """
        found = self._intake.pipelines.get(pipeline)
        frozen, job_params = freeze(found, self._intake.plugins.specs, params)
        self._check_sources(frozen)
        assets = {name: await self._asset(name, source) for name, source in self.sources.items()}
        infos = {name: a.info for name, a in assets.items() if a.info}
        self._check_steps(frozen, infos)
        first = next(iter(self.sources.values()), None)
        job = Job(
            id=self.job_id,
            user_id=self.user_id,
            status=JobStatus.QUEUED,
            pipeline=frozen,
            params=job_params,
            inputs={name: a.id for name, a in assets.items()},
            original_filename=first.filename if first else pipeline,
            display_name=display_name,
            estimated_credits=self._intake.estimate(
                frozen, pricing.longest(infos.values()) if seconds is None else seconds
            ),
            metered=await self._intake.accounts.is_metered(self.user_id),
        )
        new = [a for name, a in assets.items() if self.sources[name].asset is None]
        stored = await self._intake.jobs.add(NewJob(job, new, idempotency_key))
        self.submitted = True
        await asyncio.to_thread(self._intake.ring, job.id)
        return stored

    def _check_sources(self, pipeline: Pipeline) -> None:
        """Every source that the pipeline cannot do without is there, and none that it does not know."""
        needed = pipeline.sources()
        problems = [
            Problem(name, f"the pipeline {pipeline.name} needs this file", "missing")
            for name in sorted(self._required_sources(pipeline) - self.sources.keys())
        ]
        problems += [
            Problem(
                name,
                f"{pipeline.name} takes no file of this name; it takes: {', '.join(sorted(needed)) or 'none'}",
                "unknown",
            )
            for name in sorted(self.sources.keys() - needed)
        ]
        if problems:
            raise InvalidInput(str(problems[0]), problems=problems)

    def _required_sources(self, pipeline: Pipeline) -> set[str]:
        """Sources that are the only choice of an input that its step cannot do without."""
        specs = self._intake.plugins.specs
        return {
            refs[0].partition(".")[2]
            for step in pipeline.steps
            for name, refs in step.inputs.items()
            if len(refs) == 1 and refs[0].startswith("source.") and step.when is None
            if (port := specs[step.uses].input(name)) is None or port.required
        }

    async def _asset(self, name: str, source: Source) -> Asset:
        if source.asset:
            return source.asset
        kind = name if name in (*PROBED_KINDS, "image", "subtitles") else "file"
        stat = await asyncio.to_thread(self._intake.storage.stat, source.key)
        info = await asyncio.to_thread(self._probe, kind, source) if kind in PROBED_KINDS else None
        return Asset(str(uuid.uuid4()), kind, source.filename, stat.size, source.key, 0.0, info)

    def _probe(self, kind: str, source: Source) -> MediaInfo:
        """Look at a stored file under its owner's name for it. Raises `MediaError` where it is not what it should."""
        local = self._intake.scratch / self.job_id / kind / Path(source.key).name
        try:
            self._intake.storage.fetch(source.key, local, link=True)
            return self._intake.prober.probe(local, kind)
        finally:
            remove_folder(self._intake.scratch / self.job_id)

    def _check_steps(self, pipeline: Pipeline, infos: Mapping[str, MediaInfo]) -> None:
        """Ask each step whether its params fit the files that it will get."""
        problems: list[Problem] = []
        for step in pipeline.steps:
            spec = self._intake.plugins.specs[step.uses]
            wired = {
                name: infos[ref[7:]]
                for name, refs in step.inputs.items()
                for ref in refs[:1]
                if ref.startswith("source.") and ref[7:] in infos
            }
            params = msgspec.convert(step.with_, spec.params, strict=False)
            try:
                found = self._intake.plugins.step(step.uses).check(params, wired)
            except InvalidInput as error:
                found = error.problems or [Problem("", error.message)]
            found = [*found, *model_problems(spec.params, step.with_, self._intake.models)]
            problems += [Problem(f"{step.id}.{p.field}".rstrip("."), p.message, p.code) for p in found]
        if problems:
            raise InvalidInput(str(problems[0]), problems=problems)
