"""A step that does nothing, so that what is measured is the engine."""

from __future__ import annotations

from vtid.sdk import Context, Step, Struct, hookimpl


class Params(Struct, forbid_unknown_fields=True):
    pass


class Inputs(Struct):
    pass


class Outputs(Struct):
    pass


class Nothing(Step):
    """Do nothing, in the worker's own process."""

    name = "bench.nothing"
    isolated = False

    def run(self, ctx: Context, params: Params, inputs: Inputs) -> Outputs:
        return Outputs()


class NothingIsolated(Step):
    """Do nothing, in a process of its own."""

    name = "bench.nothing_isolated"

    def run(self, ctx: Context, params: Params, inputs: Inputs) -> Outputs:
        return Outputs()


@hookimpl
def vtid_steps() -> list[type[Step]]:
    return [Nothing, NothingIsolated]
