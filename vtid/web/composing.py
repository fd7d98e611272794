"""Reading what composers send: a document, and the files that it names, every complaint at once at its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct, field

from vtid.app import App
from vtid.complaints import complaints
from vtid.db import AssetFilter
from vtid.domain.artifact import Asset
from vtid.domain.composition import ASSET, WEB, with_files_renamed
from vtid.domain.merging import FIELDS
from vtid.engine.intake import Draft
from vtid.errors import InvalidInput, NotFound, Problem
from vtid.net import check_url, without_query
from vtid.web.composition_schemas import STEP

COMPOSER = "compose_ffmpeg.compose"
"""The step whose params are the document."""
BUCKET = "s3://"
AUTO = "auto"
"""As a duration: by the source, and of pictures by the sound."""
MOST_OF_A_NAME = 50
"""Files of one name that are looked through for the one that was meant."""


class Asked(Struct, frozen=True):
    """A document that is well-formed, and the files that belong to it."""

    document: dict[str, Any]
    """As the step takes it: each file is called `asset:N`."""
    shown: dict[str, Any]
    """As it was sent, without what may be a key in a URL."""
    files: Mapping[str, str]
    """Source of the job (`file_1`) to the name in the document as shown."""
    seconds: float | None
    """Of the film, as far as the document and the files that are here say."""


def document_type(core: App) -> type[Struct]:
    """What a document consists of. Raises `Unavailable` where there is no composer."""
    core.pipelines.get("compose")
    return core.plugins.specs[COMPOSER].params


async def read(core: App, draft: Draft, raw: dict[str, Any]) -> Asked:
    """Judge a document, and have the draft take in or fetch its files.

    Args:
        core: the daemon.
        draft: of the job.
        raw: as it was sent.

    Raises:
        InvalidInput: with every complaint that can be made before the files are looked at.
    """
    problems = [
        Problem(one.field.removeprefix("."), one.message, one.code) for one in complaints(raw, document_type(core), "")
    ]
    problems += _too_much(core, raw)
    files = await _Files.named(core, draft.user_id, raw, problems)
    if problems:
        raise InvalidInput(str(problems[0]), problems=problems)
    await files.take_in(core, draft)
    document = with_files_renamed(raw, files.renamed)
    seconds = length(document, {name: one for name, one in files.assets.items() if one.info})
    most = core.config.compositions.max_seconds
    if seconds is not None and seconds > most:
        words = f"make a film of {seconds:g} s; there may be {most:g} s"
        raise InvalidInput(f"clips: {words}", problems=[Problem("clips", words, "too_long")])
    return Asked(document, with_files_renamed(raw, files.shown), files.names, seconds)


def _too_much(core: App, raw: Mapping[str, Any]) -> list[Problem]:
    limits = core.config.compositions
    return [
        Problem(name, f"has {len(given)} entries; there may be {most}", "too_many")
        for name, most in (("clips", limits.max_clips), ("overlays", limits.max_overlays))
        if isinstance(given := raw.get(name), list) and len(given) > most
    ]


class _Files(Struct):
    """The files of a document. One that is named twice comes once."""

    sources: dict[str, str] = field(default_factory=dict)
    """Name as sent to source of the job."""
    assets: dict[str, Asset] = field(default_factory=dict)
    """Source of the job to the file, of those that are here."""
    places: dict[str, str] = field(default_factory=dict)
    """Name as sent to its first place."""

    @classmethod
    async def named(cls, core: App, user_id: str, raw: Any, problems: list[Problem]) -> _Files:
        """Those that a document names; what is wrong with one is added to the problems."""
        files = cls()

        def note(name: str, place: str, font: bool) -> str:
            if not font or name.startswith((ASSET, *WEB, BUCKET)):
                files.places.setdefault(name, place)
            return name

        with_files_renamed(raw, note)
        for number, (name, place) in enumerate(files.places.items(), 1):
            source = f"file_{number}"
            files.sources[name] = source
            try:
                if name.startswith(WEB):
                    check_url(name, place, core.outbound.reach)
                elif not name.startswith(BUCKET):
                    files.assets[source] = await _asset(core, user_id, name.removeprefix(ASSET), place)
            except InvalidInput as error:
                problems += error.problems or [Problem(place, error.message)]
        return files

    async def take_in(self, core: App, draft: Draft) -> None:
        """Into the draft: files that are here, those of buckets, and URLs for the job to fetch."""
        for name, source in self.sources.items():
            place = self.places[name]
            if source in self.assets:
                draft.use_asset(source, self.assets[source], place)
            elif name.startswith(BUCKET):
                await draft.use_bucket(source, name, place)
            else:
                draft.use_url(source, str(check_url(name, place, core.outbound.reach)))

    def renamed(self, name: str, _place: str, _font: bool) -> str:
        """What stands in the step's document in place of a name."""
        return ASSET + self.sources[name].removeprefix("file_") if name in self.sources else name

    @staticmethod
    def shown(name: str, _place: str, _font: bool) -> str:
        """What is shown in place of a name."""
        return without_query(name) if name.startswith(WEB) else name

    @property
    def names(self) -> dict[str, str]:
        """Source to name as it is shown."""
        return {source: self.shown(name, "", False) for name, source in self.sources.items()}


async def _asset(core: App, user_id: str, name: str, place: str) -> Asset:
    """The file that a document means: by its id, or by the name under which one file of the user came in.

    Raises:
        InvalidInput: there is none, or there are several.
    """
    try:
        return await core.assets.get(str(UUID(name)), user_id)
    except NotFound:
        found = []
    except ValueError:
        alike = await core.assets.list(AssetFilter(user_id, text=name, limit=MOST_OF_A_NAME))
        found = [one for one in alike if one.filename == name]
    if len({one.key for one in found}) == 1:
        return found[0]
    words = f'there is no file "{name}" of yours; give a URL, an asset_id, or asset:NAME of a file that you uploaded'
    if found:
        words = f'{len(found)} files of yours are called "{name}"; give the asset_id of one: {found[0].id}, for one'
    raise InvalidInput(f"{place}: {words}", problems=[Problem(place, words, "ambiguous" if found else "unknown")])


def length(document: Mapping[str, Any], assets: Mapping[str, Asset]) -> float | None:
    """Seconds of a film, transitions aside; None where a file has to be fetched before that can be said."""
    ends, last = [0.0], 0.0
    for clip in document["clips"]:
        if clip.get("track", 0):
            continue
        begin = clip.get("start_time")
        begin = last if begin is None else begin
        lasts = clip.get("duration")
        if lasts == AUTO:
            lasts = None
        if lasts is None and clip.get("end_time") is not None:
            lasts = clip["end_time"] - begin
        if lasts is None:
            lasts = _of_source(clip, assets)
        if lasts is None:
            return None
        last = begin + lasts
        ends.append(last)
    return round(max(ends), 3)


def _of_source(clip: Mapping[str, Any], assets: Mapping[str, Asset]) -> float | None:
    """Seconds that a clip lasts by its own."""
    end = clip.get("trim_end")
    if end is None:
        name = (clip.get("video_url") or "").removeprefix(ASSET)
        asset = assets.get(f"file_{name}")
        end = asset.info.duration_s if asset and asset.info else None
    return None if end is None else max(0.0, end - clip.get("trim_start", 0.0)) / clip.get("speed", 1.0)


def in_the_documents_words(error: InvalidInput) -> InvalidInput:
    """A complaint of the pipeline's step, with the places of the document."""
    problems = [
        Problem(p.field.removeprefix(f"{STEP}.").removeprefix("params."), p.message, p.code) for p in error.problems
    ]
    words = str(problems[0]) if problems else error.message
    return type(error)(words, problems=problems, suggestion=error.suggestion)


def schema(core: App) -> dict[str, Any]:
    """The JSON Schema of a document (draft 2020-12), as it is once its fields are filled in."""
    found = msgspec.json.schema(document_type(core))
    found["$defs"]["Composition"]["properties"][FIELDS] = {
        "type": "object",
        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
        "description": "Names that {{name}} may stand for in any text, each with its default; null has none.",
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Composition", **found}
