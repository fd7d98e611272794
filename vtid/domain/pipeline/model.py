"""A pipeline as data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from vtid.domain.artifact import FILE_TYPES
from vtid.domain.pipeline.conditions import CONDITION

NAME = re.compile(r"^[a-z][a-z0-9_-]*$")
SOURCE_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]{0,39}$")
"""What `source.NAME` may be where a sender chooses it."""
REFERENCE = re.compile(r"^([a-z][a-z0-9_-]*)\.([A-Za-z_][A-Za-z0-9_]*\*?)$")
RESERVED = ("source", "job")


def stands_for(pattern: str, name: str) -> bool:
    """Whether a name in a pipeline means a source: the same, or `audio_*` for all that begin so."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def kind_of(source: str) -> str | None:
    """What kind of file a source is by its name (`video`, `audio_1`, `audio_*`); None where the name does not say."""
    kind = source.partition("_")[0]
    return kind if kind in FILE_TYPES and kind != "file" else None


class JobParam(Struct, frozen=True, forbid_unknown_fields=True):
    """A parameter of the job as a whole, for `when` and `bind`."""

    default: Any = None
    help: str = ""


class Step(Struct, frozen=True, forbid_unknown_fields=True, rename={"with_": "with"}, omit_defaults=True):
    """One step of a pipeline."""

    id: str
    uses: str
    title: str = ""
    """What people see while it runs."""
    inputs: dict[str, str | list[str]] = field(default_factory=dict)
    """Input to reference, or to a list of references: the first that exists, or of an input that takes many, all.
    `source.audio_*` are all sources whose names begin so."""
    with_: dict[str, Any] = field(default_factory=dict)
    bind: dict[str, str] = field(default_factory=dict)
    """Param to `job.NAME`: its value comes with the job."""
    when: str | None = None
    on_error: Literal["fail", "continue"] = "fail"
    retries: Annotated[int, Meta(ge=0, le=20)] = 0
    timeout: Annotated[float, Meta(gt=0)] | None = None
    """Seconds for one attempt, waiting included."""
    progress: Annotated[list[float], Meta(min_length=2, max_length=2)] | None = None
    """From and to, in percent of the job."""
    labels: list[str] = field(default_factory=list)
    """Only a worker that has all of them runs this step."""
    says: str = ""
    """What people read while it works, in place of the step's own words."""
    fails: str = ""
    """What they read when it has failed; `{reason}` is what the step says."""

    def references(self) -> Iterator[tuple[str, str]]:
        """Every place and reference among the inputs."""
        for name, refs in self.inputs.items():
            for ref in [refs] if isinstance(refs, str) else refs:
                yield f"inputs.{name}", ref


class Deliver(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}, omit_defaults=True):
    """What a job gives back: the first of `from` that exists."""

    from_: str | list[str]
    name: str = "{stem}{suffix}"
    """The result's file name; `{stem}` of the original, `{pipeline}`, `{step}`, `{suffix}` with its dot."""
    says: dict[str, str] = field(default_factory=dict)
    """The job's last words, by the step whose file is the result."""
    to: str | None = None
    """A bucket where it goes as well: `s3://BUCKET/PREFIX/`, with `{user_id}`, `{job_id}`, `{pipeline}`."""

    @property
    def references(self) -> list[str]:
        """The references in order of preference."""
        return [self.from_] if isinstance(self.from_, str) else list(self.from_)


class Pipeline(Struct, frozen=True, omit_defaults=True):
    """A whole pipeline."""

    name: str
    title: str
    steps: tuple[Step, ...]
    deliver: tuple[Deliver, ...] = ()
    description: str = ""
    params: dict[str, JobParam] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    """Names in the job's metadata, and the outputs (`STEP.OUTPUT`) that stand there as soon as they are known."""

    def facts(self, step_id: str, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """What a step that tells these outputs adds to the job's metadata."""
        named = ((name, *ref.split(".", 1)) for name, ref in self.metadata.items())
        return {name: outputs[output] for name, step, output in named if step == step_id and output in outputs}

    def step(self, step_id: str) -> Step | None:
        """The step of that id, or None."""
        return next((s for s in self.steps if s.id == step_id), None)

    def dependencies(self) -> dict[str, set[str]]:
        """Step id to the ids of the steps that it reads from, by its inputs and its `when`."""
        ids = {s.id for s in self.steps}
        graph: dict[str, set[str]] = {}
        for step in self.steps:
            refs = [ref for _, ref in step.references()]
            if step.when and (found := CONDITION.match(step.when.strip())):
                refs.append(found["ref"])
            graph[step.id] = {head for ref in refs if (head := ref.partition(".")[0]) in ids}
        return graph

    def sources(self) -> set[str]:
        """The names under `source.` that the steps read."""
        return {r.partition(".")[2] for s in self.steps for _, r in s.references() if r.startswith("source.")}
