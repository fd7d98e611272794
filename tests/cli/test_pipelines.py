from __future__ import annotations

GOOD = """title = "Write and append"
[params.loud]
default = false
help = "Shout."
[[step]]
id = "first"
uses = "lab.write"
with = { text = "one" }
[[step]]
id = "second"
uses = "lab.append"
when = "job.loud"
[[deliver]]
from = ["second.file", "first.file"]
"""
BAD = """[[step]]
id = "first"
uses = "lab.writ"
[[step]]
id = "second"
uses = "lab.append"
with = { txt = "x" }
"""


def test_pipelines_alone_lists_good_and_broken_ones(vtid, pipe):
    pipe("good", GOOD)
    pipe("bad", BAD)
    said = vtid("pipelines")
    assert said.code == 0
    lines = said.out.splitlines()
    assert any(line.split()[:2] == ["good", "ready"] for line in lines)
    assert any(line.split()[:2] == ["bad", "broken"] for line in lines)
    assert 'did you mean "lab.write"?' in said.out


def test_a_pipeline_of_a_broken_plugin_is_unavailable_with_the_reason(vtid, pipe, plugin):
    plugin("cli_absent", "import a_package_that_nobody_has\n")
    pipe("waits", '[[step]]\nid = "a"\nuses = "cli_absent.do"\n')
    said = vtid("pipelines", "list")
    assert "waits is unavailable: plugin cli_absent is unavailable" in said.out
    row = next(r for r in vtid("pipelines", "list", "--json").json if r["name"] == "waits")
    assert row["status"] == "unavailable"
    assert row["problems"] == []
    assert "cli_absent" in row["unavailable"]


def test_show_tells_wiring_params_and_delivery(vtid, pipe):
    pipe("good", GOOD)
    out = vtid("pipelines", "show", "good").out
    assert "step first  uses lab.write" in out
    assert 'text  (string, here "one")' in out
    assert "step second  uses lab.append, when job.loud" in out
    assert "file ← first.file" in out  # nobody wrote that down: vtid wires it
    assert "loud  (default false)" in out
    assert "Shout." in out
    assert "delivers  second.file or first.file" in out


def test_show_as_json(vtid, pipe):
    pipe("good", GOOD)
    shown = vtid("pipelines", "show", "good", "--json").json
    assert shown["steps"][1]["inputs"]["file"] == ["first.file"]
    text = next(p for p in shown["steps"][0]["params"] if p["name"] == "text")
    assert text["type"] == "string"
    assert text["default"] == "hello"


def test_show_of_a_file_that_is_no_toml_says_so(vtid, home):
    (home / "pipes" / "torn.toml").write_text("[pipeline\n")
    said = vtid("pipelines", "show", "torn")
    assert said.code == 0
    assert "not valid TOML" in said.out


def test_check_is_quiet_about_good_ones_and_exits_0(vtid, pipe):
    pipe("good", GOOD)
    said = vtid("pipelines", "check")
    assert said.code == 0
    assert "✓ good" in said.out


def test_check_tells_every_problem_with_file_and_key(vtid, pipe):
    path = pipe("bad", BAD)
    said = vtid("pipelines", "check")
    assert said.code == 4
    assert str(path) in said.out
    assert 'step.first.uses: there is no step "lab.writ"; did you mean "lab.write"?' in said.out
    assert "step.second.with.txt" in said.out
    problems = vtid("pipelines", "check", "--json").json["problems"]
    assert {p["field"] for p in problems} >= {"step.first.uses", "step.second.with.txt"}
    assert {p["file"] for p in problems} == {str(path)}


def test_check_of_a_file_anywhere(vtid, pipe, home):
    pipe("bad", BAD)
    elsewhere = home / "elsewhere.toml"
    elsewhere.write_text('[pipeline]\nname = "elsewhere"\n[[step]]\nid = "a"\nuses = "lab.noop"\n')
    said = vtid("pipelines", "check", "elsewhere.toml")
    assert said.code == 0
    assert "bad" not in said.out


def test_check_of_files_that_are_not_there_names_them_all(vtid):
    said = vtid("pipelines", "check", "one.toml", "two.toml")
    assert said.code == 2
    assert "one.toml: there is no such file" in said.err
    assert "two.toml: there is no such file" in said.err


def test_an_unknown_pipeline_brings_a_suggestion(vtid, pipe):
    pipe("good", GOOD)
    said = vtid("pipelines", "show", "goood")
    assert said.code == 5
    assert 'did you mean "good"?' in said.err
