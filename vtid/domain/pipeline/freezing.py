"""One job's own copy of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from vtid.domain.pipeline.model import Deliver, Pipeline, Step
from vtid.domain.pipeline.wiring import wire
from vtid.domain.step import VALUE, StepSpec, check_params
from vtid.errors import InvalidInput, Problem, did_you_mean


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
    refs = [
        f"{s.id}.{p.name}"
        for s in reversed(pipeline.steps)
        for p in specs[s.uses].outputs
        if p.kind != VALUE and not p.many
    ]
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
