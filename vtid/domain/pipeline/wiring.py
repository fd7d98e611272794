"""Where an input comes from when the pipeline does not say."""

from __future__ import annotations

from collections.abc import Mapping

from vtid.domain.pipeline.model import Pipeline, Step
from vtid.domain.step import VALUE, Port, StepSpec


def wire(pipeline: Pipeline, step: Step, port: Port, specs: Mapping[str, StepSpec]) -> list[str] | None:
    """Where an input that nobody named comes from: the nearest earlier output of its type, else the source of its type.

    A nearest step that may be skipped is followed by what would have been taken without it. An input that a step can do
    without is wired only where the pipeline names it: nobody is surprised by what they did not ask for.
    """
    if port.kind == VALUE or not port.required:
        return None
    if port.many:
        return [f"source.{port.kind}_*"]
    refs: list[str] = []
    earlier = pipeline.steps[: next(i for i, s in enumerate(pipeline.steps) if s is step)]
    for other in reversed(earlier):
        spec = specs.get(other.uses)
        output = next((p for p in spec.outputs if p.kind == port.kind and not p.many), None) if spec else None
        if output:
            refs.append(f"{other.id}.{output.name}")
            if other.when is None and other.on_error == "fail":
                return refs
    return [*refs, f"source.{port.kind}"]
