"""`-p NAME=VALUE` and `-i NAME=FILE`: what a pipeline is given beside its file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from vtid.errors import InvalidInput, Problem

param_option = click.option(
    "-p",
    "--param",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the pipeline; JSON, text, or @file.json. Repeatable.",
)
input_option = click.option(
    "-i",
    "--input",
    "beside",
    multiple=True,
    metavar="NAME=FILE",
    help="Another file that it takes: mask=logo.png. Repeatable.",
)


def parse_params(pairs: Sequence[str]) -> dict[str, Any]:
    """`name=value` pairs; a value is JSON where it parses as such, text where not. `name=@file.json` reads a file."""
    params: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise InvalidInput(f'"{pair}" is not NAME=VALUE', problems=[Problem("-p", f'"{pair}" is not NAME=VALUE')])
        if text.startswith("@"):
            path = Path(text[1:])
            if not path.is_file():
                raise InvalidInput(
                    f"{name}: there is no file {path}", problems=[Problem(name, f"there is no file {path}")]
                )
            text = _text_of(name, path)
        try:
            params[name] = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            if text.lstrip().startswith(("[", "{", '"')):  # meant as JSON
                raise InvalidInput(
                    f"{name} is not valid JSON: {error}", problems=[Problem(name, str(error))]
                ) from error
            params[name] = text
    return params


def _text_of(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        words = f"{path} is no text file; give JSON"
    except OSError as error:
        words = f"{path} cannot be read: {error.strerror}"
    raise InvalidInput(f"{name}: {words}", problems=[Problem(name, words)])


def parse_inputs(pairs: Sequence[str]) -> dict[str, Path]:
    """`NAME=FILE` pairs of files that are there. Raises `InvalidInput`."""
    found = named(pairs, "-i")
    problems = [Problem(name, f"there is no file {path}") for name, path in found.items() if not path.is_file()]
    if problems:
        raise InvalidInput(str(problems[0]), problems=problems)
    return found


def named(pairs: Iterable[str], option: str) -> dict[str, Path]:
    """`NAME=FILE` pairs, of any files. Raises `InvalidInput`."""
    out = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not (name and equals and path):
            raise InvalidInput(f'"{pair}" is not NAME=FILE', problems=[Problem(option, f'"{pair}" is not NAME=FILE')])
        out[name] = Path(path)
    return out
