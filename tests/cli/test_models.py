from __future__ import annotations

import json
import sys

import pytest

from tests import onnxfile
from vtid.media.synth import draw_clip

SPEAKER = '''"""Uses models of a kind of its own."""
from pathlib import Path
from typing import Annotated, Any
from vtid.sdk import MODEL_PREFIX, Context, InvalidInput, Meta, ModelKind, Step, Struct, Video, hookimpl

class Params(Struct, forbid_unknown_fields=True):
    voice: Annotated[str, Meta(extra_json_schema={"x-vtid-model": "voice"})] = "none"

class Inputs(Struct):
    video: Video

class Outputs(Struct):
    video: Video
    said: str

class Speak(Step):
    """Say what the model's file says."""

    name = "cli_speaker.speak"

    def run(self, ctx: Context, params: Params, inputs: Inputs) -> Outputs:
        model = ctx.models.get(params.voice.removeprefix(MODEL_PREFIX), "voice")
        return Outputs(inputs.video, f"{model.path.read_text()}, {model.layout['says']}")

def inspect(path: Path) -> dict[str, Any]:
    if path.read_text() != "hello":
        raise InvalidInput("The model cannot be used: it says no hello.")
    return {"says": "one word"}

@hookimpl
def vtid_steps() -> list[type[Step]]:
    return [Speak]

@hookimpl
def vtid_model_kinds() -> list[ModelKind]:
    return [ModelKind("voice", "speaks", inspect)]
'''
SPEAK = '[[step]]\nid = "speak"\nuses = "cli_speaker.speak"\ninputs = { video = "source.video" }\n'


@pytest.fixture
def speaker(plugin):
    yield plugin("cli_speaker", SPEAKER)
    sys.modules.pop("vtid_cli_speaker", None)  # the next test's lies in another folder


@pytest.fixture
def voice(home, speaker):
    (home / "voice.bin").write_text("hello")
    return ("models", "add", "voice.bin", "--kind", "voice", "--name", "nora")


def test_there_are_none_to_begin_with(vtid, home):
    assert "There are no models" in vtid("models").out
    assert vtid("models", "list", "--json").json == []
    assert vtid("models", "check", "--json").json == {"ok": True, "models": []}
    assert not (home / "data").exists()


def test_the_kinds_are_those_of_the_plugins(vtid, speaker):
    said = vtid("models", "kinds")
    for words in ("voice", "speaks", "text-detector", "probability map", "inpainting", "LaMa"):
        assert words in said.out
    assert {"name": "voice", "about": "speaks"} in vtid("models", "kinds", "--json").json


def test_a_model_is_added_listed_checked_and_removed(vtid, home):
    onnxfile.detector(home / "det.onnx")
    said = vtid("models", "add", "det.onnx", "--kind", "text-detector", "--name", "my-det",
                "--license", "Apache-2.0", "--source", "https://example.org/det")  # fmt: skip
    assert said.code == 0, said.err
    for words in ("Added my-det: text-detector, Apache-2.0", "takes: x ?×3×?×?", '"model:my-det"'):
        assert words in said.out
    record = json.loads((home / "data" / "models" / "my-det" / "model.json").read_text())
    assert record["source"] == "https://example.org/det"
    listed = vtid("models").out
    for words in ("my-det", "text-detector", "Apache-2.0", "https://example.org/det", "ok"):
        assert words in listed
    assert "✓ my-det" in vtid("models", "check").out
    assert vtid("models", "list", "--json").json == [record | {"usable": True, "problem": ""}]
    assert vtid("models", "remove", "my-det").code == 0
    assert vtid("models", "list", "--json").json == []
    assert vtid("models", "remove", "my-det").code == 5


def test_a_damaged_model_is_found_by_the_check(vtid, home):
    onnxfile.detector(home / "det.onnx")
    vtid("models", "add", "det.onnx", "--kind", "text-detector", "--name", "det", "--license", "MIT")
    file = home / "data" / "models" / "det" / "model.onnx"
    data = bytearray(file.read_bytes())
    data[50] ^= 1
    file.write_bytes(data)
    said = vtid("models", "check")
    assert said.code == 1
    assert "✗ det: its file is not the one that was added" in said.out


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (("--license", "CC-BY-NC-4.0"), 2, "allow_non_commercial"),
        (("--license", "CC-BY-NC-4.0", "--commercial"), 2, "for non-commercial use"),
        (("--license", "Mystery-1"), 2, "Read it, then say --commercial or --non-commercial."),
        (("--license", "Mystery-1", "--non-commercial"), 2, "allow_non_commercial"),
        (("--license", "unknown"), 2, "needs the name of its licence"),
        ((), 2, "Missing option '--license'"),
        (("--license", "MIT", "--name", "Nora!"), 2, "is no name for a model"),
        (("--license", "MIT", "--kind", "voise"), 2, 'did you mean "voice"'),
    ],
)
def test_what_is_not_in_order_is_refused_in_words(vtid, voice, more, code, words):
    said = vtid(*voice, *more)
    assert (said.code, said.out) == (code, "")
    assert words in said.err
    assert vtid("models", "list", "--json").json == []


def test_the_wrong_file_is_refused_in_words(vtid, home):
    onnxfile.inpainter(home / "paint.onnx", (0, 0, 0))
    for name, words in (("paint.onnx", "takes one picture"), ("vtid.toml", "cannot be loaded as an ONNX model")):
        said = vtid("models", "add", name, "--kind", "text-detector", "--name", "x", "--license", "MIT")
        assert said.code == 2
        assert words in said.err
    assert (
        "does not exist" in vtid("models", "add", "no.onnx", "--kind", "voice", "--name", "x", "--license", "MIT").err
    )


def test_non_commercial_models_are_taken_where_that_is_allowed(vtid, voice, home, monkeypatch):
    monkeypatch.setenv("VTID_MODELS_ALLOW_NON_COMMERCIAL", "true")
    assert vtid(*voice, "--license", "S-Lab-1.0").code == 0
    assert "S-Lab-1.0 (non-commercial)" in vtid("models").out
    monkeypatch.delenv("VTID_MODELS_ALLOW_NON_COMMERCIAL")
    assert "is for non-commercial use" in vtid("models").out
    assert vtid("models", "check").code == 1


def test_a_job_gets_the_model_in_the_process_of_its_step(vtid, voice, pipe, home):
    pipe("speak", SPEAK + '[[deliver]]\nfrom = ["speak.video"]\n')
    vtid(*voice, "--license", "MIT")
    draw_clip(home / "in.mp4", seconds=0.4, subtitles=[], audio=False)
    said = vtid("run", "speak", "in.mp4", "-o", "out.mp4", "-p", "voice=model:nora", "--json")
    assert said.code == 0, said.out + said.err
    assert "hello, one word" in said.out


def test_a_job_that_names_a_model_that_is_not_there_is_refused(vtid, voice, pipe, home):
    pipe("speak", SPEAK)
    vtid(*voice, "--license", "MIT")
    draw_clip(home / "in.mp4", seconds=0.4, subtitles=[], audio=False)
    said = vtid("run", "speak", "in.mp4", "-o", "out.mp4", "-p", "voice=model:norma", "--json")
    assert said.code == 2
    (problem,) = said.json["error"]["errors"]
    assert (problem["field"], problem["message"]) == ("speak.voice", 'There is no model "norma"; did you mean "nora"?')
    assert not (home / "out.mp4").exists()


def test_models_may_lie_elsewhere(vtid, voice, home):
    file = home / "vtid.toml"
    file.write_text(file.read_text() + 'models.path = "shelf"\n')
    assert vtid(*voice, "--license", "MIT").code == 0
    assert (home / "shelf" / "nora" / "model.json").is_file()


def test_a_model_that_only_the_settings_name_is_looked_for_too(vtid, home):
    file = home / "vtid.toml"
    file.write_text(file.read_text() + '[plugins.inpaint_local]\ndefault_detector = "model:my-det"\n')
    said = vtid("check")
    assert said.code == 4
    assert 'plugins.inpaint_local.default_detector: There is no model "my-det"' in said.out
    onnxfile.detector(home / "det.onnx")
    vtid("models", "add", "det.onnx", "--kind", "text-detector", "--name", "my-det", "--license", "MIT")
    assert vtid("check").code == 0


def test_doctor_tells_of_models(vtid, voice, home):
    def facts():
        return {fact["name"]: fact for fact in vtid("doctor", "--json").json["facts"]}

    assert facts()["models"]["state"] == "note"
    vtid(*voice, "--license", "MIT")
    assert (facts()["model nora"]["state"], facts()["model nora"]["value"]) == ("ok", "voice, MIT")
    (home / "data" / "models" / "nora" / "model.onnx").write_text("hell")
    assert facts()["model nora"]["state"] == "missing"
