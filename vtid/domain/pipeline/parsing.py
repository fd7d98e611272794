"""From text to a pipeline."""

from __future__ import annotations

import tomllib
from typing import Any

import msgspec
from msgspec import Struct

from vtid.complaints import worded
from vtid.domain.pipeline.model import NAME, Deliver, JobParam, Pipeline, Step
from vtid.errors import PipelineError, Problem, did_you_mean


class _Head(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    title: str = ""
    description: str = ""
    metadata: dict[str, str] = {}


def parse(text: str, *, file: str) -> Pipeline:
    """Read a pipeline from TOML.

    Raises:
        PipelineError: with every problem of form; whether the steps exist is the business of `check`.
    """
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        problem = Problem("", f"not valid TOML: {error}", "toml", file)
        raise PipelineError(f"{file} is not valid TOML: {error}", problems=[problem]) from error
    problems: list[Problem] = []
    for key in raw.keys() - {"pipeline", "step", "deliver", "params"}:
        hint = did_you_mean(key, ["pipeline", "step", "deliver", "params"])
        message = f"unknown table{hint or '; a pipeline has [pipeline], [params], [[step]], [[deliver]]'}"
        problems.append(Problem(key, message, "unknown", file))
    head = _convert(raw.get("pipeline", {}), _Head, "pipeline", file, problems)
    steps = _convert_all(raw.get("step", []), Step, "step", file, problems)
    deliver = _convert_all(raw.get("deliver", []), Deliver, "deliver", file, problems)
    params = _params(raw.get("params", {}), file, problems)
    if head and not NAME.match(head.name):
        message = f'"{head.name}" must be lower-case letters, digits, - and _'
        problems.append(Problem("pipeline.name", message, "invalid", file))
    if not raw.get("step"):
        problems.append(Problem("step", "a pipeline needs at least one [[step]]", "missing", file))
    if problems or head is None:
        raise PipelineError(f"{file}: {len(problems)} problem(s): {problems[0]}", problems=problems)
    title = head.title or head.name
    return Pipeline(head.name, title, tuple(steps), tuple(deliver), head.description, params, head.metadata)


def _params(raw: Any, file: str, problems: list[Problem]) -> dict[str, JobParam]:
    if not isinstance(raw, dict):
        problems.append(Problem("params", "must be a table", "invalid", file))
        return {}
    return {k: v for k, r in raw.items() if (v := _convert(r, JobParam, f"params.{k}", file, problems)) is not None}


def _convert(raw: Any, type_: type[Any], place: str, file: str, problems: list[Problem]) -> Any:
    """One table into its Struct, or None after writing down what was wrong; unknown keys come first, all of them."""
    if not isinstance(raw, dict):
        problems.append(Problem(place, "must be a table", "invalid", file))
        return None
    known = {f.encode_name for f in msgspec.structs.fields(type_)}
    unknown = sorted(raw.keys() - known)
    for key in unknown:
        hint = did_you_mean(key, known)
        message = f"unknown key{hint or '; known: ' + ', '.join(sorted(known))}"
        problems.append(Problem(f"{place}.{key}", message, "unknown", file))
    try:
        return msgspec.convert({k: v for k, v in raw.items() if k in known}, type_)
    except msgspec.ValidationError as error:
        found = worded(error, type_, place)
        problems.append(Problem(found.field, found.message, "invalid", file))
        return None


def _convert_all(raw: Any, type_: type[Any], place: str, file: str, problems: list[Problem]) -> list[Any]:
    if not isinstance(raw, list):
        problems.append(Problem(place, f"write it as [[{place}]], one table for each", "invalid", file))
        return []
    return [v for i, r in enumerate(raw) if (v := _convert(r, type_, _place(place, i, r), file, problems)) is not None]


def _place(what: str, index: int, raw: Any) -> str:
    """`step.clean` where the table has an id, `step[2]` where not."""
    name = raw.get("id") if isinstance(raw, dict) else None
    return f"{what}.{name}" if isinstance(name, str) else f"{what}[{index}]"
