"""The documentation that the daemon serves: whole, and without the internet."""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs
import pytest

from tests.web.site import Site, problem
from vtid.web.auth import OPEN_ROUTES

METHODS = {"get", "post", "put", "patch", "delete", "head"}


@pytest.fixture(scope="module")
def document(still: Site) -> dict[str, Any]:
    answer = still.http.get("/schema/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, o) for path, item in document["paths"].items() for method, o in item.items() if method in METHODS
    ]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_pages_need_no_other_host(still: Site, path: str) -> None:
    page = still.http.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert not re.findall(r"(?:https?:)?//[a-z]", page.text)
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert links
    for link in links:
        answer = still.http.get(link)
        assert answer.status_code == 200, link
        assert len(answer.content) > 100
        if link.endswith(".css"):
            assert not re.findall(r"(?:@import|url\()\s*['\"]?(?:https?:)?//", answer.text)
    assert "/schema/openapi.json" in page.text


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nope.js",
        "../__init__.py",
        "%2e%2e/%2e%2e/__init__.py",
        "..%2f..%2fapps.py",
        "%00",
        "%00.js",
        "a" * 300 + ".js",
        "swagger-ui-dist",
        "/etc/passwd",
    ],
)
def test_assets_are_only_assets(still: Site, name: str) -> None:
    problem(still.http.get(f"/docs/assets/{name}"), 404)


def test_the_document_is_openapi(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "vtid"
    assert document["info"]["version"]
    for reference in re.findall(r"'\$ref': '#/components/schemas/([^']+)'", str(document)):
        assert reference in document["components"]["schemas"]
    ids = [o["operationId"] for _, _, o in operations(document)]
    assert len(ids) == len(set(ids))


def test_every_route_says_what_it_does_and_answers(document: dict[str, Any]) -> None:
    found = operations(document)
    assert len(found) >= 15
    for path, method, operation in found:
        here = f"{method} {path}"
        assert operation["summary"], here
        assert operation["description"], here
        assert operation["tags"], here
        assert any(status.startswith("2") for status in operation["responses"]), here
        for name in re.findall(r"{(\w+)}", path):
            assert name in [p["name"] for p in operation["parameters"] if p["in"] == "path"], here


def test_every_error_is_a_problem_with_an_example(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) < 400 or "health" in path:
                continue
            content = response["content"]
            assert list(content) == ["application/problem+json"], f"{method} {path} {status}"
            (example,) = content["application/problem+json"]["examples"].values()
            assert example["value"]["status"] == int(status)
            assert example["value"]["type"].startswith("urn:vtid:problem:")


def test_every_route_says_who_may_ask(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"].keys() == {"bearer", "key", "session"}
    assert document["security"] == [{"bearer": []}, {"key": []}, {"session": []}]
    for path, method, operation in operations(document):
        if path in OPEN_ROUTES:
            assert operation["security"] == [], path
            assert ("429" in operation["responses"]) is (OPEN_ROUTES[path] is not None), path
        else:
            assert "security" not in operation, path
            assert {"401", "403", "429"} <= operation["responses"].keys(), f"{method} {path}"


def test_every_post_that_makes_something_takes_a_key_for_repeats(document: dict[str, Any]) -> None:
    older = {"/api/v1/chunked-upload/init"}  # which answers with 200
    for path, method, operation in operations(document):
        if method == "post" and (path in older or operation["responses"].keys() & {"201", "202"}):
            names = [p["name"] for p in operation.get("parameters", [])]
            assert "Idempotency-Key" in names, path
            assert {"409", "422"} <= operation["responses"].keys(), path


def test_every_body_has_an_example_that_fits(document: dict[str, Any]) -> None:
    checked = 0
    for path, method, operation in operations(document):
        for kind, body in operation.get("requestBody", {}).get("content", {}).items():
            if body["schema"].get("format") == "binary":
                continue
            files = {n: "…" for n, a in body["schema"]["properties"].items() if a.get("format") == "binary"}
            required = {n: files[n] for n in files if n in body["schema"].get("required", ())}
            validator = jsonschema_rs.validator_for(body["schema"])
            wrong = [f"{e.instance_path}: {e.message}" for e in validator.iter_errors(body["example"] | required)]
            assert not wrong, f"{method} {path} {kind}: {wrong}"
            checked += 1
    assert checked > 20


def test_uploads_are_described(document: dict[str, Any]) -> None:
    for path, fields in (("/api/v1/jobs/submit", {"file", "pipeline"}), ("/api/v1/upload-and-process", {"file"})):
        operation = document["paths"][path]["post"]
        form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert form["properties"]["file"]["format"] == "binary"
        assert set(form["required"]) == fields - {"file"}, "asset_id may name the file instead"
        assert {"params", "display_name"} <= form["properties"].keys()
        assert {"202", "400", "404", "409", "413", "415", "422", "503"} <= operation["responses"].keys()
        assert "Idempotency-Key" in [p["name"] for p in operation["parameters"]]
    both = document["paths"]["/api/v1/jobs/submit"]["post"]["requestBody"]["content"]
    assert {"asset_id", "pipeline"} <= both["application/json"]["schema"]["properties"].keys()


def test_the_events_and_the_files_are_described(document: dict[str, Any]) -> None:
    names = [p["name"] for p in document["paths"]["/api/v1/jobs/{job_id}/events"]["get"]["parameters"]]
    assert {"job_id", "Last-Event-ID", "last_event_id"} <= set(names)
    file = document["paths"]["/files/{key}"]["get"]
    assert {"200", "206", "304", "403", "404", "416"} <= file["responses"].keys()


def test_every_route_of_the_contract_is_there(document: dict[str, Any]) -> None:
    """Of what this release offers."""
    offered = {f"{method.upper()} {path.rstrip('/')}" for path, method, _ in operations(document)}
    assert offered >= {
        "GET /api/v1/jobs",
        "POST /api/v1/jobs/submit",
        "GET /api/v1/jobs/{job_id}",
        "POST /api/v1/jobs/{job_id}/cancel",
        "DELETE /api/v1/jobs/{job_id}",
        "POST /api/v1/upload-and-process",
        "POST /api/v1/jobs/{job_id}/retry",
        "GET /api/v1/jobs/{job_id}/events",
        "GET /health",
        "GET /health/db",
        "GET /health/queue",
        "GET /health/redis",
        "GET /health/storage",
        "GET /api/v1/health",
        "GET /metrics",
        "POST /api/v1/auth/login",
        "POST /api/v1/auth/refresh",
        "POST /api/v1/auth/register",
        "POST /api/v1/auth/logout",
        "GET /api/v1/auth/me",
        "GET /api/v1/users/me",
        "PUT /api/v1/users/me",
        "DELETE /api/v1/users/me",
        "GET /api/v1/users/me/stats",
        "GET /api/v1/users/me/credits",
        "GET /api/v1/users/me/api-keys",
        "POST /api/v1/users/me/change-password",
        "GET /api/v1/users/subscription-tiers",
        "GET /api/v1/admin/stats",
        "GET /api/v1/admin/users",
        "GET /api/v1/admin/jobs",
        "GET /api/v1/admin/system/health",
    }
