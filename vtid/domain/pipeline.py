"""Pipelines: what a TOML file says, as data, and the rules that it must keep.

Three moments, each a function: `parse` (the text is a pipeline), `check` (its steps exist and fit together) and
`freeze` (one job's own copy, with every wire and value written out, so that nothing is inferred later).
Each collects every problem before it complains.

References are `source.NAME` (what came in), `STEP.OUTPUT` and `job.PARAM`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from vtid.domain.artifact import FILE_TYPES
from vtid.domain.step import VALUE, Port, StepSpec, check_params
from vtid.errors import InvalidInput, PipelineError, Problem, did_you_mean

NAME = re.compile(r"^[a-z][a-z0-9_-]*$")
REFERENCE = re.compile(r"^([a-z][a-z0-9_-]*)\.([A-Za-z_][A-Za-z0-9_]*)$")
CONDITION = re.compile(r"^(?P<no>not\s+)?(?P<ref>[A-Za-z0-9_.-]+)(?:\s*(?P<op>==|!=)\s*(?P<value>.+))?$")
RESERVED = ("source", "job")


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
    """Input to reference, or to a list of references: the first that exists."""
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


class _Head(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    title: str = ""
    description: str = ""


# --- parse ------------------------------------------------------------------------------------------------------------


def parse(text: str, *, file: str) -> Pipeline:
    """Read a pipeline from TOML.

    Raises:
        PipelineError: with every problem of form; whether the steps exist is the business of `check`.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = Problem("", f"not valid TOML: {error}", "toml", file)
        raise PipelineError(f"{file} is not valid TOML: {error}", problems=[problem]) from error
    problems: list[Problem] = []
    for key in raw.keys() - {"pipeline", "step", "deliver", "params"}:
        hint = did_you_mean(key, ["pipeline", "step", "deliver", "params"])
        message = f"unknown table{hint or '; a pipeline has [pipeline], [params], [[step]], [[deliver]]'}"
        problems.append(Problem(key, message, "unknown", file))
    head = _convert(raw.get("pipeline", {}), _Head, "pipeline", file, problems)
    steps = _convert_all(raw.get("step", []), Step, "step", file, problems)
    deliver = _convert_all(raw.get("deliver", []), Deliver, "deliver", file, problems)
    params = _params(raw.get("params", {}), file, problems)
    if head and not NAME.match(head.name):
        message = f'"{head.name}" must be lower-case letters, digits, - and _'
        problems.append(Problem("pipeline.name", message, "invalid", file))
    if not raw.get("step"):
        problems.append(Problem("step", "a pipeline needs at least one [[step]]", "missing", file))
    if problems or head is None:
        raise PipelineError(f"{file}: {len(problems)} problem(s): {problems[0]}", problems=problems)
    return Pipeline(head.name, head.title or head.name, tuple(steps), tuple(deliver), head.description, params)


def _params(raw: Any, file: str, problems: list[Problem]) -> dict[str, JobParam]:
    if not isinstance(raw, dict):
        problems.append(Problem("params", "must be a table", "invalid", file))
        return {}
    return {k: v for k, r in raw.items() if (v := _convert(r, JobParam, f"params.{k}", file, problems)) is not None}


def _convert(raw: Any, type_: type[Any], place: str, file: str, problems: list[Problem]) -> Any:
    """One table into its Struct, or None after writing down what was wrong; unknown keys come first, all of them."""
    if not isinstance(raw, dict):
        problems.append(Problem(place, "must be a table", "invalid", file))
        return None
    known = {f.encode_name for f in msgspec.structs.fields(type_)}
    unknown = sorted(raw.keys() - known)
    for key in unknown:
        hint = did_you_mean(key, known)
        message = f"unknown key{hint or '; known: ' + ', '.join(sorted(known))}"
        problems.append(Problem(f"{place}.{key}", message, "unknown", file))
    try:
        return msgspec.convert({k: v for k, v in raw.items() if k in known}, type_)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        problems.append(Problem(place + path.rstrip("`"), message, "invalid", file))
        return None


def _convert_all(raw: Any, type_: type[Any], place: str, file: str, problems: list[Problem]) -> list[Any]:
    if not isinstance(raw, list):
        problems.append(Problem(place, f"write it as [[{place}]], one table for each", "invalid", file))
        return []
    return [v for i, r in enumerate(raw) if (v := _convert(r, type_, _place(place, i, r), file, problems)) is not None]


def _place(what: str, index: int, raw: Any) -> str:
    """`step.clean` where the table has an id, `step[2]` where not."""
    name = raw.get("id") if isinstance(raw, dict) else None
    return f"{what}.{name}" if isinstance(name, str) else f"{what}[{index}]"


# --- check ------------------------------------------------------------------------------------------------------------


def check(pipeline: Pipeline, specs: Mapping[str, StepSpec], *, file: str | None = None) -> list[Problem]:
    """Every reason why this pipeline could not run, given the steps that there are."""
    return list(_Check(pipeline, specs, file).run())


class _Check:
    """One pass over a pipeline; the methods yield problems."""

    def __init__(self, pipeline: Pipeline, specs: Mapping[str, StepSpec], file: str | None) -> None:
        self.pipeline = pipeline
        self.specs = specs
        self.file = file
        self.steps = {s.id: s for s in pipeline.steps}

    def problem(self, place: str, message: str, code: str = "invalid") -> Problem:
        return Problem(place, message, code, self.file)

    def run(self) -> Iterator[Problem]:
        seen: set[str] = set()
        for step in self.pipeline.steps:
            if not NAME.match(step.id) or step.id in RESERVED:
                rule = f"lower-case letters, digits, - and _; not {' or '.join(RESERVED)}"
                yield self.problem(f"step.{step.id}.id", f'"{step.id}" cannot be the id of a step: {rule}')
            if step.id in seen:
                yield self.problem(f"step.{step.id}.id", "two steps have this id", "duplicate")
            seen.add(step.id)
            yield from self.step(step)
        yield from self.cycles()
        for i, deliver in enumerate(self.pipeline.deliver):
            for ref in deliver.references:
                yield from self.reference(f"deliver[{i}].from", ref, delivered=True)

    def step(self, step: Step) -> Iterator[Problem]:
        here = f"step.{step.id}"
        if step.progress and not 0 <= step.progress[0] <= step.progress[1] <= 100:
            yield self.problem(f"{here}.progress", f"must rise within 0 and 100, not {step.progress}")
        if step.when:
            yield from self.condition(f"{here}.when", step.when)
        spec = self.specs.get(step.uses)
        if spec is None:
            hint = did_you_mean(step.uses, self.specs)
            known = f"; known steps: {', '.join(sorted(self.specs)) or 'none'}"
            yield self.problem(f"{here}.uses", f'there is no step "{step.uses}"{hint or known}', "unknown_step")
            return
        yield from self.values(here, step, spec)
        for name, refs in step.inputs.items():
            port = spec.input(name)
            if port is None:
                hint = did_you_mean(name, [p.name for p in spec.inputs])
                takes = f"; it takes: {', '.join(p.name for p in spec.inputs) or 'no inputs'}"
                yield self.problem(f"{here}.inputs.{name}", f"{spec.name} has no such input{hint or takes}", "unknown")
                continue
            for ref in [refs] if isinstance(refs, str) else refs:
                yield from self.reference(f"{here}.inputs.{name}", ref, port)
            yield from self.reachable(f"{here}.inputs.{name}", refs, port)
        for port in spec.inputs:
            if port.required and port.name not in step.inputs and wire(self.pipeline, step, port, self.specs) is None:
                source = "the output of a step" if port.kind == VALUE else "a source"
                message = f"nothing gives a {port.kind} for this input; name {source}"
                yield self.problem(f"{here}.inputs.{port.name}", message, "missing")

    def values(self, here: str, step: Step, spec: StepSpec) -> Iterator[Problem]:
        for name, ref in step.bind.items():
            if name not in spec.param_names():
                hint = did_you_mean(name, spec.param_names())
                yield self.problem(f"{here}.bind.{name}", f"{spec.name} has no such param{hint}", "unknown")
            found = REFERENCE.match(ref)
            if not found or found[1] != "job":
                yield self.problem(f"{here}.bind.{name}", f'must be "job.NAME", not "{ref}"')
        for problem in check_params(spec, step.with_, place=f"{here}.with."):
            if problem.code != "missing":  # it may still come with the job
                yield self.problem(problem.field, problem.message, problem.code)

    def reference(
        self, place: str, ref: str, want: Port | None = None, *, delivered: bool = False
    ) -> Iterator[Problem]:
        """What a reference names must exist, and be what an input takes or what can be delivered."""
        found = REFERENCE.match(ref)
        if not found:
            yield self.problem(place, f'"{ref}" is not a reference; write "source.video" or "STEP.OUTPUT"')
            return
        head, output = found.groups()
        if head == "source":
            if delivered:
                yield self.problem(place, "what came in is not a result; name a step's output")
            elif output not in FILE_TYPES and want and want.kind == VALUE:
                yield self.problem(place, "a source is a file; this input takes a value", "wrong_type")
            elif output in FILE_TYPES and want and want.kind not in (output, "file"):
                yield self.problem(place, f"takes {want.kind}, but {ref} is {output}", "wrong_type")
            return
        other = self.steps.get(head)
        if other is None:
            hint = did_you_mean(head, [*self.steps, "source"])
            yield self.problem(place, f'there is no step with id "{head}"{hint}', "unknown")
            return
        spec = self.specs.get(other.uses)
        if spec is None:
            return  # said at that step already
        port = spec.output(output)
        if port is None:
            hint = did_you_mean(output, [p.name for p in spec.outputs])
            gives = f"; it gives: {', '.join(p.name for p in spec.outputs)}"
            yield self.problem(place, f'{spec.name} has no output "{output}"{hint or gives}', "unknown")
        elif want and want.kind not in (port.kind, "file"):
            yield self.problem(place, f"takes {want.kind}, but {ref} is {port.kind}", "wrong_type")
        elif delivered and port.kind == VALUE:
            yield self.problem(place, f"{ref} is a value; only files are delivered", "wrong_type")

    def reachable(self, place: str, refs: str | list[str], port: Port) -> Iterator[Problem]:
        """A required input must not hang on a step that may be skipped."""
        if not port.required:
            return
        for ref in [refs] if isinstance(refs, str) else refs:
            step = self.steps.get(ref.partition(".")[0])
            if step is None or (step.when is None and step.on_error == "fail"):
                return
        fallback = "take away the when" if port.kind == VALUE else f'add a fallback such as "source.{port.kind}"'
        yield self.problem(place, f"everything it names may be skipped; {fallback}", "may_be_missing")

    def condition(self, place: str, when: str) -> Iterator[Problem]:
        found = CONDITION.match(when.strip())
        ref = REFERENCE.match(found["ref"]) if found else None
        if not found or not ref:
            forms = '"job.NAME", "not job.NAME" or \'job.NAME == "value"\''
            yield self.problem(place, f'"{when}" is not a condition; write {forms}')
            return
        if found["value"] is not None and _literal(found["value"]) is _BAD:
            yield self.problem(place, f"{found['value']} is not a TOML value; put quotes round text")
        if ref[1] == "job":
            bound = {r for s in self.pipeline.steps for r in s.bind.values()}
            if ref[2] not in self.pipeline.params and found["ref"] not in bound:
                hint = did_you_mean(ref[2], [*self.pipeline.params, *(b.removeprefix("job.") for b in bound)])
                yield self.problem(
                    place, f"the job has no param {ref[2]}; declare it as [params.{ref[2]}]{hint}", "unknown"
                )
        elif ref[1] != "source":
            yield from self.reference(place, found["ref"])

    def cycles(self) -> Iterator[Problem]:
        try:
            TopologicalSorter(self.pipeline.dependencies()).prepare()
        except CycleError as error:
            yield self.problem("step", f"steps wait for each other: {' → '.join(error.args[1])}", "cycle")


def wire(pipeline: Pipeline, step: Step, port: Port, specs: Mapping[str, StepSpec]) -> list[str] | None:
    """Where an input that nobody named comes from: the nearest earlier output of its type, else the source of its type.

    A nearest step that may be skipped is followed by what would have been taken without it. An input that a step can do
    without is wired only where the pipeline names it: nobody is surprised by what they did not ask for.
    """
    if port.kind == VALUE or not port.required:
        return None
    refs: list[str] = []
    earlier = pipeline.steps[: next(i for i, s in enumerate(pipeline.steps) if s is step)]
    for other in reversed(earlier):
        spec = specs.get(other.uses)
        output = next((p for p in spec.outputs if p.kind == port.kind), None) if spec else None
        if output:
            refs.append(f"{other.id}.{output.name}")
            if other.when is None and other.on_error == "fail":
                return refs
    return [*refs, f"source.{port.kind}"]


# --- freeze -----------------------------------------------------------------------------------------------------------


def freeze(
    pipeline: Pipeline, specs: Mapping[str, StepSpec], params: Mapping[str, Any]
) -> tuple[Pipeline, dict[str, Any]]:
    """A job's own copy of a pipeline: inputs wired, params filled in, progress shared out.

    Args:
        pipeline: one that `check` finds no fault with.
        specs: of its steps.
        params: the job's, as `{"name": value}`, `{"step.name": value}` or `{"step": {"name": value}}`. A bare name is a
            parameter of the job, or of the one step that has it.

    Returns:
        The frozen pipeline, and the job's own parameters.

    Raises:
        InvalidInput: unknown or ambiguous names, values that do not fit; all of them.
    """
    problems: list[Problem] = []
    job_params, step_params = _sort_params(pipeline, specs, params, problems)
    steps: list[Step] = []
    share = 100 / len(pipeline.steps)
    for i, step in enumerate(pipeline.steps):
        spec = specs[step.uses]
        bound = {
            name: job_params[key]
            for name, ref in step.bind.items()
            if (key := ref.partition(".")[2]) in job_params and job_params[key] is not None
        }
        values = step.with_ | bound | step_params.get(step.id, {})
        problems += check_params(spec, values, place=f"{step.id}.")
        inputs = {
            p.name: refs
            for p in spec.inputs
            if (refs := _listed(step.inputs.get(p.name)) or wire(pipeline, step, p, specs))
        }
        progress = step.progress or [round(i * share, 1), round((i + 1) * share, 1)]
        steps.append(
            msgspec.structs.replace(
                step, inputs=inputs, with_=values, bind={}, progress=progress, title=step.title or step.id
            )
        )
    if problems:
        raise InvalidInput(f"{problems[0]}", problems=problems)
    deliver = pipeline.deliver or _default_delivery(pipeline, specs)
    return msgspec.structs.replace(pipeline, steps=tuple(steps), deliver=deliver), job_params


def _listed(refs: str | list[str] | None) -> list[str] | None:
    return [refs] if isinstance(refs, str) else refs


def _default_delivery(pipeline: Pipeline, specs: Mapping[str, StepSpec]) -> tuple[Deliver, ...]:
    """Without [[deliver]]: the last file that a step gives."""
    refs = [f"{s.id}.{p.name}" for s in reversed(pipeline.steps) for p in specs[s.uses].outputs if p.kind != VALUE]
    return (Deliver(refs),) if refs else ()


def _sort_params(
    pipeline: Pipeline, specs: Mapping[str, StepSpec], params: Mapping[str, Any], problems: list[Problem]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Give every param that came with the job to the job or to the step that it is for."""
    bound = {ref.partition(".")[2] for s in pipeline.steps for ref in s.bind.values()}
    job: dict[str, Any] = {name: p.default for name, p in pipeline.params.items()} | {
        n: None for n in bound if n not in pipeline.params
    }
    steps: dict[str, dict[str, Any]] = {}
    for name, value in params.items():
        owners = [s.id for s in pipeline.steps if name in specs[s.uses].param_names()]
        head, _, tail = name.partition(".")
        if name in job:
            job[name] = value
        elif tail and pipeline.step(head):
            steps.setdefault(head, {})[tail] = value
        elif pipeline.step(name) and isinstance(value, dict):
            steps.setdefault(name, {}).update(value)
        elif len(owners) == 1:
            steps.setdefault(owners[0], {})[name] = value
        elif owners:
            choices = " or ".join(f"{o}.{name}" for o in owners)
            problems.append(Problem(name, f"several steps have this param; write {choices}", "ambiguous"))
        else:
            known = [*job, *(n for s in pipeline.steps for n in specs[s.uses].param_names())]
            takes = f"; it takes: {', '.join(sorted(set(known))) or 'none'}"
            problems.append(
                Problem(name, f"{pipeline.name} has no such param{did_you_mean(name, known) or takes}", "unknown")
            )
    return job, steps


# --- conditions, at run time ------------------------------------------------------------------------------------------

_BAD = object()


def _literal(text: str) -> Any:
    """A TOML value: `"text"`, `3`, `true`."""
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return _BAD


def holds(when: str | None, values: Mapping[str, Any]) -> bool:
    """Whether a condition holds.

    Args:
        when: as in the pipeline; None holds always.
        values: reference to value, for every reference that exists. A missing one is false; an empty list or text too.
    """
    if when is None:
        return True
    found = CONDITION.match(when.strip())
    assert found, "check() let a bad condition through"
    value = values.get(found["ref"])
    truth = bool(value) if found["op"] is None else (value == _literal(found["value"])) == (found["op"] == "==")
    return truth != bool(found["no"])
