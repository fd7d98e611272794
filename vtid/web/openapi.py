"""What the OpenAPI document says beyond what Litestar reads from signatures.

Routes read queries and bodies themselves (`vtid.web.reading`), because clients are owed every complaint and not only
the first; what they read is described here, from the same Structs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, Operation, Parameter, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from msgspec import Struct

from vtid.domain.pipeline import SOURCE_NAME
from vtid.web import examples
from vtid.web.errors import MEDIA_TYPE, phrase
from vtid.web.schemas import ProblemView

JOB_ID = examples.JOB_ID
JOB: dict[str, Any] = {
    "job_id": JOB_ID,
    "status": "completed",
    "progress": 100,
    "message": "Text removed",
    "result_url": f"http://localhost:8750/files/users/local/jobs/{JOB_ID}/result/0/holiday.mp4?expires=…&signature=…",
    "output_url": f"http://localhost:8750/files/users/local/jobs/{JOB_ID}/result/0/holiday.mp4?expires=…&signature=…",
    "created_at": "2025-12-01T10:30:00.000Z",
    "updated_at": "2025-12-01T10:31:12.500Z",
    "completed_at": "2025-12-01T10:31:12.500Z",
    "error": None,
    "original_filename": "holiday.mp4",
    "display_name": None,
    "pipeline": "remove-text",
    "estimated_credits": 30,
    "actual_credits_used": 30,
    "metadata": {},
}
STEP = {"id": "clean", "title": "Removing text", "status": "completed", "progress": 100, "message": None, "attempt": 1}
JOB_WITH_STEPS = JOB | {"steps": [STEP]}

_PROBLEMS: dict[int, tuple[str, str, str, list[dict[str, str]]]] = {
    400: (
        "invalid_input",
        "The request is not valid",
        "params.regions[0].width: must be more than 0",
        [{"field": "params.regions[0].width", "message": "must be more than 0", "code": "invalid"}],
    ),
    401: ("unauthorized", "Log in first", "Nobody is logged in here.", []),
    403: ("forbidden", "Not allowed", "This key is not for that: it lacks the scope write.", []),
    404: ("not_found", "Not found", f"There is no job {JOB_ID}.", []),
    409: ("conflict", "The state does not allow this", "This job is processing; cancel it first.", []),
    412: ("tus_version", "Precondition Failed", "Tus-Resumable is missing; this server speaks 1.0.0.", []),
    413: (
        "too_large",
        "This is too large",
        "The file is larger than 2048 MB.",
        [{"field": "file", "message": "at most 2048 MB", "code": "too_large"}],
    ),
    415: ("unsupported_media", "This is not a media file", "notes.mp4 is a text file.", []),
    416: ("range_not_satisfiable", "Requested Range Not Satisfiable", "The file has 1024 bytes.", []),
    422: ("unreadable_media", "The file cannot be read", "clip.mp4 ends in the middle.", []),
    429: ("rate_limited", "Too many requests", "Too many requests; try again in 6 s.", []),
    460: ("checksum_mismatch", "Checksum Mismatch", "Upload-Checksum: is not that of the body.", []),
    503: ("unavailable", "Not available now", "The database does not answer.", []),
    507: ("disk_full", "The disk is full", "The disk has 12 MiB left.", []),
}


def _file(description: str) -> ResponseSpec:
    return ResponseSpec(bytes, generate_examples=False, description=description, media_type="application/octet-stream")


FILES = {
    200: _file("The file, under its own media type"),
    206: _file("The range of it that was asked for"),
    304: ResponseSpec(None, description="Not changed since"),
}


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """The errors of a route, each with an example; 400 among them, which Litestar would describe in its own shape."""
    return {status: _problem(status) for status in sorted({400, *statuses})}


def _example(status: int) -> dict[str, Any]:
    code, title, detail, errors = _PROBLEMS[status]
    return {
        "type": f"urn:vtid:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "errors": errors,
        "request_id": "5f2b0c9e7d1a4c3f",
    }


def _problem(status: int) -> ResponseSpec:
    return ResponseSpec(
        ProblemView,
        generate_examples=False,
        description=phrase(status),
        media_type=MEDIA_TYPE,
        examples=[Example(value=_example(status))],
    )


def answer(type_: Any, example: Any, description: str) -> ResponseSpec:
    """What a route answers when all is well."""
    return ResponseSpec(type_, generate_examples=False, description=description, examples=[Example(value=example)])


def nothing(description: str) -> ResponseSpec:
    """An answer without a body."""
    return ResponseSpec(None, description=description)


def operation(
    *,
    query: type[Struct] | None = None,
    headers: dict[str, str] | None = None,
    body: dict[str, dict[str, Any]] | None = None,
    body_required: bool = True,
) -> type[Operation]:
    """An `operation_class` that describes what a route reads by itself.

    Args:
        query: a Struct with a field for each parameter.
        headers: name to description.
        body: media type to schema.
        body_required: whether there must be one.
    """
    parameters = [*_query(query), *_headers(headers or {})]
    content = {
        kind: OpenAPIMediaType(schema=schema, example=examples.example(schema))  # type: ignore[arg-type]
        for kind, schema in (body or {}).items()
    }

    @dataclass
    class Described(Operation):
        def __post_init__(self) -> None:
            self.parameters = [*(self.parameters or []), *parameters] or None
            self.request_body = RequestBody(content=content, required=body_required) if content else None

    return Described


def _query(type_: type[Struct] | None) -> list[Parameter]:
    properties = schema(type_)["properties"] if type_ else {}
    return [
        Parameter(name=name, param_in="query", description=about.get("description"), required=False, schema=about)
        for name, about in properties.items()
    ]


def _headers(headers: dict[str, str]) -> list[Parameter]:
    text = Schema(type=OpenAPIType.STRING)
    return [
        Parameter(name=name, param_in="header", description=about, required=False, schema=text)
        for name, about in headers.items()
    ]


def form(
    fields: type[Struct], *, required: str = "", prefixed: Mapping[str, str] = MappingProxyType({}), **files: str
) -> dict[str, Any]:
    """The schema of a multipart form.

    Args:
        fields: that are no files.
        required: the file that is.
        prefixed: files whose names the sender chooses: what their names begin with, and a description.
        files: the others, with a description each.
    """
    about = schema(fields)
    free = {f"^{prefix}{SOURCE_NAME.pattern.removeprefix('^')}": text for prefix, text in prefixed.items()}
    named, patterns = (
        {name: {"type": "string", "format": "binary", "description": text} for name, text in some.items()}
        for some in (files, free)
    )
    if patterns:
        about["patternProperties"] = patterns
    return about | {
        "properties": named | about["properties"],
        "required": [*filter(None, [required]), *about.get("required", [])],
    }


def schema(type_: type[Struct]) -> dict[str, Any]:
    """The JSON Schema of a Struct, in one piece."""
    whole = msgspec.json.schema(type_)
    found: dict[str, Any] = _inlined({"$ref": whole["$ref"]}, whole["$defs"])
    return found


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(definitions[node["$ref"].rpartition("/")[2]], definitions)
    return {key: _inlined(value, definitions) for key, value in node.items()}


def complete(document: dict[str, Any], open_routes: Mapping[str, str | None]) -> dict[str, Any]:
    """The document with what the gate may answer before a route is reached.

    Args:
        document: as the routes make it; it is changed.
        open_routes: that need nobody known, and the limit on each.
    """
    for path, item in document["paths"].items():
        for operation in item.values():
            if not isinstance(operation, dict) or "responses" not in operation:
                continue
            if path in open_routes:
                operation["security"] = []
            statuses = ((429,) if open_routes[path] else ()) if path in open_routes else (401, 403, 429)
            for status in statuses:
                operation["responses"].setdefault(str(status), _gate_answer(status))
    return document


def _gate_answer(status: int) -> dict[str, Any]:
    content = {
        "schema": {"$ref": "#/components/schemas/ProblemView"},
        "examples": {"problem": {"value": _example(status)}},
    }
    return {"description": phrase(status), "content": {MEDIA_TYPE: content}}
