"""What a lip-sync may be asked for, and how it is said to Sync.so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

import msgspec

from vtid.sdk import Annotated, Meta, Problem, Segment, Struct, did_you_mean, field

SyncMode = Literal["bounce", "loop", "cut_off", "silence", "remap"]
Temperature = Annotated[float, Meta(ge=0, le=1)]


class Overrides(Struct, frozen=True):
    """What a segment may have of its own."""

    sync_mode: SyncMode | None = None
    temperature: Temperature | None = None
    occlusion_detection_enabled: bool | None = None
    active_speaker_detection: dict[str, Any] | None = None


OVERRIDES = Overrides.__struct_fields__


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """Of `lipsync_syncso.lipsync`."""

    segments: Annotated[
        list[Segment],
        Meta(description="Which sound belongs where; none: the one audio goes with the whole video.", max_length=500),
    ] = field(default_factory=list)
    model: Annotated[
        str,
        Meta(description="sync-3, lipsync-2, lipsync-2-pro, lipsync-1.9.0-beta, react-1.", min_length=1, max_length=64),
    ] = "lipsync-2-pro"
    sync_mode: Annotated[SyncMode, Meta(description="What happens where sound and picture are not equally long.")] = (
        "remap"
    )
    temperature: Annotated[Temperature | None, Meta(description="Expressiveness, for the lipsync-2 family.")] = None
    active_speaker_detection: Annotated[
        dict[str, Any] | None,
        Meta(description="Whose mouth: auto_detect, or frame_number with coordinates [x, y] in pixels, or boxes."),
    ] = None
    occlusion_detection_enabled: Annotated[
        bool | None, Meta(description="Look for hands and things before the mouth; slower.")
    ] = None
    model_mode: Annotated[Literal["lips", "face", "head"] | None, Meta(description="For react-1.")] = None
    prompt: Annotated[
        Literal["happy", "sad", "angry", "disgusted", "surprised", "neutral"] | None, Meta(description="For react-1.")
    ] = None
    most_seconds: Annotated[
        float, Meta(gt=0, description="Longest video that the account's plan takes; a longer one is refused at once.")
    ] = 600.0
    most_mb: Annotated[int, Meta(gt=0, description="Largest video, in megabytes.")] = 2048

    def options(self) -> dict[str, Any]:
        """As the service has them. `sync_mode` is always said: its default differs from document to document."""
        names = ("temperature", "active_speaker_detection", "occlusion_detection_enabled", "model_mode", "prompt")
        more = {name: value for name in names if (value := getattr(self, name)) is not None}
        return {"sync_mode": self.sync_mode} | more


def override_problems(options: Mapping[str, Any], place: str) -> Iterator[Problem]:
    """What is wrong with the options of one segment."""
    for name, value in options.items():
        if name not in OVERRIDES:
            hint = did_you_mean(name, OVERRIDES)
            words = f"a segment may have of its own: {', '.join(OVERRIDES)}{hint}"
            yield Problem(f"{place}.{name}", words, "unknown")
            continue
        try:
            msgspec.convert({name: value}, Overrides)
        except msgspec.ValidationError as error:
            choices = f"; one of: {', '.join(get_args(SyncMode))}" if name == "sync_mode" else ""
            yield Problem(f"{place}.{name}", f"{str(error).partition(' - at ')[0]}{choices}", "invalid")


def source_of(ref_id: str) -> str:
    """The input that a refId means: `audio-1` is the source `audio_1`."""
    return ref_id.replace("-", "_")


def body(params: Params, files: Mapping[str, Mapping[str, str]], name: str, webhook: str | None) -> dict[str, Any]:
    """The request of a generation.

    Args:
        params: of the step.
        files: how each file is named to the service (`assetId` or `url`), by input: `video`, and the audios in use.
        name: of the result.
        webhook: URL to be called when it has ended.
    """
    sounds = [
        {"type": "audio", **where, **({"refId": input_} if params.segments else {})}
        for input_, where in files.items()
        if input_ != "video"
    ]
    made: dict[str, Any] = {
        "model": params.model,
        "input": [{"type": "video", **files["video"]}, *sounds],
        "options": params.options(),
        "outputFileName": name,
    }
    if params.segments:
        made["segments"] = [_segment(one) for one in params.segments]
    return made | ({"webhookUrl": webhook} if webhook else {})


def _segment(one: Segment) -> dict[str, Any]:
    sound: dict[str, Any] = {"refId": source_of(one.audio_input.ref_id)}
    if one.sound_s is not None:
        sound |= {"startTime": one.audio_input.start_time, "endTime": one.audio_input.end_time}
    made = {"startTime": one.start_time, "endTime": one.end_time, "audioInput": sound}
    return made | ({"optionsOverride": one.options_override} if one.options_override else {})


def reference(source: str) -> str:
    """The other way: what segments call a source."""
    return source.replace("_", "-")


def by_reference(segments: list[Segment]) -> list[Segment]:
    """The same segments with every refId written the one way, as `audio-1`: `audio_1` means the same."""
    change = msgspec.structs.replace
    return [
        change(one, audio_input=change(one.audio_input, ref_id=reference(one.audio_input.ref_id))) for one in segments
    ]
