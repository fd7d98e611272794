"""Reading what clients send: every complaint at once, and never more in memory than is allowed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from litestar import Request
from msgspec import Struct
from msgspec.structs import FieldInfo

from vtid.complaints import complaints
from vtid.errors import InvalidInput, NotFound, Problem, TooLarge, did_you_mean
from vtid.web.errors import ClientGone

T = TypeVar("T", bound=Struct)
AnyRequest = Request[Any, Any, Any]
MAX_JSON = 1024 * 1024
_AS_STORED = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
MOST_ID = 64


async def chunks(request: AnyRequest) -> AsyncIterator[bytes]:
    """The body as it arrives.

    Raises:
        ClientGone: it did not arrive whole.
    """
    more = True
    while more:
        message = await request.receive()
        if message["type"] != "http.request":
            raise ClientGone
        if message["body"]:
            yield message["body"]
        more = message["more_body"]


async def json_object(request: AnyRequest, *, empty: bool = False) -> dict[str, Any]:
    """The body, which must be a JSON object; with `empty`, none counts as `{}`.

    Raises:
        InvalidInput: it is something else.
        TooLarge: it is no request but a file.
    """
    body = bytearray()
    async for chunk in chunks(request):
        body += chunk
        if len(body) > MAX_JSON:
            raise TooLarge(f"A JSON body may have {MAX_JSON >> 10} KB.", problems=[Problem("body", "too large")])
    problems: list[Problem] = []
    value = parse_object(bytes(body) or (b"{}" if empty else b""), "body", problems)
    if problems:
        raise InvalidInput(str(problems[0]), problems=problems)
    return value


async def body(request: AnyRequest, type_: type[T], *, empty: bool = False) -> T:
    """The body, which must be a JSON object, as `type_` has it.

    Args:
        request: whose body it is.
        type_: a Struct.
        empty: whether no body at all is as good as `{}`.

    Raises:
        InvalidInput: with every complaint.
        TooLarge: it is no request but a file.
    """
    raw, problems = await json_object(request, empty=empty), list[Problem]()
    found = convert(raw, type_, problems)
    if found is None:
        raise InvalidInput(str(problems[0]), problems=problems)
    return found


def parse_object(text: bytes | str, place: str, problems: list[Problem]) -> dict[str, Any]:
    """A JSON object, or an empty one and a complaint."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problems.append(Problem(place, f"is not valid JSON: {error}", "not_json"))
        return {}
    if not isinstance(value, dict):
        problems.append(Problem(place, "must be a JSON object", "invalid"))
    elif b"\\u0000" in msgspec.json.encode(value):
        problems.append(_nul(place))
    else:
        return value
    return {}


def query(request: AnyRequest, type_: type[T], **headers: str | None) -> T:
    """The query string, as `type_` has it; a parameter with no value counts as not given.

    Args:
        request: whose query it is.
        type_: a Struct with a field for each parameter.
        headers: values that came as a header and win over the query; None for those that did not come.

    Raises:
        InvalidInput: with every complaint.
    """
    values = {name: text for name, text in request.query_params.items() if text}
    problems: list[Problem] = []
    found = convert(values | {k: v for k, v in headers.items() if v}, type_, problems, strict=False)
    if found is None:
        raise InvalidInput(str(problems[0]), problems=problems)
    return found


def convert(values: Mapping[str, Any], type_: type[T], problems: list[Problem], *, strict: bool = True) -> T | None:
    """Values as a Struct, or None and every complaint; msgspec alone stops at the first."""
    fields = {f.encode_name: f for f in msgspec.structs.fields(type_)}
    before = len(problems)
    if type_.__struct_config__.forbid_unknown_fields:
        problems += _unknown(values, fields)
    problems += [
        Problem(name, "is missing", "missing") for name, f in fields.items() if f.required and name not in values
    ]
    for name, known in fields.items():
        if name in values:
            problems += _wrong(known, values[name], strict=strict)
    return msgspec.convert(values, type_, strict=strict) if len(problems) == before else None


def _unknown(values: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[Problem]:
    for name in values.keys() - known.keys():
        hint = did_you_mean(name, known) or f"; known: {', '.join(known)}"
        yield Problem(name, f"is not known here{hint}", "unknown")


def _nul(place: str) -> Problem:
    """The character that PostgreSQL stores nowhere."""
    return Problem(place, "must not contain the character U+0000", "invalid")


def _wrong(field: FieldInfo, value: Any, *, strict: bool) -> Iterator[Problem]:
    if isinstance(value, str) and "\0" in value:
        yield _nul(field.encode_name)
    yield from complaints(value, field.type, field.encode_name, strict=strict)


def job_id(text: str) -> str:
    """The id of a job in the form in which it is stored. Raises `NotFound` where no job can have it."""
    return one_id(text, "job")


def asset_id(text: str) -> str:
    """The same of a file that came in."""
    return one_id(text, "asset")


def upload_id(text: str) -> str:
    """The same of an upload."""
    return one_id(text, "upload")


def one_id(text: str, noun: str) -> str:
    """An id in a path, in the form in which it is stored.

    Raises:
        NotFound: no such thing can have it.
    """
    if _AS_STORED.match(text):
        return text
    try:
        return str(UUID(text))
    except ValueError:
        raise NotFound(f"There is no {noun} {text}.") from None


def plain_id(text: str) -> str:
    """The id in a path of something whose ids are not all alike.

    Raises:
        NotFound: nothing can have it; PostgreSQL could not even be asked.
    """
    if len(text) > MOST_ID or not text.isprintable():
        raise NotFound("There is nothing of this id.")
    return text
