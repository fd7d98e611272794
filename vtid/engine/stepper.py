"""One step of one job: its files brought to a workspace, run in a process or in place, what it made kept in storage."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import Struct, field

from vtid.db import Work
from vtid.domain.artifact import FILE_TYPES, Artifact, Asset
from vtid.domain.job import Job, StepRun
from vtid.domain.pipeline import Step, stands_for
from vtid.domain.step import VALUE, StepSpec
from vtid.engine.bridge import Bridge
from vtid.engine.control import Control
from vtid.engine.encoders import Encoders
from vtid.engine.isolation import Watch
from vtid.engine.layout import Workspaces, artifact_key
from vtid.engine.links import DatabaseLink, Pace
from vtid.engine.prober import Prober
from vtid.engine.redoing import run_with_hardware
from vtid.engine.steps import Outcome, call
from vtid.engine.wire import Limits, StepTask
from vtid.errors import InvalidInput, StepCrashed, StepError
from vtid.models import Store
from vtid.plugins import Plugins
from vtid.sdk import Context, Media
from vtid.sealing import Sealer
from vtid.storage import Storage

StoredFile = Asset | Artifact
PROBED = ("video", "audio")
NAME_OF_ONE = re.compile(r"^[a-z0-9_]{1,32}$")
"""Of a file among several of one output."""


class Stepper:
    """Runs single steps.

    Args:
        work: this worker's view of the database.
        bridge: to it.
        storage: of files.
        plugins: whose steps run.
        prober: looks at what steps made.
        workspaces: scratch folders.
        limits: of a step's process.
        threads: that a step may keep busy.
        require_room: raises `DiskFull`.
        media: makes what steps that run in place see media with.
        models: that the operator added.
        callback_url: of plugin, job and step; None where services cannot reach this daemon.
        file_url: of a stored file, by key and name; None likewise.
        encoders: of this machine.
        sealer: of what steps do once.
    """

    def __init__(
        self,
        work: Work,
        bridge: Bridge,
        storage: Storage,
        plugins: Plugins,
        prober: Prober,
        workspaces: Workspaces,
        limits: Limits,
        threads: int,
        require_room: Callable[[], None],
        media: Callable[[], Media],
        models: Store,
        callback_url: Callable[[str, str, str], str | None],
        file_url: Callable[[str, str], str | None],
        encoders: Encoders,
        sealer: Sealer,
    ) -> None:
        self._work = work
        self._bridge = bridge
        self._storage = storage
        self._plugins = plugins
        self._prober = prober
        self._workspaces = workspaces
        self._limits = limits
        self._threads = threads
        self._require_room = require_room
        self._media = media
        self._models = models
        self._callback_url = callback_url
        self._file_url = file_url
        self._encoders = encoders
        self._sealer = sealer

    def run(
        self,
        job: Job,
        step: Step,
        run: StepRun,
        made: Mapping[str, Artifact],
        assets: Mapping[str, Asset],
        control: Control,
        deadline: float,
        pace: Pace,
        job_progress: Callable[[float], int],
        noted: Callable[[dict[str, Any]], None],
    ) -> Outcome:
        """Run a step once and say what came of it.

        Raises:
            StepFailed: it cannot run, crashed, or passed a limit.
        """
        if reason := self._plugins.unavailable(step.uses):
            raise StepError(f"{step.uses} cannot run: {reason}")
        spec = self._plugins.specs[step.uses]
        folder = self._workspaces.make(job.id, step.id)
        files = _Files(self._storage)
        inputs = self._inputs(spec, step, folder, made, assets, files)
        if not spec.lazy:
            for path in files.keys:
                files.bring(path)

        def stopped() -> None:
            control.check()
            if time.time() > deadline:
                raise StepCrashed(f"it took longer than {deadline - (run.started_at or 0):g} s and was stopped")

        link = DatabaseLink(
            self._work,
            self._bridge,
            job_id=job.id,
            step_id=step.id,
            pace=pace,
            job_progress=job_progress,
            title=step.title,
            says=step.says,
            stopped=stopped,
            noted=noted,
            sealer=self._sealer,
        )
        assert run.started_at is not None
        if not spec.isolated:
            return self._in_place(job, step, run, inputs, link, folder, files.bring)
        plugin = self._plugins.record(spec.plugin)
        task = StepTask(
            plugin=plugin.name,
            module=plugin.module,
            path=str(plugin.path) if plugin.path else None,
            step=step.uses,
            settings=plugin.settings_raw,
            params=step.with_,
            inputs=inputs,
            job_id=job.id,
            step_id=step.id,
            attempt=run.attempt,
            started_at=run.started_at,
            workspace=str(folder),
            threads=self._threads,
            limits=self._limits,
            models=str(self._models.folder),
            allow_non_commercial=self._models.allow_non_commercial,
            callback_url=self._callback_url(plugin.name, job.id, step.id),
            presets=self._plugins.presets,
        )
        watch = Watch(self._limits, deadline, control.check, self._require_room)

        def afresh() -> None:
            self._workspaces.make(job.id, step.id)
            for path in () if spec.lazy else files.keys:
                files.bring(path)

        return run_with_hardware(self._encoders, task, link, watch, afresh)

    def _in_place(
        self,
        job: Job,
        step: Step,
        run: StepRun,
        inputs: dict[str, Any],
        link: DatabaseLink,
        folder: Path,
        bring: Callable[[Path], None],
    ) -> Outcome:
        assert run.started_at is not None
        plugin = self._plugins.specs[step.uses].plugin
        context = Context(
            link,
            job_id=job.id,
            step_id=step.id,
            attempt=run.attempt,
            started_at=run.started_at,
            workspace=folder,
            media=cast("Media", _Aside(self._media, self._prober)),
            settings=self._plugins.settings(plugin),
            threads=self._threads,
            models=self._models,
            callback_url=self._callback_url(plugin, job.id, step.id),
            outputs=self._plugins.specs[step.uses].data(),
            bring=bring,
        )
        return call(self._plugins.step(step.uses), context, step.with_, inputs)

    # --- files in

    def _inputs(
        self,
        spec: StepSpec,
        step: Step,
        folder: Path,
        made: Mapping[str, Artifact],
        assets: Mapping[str, Asset],
        files: _Files,
    ) -> dict[str, Any]:
        """Give each input its file's place in the workspace, and the facts of it."""
        inputs: dict[str, Any] = {}
        for port in spec.inputs:
            refs = step.inputs.get(port.name, ())
            if port.many:
                found = all_that_exist(refs, made, assets)
                inputs[port.name] = {
                    name: self._input(folder, name, port.kind, file, files) for name, file in found.items()
                }
                missing = port.required and not found
            elif (single := first_that_exists(refs, made, assets)) is not None:
                inputs[port.name] = self._input(folder, port.name, port.kind, single, files)
                continue
            else:
                missing = port.required
            if missing:
                raise StepError(f"{step.title}: there is no {port.kind} for its input {port.name}.")
        return inputs

    def _input(self, folder: Path, name: str, kind: str, found: StoredFile, files: _Files) -> dict[str, Any]:
        """A file as it goes to the step."""
        path = input_path(folder, name, found)
        files.keys[path] = found.key
        url = self._file_url(found.key, found.filename)
        value: dict[str, Any] = {"path": str(path), "name": found.filename, "url": url}
        return value | ({"info": msgspec.to_builtins(found.info)} if kind in PROBED else {})

    # --- files out

    def keep(
        self,
        job: Job,
        step: Step,
        run: StepRun,
        outputs: dict[str, Any],
        assets: Mapping[str, Asset],
        made: Mapping[str, Artifact],
    ) -> tuple[list[Artifact], dict[str, Any]]:
        """Check and store what a step made.

        Returns:
            The files as artifacts, and the outputs that are data.

        Raises:
            StepCrashed: an output is not what the step said it is.
        """
        spec = self._plugins.specs[step.uses]
        kept = _Keeper(self._storage, self._prober, self._workspaces.folder(job.id, step.id), job, run, spec)
        known = {
            input_path(kept.folder, p.name, f): f
            for p in spec.inputs
            if not p.many and (f := first_that_exists(step.inputs.get(p.name, ()), made, assets))
        }
        artifacts = [
            kept.file(name, p.kind, value, known)
            for p in spec.outputs
            if p.kind != VALUE and outputs.get(p.name)
            for name, value in (each_of(p.name, outputs[p.name]) if p.many else ((p.name, outputs[p.name]),))
        ]
        return artifacts, {p.name: outputs[p.name] for p in spec.outputs if p.kind == VALUE and p.name in outputs}


class _Files(Struct):
    """The input files of one step: where each belongs in the workspace, and under which key it is stored."""

    storage: Storage
    keys: dict[Path, str] = field(default_factory=dict)

    def bring(self, path: Path) -> None:
        """Have a file there, as a copy: a step may do with it what it likes."""
        if path in self.keys and not path.exists():
            self.storage.fetch(self.keys[path], path)


class _Aside:
    """What steps that run in place see media with: a stranger's file is probed in the prober's process."""

    def __init__(self, media: Callable[[], Media], prober: Prober) -> None:
        self._media = media
        self.probe = prober.probe

    def __getattr__(self, name: str) -> Any:
        return getattr(self._media(), name)


class _Keeper(Struct):
    """Stores the files of one step."""

    storage: Storage
    prober: Prober
    folder: Path
    job: Job
    run: StepRun
    spec: StepSpec

    def file(self, output: str, kind: str, value: dict[str, Any], known: Mapping[Path, StoredFile]) -> Artifact:
        path = Path(value["path"])
        passed = known.get(path)
        if passed is not None:  # the step gave back what it got: the same bytes, stored once
            return self.artifact(output, kind, passed.filename, passed.size, passed.key, passed.info)
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise StepCrashed(f"it has a bug: its output {output} lies outside its workspace")
        if not path.is_file() or path.stat().st_size == 0:
            raise StepCrashed(f"it has a bug: its output {output} is {'empty' if path.is_file() else 'not there'}")
        info = self.probe(output, kind, path)
        stem, suffix = os.path.splitext(self.job.original_filename)  # noqa: PTH122 - a name, not a path
        filename = value.get("name") or f"{stem}{path.suffix or suffix}"
        key = artifact_key(self.job.user_id, self.job.id, self.run, output, filename)
        size = self.storage.put(key, path, move=True)
        return self.artifact(output, kind, filename, size, key, info)

    def probe(self, output: str, kind: str, path: Path) -> Any:
        if kind not in PROBED:
            return None
        try:
            return self.prober.probe(path, kind)
        except InvalidInput as error:
            raise StepCrashed(f"it has a bug: its output {output} is not a good {kind}: {error.message}") from error

    def artifact(self, output: str, kind: str, filename: str, size: int, key: str, info: Any) -> Artifact:
        assert kind in FILE_TYPES
        return Artifact(self.job.id, self.run.step_id, output, kind, filename, size, key, 0.0, info)


def each_of(port: str, files: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Several files of one output, each under the name by which it is kept. Raises `StepCrashed` for a bad name."""
    for name, value in files.items():
        if not NAME_OF_ONE.match(name):
            raise StepCrashed(f'it has a bug: a file of its output {port} is called "{name}"; use a-z, 0-9 and _')
        yield f"{port}_{name}", value


def first_that_exists(refs: Any, made: Mapping[str, Artifact], assets: Mapping[str, Asset]) -> StoredFile | None:
    """The file that the first of these references leads to."""
    for ref in refs:
        head, _, name = ref.partition(".")
        found: StoredFile | None = assets.get(name) if head == "source" else made.get(ref)
        if found is not None:
            return found
    return None


def all_that_exist(refs: Any, made: Mapping[str, Artifact], assets: Mapping[str, Asset]) -> dict[str, StoredFile]:
    """Every file that these references lead to, by the name of its source or output."""
    found: dict[str, StoredFile] = {}
    for ref in refs:
        head, _, name = ref.partition(".")
        if head == "source":
            found |= {source: asset for source, asset in sorted(assets.items()) if stands_for(name, source)}
        elif ref in made:
            found[name] = made[ref]
    return found


def input_path(folder: Path, port: str, found: StoredFile) -> Path:
    """Where an input lies in a workspace, under an ending that says what it is."""
    return folder / "in" / f"{port}{Path(found.key).suffix.lower()}"
