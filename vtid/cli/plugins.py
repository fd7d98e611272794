"""`vtid plugins`: which there are, what became of each, and what their steps take and give."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from vtid.cli.local import json_option, load_config, output
from vtid.cli.output import Output

if TYPE_CHECKING:
    from vtid.domain.step import Port, StepSpec
    from vtid.plugins import PluginRecord, Plugins

LIMITS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "pattern": "like {}",
}
"""What a JSON Schema calls a limit, and what people read."""


@click.group("plugins", invoke_without_command=True, help="List and show plugins. Without a command: list.")
@json_option
@click.pass_context
def command(ctx: click.Context) -> None:
    """List where nothing else was said."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_plugins)


@command.command("list", help="Every plugin: its status and why, where it comes from, its steps.")
@json_option
@click.pass_context
def list_plugins(ctx: click.Context) -> None:
    """Every plugin, working or not."""
    out = output(ctx)
    records = _load(ctx).records
    if out.as_json:
        out.json([_facts(record) for record in records])
        return
    if not records:
        out.say("There is no plugin: none is installed, and the folders of [plugins] dirs have none.")
        return
    out.table(
        ("PLUGIN", "STATUS", "VERSION", "STEPS", "SOURCE"),
        [(r.name, r.status.value, r.version or "–", ", ".join(r.specs) or "–", r.source) for r in records],
    )
    for record in records:
        if record.reason:
            out.say(f"\n{record.name} is {record.status.value}: {record.reason}")


@command.command("show", help="One plugin: its settings' state and, for each step, params, inputs and outputs.")
@click.argument("name")
@json_option
@click.pass_context
def show_plugin(ctx: click.Context, name: str) -> None:
    """One plugin in full; with --json the params come as JSON Schema."""
    out = output(ctx)
    record = _load(ctx).record(name)
    if out.as_json:
        out.json(_facts(record) | {"help": record.help, "steps": [_step_facts(s) for s in record.specs.values()]})
        return
    out.say(f"{record.name}  {record.version}".rstrip() + f"\nstatus   {record.status.value}")
    if record.reason:
        out.say(f"reason   {record.reason}")
    out.say(f"source   {record.source}")
    if record.help:
        out.say(f"\n{record.help}")
    for spec in record.specs.values():
        _say_step(out, spec)


def params_of(spec: StepSpec) -> Iterator[dict[str, Any]]:
    """Name, type, default, limits and description of each param of a step, as words and plain data."""
    from vtid.plugins import params_schema

    schema = params_schema(spec)
    definitions: dict[str, Any] = schema.get("$defs", {})
    table = _resolved(schema, definitions)
    required = table.get("required", [])
    for name, param in table.get("properties", {}).items():
        yield {
            "name": name,
            "type": type_words(param, definitions),
            "required": name in required,
            "default": param.get("default"),
            "limits": limit_words(_resolved(param, definitions)),
            "description": param.get("description") or _resolved(param, definitions).get("description", ""),
        }


def type_words(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """A JSON Schema's type in a few words: `integer`, `"a" | "b"`, `list of Region`, `number or null`."""
    import msgspec

    if reference := schema.get("$ref"):
        target = definitions.get(reference.rsplit("/", 1)[-1], {})
        return type_words(target, definitions) if "enum" in target else reference.rsplit("/", 1)[-1]
    if "enum" in schema:
        return " | ".join(msgspec.json.encode(value).decode() for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(type_words(choice, definitions) for choice in schema["anyOf"])
    if schema.get("type") == "array" and isinstance(schema.get("items"), dict):
        return f"list of {type_words(schema['items'], definitions)}"
    return str(schema.get("type", "anything"))


def limit_words(schema: dict[str, Any]) -> str:
    """The limits of a value, in words; empty where there are none."""
    choices = [schema, *(choice for choice in schema.get("anyOf", ()) if isinstance(choice, dict))]
    return ", ".join(words.format(c[key]) for c in choices for key, words in LIMITS.items() if key in c)


def say_params(out: Output, spec: StepSpec, given: dict[str, Any]) -> None:
    """The params of a step, a line each.

    Args:
        out: where to.
        spec: of the step.
        given: values that take the defaults' place.
    """
    for param in params_of(spec):
        about = ", ".join(part for part in (param["type"], param["limits"], _state(param, given)) if part)
        out.say(f"    {param['name']}  ({about})")
        if param["description"]:
            out.say(f"        {param['description']}")


def _state(param: dict[str, Any], given: dict[str, Any]) -> str:
    """Whether a param must be said, and what holds where it is not."""
    if param["name"] in given:
        return f"here {shown(given[param['name']])}"
    if param["required"]:
        return "required"
    return "optional" if param["default"] is None else f"default {shown(param['default'])}"


def shown(value: Any) -> str:
    """A value as JSON has it."""
    import msgspec

    return msgspec.json.encode(value, enc_hook=str).decode()


def ports(given: Sequence[Port]) -> str:
    """Inputs or outputs on a line."""
    notes = {
        (True, False): "",
        (False, False): " (optional)",
        (True, True): " (any number)",
        (False, True): " (any, or none)",
    }
    return ", ".join(f"{p.name}: {p.kind}{notes[p.required, p.many]}" for p in given) or "nothing"


def _load(ctx: click.Context) -> Plugins:
    from vtid import plugins

    return plugins.load(load_config(ctx))


def _facts(record: PluginRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "status": record.status,
        "reason": record.reason,
        "source": record.source,
        "version": record.version,
        "module": record.module,
        "steps": list(record.specs),
    }


def _step_facts(spec: StepSpec) -> dict[str, Any]:
    from vtid.plugins import params_schema

    return {
        "name": spec.name,
        "help": spec.help,
        "isolated": spec.isolated,
        "inputs": spec.inputs,
        "outputs": spec.outputs,
        "params": params_schema(spec),
    }


def _say_step(out: Output, spec: StepSpec) -> None:
    out.say(f"\nstep {spec.name}")
    if spec.help:
        out.say(f"  {spec.help.splitlines()[0]}")
    out.say(f"  takes  {ports(spec.inputs)}")
    out.say(f"  gives  {ports(spec.outputs)}")
    if spec.param_names():
        out.say("  params")
        say_params(out, spec, {})


def _resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema itself, or what it refers to."""
    reference = schema.get("$ref")
    return definitions.get(reference.rsplit("/", 1)[-1], {}) if reference else schema
