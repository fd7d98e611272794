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

from vtid.db import Awaited, Jobs, NewJob
from vtid.domain.artifact import Asset
from vtid.domain.job import Job, JobStatus
from vtid.domain.media import MediaInfo
from vtid.domain.pipeline import Pipeline, freeze
from vtid.domain.webhook import Webhook
from vtid.engine.isolation import remove_folder
from vtid.engine.layout import job_prefix, source_key
from vtid.engine.prober import Prober
from vtid.engine.registrar import Registrar
from vtid.errors import InvalidInput, Problem
from vtid.models import Store, model_problems
from vtid.net import filename_of
from vtid.pipelines import Pipelines
from vtid.plugins import Plugins
from vtid.sealing import Sealer
from vtid.storage import Storage, Writer
from vtid.storage.base import safe_filename

PROBED_KINDS = ("video", "audio")


class Source(Struct, frozen=True):
    """A file of a draft, already stored."""

    filename: str
    key: str
    asset: Asset | None = None
    """Set when the file had come in before."""
    url: str = ""
    """Set when the job is to fetch it, as its first work; then nothing is stored yet."""


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
        sealer: keeps URLs, which may carry a key.
        registrar: of receivers that jobs call back.
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
        sealer: Sealer,
        registrar: Registrar,
    ) -> None:
        self.jobs = jobs
        self.storage = storage
        self.pipelines = pipelines
        self.plugins = plugins
        self.prober = prober
        self.ring = ring
        self.scratch = scratch
        self.models = models
        self.sealer = sealer
        self.registrar = registrar

    @asynccontextmanager
    async def draft(self, user_id: str) -> AsyncIterator[Draft]:
        """A job in the making; its files are removed if the block ends before `submit` was reached."""
        draft = Draft(self, user_id, str(uuid.uuid4()))
        try:
            yield draft
        finally:
            if not draft.submitted:
                await asyncio.shield(asyncio.to_thread(self.storage.delete_prefix, job_prefix(user_id, draft.job_id)))

    def asset(self, name: str, filename: str, key: str, job_id: str) -> Asset:
        """What a stored file is, for the source `name`. Blocks.

        Raises:
            MediaError, UnsupportedMedia: not what it should be.
        """
        kind = name if name in (*PROBED_KINDS, "image", "subtitles") else "file"
        size = self.storage.stat(key).size
        info = self._probe(kind, key, job_id) if kind in PROBED_KINDS else None
        return Asset(str(uuid.uuid4()), kind, filename, size, key, 0.0, info)

    def _probe(self, kind: str, key: str, job_id: str) -> MediaInfo:
        """Look at a stored file under its owner's name for it. Raises `MediaError` where it is not what it should."""
        local = self.scratch / job_id / kind / Path(key).name
        try:
            self.storage.fetch(key, local, link=True)
            return self.prober.probe(local, kind)
        finally:
            remove_folder(self.scratch / job_id)

    def check_steps(self, pipeline: Pipeline, infos: Mapping[str, MediaInfo]) -> None:
        """Ask each step whether its params fit the files that it will get. Raises `InvalidInput`."""
        problems: list[Problem] = []
        for step in pipeline.steps:
            spec = self.plugins.specs[step.uses]
            wired = {
                name: infos[ref[7:]]
                for name, refs in step.inputs.items()
                for ref in refs[:1]
                if ref.startswith("source.") and ref[7:] in infos
            }
            params = msgspec.convert(step.with_, spec.params, strict=False)
            try:
                found = self.plugins.step(step.uses).check(params, wired)
            except InvalidInput as error:
                found = error.problems or [Problem("", error.message)]
            found = [*found, *model_problems(spec.params, step.with_, self.models)]
            problems += [Problem(f"{step.id}.{p.field}".rstrip("."), p.message, p.code) for p in found]
        if problems:
            raise InvalidInput(str(problems[0]), problems=problems)


class Draft:
    """A job in the making: put its files in, then submit it."""

    def __init__(self, intake: Intake, user_id: str, job_id: str) -> None:
        self._intake = intake
        self.user_id = user_id
        self.job_id = job_id
        self.submitted = False
        self.sources: dict[str, Source] = {}
        self._callback: Webhook | None = None

    def writer(self, name: str, filename: str) -> Writer:
        """Store a stream as the source `name`. Blocks."""
        return self._intake.storage.writer(self._keep(name, filename))

    def put(self, name: str, path: Path, filename: str | None = None, *, move: bool = False) -> None:
        """Store a local file as the source `name`. Blocks."""
        self._intake.storage.put(self._keep(name, filename or path.name), path, move=move)

    def use_asset(self, name: str, asset: Asset) -> None:
        """Take a file that came in before as the source `name`."""
        self.sources[name] = Source(asset.filename, asset.key, asset)

    def use_url(self, name: str, url: str) -> None:
        """Have the job fetch the source `name` from a URL, which was checked."""
        self.sources[name] = Source(safe_filename(filename_of(url), "download"), "", url=url)

    def call_back(self, url: str) -> None:
        """Have a URL told when the job has ended. Raises `InvalidInput` where it is none that may be reached."""
        self._callback = self._intake.registrar.callback(self.user_id, self.job_id, url)

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
    ) -> Job:
        """Check everything, store the job, ring the queue.

        Raises:
            NotFound, PipelineError, Unavailable: about the pipeline.
            MediaError, UnsupportedMedia: about a file.
            InvalidInput: about params, with every problem.
        """
        found = self._intake.pipelines.get(pipeline)
        frozen, job_params = freeze(found, self._intake.plugins.specs, params)
        self._check_sources(frozen)
        here = {name: source for name, source in self.sources.items() if not source.url}
        assets = {name: await self._asset(name, source) for name, source in here.items()}
        self._intake.check_steps(frozen, {name: a.info for name, a in assets.items() if a.info})
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
        )
        new = [a for name, a in assets.items() if self.sources[name].asset is None]
        seal = self._intake.sealer.seal
        awaited = [Awaited(name, seal(s.url), s.filename) for name, s in self.sources.items() if s.url]
        stored = await self._intake.jobs.add(NewJob(job, new, awaited, self._callback, idempotency_key))
        self.submitted = True
        await asyncio.to_thread(self._intake.ring, job.id)
        return stored

    async def _asset(self, name: str, source: Source) -> Asset:
        if source.asset:
            return source.asset
        return await asyncio.to_thread(self._intake.asset, name, source.filename, source.key, self.job_id)

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
