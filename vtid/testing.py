"""For tests of steps, ours and other people's: run one step with nothing around it.

::

    from vtid.testing import run_step

    def test_the_bar_is_there(tmp_path):
        outputs = run_step(Bar(), tmp_path, inputs={"video": clip}, params={"height": 20})
        assert outputs.video.path.exists()
"""

from __future__ import annotations

import time
import typing
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from vtid.domain.artifact import Audio, File, Video
from vtid.domain.step import check_params
from vtid.engine.steps import data_of
from vtid.errors import Cancelled, InvalidInput
from vtid.plugins import spec_of
from vtid.presets import load as shipped_presets
from vtid.sdk import Context, Media, Models, Presets, Recorded, Step

__all__ = ["RecordingLink", "run_step"]


class RecordingLink(Struct):
    """Stands in for the engine: remembers what the step said, and what it did `once`.

    Hand the same link to a second `run_step` and the step finds what it did before, as after a crash.
    """

    reports: list[tuple[float, str | None]] = field(default_factory=list)
    """Every progress report."""
    lines: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    """Every line of the log: level, event, fields."""
    effects: dict[str, Recorded] = field(default_factory=dict)
    """What `once` knows, by key."""
    noted: dict[str, Any] = field(default_factory=dict)
    """Outputs that the step told before its end."""
    cancel_at: float | None = None
    """Raise `Cancelled` at the first report of at least this fraction."""

    def progress(self, fraction: float, message: str | None) -> None:
        """Remember it; cancel when it is time."""
        self.reports.append((fraction, message))
        if self.cancel_at is not None and fraction >= self.cancel_at:
            raise Cancelled

    def log(self, level: str, event: str, fields: dict[str, Any]) -> None:
        """Remember it."""
        self.lines.append((level, event, fields))

    def note(self, outputs: dict[str, Any]) -> None:
        """Remember them."""
        self.noted |= outputs

    def once_begin(self, key: str) -> Recorded:
        """What an earlier call left, which is doubtful unless it came to its end."""
        known = self.effects.get(key)
        if known is not None:
            return known if known.done else msgspec.structs.replace(known, doubtful=True)
        return self.effects.setdefault(key, Recorded(str(uuid.uuid4()), began_at=time.time()))

    def once_end(self, key: str, value: Any) -> None:
        """Remember the value, as the database would have it."""
        plain = msgspec.json.decode(msgspec.json.encode(value))
        self.effects[key] = msgspec.structs.replace(self.effects[key], done=True, value=plain)

    def once_forget(self, key: str) -> None:
        """Forget it."""
        self.effects.pop(key, None)


def run_step(
    step: Step,
    workspace: Path,
    *,
    inputs: Mapping[str, Path | Any] | None = None,
    params: Mapping[str, Any] | None = None,
    settings: Any = None,
    link: RecordingLink | None = None,
    media: Media | None = None,
    threads: int = 1,
    models: Models | None = None,
    callback_url: str | None = None,
    presets: Presets | None = None,
) -> Any:
    """Run a step in this process and return its Outputs.

    Args:
        step: an instance.
        workspace: an empty folder.
        inputs: by name; a path becomes the file type that the step declares, with its facts; of an input that takes
            many, a dict of paths.
        params: by name; checked as for a job.
        settings: of the plugin.
        link: what the step talks to.
        media: what it sees media with; PyAV where None.
        threads: that it may keep busy.
        models: that it may ask for; `vtid.models.Store` keeps real ones.
        callback_url: that it may hand to a service.
        presets: of the operator; the shipped ones where None.

    Raises:
        InvalidInput: params that a job would be refused for.
        TypeError: outputs that vtid could not carry on.
        BaseException: whatever the step raises.
    """
    step.presets = presets or shipped_presets()
    spec = spec_of(type(step), step.name.partition(".")[0])
    given = dict(params or {})
    if problems := check_params(spec, given, place=""):
        raise InvalidInput(str(problems[0]), problems=problems)
    media = media or _real_media(threads)
    hints = typing.get_type_hints(step.run)
    kinds = typing.get_type_hints(hints["inputs"])
    files = {name: _given(kinds[name], value, media) for name, value in (inputs or {}).items()}
    context = Context(
        link or RecordingLink(),
        job_id="test",
        step_id="test",
        attempt=1,
        started_at=0.0,
        workspace=workspace,
        media=media,
        settings=settings,
        threads=threads,
        models=models,
        callback_url=callback_url,
        outputs=spec.data(),
    )
    made = step.run(context, msgspec.convert(given, hints["params"], strict=False), hints["inputs"](**files))
    data_of(made, hints["return"])
    return made


def _real_media(threads: int) -> Media:
    from vtid.media import PyAVMedia  # noqa: PLC0415 - heavy, and a test may bring its own

    return PyAVMedia(threads=threads)


def _given(wanted: Any, value: Any, media: Media) -> Any:
    """A path as the file type that the input declares; of an input that takes many, each."""
    if isinstance(value, dict):
        return {name: _given(wanted, one, media) for name, one in value.items()}
    if not isinstance(value, Path):
        return value
    type_ = next(t for t in (wanted, *typing.get_args(wanted)) if isinstance(t, type) and issubclass(t, File))
    return type_(value, info=media.probe(value)) if issubclass(type_, Video | Audio) else type_(value)
