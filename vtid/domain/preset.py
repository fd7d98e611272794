"""Presets: what a quality such as `high` means, for each codec, in the encoders' own values."""

from __future__ import annotations

import re
import tomllib
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct, field

from vtid.complaints import complaints
from vtid.errors import InvalidInput, Problem, did_you_mean

NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{0,40}$")
CODECS = ("h264", "hevc", "av1", "vp9")
Effort: TypeAlias = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo"
]


class X26x(Struct, frozen=True, forbid_unknown_fields=True):
    """For libx264 and libx265."""

    crf: Annotated[float, Meta(ge=0, le=51)]
    preset: Effort = "veryfast"


class SvtAv1(Struct, frozen=True, forbid_unknown_fields=True):
    """For libsvtav1."""

    crf: Annotated[float, Meta(ge=0, le=63)]
    preset: Annotated[int, Meta(ge=0, le=13)] = 8


class Vpx(Struct, frozen=True, forbid_unknown_fields=True):
    """For libvpx-vp9."""

    crf: Annotated[float, Meta(ge=0, le=63)]


class Preset(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of `[presets] dirs`."""

    title: str = ""
    lines: Annotated[int, Meta(ge=16, le=8192)] | None = None
    """The shorter side of the picture, at most; None: as asked for."""
    audio_kbps: Annotated[int, Meta(ge=16, le=512)] = 160
    h264: X26x | None = None
    hevc: X26x | None = None
    av1: SvtAv1 | None = None
    vp9: Vpx | None = None

    @property
    def codecs(self) -> tuple[str, ...]:
        """Those that it speaks of."""
        return tuple(name for name in CODECS if getattr(self, name))


class Presets(Struct, frozen=True):
    """All of them by name, and what is wrong with those that cannot be used."""

    known: dict[str, Preset] = field(default_factory=dict)
    broken: dict[str, tuple[Problem, ...]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """By name."""

    def get(self, name: str) -> Preset:
        """A preset.

        Raises:
            InvalidInput: there is none of that name, or its file is wrong. The words have no place before them.
        """
        if name in self.broken:
            raise InvalidInput(f'the preset "{name}" cannot be used: {"; ".join(map(str, self.broken[name]))}')
        if name not in self.known:
            hint = did_you_mean(name, self.known) or f"; there are: {', '.join(sorted(self.known)) or 'none'}"
            raise InvalidInput(f'there is no preset "{name}"{hint}')
        return self.known[name]

    def coding(self, name: str, codec: str) -> X26x | SvtAv1 | Vpx:
        """What a preset says of a codec.

        Raises:
            InvalidInput: as of `get`; or nothing.
        """
        preset = self.get(name)
        found: X26x | SvtAv1 | Vpx | None = getattr(preset, codec)
        if found is None:
            others = ", ".join(preset.codecs) or "no codec"
            raise InvalidInput(
                f'the preset "{name}" says nothing of {codec}, only of {others}; add [{codec}] to {self.files[name]}'
            )
        return found


def parse(name: str, text: str, file: str) -> Preset:
    """Read a preset from TOML.

    Args:
        name: of the file, without its ending.
        text: of the file.
        file: for people.

    Raises:
        InvalidInput: with every problem.
    """
    problems: list[Problem] = []
    if not NAME.match(name):
        problems.append(Problem("", "its name must be lower-case letters, digits, - and _", "invalid", file))
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        problems.append(Problem("", f"not valid TOML: {error}", "toml", file))
    else:
        found = complaints(raw, Preset, "")
        problems += [Problem(one.field.removeprefix("."), one.message, one.code, file) for one in found]
        if not problems:
            preset = msgspec.convert(raw, Preset)
            if preset.codecs:
                return preset
            wanted = " or ".join(f"[{codec}]" for codec in CODECS)
            problems.append(Problem("", f"says nothing of any codec; give {wanted}", "missing", file))
    raise InvalidInput(str(problems[0]), problems=problems)
