"""Pipelines: what a TOML file says, as data, and the rules that it must keep.

Three moments, each a function and a module: `parse` (the text is a pipeline), `check` (its steps exist and fit
together) and `freeze` (one job's own copy, with every wire and value written out, so that nothing is inferred later).
Each collects every problem before it complains.

References are `source.NAME` (what came in), `STEP.OUTPUT` and `job.PARAM`.
"""

from vtid.domain.pipeline.checking import check
from vtid.domain.pipeline.conditions import holds
from vtid.domain.pipeline.freezing import freeze
from vtid.domain.pipeline.model import SOURCE_NAME, Deliver, JobParam, Pipeline, Step, kind_of, stands_for
from vtid.domain.pipeline.parsing import parse
from vtid.domain.pipeline.wiring import wire

__all__ = [
    "SOURCE_NAME",
    "Deliver",
    "JobParam",
    "Pipeline",
    "Step",
    "check",
    "freeze",
    "holds",
    "kind_of",
    "parse",
    "stands_for",
    "wire",
]
