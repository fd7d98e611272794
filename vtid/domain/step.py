"""What the engine knows of a step before it runs: names, types, and nothing that must be imported to be read."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from vtid.complaints import complaints
from vtid.errors import Problem, did_you_mean

VALUE = "value"
"""The kind of an input or output that is data, not a file."""


class Port(Struct, frozen=True):
    """One input or output of a step."""

    name: str
    kind: str
    """A file kind (`video`, `audio` …) or `value`."""
    required: bool = True
    many: bool = False
    """Takes or gives any number of files, each under a name of its own: `dict[str, Audio]`."""


class StepSpec(Struct, frozen=True):
    """The signature of a step, read from its class."""

    name: str
    plugin: str
    help: str
    params: type[Struct]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    isolated: bool = True
    lazy: bool = False
    """Whether its input files are brought only when it asks for them."""
    paid: bool = False
    """Whether each run costs the operator money."""

    def input(self, name: str) -> Port | None:
        """The input of that name, or None."""
        return next((p for p in self.inputs if p.name == name), None)

    def output(self, name: str) -> Port | None:
        """The output of that name, or None."""
        return next((p for p in self.outputs if p.name == name), None)

    def takes_many(self, name: str) -> bool:
        """Whether the input of that name takes any number of files."""
        return any(p.many for p in self.inputs if p.name == name)

    def data(self) -> list[str]:
        """The outputs that are no files."""
        return [p.name for p in self.outputs if p.kind == VALUE]

    def param_names(self) -> list[str]:
        """The params as a pipeline or a client writes them."""
        return [f.encode_name for f in msgspec.structs.fields(self.params)]


def check_params(spec: StepSpec, values: dict[str, Any], *, place: str) -> list[Problem]:
    """Every complaint about a step's params: unknown names, wrong types, values out of range.

    Args:
        spec: of the step.
        values: as given; builtins as JSON or TOML make them.
        place: prefix of the field names in the complaints.
    """
    problems: list[Problem] = []
    fields = {f.encode_name: f for f in msgspec.structs.fields(spec.params)}
    for name, value in values.items():
        known = fields.get(name)
        if known is None:
            hint = did_you_mean(name, fields)
            takes = f"it takes: {', '.join(sorted(fields)) or 'no params'}"
            problems.append(
                Problem(f"{place}{name}", f"{spec.name} has no such param{hint or '; ' + takes}", "unknown")
            )
            continue
        problems += complaints(value, known.type, f"{place}{name}")
    for name, known in fields.items():
        if name not in values and known.required:
            problems.append(Problem(f"{place}{name}", f"{spec.name} needs this param", "missing"))
    if not problems:
        try:
            msgspec.convert(values, type=spec.params, strict=False)
        except msgspec.ValidationError as error:  # a rule over several params, from the author's __post_init__
            problems.append(Problem(place.rstrip("."), str(error), "invalid"))
    return problems
