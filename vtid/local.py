"""Running a pipeline here and now, without a daemon: the same intake, runner and delivery, a short-lived database."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psutil

from vtid.config import Config
from vtid.domain.artifact import Artifact
from vtid.domain.job import Job, Result, StepRun
from vtid.domain.media import writable_ending
from vtid.engine.bridge import Bridge
from vtid.engine.prober import Prober, folder_in
from vtid.errors import Conflict, DiskFull, InvalidInput, Problem, StorageError

if TYPE_CHECKING:
    from vtid.app import App

POLL_S = 0.1
SCRATCH_PREFIX = ".vtid-run-"


@contextlib.contextmanager
def local_run(config: Config, near: Path) -> Iterator[LocalRun]:
    """An application for one command.

    Args:
        config: as loaded; its data folder, database and queue are replaced, its models stay.
        near: the folder for scratch files: where the results go, so that they need no second copy.
    """
    near = near.absolute()  # a step's process works in a folder of its own, where a relative path means another file
    try:
        near.mkdir(parents=True, exist_ok=True)
        _sweep(near)
        scratch = Path(tempfile.mkdtemp(prefix=f"{SCRATCH_PREFIX}{os.getpid()}-", dir=near))
    except OSError as error:
        raise StorageError(
            f"{near} cannot be written: {error.strerror}", suggestion="Name another place with -o."
        ) from error
    replaced = msgspec.structs.replace(
        config,
        data=msgspec.structs.replace(config.data, path=scratch),
        database=msgspec.structs.replace(config.database, url=""),
        queue=msgspec.structs.replace(config.queue, url=""),
        storage=msgspec.structs.replace(config.storage, kind="local"),
        models=msgspec.structs.replace(config.models, path=config.models_path),
        workers=msgspec.structs.replace(config.workers, count=1),
        server=msgspec.structs.replace(config.server, public_url=None),  # nobody listens to callbacks here
    )
    bridge, prober = Bridge(), Prober(folder_in(scratch))
    try:
        prober.begin()  # the first file will be looked at as soon as the application is there
        from vtid.app import build  # noqa: PLC0415 - 0.3 s, in which that process starts

        app = build(replaced, ring=lambda _job_id: None, prober=prober)
        try:
            yield LocalRun(app, bridge)
        finally:
            bridge.run(app.close())
    finally:
        prober.close()
        bridge.close()
        shutil.rmtree(scratch, ignore_errors=True)


def _sweep(near: Path) -> None:
    """Remove the scratch folders of runs that were killed."""
    for folder in near.glob(f"{SCRATCH_PREFIX}*"):
        pid = folder.name.removeprefix(SCRATCH_PREFIX).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


class LocalRun:
    """Runs jobs one after another in this process."""

    def __init__(self, app: App, bridge: Bridge) -> None:
        self.app = app
        self.bridge = bridge
        self._work = app.work()
        self._runner = app.runner(bridge, self._work)

    def submit(
        self,
        source: Path | None,
        pipeline: str,
        params: Mapping[str, Any],
        more: Mapping[str, Path] | None = None,
        urls: Mapping[str, str] | None = None,
    ) -> Job:
        """Take a job in, as every other door does.

        Args:
            source: the video, where there is one.
            pipeline: its name.
            params: of the job.
            more: files beside the video, by the source that they are.
            urls: of files that the job fetches; they were checked.
        """

        async def intake() -> Job:
            async with self.app.intake.draft("local") as draft:
                if source is not None:
                    draft.put("video", source)
                for name, path in (more or {}).items():
                    draft.put(name, path)
                for name, url in (urls or {}).items():
                    draft.use_url(name, url)
                return await draft.submit(pipeline=pipeline, params=params)

        return self.bridge.run(intake())

    def finish(self, job_id: str, watch: Callable[[Job], None] | None = None) -> Job:
        """Run a job to its end, telling `watch` ten times a second how it stands, where there is anybody to tell.

        Ctrl-C, or anything that `watch` raises, cancels the job first.
        """
        stop, failed = threading.Event(), list[BaseException]()

        def turns() -> None:
            try:
                self._turns(job_id, stop)
            except BaseException as error:  # noqa: BLE001 - such as a full disk: told where somebody waits
                failed.append(error)

        thread = threading.Thread(target=turns, name="vtid-run")
        thread.start()
        try:
            while thread.is_alive():
                thread.join(POLL_S)
                if watch is not None:
                    watch(self.job(job_id))
        except BaseException:
            from vtid.engine.control import Reason  # noqa: PLC0415 - as `build`

            stop.set()
            self._runner.stop(job_id, Reason.CANCELLED)
            thread.join()
            raise
        if failed:
            raise failed[0]
        return self.job(job_id)

    def _turns(self, job_id: str, stop: threading.Event) -> None:
        """Run the job's turns until it has ended; between two it waits for its wake-up."""
        while not stop.is_set():
            self._runner.run(job_id)
            job = self.job(job_id)
            if job.status.ended:
                return
            stop.wait(max(POLL_S / 10, (job.wake_at or 0) - time.time()))

    def job(self, job_id: str) -> Job:
        """How the job stands."""
        return self.bridge.run(self.app.jobs.get(job_id))

    def steps(self, job_id: str) -> Sequence[StepRun]:
        """How its steps stand."""
        return self.bridge.run(self.app.jobs.runs(job_id))

    def artifacts(self, job_id: str) -> Sequence[Artifact]:
        """Every file that its steps made."""
        return self.bridge.run(self.app.jobs.artifacts(job_id))

    def require_ending(self, pipeline: str, target: Path) -> None:
        """Refuse, before any work, a name that promises a container in which no video can be written.

        Raises:
            InvalidInput: the pipeline's first result is a video, and the ending will not do.
        """
        found = self.app.pipelines.get(pipeline)
        step, _, output = found.deliver[0].references[0].partition(".") if found.deliver else ("", "", "")
        uses = next((self.app.plugins.specs[one.uses] for one in found.steps if one.id == step), None)
        port = uses.output(output) if uses else None
        if port and port.kind == "video" and writable_ending(target) != target.suffix.lower():
            raise _unfit(target.suffix)

    def deliver(self, job: Job, index: int, target: Path, *, overwrite: bool) -> Path:
        """Put a result into a folder of the person's: whole or not at all.

        Raises:
            Conflict: the target exists and `overwrite` was not said.
        """
        return self.write(job.results[index], target, overwrite=overwrite)

    def write(self, result: Result | Artifact, target: Path, *, overwrite: bool) -> Path:
        """Put any file of a job into a folder of the person's, as `deliver` does."""
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            self.app.storage.fetch(result.key, staged)
            if result.kind == "video" and Path(result.filename).suffix.lower() != target.suffix.lower():
                _rewrap(staged, target.suffix)
            place(staged, target, overwrite=overwrite)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(f"There is no room for {target}.") from error
            raise StorageError(f"{target} cannot be written: {error.strerror}") from error
        finally:
            staged.unlink(missing_ok=True)
        return target


def _rewrap(staged: Path, suffix: str) -> None:
    """Put a video into the container that its new name promises, packet by packet.

    Raises:
        InvalidInput: that container cannot hold it.
    """
    from vtid.media import remux  # noqa: PLC0415 - heavy, and rarely needed

    wrapped = staged.with_name(f"{staged.name}{suffix}")
    try:
        lost = remux(staged, wrapped)
        if lost:
            raise InvalidInput(", ".join(lost))
        wrapped.replace(staged)
    except InvalidInput as error:
        raise _unfit(suffix) from error
    finally:
        wrapped.unlink(missing_ok=True)


def _unfit(suffix: str) -> InvalidInput:
    words = f'the result cannot go into a file that ends in "{suffix}"'
    suggestion = "Use another ending, or a folder; .mkv holds nearly everything."
    return InvalidInput(words, problems=[Problem("-o", words)], suggestion=suggestion)


def place(staged: Path, target: Path, *, overwrite: bool) -> None:
    """Rename a finished file into place; without `overwrite`, never onto a file that appeared meanwhile."""
    if overwrite:
        staged.replace(target)
        return
    try:
        target.hardlink_to(staged)  # unlike a rename, this fails where the name is taken
    except FileExistsError:
        raise Conflict(f"{target} exists already.", suggestion="Choose another name, or say --overwrite.") from None
    except OSError:  # a file system without links
        if target.exists():
            raise Conflict(f"{target} exists already.", suggestion="Choose another name, or say --overwrite.") from None
        staged.rename(target)
