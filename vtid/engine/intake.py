"""The door in: files and wishes become a job, checked whole, in one transaction, or leave nothing behind."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from vtid.accounts import Accounts, pricing
from vtid.db import Assets, Awaited, Derivation, Editing, Jobs, NewJob
from vtid.db.assets import require_quota
from vtid.domain.artifact import Asset
from vtid.domain.job import Job, JobStatus
from vtid.domain.media import MediaInfo
from vtid.domain.pipeline import Pipeline, freeze, kind_of, stands_for
from vtid.domain.webhook import Webhook
from vtid.engine.delivery import target_of
from vtid.engine.examining import Examined, Examiner, Incoming, check_kind
from vtid.engine.layout import job_prefix, source_key
from vtid.engine.registrar import Registrar
from vtid.errors import Forbidden, InvalidInput, NotFound, Problem, TooLarge
from vtid.models import Store, model_problems
from vtid.net import filename_of
from vtid.pipelines import Pipelines
from vtid.plugins import Plugins
from vtid.sealing import Sealer
from vtid.storage import Storage
from vtid.storage.base import safe_filename
from vtid.storage.buckets import Buckets
from vtid.storage.hashing import HashingWriter


class Source(Struct, frozen=True):
    """A file of a draft, already stored."""

    filename: str
    key: str
    asset: Asset | None = None
    """Set when the file had come in before."""
    writer: HashingWriter | None = None
    """Through which it came, where it did."""
    place: str = ""
    """What the request calls it, for complaints."""
    url: str = ""
    """Set when the job is to fetch it, as its first work; then nothing is stored yet."""


class Intake:
    """Every way in ends here: uploads, URLs, hot folders, the command line.

    Args:
        jobs: the database's side of jobs.
        assets: the same of files that came in.
        storage: where files go.
        buckets: that jobs may read and fill.
        max_bytes: of one file that is fetched.
        pipelines: that there are.
        plugins: whose steps check their params.
        examiner: judges files.
        quota: bytes that a user may have stored; None: no limit.
        ring: tells the queue of a new job.
        models: that params may name.
        accounts: who pays.
        sealer: keeps URLs, which may carry a key.
        registrar: of receivers that jobs call back.
    """

    def __init__(
        self,
        jobs: Jobs,
        assets: Assets,
        storage: Storage,
        buckets: Buckets,
        max_bytes: int,
        pipelines: Pipelines,
        plugins: Plugins,
        examiner: Examiner,
        quota: Callable[[str], Coroutine[Any, Any, int | None]],
        ring: Callable[[str], None],
        models: Store,
        accounts: Accounts,
        sealer: Sealer,
        registrar: Registrar,
    ) -> None:
        self.jobs = jobs
        self.assets = assets
        self.storage = storage
        self.buckets = buckets
        self.max_bytes = max_bytes
        self.pipelines = pipelines
        self.plugins = plugins
        self.examiner = examiner
        self.quota = quota
        self.ring = ring
        self.models = models
        self.accounts = accounts
        self.sealer = sealer
        self.registrar = registrar

    def estimate(self, pipeline: Pipeline, seconds: float) -> int:
        """Credits that a job of a pipeline will probably cost, given the length of its longest video."""
        return pricing.estimate(pipeline, self.plugins.specs, seconds, self.accounts.config.credits.per_second)

    async def require_quota(self, user_id: str, more: int) -> None:
        """Raise `QuotaExceeded` where a user may not have so many bytes more stored."""
        quota = await self.quota(user_id) if more > 0 else None
        if quota is not None:
            require_quota((await self.assets.usage(user_id)).total, more, quota)

    async def require_paid(self, user_id: str, pipeline: Pipeline) -> None:
        """Raise `Forbidden` where a pipeline costs the operator money and the tier of the user allows none of that."""
        paid = pricing.paid_steps(pipeline, self.plugins.specs)
        tier = await self.accounts.tier_by_id(user_id) if paid else None
        if tier is not None and not tier.paid_steps:
            words = (
                f"The pipeline {pipeline.name} uses {', '.join(paid)}, which costs the operator money with every job"
            )
            raise Forbidden(f"{words}; your tier does not allow that.", suggestion="Ask for a tier with paid_steps.")

    async def examine(self, user_id: str, source: str, filename: str, key: str, sha256: str | None = None) -> Examined:
        """What a stored file is, which came for the source of that name. Raises as `Examiner.examine` does."""
        kind = kind_of(source) or "file"
        return await self.examiner.examine(user_id, Incoming(str(uuid.uuid4()), filename, key, kind, sha256))

    def check_steps(self, pipeline: Pipeline, infos: Mapping[str, MediaInfo]) -> None:
        """Ask each step whether its params fit the files that it will get. Raises `InvalidInput`."""
        problems: list[Problem] = []
        for step in pipeline.steps:
            spec = self.plugins.specs[step.uses]
            wired = {
                source if ref.endswith("*") else name: info
                for name, refs in step.inputs.items()
                for ref in (refs if spec.takes_many(name) else refs[:1])
                for source, info in infos.items()
                if ref.startswith("source.") and stands_for(ref[7:], source)
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
        self._callback: Webhook | None = None
        self._looked_at: tuple[dict[str, Asset], list[Examined]] | None = None
        self._metadata: dict[str, Any] = {}
        self._editing = Editing()
        self._derivation: Derivation | None = None

    def writer(self, name: str, filename: str, place: str = "") -> HashingWriter:
        """Store a stream as the source `name`; complaints about it name `place`. Blocks.

        Raises:
            InvalidInput: there is a file for that source already.
        """
        self._require_first(name, place)
        key = source_key(self.user_id, self.job_id, name, filename)
        writer = HashingWriter(self._intake.storage.writer(key))
        self.sources[name] = Source(filename, key, writer=writer, place=place)
        return writer

    def put(self, name: str, path: Path, filename: str | None = None, *, move: bool = False) -> None:
        """Store a local file as the source `name`. Blocks."""
        filename = filename or path.name
        key = source_key(self.user_id, self.job_id, name, filename)
        self._intake.storage.put(key, path, move=move)
        self.sources[name] = Source(filename, key)

    def use_asset(self, name: str, asset: Asset, place: str = "asset_id") -> None:
        """Take a file that came in before as the source `name`.

        Raises:
            MediaError: it is of another kind; `place` of the request is named in the complaint.
            InvalidInput: there is a file for that source already.
        """
        self._require_first(name, place)
        check_kind(asset, name, place)
        self.sources[name] = Source(asset.filename, asset.key, asset)

    def _require_first(self, name: str, place: str) -> None:
        if name in self.sources:
            problem = Problem(place or name, f"is a second file for {name}; send one", "ambiguous")
            raise InvalidInput(str(problem), problems=[problem])

    async def submit(
        self,
        *,
        pipeline: str,
        params: Mapping[str, Any],
        display_name: str | None = None,
        idempotency_key: str | None = None,
        seconds: float | None = None,
        dropped: str | None = None,
    ) -> Job:
        """Check everything, store the job, hold back what it will cost, ring the queue.

        Args:
            pipeline: its name.
            params: of the job.
            display_name: for people.
            idempotency_key: that was reserved for this job.
            seconds: of its output, where that is known to differ from its longest video.
            dropped: id of the file of a hot folder that becomes this job, which it can do once.

        Raises:
            NotFound, PipelineError, Unavailable: about the pipeline.
            MediaError, UnsupportedMedia: about a file.
            QuotaExceeded: about all files of the user.
            InvalidInput: about params, with every problem.
            InsufficientCredits: its owner cannot pay for it.
            Forbidden: it would cost the operator, and the tier of its owner does not allow that.
            Conflict: the file of a hot folder has become a job before.
        """
        found = self._intake.pipelines.get(pipeline)
        await self._intake.require_paid(self.user_id, found)
        frozen, job_params = freeze(found, self._intake.plugins.specs, params)
        self._check_sources(frozen)
        self._check_targets(frozen)
        assets, new = self._looked_at or await self._assets()
        infos = {name: a.info for name, a in assets.items() if a.info}
        self._intake.check_steps(frozen, infos)
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
            metadata=self._metadata,
            estimated_credits=self._intake.estimate(
                frozen, pricing.longest(infos.values()) if seconds is None else seconds
            ),
            metered=await self._intake.accounts.is_metered(self.user_id),
        )
        shared = frozenset(e.asset.id for e in new if e.shares)
        seal = self._intake.sealer.seal
        awaited = [Awaited(name, seal(s.url), s.filename) for name, s in self.sources.items() if s.url]
        fresh = [e.asset for e in new]
        quota = await self._intake.quota(self.user_id)
        made = NewJob(job, fresh, awaited, self._callback, idempotency_key, shared, quota, dropped, self._editing)
        made = msgspec.structs.replace(made, derivation=self._derivation)
        stored = await self._intake.jobs.add(made)
        self.submitted = True
        for spare in [e.spare for e in new if e.spare]:
            await asyncio.to_thread(self._intake.storage.delete, spare)
        await asyncio.to_thread(self._intake.ring, job.id)
        return stored

    async def examine(self) -> Mapping[str, Asset]:
        """Look at the files now, for who has to know what they are before `submit`; no more may come then.

        Raises:
            MediaError, UnsupportedMedia, QuotaExceeded: as `submit` does.
        """
        self._looked_at = self._looked_at or await self._assets()
        return self._looked_at[0]

    def note(self, metadata: Mapping[str, Any], editing: Editing) -> None:
        """Have the job keep what its owner asked for."""
        self._metadata, self._editing = dict(metadata), editing

    def derive(self, derivation: Derivation) -> None:
        """Say that what it makes depends on the content of one file alone. `submit` may then raise `AlreadyMade`."""
        self._derivation = derivation

    def use_url(self, name: str, url: str) -> None:
        """Have the job fetch the source `name` from a URL, which was checked."""
        self.sources[name] = Source(safe_filename(filename_of(url), "download"), "", url=url)

    def call_back(self, url: str) -> None:
        """Have a URL told when the job has ended. Raises `InvalidInput` where it is none that may be reached."""
        self._callback = self._intake.registrar.callback(self.user_id, self.job_id, url)

    async def use_bucket(self, name: str, url: str, place: str = "video_url") -> None:
        """Bring a file from a bucket as the source `name`, piece by piece.

        Raises:
            InvalidInput: `place` names no bucket that is open, or nothing in it.
            TooLarge: more than may come in.
        """
        buckets, most = self._intake.buckets, self._intake.max_bytes
        bucket, key = buckets.locate(url, self.user_id, place)
        try:
            size = (await asyncio.to_thread(buckets.stat, bucket, key)).size
        except NotFound:
            message = f"there is nothing at {url}"
            raise InvalidInput(f"{place}: {message}.", problems=[Problem(place, message, "not_found")]) from None
        if size > most:
            message = f"{url} has {size >> 20} MB; at most {most >> 20} MB come in"
            raise TooLarge(f"{message}.", problems=[Problem(place, message, "too_large")])
        await self._intake.require_quota(self.user_id, size)
        writer = self.writer(name, safe_filename(key, "video"))

        def bring() -> None:
            with writer:
                for piece in buckets.read(bucket, key):
                    writer.write(piece)

        await asyncio.to_thread(bring)

    def _check_sources(self, pipeline: Pipeline) -> None:
        """Every source that the pipeline cannot do without is there, and none that it does not know."""
        needed = pipeline.sources()
        problems = []
        for names in sorted(self._required_sources(pipeline)):
            if not any(stands_for(name, given) for name in names for given in self.sources):
                what = "this file" if len(names) == 1 else f"one of the files {', '.join(names)}"
                problems.append(Problem(names[-1], f"the pipeline {pipeline.name} needs {what}", "missing"))
        problems += [
            Problem(
                name,
                f"{pipeline.name} takes no file of this name; it takes: {', '.join(sorted(needed)) or 'none'}",
                "unknown",
            )
            for name in sorted(self.sources)
            if not any(stands_for(wanted, name) for wanted in needed)
        ]
        if problems:
            raise InvalidInput(str(problems[0]), problems=problems)

    def _check_targets(self, pipeline: Pipeline) -> None:
        """Buckets that results go to are open to this user."""
        for at, wanted in enumerate(pipeline.deliver):
            if wanted.to:
                target_of(wanted, self._intake.buckets, self.user_id, self.job_id, pipeline.name, f"deliver[{at}].to")

    def _required_sources(self, pipeline: Pipeline) -> set[tuple[str, ...]]:
        """The sources of each input that its step cannot do without and that has no other choice: one must be there."""
        specs = self._intake.plugins.specs
        return {
            tuple(ref.partition(".")[2] for ref in refs)
            for step in pipeline.steps
            for name, refs in step.inputs.items()
            if refs and all(ref.startswith("source.") for ref in refs) and step.when is None
            if (port := specs[step.uses].input(name)) is None or port.required
        }

    async def _assets(self) -> tuple[dict[str, Asset], list[Examined]]:
        """The asset of each source that is here, and those that are new."""
        here = {name: source for name, source in self.sources.items() if not source.url}
        assets = {name: source.asset for name, source in here.items() if source.asset}
        new: list[Examined] = []
        refused: list[InvalidInput] = []
        for name, source in here.items():
            if source.asset is None:
                sha256 = source.writer.sha256 if source.writer else None
                try:
                    new.append(await self._intake.examine(self.user_id, name, source.filename, source.key, sha256))
                    assets[name] = new[-1].asset
                except InvalidInput as error:
                    refused.append(_at(source.place, error))
        if refused:
            problems = [problem for error in refused for problem in error.problems]
            raise type(refused[0])(refused[0].message, problems=problems, suggestion=refused[0].suggestion)
        await self._intake.require_quota(self.user_id, sum(e.asset.size for e in new if not e.shares))
        return {name: assets[name] for name in here}, new


def _at(place: str, error: InvalidInput) -> InvalidInput:
    """The same complaint, about a file that the request calls so."""
    found = error.problems or [Problem("", error.message, error.code)]
    problems = [msgspec.structs.replace(one, field=one.field or place) for one in found]
    return type(error)(error.message, problems=problems, suggestion=error.suggestion)
