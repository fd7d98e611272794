"""Frame times, a proxy, a waveform, shots."""

from __future__ import annotations

import json
from typing import Any

from vtid.sdk import Context, File, Step, Struct, Video, Waveform


class Nothing(Struct, forbid_unknown_fields=True):
    """There is nothing to choose."""


class Film(Struct):
    """A film."""

    video: Video


class Sounding(Struct):
    """A film or a sound."""

    file: File


class FactsOut(Struct):
    """What is known."""

    facts: File
    frames: int
    duration_s: float
    variable: bool
    """Whether frames are not equally far apart."""


class Facts(Step):
    """Every stream of a film with its facts, and when each of its frames is shown."""

    name = "compose_ffmpeg.facts"

    def run(self, ctx: Context, params: Nothing, inputs: Film) -> FactsOut:
        """See the class."""
        source = inputs.video
        ctx.progress(0, "Reading frame times")
        timing = ctx.media.previews.timing(source.path)
        ctx.progress(0.5, "Reading streams")
        known = plain(source.info or ctx.media.probe(source.path))
        ctx.progress(0.9, "Writing")
        target = ctx.workspace / "facts.json"
        target.write_text(json.dumps({"media": known, "timing": plain(timing)}, separators=(",", ":")), "utf-8")
        return FactsOut(File(target, "facts.json"), timing.frames, round(timing.duration_s, 6), timing.step is None)


class ProxyOut(Struct):
    """A small copy."""

    video: Video
    encoder: str
    width: int
    height: int


class Proxy(Step):
    """A small copy of a film (720p at most) that a browser seeks to the frame; every frame is shown at its own time."""

    name = "compose_ffmpeg.proxy"

    def run(self, ctx: Context, params: Nothing, inputs: Film) -> ProxyOut:
        """See the class."""
        target = ctx.workspace / "proxy.mp4"
        encoder = ctx.media.previews.proxy(
            inputs.video.path, target, progress=lambda done: ctx.progress(done, "Making a proxy")
        )
        made = ctx.media.probe(target)
        return ProxyOut(Video(target, "proxy.mp4"), encoder, made.width, made.height)


class WaveformOut(Struct):
    """Peaks."""

    waveform: File | None = None
    report: Waveform | None = None


class Waveforms(Step):
    """The peaks of the sound, from 100 a second to few; nothing for a film without sound."""

    name = "compose_ffmpeg.waveform"

    def run(self, ctx: Context, params: Nothing, inputs: Sounding) -> WaveformOut:
        """See the class."""
        if not ctx.media.probe(inputs.file.path).audio:
            return WaveformOut()
        target = ctx.workspace / "waveform.dat"
        found = ctx.media.previews.waveform(
            inputs.file.path, target, progress=lambda done: ctx.progress(done, "Listening")
        )
        return WaveformOut(File(target, "waveform.dat"), found)


class ShotsOut(Struct):
    """Where shots begin."""

    shots: File
    count: int


class Shots(Step):
    """The shots of a film: where the picture changes far more than around that frame. Fades are no cuts."""

    name = "compose_ffmpeg.shots"

    def run(self, ctx: Context, params: Nothing, inputs: Film) -> ShotsOut:
        """See the class."""
        found = ctx.media.previews.shots(
            inputs.video.path, progress=lambda done: ctx.progress(done, "Looking for cuts")
        )
        target = ctx.workspace / "shots.json"
        target.write_text(json.dumps({"shots": [plain(one) for one in found]}, separators=(",", ":")), "utf-8")
        return ShotsOut(File(target, "shots.json"), len(found))


def plain(value: Any) -> Any:
    """A Struct as JSON has it."""
    if isinstance(value, Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value
