"""A plugin that has a step and cannot run it: its operator gave it no key."""

from vtid.sdk import Context, Step, Struct, hookimpl


class Nothing(Struct):
    pass


class Work(Step):
    """Never runs."""

    name = "keyless.work"

    def run(self, ctx: Context, params: Nothing, inputs: Nothing) -> Nothing:
        return Nothing()


@hookimpl
def vtid_steps() -> list[type[Step]]:
    return [Work]


@hookimpl
def vtid_not_ready() -> str:
    return "the key of the service is missing"
