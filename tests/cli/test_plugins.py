from __future__ import annotations

import pytest

from vtid.cli.plugins import limit_words, type_words

GREETER = '''"""Greets."""
from typing import Annotated, Literal
from vtid.sdk import Context, Meta, Step, Struct, Video, hookimpl

class Params(Struct, forbid_unknown_fields=True):
    name: str
    times: Annotated[int, Meta(ge=1, le=9, description="How often.")] = 2
    tone: Literal["kind", "curt"] = "kind"
    aside: str | None = None

class Inputs(Struct):
    video: Video
    extra: Video | None = None

class Outputs(Struct):
    video: Video
    said: str

class Greet(Step):
    """Say hello."""

    name = "NAME.hello"

    def run(self, ctx: Context, params: Params, inputs: Inputs) -> Outputs:
        return Outputs(inputs.video, "hello")

@hookimpl
def vtid_steps() -> list[type[Step]]:
    return [Greet]
'''


def test_plugins_alone_lists_them(vtid):
    said = vtid("plugins")
    assert said.code == 0
    assert "lab" in said.out
    assert "enabled" in said.out


def test_a_broken_plugin_is_listed_with_its_reason(vtid, plugin):
    plugin("cli_broken", "import a_package_that_nobody_has\n")
    said = vtid("plugins", "list")
    assert said.code == 0
    assert "cli_broken is unavailable" in said.out
    assert "a_package_that_nobody_has" in said.out


def test_list_as_json_is_json_and_nothing_else(vtid):
    rows = vtid("plugins", "list", "--json").json
    lab = next(row for row in rows if row["name"] == "lab")
    assert lab["status"] == "enabled"
    assert "lab.noop" in lab["steps"]
    assert vtid("--json", "plugins").json == rows


def test_a_long_path_is_not_cut_off_in_a_pipe(vtid, plugin):
    folder = plugin("cli_long", GREETER.replace("NAME", "cli_long"))
    assert str(folder) in vtid("plugins").out


def test_show_tells_params_with_type_limits_default_and_description(vtid, plugin):
    plugin("cli_greeter", GREETER.replace("NAME", "cli_greeter"))
    out = vtid("plugins", "show", "cli_greeter").out
    assert "2.5" in out
    assert "step cli_greeter.hello" in out
    assert "takes  video: video, extra: video (optional)" in out
    assert "gives  video: video, said: value" in out
    assert "name  (string, required)" in out
    assert "times  (integer, ≥ 1, ≤ 9, default 2)" in out
    assert "How often." in out
    assert 'tone  ("curt" | "kind", default "kind")' in out
    assert "aside  (string or null, optional)" in out


def test_show_as_json_has_the_schema(vtid, plugin):
    plugin("cli_schema", GREETER.replace("NAME", "cli_schema"))
    (step,) = vtid("plugins", "show", "cli_schema", "--json").json["steps"]
    assert step["inputs"][0] == {"name": "video", "kind": "video", "required": True, "many": False}
    schema = next(iter(step["params"]["$defs"].values()))
    assert schema["properties"]["times"]["maximum"] == 9


def test_an_unknown_plugin_brings_a_suggestion(vtid):
    said = vtid("plugins", "show", "labb")
    assert said.code == 5
    assert 'did you mean "lab"?' in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer"}, "integer"),
        ({"type": "array", "items": {"$ref": "#/$defs/Box"}}, "list of Box"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "number or null"),
        ({"enum": ["a", 1]}, '"a" | 1'),
        ({"$ref": "#/$defs/Kind"}, '"x" | "y"'),
        ({}, "anything"),
    ],
)
def test_types_in_words(schema, words):
    assert type_words(schema, {"Box": {"type": "object"}, "Kind": {"enum": ["x", "y"]}}) == words


def test_limits_of_an_optional_value_are_found_inside():
    assert limit_words({"anyOf": [{"type": "number", "minimum": 0, "maximum": 63}, {"type": "null"}]}) == "≥ 0, ≤ 63"
