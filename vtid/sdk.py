"""Everything that a plugin needs of vtid, and the only module of it that a plugin imports.

A plugin, whole::

    \"\"\"Put a coloured bar under a video.\"\"\"
    from typing import Annotated
    from vtid.sdk import Context, Meta, Step, Struct, Video, hookimpl

    class Params(Struct, forbid_unknown_fields=True):
        height: Annotated[int, Meta(ge=1, le=500, description="Height of the bar in pixels.")] = 40
    class Inputs(Struct):
        video: Video
    class Outputs(Struct):
        video: Video

    class Bar(Step):
        \"\"\"Put a coloured bar under a video.\"\"\"
        name = "demo_bar.add"
        def run(self, ctx: Context, params: Params, inputs: Inputs) -> Outputs: ...

    @hookimpl
    def vtid_steps():
        return [Bar]

What a step may raise: `StepError` (final, its words go to the user), `RetryLater` (busy), `NeedsAttention` (a person
must act). Anything else is taken for a bug: the traceback goes to the log, plain words to the user, and the step is
tried again as often as its pipeline allows (`retries`).
"""

from __future__ import annotations

import abc
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, TypeVar

import msgspec
import pluggy
from msgspec import Meta, Struct, field

from vtid.domain.artifact import Audio, File, Image, Subtitles, Video
from vtid.domain.callback import Callback
from vtid.domain.composition import Placed
from vtid.domain.encoder import Candidate, Encoder
from vtid.domain.excerpt import excerpt
from vtid.domain.film import Box, Frame, Media
from vtid.domain.media import AudioStream, MediaInfo, OtherStream, VideoStream
from vtid.domain.model import MODEL_PREFIX, Model, ModelKind, Models, NoModels
from vtid.domain.preset import Preset, Presets
from vtid.domain.previewing import Previewing, Shot, Sprites, Timing, Waveform
from vtid.domain.region import Coordinates, Region, RegionType
from vtid.domain.region import normalise as normalise_regions
from vtid.domain.rendering import EncodeOptions, Part, RenderPlan, Rewritten, Span
from vtid.domain.segment import AudioInput, Segment, segment_problems
from vtid.domain.timeline import (
    SAMPLE_RATE,
    Canvas,
    Caption,
    Captions,
    Clip,
    Composed,
    Footage,
    Mix,
    Overlay,
    Placing,
    Plain,
    Short,
    Sound,
    Still,
    Stretch,
    Timeline,
    Transition,
    Writing,
)
from vtid.errors import (
    Cancelled,
    Forged,
    InvalidInput,
    Misfit,
    NeedsAttention,
    Problem,
    RetryLater,
    StepError,
    Suspended,
    did_you_mean,
)

__all__ = [
    "MODEL_PREFIX",
    "SAMPLE_RATE",
    "Annotated",
    "Audio",
    "AudioInput",
    "AudioStream",
    "Box",
    "Callback",
    "Cancelled",
    "Candidate",
    "Canvas",
    "Caption",
    "Captions",
    "Clip",
    "Composed",
    "Context",
    "Coordinates",
    "EncodeOptions",
    "Encoder",
    "File",
    "Footage",
    "Forged",
    "Found",
    "Frame",
    "Image",
    "Intent",
    "InvalidInput",
    "Media",
    "MediaInfo",
    "Meta",
    "Misfit",
    "Mix",
    "Model",
    "ModelKind",
    "Models",
    "NeedsAttention",
    "OtherStream",
    "Overlay",
    "Part",
    "Placed",
    "Placing",
    "Plain",
    "Preset",
    "Presets",
    "Previewing",
    "Problem",
    "Region",
    "RegionType",
    "RenderPlan",
    "RetryLater",
    "Rewritten",
    "Segment",
    "Short",
    "Shot",
    "Sound",
    "Span",
    "Sprites",
    "Step",
    "StepError",
    "Still",
    "Stretch",
    "Struct",
    "Subtitles",
    "Timeline",
    "Timing",
    "Transition",
    "Video",
    "VideoStream",
    "Waveform",
    "Writing",
    "did_you_mean",
    "excerpt",
    "field",
    "hookimpl",
    "normalise_regions",
    "segment_problems",
]

T = TypeVar("T")

NAMESPACE = "vtid"
"""Of the hooks, and of the entry points by which plugins are found."""
hookimpl = pluggy.HookimplMarker(NAMESPACE)
"""Marks a function as a plugin's side of one of the hooks (`vtid.hookspecs`)."""


# --- steps


class Link(Protocol):
    """What a context needs of the engine; one implementation beside the database, one at the far end of a pipe."""

    def progress(self, fraction: float, message: str | None) -> None:
        """Report; raises `Cancelled`."""

    def log(self, level: str, event: str, fields: dict[str, Any]) -> None:
        """Write a line to the job's log."""

    def note(self, outputs: dict[str, Any]) -> None:
        """Store outputs that are known before the step ends."""

    def once_begin(self, key: str) -> Recorded:
        """Store the intent unless it is there, and say what is known."""

    def once_end(self, key: str, value: Any) -> None:
        """Store the value."""

    def once_forget(self, key: str) -> None:
        """Remove what is stored."""


class Recorded(Struct, frozen=True):
    """What the database knows about a `once`."""

    token: str
    """The idempotency key: the same at every attempt."""
    done: bool = False
    value: Any = None
    doubtful: bool = False
    """An earlier attempt began the call and its answer was never stored."""
    began_at: float = 0.0


class Intent(Struct, frozen=True):
    """A call that may or may not have reached the other side."""

    key: str
    token: str
    began_at: float
    """Seconds since the epoch."""


class Found(Struct, frozen=True):
    """A reconcile function's answer: the call did go through, and this is its value."""

    value: Any


class Context:
    """What a step may ask of the engine while it runs."""

    def __init__(
        self,
        link: Link,
        *,
        job_id: str,
        step_id: str,
        attempt: int,
        started_at: float,
        workspace: Path,
        media: Media,
        settings: Any = None,
        threads: int = 1,
        models: Models | None = None,
        callback_url: str | None = None,
        outputs: Sequence[str] = (),
        bring: Callable[[Path], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._link = link
        self._clock = clock
        self.job_id = job_id
        self.step_id = step_id
        self.attempt = attempt
        """From 1; a wake-up after a wait is not a new attempt."""
        self.started_at = started_at
        """When this attempt began, seconds since the epoch."""
        self.workspace = workspace
        """A folder for this step alone; outputs are written here, and it is removed afterwards."""
        self.media = media
        self.settings = settings
        """The plugin's own settings from vtid.toml."""
        self.threads = threads
        """How many threads or processes the step may keep busy."""
        self.models: Models = models or NoModels()
        """The models that the operator added."""
        self.callback_url = callback_url
        """Where a service may say that it is done, which wakes this step from its wait; the same at every attempt.
        None where services cannot reach this daemon: polling does without."""
        self._outputs = outputs
        self._bring = bring

    def progress(self, fraction: float, message: str | None = None) -> None:
        """Say how far the step is (0 to 1). Cheap: call it per frame. Raises `Cancelled` when somebody cancelled."""
        self._link.progress(min(1.0, max(0.0, fraction)), message)

    def bring(self, file: File) -> Path:
        """The path of an input, the file being there; of a step that is not `lazy` it always is."""
        if self._bring:
            self._bring(file.path)
        return file.path

    def log(self, event: str, *, level: str = "info", **fields: Any) -> None:
        """Write a line to the job's log. Never put a secret in it."""
        self._link.log(level, event, fields)

    def note(self, **outputs: Any) -> None:
        """Tell outputs that are data before the step ends: what a service calls the work that it took, above all.

        They are on the disk before the step goes on, stand in the job's metadata from now on, and stay there when the
        step fails or is cancelled. What is told again costs nothing, so tell it right after the `once` that found it
        out, at each wake-up.

        Raises:
            TypeError: the step declares no such output.
        """
        if unknown := outputs.keys() - set(self._outputs):
            raise TypeError(f"note() takes outputs of the step that are data; {min(unknown)} is none")
        self._link.note(msgspec.to_builtins(outputs))

    def once(
        self,
        key: str,
        fn: Callable[[str], T],
        *,
        type: type[T] | None = None,  # noqa: A002 - reads best at the call
        reconcile: Callable[[Intent], Found | None] | None = None,
    ) -> T:
        """Do something exactly once per job, whatever crashes: the value is stored before the step goes on.

        The intent and its token are stored before the call. If a crash loses the answer, the next attempt either calls
        `fn` again with the same token (for a service that takes idempotency keys, or a call that is free), or asks
        `reconcile` first, which looks the call up at the other side: `Found(value)`, or None if it never arrived.

        Args:
            key: unique within the step.
            fn: does it; takes the idempotency token. What it returns must be JSON-able or a msgspec Struct.
            type: to which the stored value is turned back; without it, builtins.
            reconcile: for a service without idempotency keys.
        """
        known = self._link.once_begin(key)
        if known.done:
            return _restore(known.value, type)
        found = reconcile(Intent(key, known.token, known.began_at)) if known.doubtful and reconcile else None
        value = msgspec.to_builtins(found.value if found else fn(known.token))
        self._link.once_end(key, value)
        return _restore(value, type)

    def forget(self, key: str) -> None:
        """Let a later attempt do a `once` again: the other side said for certain that the first one came to nothing."""
        self._link.once_forget(key)

    def poll(self, fn: Callable[[], T | None], *, every: float, message: str | None = None) -> T:
        """Ask until there is an answer, without holding a worker in between.

        `fn` returns None for "not yet": the step is then suspended and run again from its top after `every` seconds
        (sooner when a webhook wakes it); what `once` stored is not done again.
        """
        answer = fn()
        if answer is None:
            raise Suspended(every, message)
        return answer

    def sleep(self, seconds: float, key: str = "sleep") -> None:
        """Wait without holding a worker."""
        until = self.once(key, lambda _: self._clock() + seconds)
        if (rest := until - self._clock()) > 0:
            raise Suspended(rest)


def _restore(value: Any, type_: type[T] | None) -> T:
    return value if type_ is None else msgspec.convert(value, type_)


class Step(abc.ABC):
    """One thing that can be done to media. The signature of `run` declares params, inputs and outputs.

    `run(self, ctx: Context, params: Params, inputs: Inputs) -> Outputs`, where the three are msgspec Structs of your
    own: fields of type `Video`, `Audio`, `Image`, `Subtitles` or `File` (or one of them `| None`) are files, an input
    `dict[str, Audio]` any number of them, anything else is data. The class's docstring is the help text.
    """

    name: ClassVar[str]
    """`PLUGIN.VERB`."""
    isolated: ClassVar[bool] = True
    """Run in a child process with limits. False only for steps that open no media and mostly wait for a network."""
    lazy: ClassVar[bool] = False
    """Leave input files where they are stored until `Context.bring` asks for them; their facts are there at once. For
    steps that are not isolated, and look many times how something stands for each time that they read a file."""
    paid: ClassVar[bool] = False
    """Each run costs the operator money, at a service say: users whose tier has no `paid_steps` cannot use it."""
    presets: Presets = Presets()
    """The operator's qualities of what is encoded, when the step is run or checks params."""

    def check(self, params: Any, sources: Mapping[str, MediaInfo]) -> Sequence[Problem]:
        """Complaints about params in the light of the files that came in, before the job is accepted.

        Args:
            params: of the step's own type.
            sources: facts of the files that are wired straight to an input, by the input's name; of an input that
                takes many, by the names that they came with.
        """
        del params, sources
        return ()

    @abc.abstractmethod
    def run(self, ctx: Context, params: Any, inputs: Any) -> Any:
        """Do it. Takes and returns Structs; changes nothing that it was given."""
