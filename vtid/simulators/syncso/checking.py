"""What Sync.so refuses in a generation, and in which words and codes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

from vtid.simulators.serving import Answer

MODELS = ("sync-3", "lipsync-2", "lipsync-2-pro", "lipsync-1.9.0-beta", "react-1")
SYNC_MODES = ("bounce", "loop", "cut_off", "silence", "remap")
KEY = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_TOP = {
    "model",
    "input",
    "options",
    "segments",
    "webhookUrl",
    "outputFileName",
    "projectId",
    "dubParams",
}
_OPTIONS = {
    "sync_mode",
    "temperature",
    "active_speaker_detection",
    "occlusion_detection_enabled",
    "model_mode",
    "prompt",
    "output_format",
    "output_resolution",
    "fps",
    "pads",
    "speedup",
}
_KINDS = ("video", "audio", "text", "image")


class Refusal(Exception):
    """The service refuses, with this status and body."""

    def __init__(self, status: int, message: str | list[str], code: str | None = None, **more: Any) -> None:
        super().__init__(str(message))
        self.status = status
        self.body = {"message": message, "statusCode": status, **({"errorCode": code} if code else {}), **more}

    def answer(self) -> Answer:
        """As it goes out."""
        return Answer.json(self.body, self.status)


def check(body: Any) -> dict[str, Any]:
    """A generation's request, if it is one. Raises `Refusal`."""
    if not isinstance(body, dict):
        raise Refusal(400, "the body must be a JSON object")
    if unknown := body.keys() - _TOP:  # snake_case at the top among them
        raise Refusal(400, f"property {min(unknown)} should not exist")
    if body.get("model") not in MODELS:
        raise Refusal(422, "unsupported model", "generation_unsupported_model", field="model")
    inputs = body.get("input")
    if not isinstance(inputs, list) or not inputs or not all(isinstance(one, dict) for one in inputs):
        raise Refusal(400, "input must be a non-empty array")
    _check_inputs(inputs, body)
    _check_options(body.get("options", {}))
    _check_segments(body.get("segments"), inputs)
    url, name = body.get("webhookUrl"), body.get("outputFileName")
    if url is not None and not _may_call(url):
        raise Refusal(400, "webhookUrl must be an https URL")
    if name is not None and not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise Refusal(400, "outputFileName must match [A-Za-z0-9_-] and have at most 255 characters")
    return body


def _may_call(url: Any) -> bool:
    """The service wants https; a simulator may also be told of a daemon on the same machine."""
    return isinstance(url, str) and url.startswith(("https://", "http://127.0.0.1:", "http://localhost:"))


def _check_inputs(inputs: list[dict[str, Any]], body: Mapping[str, Any]) -> None:
    for one in inputs:
        kind = one.get("type")
        if kind not in _KINDS:
            raise _invalid(f"input.type must be one of {', '.join(_KINDS)}")
        if kind != "text" and (one.get("url") is None) == (one.get("assetId") is None):
            raise _invalid(f"an input of type {kind} needs url or assetId")
        if kind == "text" and not isinstance(one.get("provider"), dict):
            raise _invalid("an input of type text needs a provider")
        if kind == "image" and body["model"] != "sync-3":
            raise _invalid("image inputs are for sync-3")
    pictures = [one for one in inputs if one["type"] in ("video", "image")]
    sounds = [one for one in inputs if one["type"] in ("audio", "text")]
    if len(pictures) > 1:
        raise Refusal(422, "more than one visual input", "generation_input_too_many_visual")
    if not pictures:
        raise Refusal(422, "no video input", "generation_video_missing")
    if body.get("dubParams"):
        if sounds:
            raise Refusal(422, "dubbing takes no audio", "generation_input_dub_audio_conflict")
        return
    if not sounds:
        raise Refusal(422, "no audio input", "generation_audio_missing")
    if len(sounds) > 1 and not body.get("segments"):
        raise _invalid("more than one audio input needs segments")


def _invalid(message: str) -> Refusal:
    return Refusal(422, message, "generation_input_validation_failed", field="input")


def _check_options(options: Any, place: str = "options") -> None:
    if not isinstance(options, dict):
        raise Refusal(400, f"{place} must be an object")
    if unknown := options.keys() - _OPTIONS:  # camelCase inside options among them
        raise Refusal(400, f"property {place}.{min(unknown)} should not exist")
    if "sync_mode" in options and options["sync_mode"] not in SYNC_MODES:
        raise Refusal(400, f"{place}.sync_mode must be one of {', '.join(SYNC_MODES)}")
    heat = options.get("temperature")
    if heat is not None and not (isinstance(heat, int | float) and 0 <= heat <= 1):
        raise Refusal(400, f"{place}.temperature must lie between 0 and 1")


def _check_segments(segments: Any, inputs: list[dict[str, Any]]) -> None:
    if segments is None:
        return
    if not isinstance(segments, list) or not segments:
        raise _segments("segments must be a non-empty array")
    names = [one.get("refId") for one in inputs if one["type"] in ("audio", "text")]
    if None in names or len(set(names)) != len(names):
        raise _segments("with segments, each audio input needs a refId of its own")
    for at, one in enumerate(segments):
        _check_segment(one, f"segments[{at}]", names)
    spans = sorted((one["startTime"], one["endTime"]) for one in segments)
    if any(start < end for (_, end), (start, _) in itertools.pairwise(spans)):
        raise _segments("segments overlap")


def _check_segment(one: Any, place: str, names: list[Any]) -> None:
    if not isinstance(one, dict) or one.keys() - {"startTime", "endTime", "audioInput", "optionsOverride"}:
        raise _segments(f"{place} takes startTime, endTime, audioInput and optionsOverride")
    if not _is_span(one.get("startTime"), one.get("endTime")):
        raise _segments(f"{place}: startTime and endTime must be seconds, the first not after the second")
    sound = one.get("audioInput")
    if not isinstance(sound, dict) or sound.get("refId") not in names:
        raise _segments(f"{place}.audioInput.refId names no audio input")
    if ("startTime" in sound) != ("endTime" in sound):
        raise Refusal(422, f"{place}.audioInput: both times or neither", "generation_input_trim_invalid")
    if "startTime" in sound and not _is_span(sound["startTime"], sound["endTime"]):
        raise Refusal(422, f"{place}.audioInput: not a range", "generation_input_trim_invalid")
    if "optionsOverride" in one:
        _check_options(one["optionsOverride"], f"{place}.optionsOverride")


def _is_span(start: Any, end: Any) -> bool:
    return isinstance(start, int | float) and isinstance(end, int | float) and 0 <= start <= end


def _segments(message: str) -> Refusal:
    return Refusal(422, message, "generation_input_segments_invalid", field="segments")
