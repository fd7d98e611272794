"""What the engine knows of a step before it runs: names, types, and nothing that must be imported to be read."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Struct

from vtid.errors import Problem, did_you_mean

VALUE = "value"
"""The kind of an input or output that is data, not a file."""


class Port(Struct, frozen=True):
    """One input or output of a step."""

    name: str
    kind: str
    """A file kind (`video`, `audio` …) or `value`."""
    required: bool = True


class StepSpec(Struct, frozen=True):
    """The signature of a step, read from its class."""

    name: str
    plugin: str
    help: str
    params: type[Struct]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    isolated: bool = True

    def input(self, name: str) -> Port | None:
        """The input of that name, or None."""
        return next((p for p in self.inputs if p.name == name), None)

    def output(self, name: str) -> Port | None:
        """The output of that name, or None."""
        return next((p for p in self.outputs if p.name == name), None)

    def param_names(self) -> list[str]:
        """The params as a pipeline or a client writes them."""
        return [f.encode_name for f in msgspec.structs.fields(self.params)]


def _choices(type_: Any, path: str) -> str:
    """What the value at a path inside a param (`[2].type`, as msgspec has it) may be; "" where it is no choice."""
    schema, parts = msgspec.json.schema_components([type_])
    node = schema[0]
    for name in ["", *re.findall(r"\[[^]]*\]|\w+", path)]:
        if name:
            node = node.get("items", {}) if name.startswith("[") else node.get("properties", {}).get(name, {})
        while "$ref" in node:
            node = parts[node["$ref"].rpartition("/")[2]]
    choices = [one for option in (node, *node.get("anyOf", ())) for one in option.get("enum", ()) if one is not None]
    return f"; one of: {', '.join(map(str, choices))}" if choices else ""


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
        try:
            msgspec.convert(value, type=known.type, strict=False)
        except msgspec.ValidationError as error:
            message, _, path = str(error).partition(" - at `$")
            path = path.rstrip("`")
            words = f"{message}{_choices(known.type, path) if 'enum' in message else ''}"
            problems.append(Problem(f"{place}{name}{path}", words, "invalid"))
    for name, known in fields.items():
        if name not in values and known.required:
            problems.append(Problem(f"{place}{name}", f"{spec.name} needs this param", "missing"))
    if not problems:
        try:
            msgspec.convert(values, type=spec.params, strict=False)
        except msgspec.ValidationError as error:  # a rule over several params, from the author's __post_init__
            problems.append(Problem(place.rstrip("."), str(error), "invalid"))
    return problems
