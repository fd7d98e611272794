"""From a step's class to its `StepSpec`: the signature of `run` says it all."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from vtid.domain.artifact import FILE_TYPES, File
from vtid.domain.step import VALUE, Port, StepSpec
from vtid.sdk import Step

SIGNATURE = "run(self, ctx: Context, params: Params, inputs: Inputs) -> Outputs"
_VERB = re.compile(r"^[a-z][a-z0-9_-]*$")


def spec_of(step: type[Step], plugin: str) -> StepSpec:
    """What the engine knows of a step.

    Args:
        step: its class.
        plugin: the name of the plugin that brings it.

    Raises:
        TypeError: the class breaks a rule; the message says which, to its author.
    """
    if not (isinstance(step, type) and issubclass(step, Step)):
        raise TypeError(f"vtid_steps must give classes derived from vtid.sdk.Step, not {step!r}")
    name = _name(step, plugin)
    if step.lazy and step.isolated:
        raise TypeError(f"{name}: only a step that is not isolated can be lazy; write isolated = False")
    params, inputs, outputs = _structs(step)
    try:
        msgspec.json.schema(params)
        return StepSpec(
            name=name,
            plugin=plugin,
            help=inspect.cleandoc(step.__doc__ or ""),
            params=params,
            inputs=tuple(_ports(step, inputs)),
            outputs=tuple(_ports(step, outputs)),
            isolated=step.isolated,
            lazy=step.lazy,
            paid=step.paid,
        )
    except NameError as error:
        raise TypeError(f"{name}: a type cannot be resolved: {error}; import it at run time") from error


def params_schema(spec: StepSpec) -> dict[str, Any]:
    """The JSON Schema of a step's params, for forms and documentation."""
    return msgspec.json.schema(spec.params)


def _name(step: type[Step], plugin: str) -> str:
    name = getattr(step, "name", None)
    if not isinstance(name, str):
        raise TypeError(f'{step.__name__} has no name; write name = "{plugin}.VERB"')
    prefix, _, verb = name.partition(".")
    if prefix != plugin or not _VERB.match(verb):
        raise TypeError(f'{step.__name__} is named "{name}"; a step of this plugin is named "{plugin}.VERB"')
    return name


def _structs(step: type[Step]) -> tuple[type[Struct], type[Struct], type[Struct]]:
    """Params, inputs and outputs of `run`."""
    run = step.run
    if getattr(run, "__isabstractmethod__", False):
        raise TypeError(f"{step.name} has no run; write {SIGNATURE}")
    if list(inspect.signature(run).parameters) != ["self", "ctx", "params", "inputs"]:
        raise TypeError(f"{step.name}: the signature must be {SIGNATURE}")
    if inspect.iscoroutinefunction(run) or inspect.isgeneratorfunction(run) or inspect.isasyncgenfunction(run):
        raise TypeError(f"{step.name}: run must be a plain function that returns its Outputs")
    try:
        hints = typing.get_type_hints(run)
    except Exception as error:
        raise TypeError(
            f"{step.name}: the types of run cannot be resolved: {error}; import them at run time"
        ) from error
    for place in ("params", "inputs", "return"):
        if not (isinstance(type_ := hints.get(place), type) and issubclass(type_, Struct)):
            raise TypeError(
                f"{step.name}: the type of {place} must be a Struct of your own; the signature is {SIGNATURE}"
            )
    return hints["params"], hints["inputs"], hints["return"]


def _ports(step: type[Step], struct: type[Struct]) -> Iterator[Port]:
    """The fields of an Inputs or Outputs as ports."""
    for field in msgspec.structs.fields(struct):
        here = f"{step.name}: {struct.__name__}.{field.name}"
        if field.encode_name != field.name:
            raise TypeError(f"{here} is renamed to {field.encode_name}; inputs and outputs keep their names")
        plain, optional = _without_none(field.type)
        if optional and field.required:
            raise TypeError(f"{here} may be None; give it that default: = None")
        many = _each(plain)
        yield Port(field.name, _kind(many or plain, here), required=field.required, many=many is not None)


def _each(type_: Any) -> type[File] | None:
    """`X` of `dict[str, X]`, where that is a kind of file."""
    key, *rest = typing.get_args(type_) or (None,)
    named = typing.get_origin(type_) is dict and key is str
    return rest[0] if named and isinstance(rest[0], type) and issubclass(rest[0], File) else None


def _without_none(type_: Any) -> tuple[Any, bool]:
    """`X` of `X | None` and True; anything else and False."""
    rest = [t for t in typing.get_args(type_) if t is not types.NoneType]
    is_union = typing.get_origin(type_) in (typing.Union, types.UnionType)
    if is_union and len(rest) == 1 and len(typing.get_args(type_)) == 2:
        return rest[0], True
    return type_, False


def _kind(type_: Any, here: str) -> str:
    if isinstance(type_, type) and issubclass(type_, File):
        if type_.kind not in FILE_TYPES:
            raise TypeError(f'{here}: there is no kind of file "{type_.kind}"; there are {", ".join(FILE_TYPES)}')
        return type_.kind
    if _mentions_file(type_):
        raise TypeError(
            f"{here}: a file is one of {', '.join(t.__name__ for t in FILE_TYPES.values())}, that | None, or "
            "dict[str, that]"
        )
    return VALUE


def _mentions_file(type_: Any) -> bool:
    """Whether a file hides inside: in a list, or in a union of several."""
    return any(
        (isinstance(inner, type) and issubclass(inner, File)) or _mentions_file(inner)
        for inner in typing.get_args(type_)
    )
