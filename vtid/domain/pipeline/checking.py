"""Whether a pipeline's steps exist and fit together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from vtid.domain.pipeline.conditions import BAD, CONDITION, literal
from vtid.domain.pipeline.model import NAME, REFERENCE, RESERVED, Pipeline, Step, kind_of
from vtid.domain.pipeline.wiring import wire
from vtid.domain.step import VALUE, Port, StepSpec, check_params
from vtid.errors import Problem, did_you_mean


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
        for name, ref in self.pipeline.metadata.items():
            yield from self.reference(f"pipeline.metadata.{name}", ref, Port(name, VALUE))
        for i, deliver in enumerate(self.pipeline.deliver):
            for step_id in deliver.says.keys() - self.steps.keys():
                hint = did_you_mean(step_id, self.steps)
                yield self.problem(
                    f"deliver[{i}].says.{step_id}", f'there is no step with id "{step_id}"{hint}', "unknown"
                )
            for ref in deliver.references:
                yield from self.reference(f"deliver[{i}].from", ref, delivered=True)
            if deliver.to and not re.match(r"s3://[^/\s]+(/|$)", deliver.to):
                yield self.problem(f"deliver[{i}].to", f"must be s3://BUCKET/PREFIX/, not {deliver.to}")

    def step(self, step: Step) -> Iterator[Problem]:
        here = f"step.{step.id}"
        if step.fails and "{reason}" not in step.fails:
            yield self.problem(f"{here}.fails", "must say {reason} where the step's own words go")
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
        if output.endswith("*") and (head != "source" or not want or not want.many):
            yield self.problem(place, f'"{ref}" names several files; that is for sources, and inputs that take many')
            return
        if head == "source":
            kind = kind_of(output)
            if delivered:
                yield self.problem(place, "what came in is not a result; name a step's output")
            elif not kind and want and want.kind == VALUE:
                yield self.problem(place, "a source is a file; this input takes a value", "wrong_type")
            elif kind and want and want.kind not in (kind, "file"):
                yield self.problem(place, f"takes {want.kind}, but {ref} is {kind}", "wrong_type")
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
        else:
            yield from self.fits(place, ref, port, want, delivered=delivered)

    def fits(self, place: str, ref: str, port: Port, want: Port | None, *, delivered: bool) -> Iterator[Problem]:
        """Whether an output can go where it is wanted."""
        if port.many and (want or delivered):
            yield self.problem(place, f"{ref} is several files; name an output that is one", "wrong_type")
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
        if found["value"] is not None and literal(found["value"]) is BAD:
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
