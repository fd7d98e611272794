"""The contract of every step that vtid ships, whichever they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.conftest import LAB
from vtid import config, plugins
from vtid.domain.step import VALUE
from vtid.errors import Cancelled, InvalidInput, RetryLater, Suspended
from vtid.media.synth import Subtitle, draw_clip
from vtid.plugins import params_schema
from vtid.sdk import Step, Video
from vtid.simulators import Simulator
from vtid.simulators.ghostcut import GhostCut
from vtid.testing import RecordingLink, run_step

ROOT = Path(__file__).parent.parent


SERVICES: dict[str, type[Simulator]] = {"inpaint_ghostcut": GhostCut}
"""What the steps of plugins talk to that work elsewhere."""


NEEDED: dict[str, dict[str, Any]] = {
    **{f"compose_ffmpeg.{step}": {"clips": [{"video_url": "asset:a"}]} for step in ("compose", "plan")},
    "compose_ffmpeg.stills": {"at": [0.0, 0.25, 0.5, 0.75, 1.0]},
}
"""What a step cannot do without: a film of nothing is none."""


def shipped() -> dict[str, Step]:
    loaded = plugins.load(config.load(ROOT / "vtid.toml", {}))
    assert {r.name for r in loaded.records} >= {"compose_ffmpeg", "inpaint_ghostcut", "inpaint_local", "lipsync_syncso"}
    return {name: step for record in loaded.records for name, step in record.steps.items()}


STEPS = shipped()


@pytest.mark.parametrize("name", STEPS)
def test_a_step_explains_itself(name: str) -> None:
    step = STEPS[name]
    spec = plugins.spec_of(type(step), name.partition(".")[0])
    assert len(spec.help) > 20
    assert spec.inputs or spec.outputs
    schema = params_schema(spec)
    properties = (
        next(
            v for v in schema["$defs"].values() if "properties" in v and set(v["properties"]) == set(spec.param_names())
        )["properties"]
        if "$defs" in schema
        else schema["properties"]
    )
    undescribed = [n for n, p in properties.items() if not _described(p)]
    assert not undescribed, f"params of {name} without a description"


def _described(schema: Any) -> bool:
    return "description" in schema or any(_described(s) for s in schema.get("anyOf", ()))


@pytest.mark.parametrize("name", STEPS)
def test_a_step_runs_with_its_defaults_and_refuses_unknown_params(name: str) -> None:
    spec = plugins.spec_of(type(STEPS[name]), name.partition(".")[0])
    needed = NEEDED.get(name, {})
    msgspec.convert(needed, spec.params)
    with pytest.raises(msgspec.ValidationError, match="no_such_param"):
        msgspec.convert(needed | {"no_such_param": 1}, spec.params)


VIDEO_STEPS = [
    n
    for n, s in STEPS.items()
    if [p.kind for p in plugins.spec_of(type(s), n.partition(".")[0]).inputs if p.required] == ["video"]
]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    draw_clip(path, seconds=1.2, width=320, height=180, fps=25, subtitles=(Subtitle("Wait for me", 0.1, 1.1),))
    return path


@pytest.fixture
def settings(name: str, tmp_path: Path) -> Iterator[Any]:
    """The settings of the plugin of a step, whose service is simulated."""
    plugin = name.partition(".")[0]
    with SERVICES[plugin](tmp_path / "service", seconds=0.0) if plugin in SERVICES else nullcontext() as service:
        env = service.environment() if service else {}
        yield plugins.load(config.load(ROOT / "vtid.toml", env)).settings(plugin)


def run_to_the_end(name: str, workspace: Path, clip: Path, link: RecordingLink, settings: Any) -> Any:
    """Run a step as often as it takes."""
    while True:
        try:
            params, inputs = NEEDED.get(name, {}), {"video": clip}
            return run_step(STEPS[name], workspace, inputs=inputs, params=params, link=link, settings=settings)
        except (Suspended, RetryLater):
            time.sleep(0.02)


@pytest.mark.parametrize("name", VIDEO_STEPS)
def test_a_step_gives_what_it_declares_and_leaves_its_input_alone(
    name: str, clip: Path, tmp_path: Path, settings: Any
) -> None:
    before, workspace, link = clip.read_bytes(), tmp_path / "work", RecordingLink()
    workspace.mkdir()
    outputs = run_to_the_end(name, workspace, clip, link, settings)
    spec = plugins.spec_of(type(STEPS[name]), name.partition(".")[0])
    for port in spec.outputs:
        value = getattr(outputs, port.name)
        if port.kind == VALUE or value is None:
            continue
        for file in value.values() if isinstance(value, dict) else [value]:
            assert file.path == clip or file.path.is_relative_to(workspace)
            assert file.path.stat().st_size > 0
    assert clip.read_bytes() == before
    fractions = [f for f, _ in link.reports]
    assert len(fractions) > 2, "it says how far it is"
    assert all(0 <= f <= 1 for f in fractions)
    assert fractions == sorted(fractions), "progress never goes back"


@pytest.mark.parametrize("name", VIDEO_STEPS)
def test_a_step_can_be_cancelled(name: str, clip: Path, tmp_path: Path, settings: Any) -> None:
    with pytest.raises(Cancelled):
        run_to_the_end(name, tmp_path, clip, RecordingLink(cancel_at=0.2), settings)


# --- the testing helpers themselves, with the lab's steps


@pytest.fixture
def lab_step(tmp_path: Path) -> Callable[[str], Step]:
    toml = tmp_path / "x.toml"
    toml.touch()
    record = plugins.load(config.load(toml, {}, overrides={"plugins.dirs": (LAB,)})).record("lab")
    return lambda name: record.steps[f"lab.{name}"]


def test_run_step_checks_params_as_a_job_does(lab_step: Callable[[str], Step], tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no such param"):
        run_step(lab_step("write"), tmp_path, params={"txt": "x"})


def test_a_step_remembers_what_it_did_once(lab_step: Callable[[str], Step], tmp_path: Path) -> None:
    from tests.simulators.shop import Shop

    shop = Shop()
    try:
        link = RecordingLink()
        params = {"url": shop.url}
        with pytest.raises(Suspended):
            run_step(lab_step("pay"), tmp_path, params=params, link=link)
        shop.gate.set()
        assert run_step(lab_step("pay"), tmp_path, params=params, link=link).receipt.startswith("paid")
        assert sum(shop.charges.values()) == 1
    finally:
        shop.close()


def test_a_path_becomes_the_type_that_is_declared(lab_step: Callable[[str], Step], clip: Path, tmp_path: Path) -> None:
    video = run_step(lab_step("pass"), tmp_path, inputs={"video": clip}).video
    assert isinstance(video, Video)
    assert video.info is not None
    assert video.info.width == 320
