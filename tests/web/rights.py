"""Who may do what: a row for every route, and for each WebSocket the test that shows it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from vtid.domain.account import Scope, User

PASSWORD = "correct horse battery"


class Things(NamedTuple):
    """What the owner has; fresh for every row."""

    owner: User
    other: User
    job: str
    """Waits."""
    ended: str
    preview: str
    key: str
    """The id of a key."""
    admin_job: str
    made: Callable[[str], str]
    """The id of something that is made when it is asked for: `asset`, `chunked`, `tus`, `webhook`, `delivery`, `pro`, `film`."""


class Row(NamedTuple):
    """One route."""

    scope: Scope | None
    """None: the route is open, and answers `owner` to everybody."""
    owner: int
    other: int
    admin: int
    path: Callable[[Things], str] | None = None
    """Where the template has parameters."""
    send: Callable[[Things], dict[str, Any]] = lambda _: {}
    """What goes along."""
    admins_only: bool = False


def mine(path: str, owner: int, scope: Scope = Scope.READ, thing: str = "job", **more: Any) -> Row:
    """A route about one thing: for everybody else, admins too, it is not there."""
    found: Callable[[Things], str] = (
        (lambda t: str(getattr(t, thing))) if thing in Things._fields else (lambda t: t.made(thing))
    )
    return Row(scope, owner, 404, 404, lambda t: path.format(found(t)), **more)


def own(status: int, scope: Scope = Scope.READ, **more: Any) -> Row:
    """A route about what is one's own: everybody has such things."""
    return Row(scope, status, status, status, **more)


def opened(status: int, **more: Any) -> Row:
    """A route for anybody."""
    return Row(None, status, status, status, **more)


def admins(status: int, scope: Scope = Scope.ADMIN, **more: Any) -> Row:
    """A route for admins."""
    return Row(scope, 403, 403, status, admins_only=True, **more)


def json(**body: Any) -> Callable[[Things], dict[str, Any]]:
    return lambda _: {"json": body}


def account(path: str) -> Callable[[Things], str]:
    return lambda t: path.format(t.owner.id)


def fresh_email(_: Things) -> dict[str, Any]:
    return {"json": {"email": f"{uuid.uuid4()}@example.org", "current_password": PASSWORD}}


def tus(headers: dict[str, str], content: bytes = b"") -> Callable[[Things], dict[str, Any]]:
    return lambda _: {"headers": {"Tus-Resumable": "1.0.0", **headers}, "content": content}


JOBS, ME, ADMIN, AUTH = "/api/v1/jobs", "/api/v1/users/me", "/api/v1/admin", "/api/v1/auth"
FILES, CHUNKED, TUS = "/api/v1/files", "/api/v1/chunked-upload", "/api/v1/tus"
DIRECT, HOOKS, SENT = "/api/v1/direct-upload", "/api/v1/webhooks", "/api/v1/webhook-deliveries"
WATCHES, FILMS = "/api/v1/watches", "/api/v1/compositions"
EDITORS = "/api/v1/video-editors"
PRO_PATHS = [f"{EDITORS}/sync/pro-sync-process", f"{EDITORS}/pro-sync-process", "/api/v1/sync/pro-sync-process"]
HOOK = "https://93.184.216.34/hook"
"""An address of the public internet, so that no name has to be asked for; nothing is sent there."""
EMPTY_FORM = {"headers": {"Content-Type": "multipart/form-data; boundary=x"}, "content": b"--x--\r\n"}

TABLE: dict[tuple[str, str], Row] = {
    # what anybody may ask
    ("GET", "/"): opened(200),
    ("GET", "/docs"): opened(200),
    ("GET", "/redoc"): opened(200),
    ("GET", "/schema/openapi.json"): opened(200),
    ("GET", "/docs/assets/{name}"): opened(404, path=lambda _: "/docs/assets/nothing.js"),
    ("GET", "/login"): opened(200),
    ("POST", "/login"): opened(401, send=lambda _: {"data": {"email": "nobody@example.org", "password": "x"}}),
    ("POST", "/logout"): opened(303),
    ("POST", f"{AUTH}/login"): opened(401, send=json(email="nobody@example.org", password="x")),
    ("POST", f"{AUTH}/refresh"): opened(401, send=json(refresh_token="x")),
    ("POST", f"{AUTH}/register"): opened(403, send=json(email="new@example.org", password=PASSWORD)),
    ("POST", f"{AUTH}/logout"): opened(204, send=json(refresh_token="x")),
    ("GET", "/health"): opened(503),  # no worker is there
    ("GET", "/api/v1/health"): opened(503),
    ("GET", "/health/db"): opened(200),
    ("GET", "/health/queue"): opened(200),
    ("GET", "/health/redis"): opened(200),
    ("GET", "/health/storage"): opened(200),
    ("GET", "/files/{key}"): opened(403, path=lambda t: f"/files/users/{t.owner.id}/jobs/{t.job}/x.mp4"),
    ("HEAD", "/files/{key}"): opened(403, path=lambda t: f"/files/users/{t.owner.id}/jobs/{t.job}/x.mp4"),
    ("POST", "/callbacks/{plugin}/{token}"): opened(404, path=lambda t: f"/callbacks/caller/{t.job}.call.{'0' * 40}"),
    # jobs
    ("GET", JOBS): own(200),
    ("POST", f"{JOBS}/submit"): own(400, Scope.WRITE, send=lambda _: EMPTY_FORM),
    ("POST", "/api/v1/upload-and-process"): own(400, Scope.WRITE, send=lambda _: EMPTY_FORM),
    ("POST", f"{JOBS}/estimate"): own(200, send=json(pipeline="copy", seconds=3)),
    ("GET", f"{JOBS}/{{job_id}}"): mine(f"{JOBS}/{{}}", 200),
    ("GET", f"{JOBS}/{{job_id}}/files"): mine(f"{JOBS}/{{}}/files", 200),
    ("GET", f"{JOBS}/{{job_id}}/events"): mine(f"{JOBS}/{{}}/events", 200, thing="ended"),
    ("POST", f"{JOBS}/{{job_id}}/cancel"): mine(f"{JOBS}/{{}}/cancel", 200, Scope.WRITE),
    ("POST", f"{JOBS}/{{job_id}}/retry"): mine(f"{JOBS}/{{}}/retry", 200, Scope.WRITE, thing="ended"),
    ("DELETE", f"{JOBS}/{{job_id}}"): mine(f"{JOBS}/{{}}", 204, Scope.WRITE, thing="ended"),
    ("POST", "/api/v1/previews"): own(400, Scope.WRITE, send=lambda _: EMPTY_FORM),
    ("GET", "/api/v1/previews/{preview_id}"): mine("/api/v1/previews/{}", 200, thing="preview"),
    ("GET", FILMS): own(200),
    ("POST", FILMS): own(400, Scope.WRITE, send=json(clips=[])),
    ("GET", f"{FILMS}/schema"): own(200),
    ("POST", f"{FILMS}/cancel-all"): own(200, Scope.WRITE),
    ("GET", f"{FILMS}/{{composition_id}}"): mine(f"{FILMS}/{{}}", 200, thing="film"),
    ("GET", f"{FILMS}/{{composition_id}}/status"): mine(f"{FILMS}/{{}}/status", 200, thing="film"),
    ("GET", f"{FILMS}/{{composition_id}}/metadata"): mine(f"{FILMS}/{{}}/metadata", 200, thing="film"),
    ("GET", f"{FILMS}/{{composition_id}}/download"): mine(f"{FILMS}/{{}}/download", 409, thing="film"),
    ("POST", f"{FILMS}/{{composition_id}}/cancel"): mine(f"{FILMS}/{{}}/cancel", 200, Scope.WRITE, thing="film"),
    ("DELETE", f"{FILMS}/{{composition_id}}"): mine(f"{FILMS}/{{}}", 409, Scope.WRITE, thing="film"),  # it waits
    ("GET", "/api/v1/limits"): own(200),
    ("POST", "/internal/v1/process-clips"): admins(400, Scope.INTERNAL, send=json(clips=[])),
    ("GET", "/api/v1/pipelines"): own(200),
    ("GET", "/api/v1/plugins"): own(200),
    ("GET", "/api/v1/encoders"): own(200),
    # files and uploads
    ("POST", f"{JOBS}/batch"): own(400, Scope.WRITE, send=lambda _: EMPTY_FORM),
    ("GET", FILES): own(200),
    ("GET", f"{FILES}/usage"): own(200),
    ("GET", f"{FILES}/{{asset_id}}"): mine(f"{FILES}/{{}}", 200, thing="asset"),
    ("POST", f"{FILES}/{{asset_id}}/previews"): mine(f"{FILES}/{{}}/previews", 202, Scope.WRITE, thing="asset"),
    ("GET", f"{FILES}/{{asset_id}}/previews"): mine(f"{FILES}/{{}}/previews", 404, thing="asset"),
    ("GET", f"{FILES}/{{asset_id}}/previews/{{name}}"): mine(f"{FILES}/{{}}/previews/proxy.mp4", 404, thing="asset"),
    ("HEAD", f"{FILES}/{{asset_id}}/previews/{{name}}"): mine(f"{FILES}/{{}}/previews/proxy.mp4", 404, thing="asset"),
    ("POST", f"{FILES}/{{asset_id}}/stills"): mine(
        f"{FILES}/{{}}/stills", 400, Scope.WRITE, thing="asset", send=json(at=[])
    ),
    ("GET", f"{FILES}/{{asset_id}}/content"): mine(f"{FILES}/{{}}/content", 200, thing="asset"),
    ("HEAD", f"{FILES}/{{asset_id}}/content"): mine(f"{FILES}/{{}}/content", 200, thing="asset"),
    ("POST", f"{FILES}/{{asset_id}}/share"): mine(f"{FILES}/{{}}/share", 200, Scope.WRITE, thing="asset"),
    ("DELETE", f"{FILES}/{{asset_id}}"): mine(f"{FILES}/{{}}", 204, Scope.WRITE, thing="asset"),
    ("POST", f"{CHUNKED}/init"): own(200, Scope.WRITE, send=json(filename="a.mp4", total_size=9)),
    ("GET", f"{CHUNKED}/{{upload_id}}"): mine(f"{CHUNKED}/{{}}", 200, thing="chunked"),
    ("POST", f"{CHUNKED}/chunk/{{upload_id}}"): mine(
        f"{CHUNKED}/chunk/{{}}", 400, Scope.WRITE, thing="chunked", send=lambda _: EMPTY_FORM
    ),
    ("POST", f"{CHUNKED}/complete/{{upload_id}}"): mine(f"{CHUNKED}/complete/{{}}", 409, Scope.WRITE, thing="chunked"),
    ("DELETE", f"{CHUNKED}/{{upload_id}}"): mine(f"{CHUNKED}/{{}}", 204, Scope.WRITE, thing="chunked"),
    ("POST", TUS): own(201, Scope.WRITE, send=tus({"Upload-Length": "9", "Upload-Metadata": "filename YS5tcDQ="})),
    ("GET", f"{TUS}/{{upload_id}}"): mine(f"{TUS}/{{}}", 200, thing="tus"),
    ("HEAD", f"{TUS}/{{upload_id}}"): mine(f"{TUS}/{{}}", 200, thing="tus", send=tus({})),
    ("PATCH", f"{TUS}/{{upload_id}}"): mine(
        f"{TUS}/{{}}",
        204,
        Scope.WRITE,
        thing="tus",
        send=tus({"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}, b"abc"),
    ),
    ("DELETE", f"{TUS}/{{upload_id}}"): mine(f"{TUS}/{{}}", 204, Scope.WRITE, thing="tus", send=tus({})),
    # past the daemon: refused where files lie in a folder, as they do here; the uploads there are none
    ("POST", DIRECT): own(409, Scope.WRITE, send=json(filename="a.mp4", size=9)),
    ("GET", f"{DIRECT}/{{upload_id}}"): mine(f"{DIRECT}/{{}}", 404),
    ("POST", f"{DIRECT}/{{upload_id}}/parts"): mine(f"{DIRECT}/{{}}/parts", 404, Scope.WRITE, send=json(numbers=[1])),
    ("POST", f"{DIRECT}/{{upload_id}}/complete"): mine(f"{DIRECT}/{{}}/complete", 404, Scope.WRITE),
    ("DELETE", f"{DIRECT}/{{upload_id}}"): mine(f"{DIRECT}/{{}}", 404, Scope.WRITE),
    # the pro editor; no key of the lip-sync service is there
    **{("POST", path): own(503, Scope.WRITE, send=lambda _: EMPTY_FORM) for path in PRO_PATHS},
    ("POST", f"{EDITORS}/ghostcut/simple-inpaint"): own(400, Scope.WRITE, send=lambda _: EMPTY_FORM),
    ("GET", f"{EDITORS}/pro-job/{{job_id}}/status"): mine(f"{EDITORS}/pro-job/{{}}/status", 200, thing="pro"),
    ("GET", "/api/v1/sync/pro-job/{job_id}/status"): mine("/api/v1/sync/pro-job/{}/status", 200, thing="pro"),
    # webhooks
    ("GET", HOOKS): own(200),
    ("POST", HOOKS): own(201, Scope.ACCOUNT, send=json(url=HOOK)),
    ("POST", f"{HOOKS}/callback-secret"): own(200, Scope.ACCOUNT),
    ("GET", f"{HOOKS}/{{webhook_id}}"): mine(f"{HOOKS}/{{}}", 200, thing="webhook"),
    ("PATCH", f"{HOOKS}/{{webhook_id}}"): mine(
        f"{HOOKS}/{{}}", 200, Scope.ACCOUNT, thing="webhook", send=json(description="d")
    ),
    ("DELETE", f"{HOOKS}/{{webhook_id}}"): mine(f"{HOOKS}/{{}}", 204, Scope.ACCOUNT, thing="webhook"),
    ("POST", f"{HOOKS}/{{webhook_id}}/rotate-secret"): mine(
        f"{HOOKS}/{{}}/rotate-secret", 200, Scope.ACCOUNT, thing="webhook"
    ),
    ("POST", f"{HOOKS}/{{webhook_id}}/test"): mine(f"{HOOKS}/{{}}/test", 202, Scope.ACCOUNT, thing="webhook"),
    ("GET", SENT): own(200),
    ("GET", f"{SENT}/{{delivery_id}}"): mine(f"{SENT}/{{}}", 200, thing="delivery"),
    ("POST", f"{SENT}/{{delivery_id}}/replay"): mine(f"{SENT}/{{}}/replay", 202, Scope.ACCOUNT, thing="delivery"),
    # one's own account
    ("GET", f"{AUTH}/me"): own(200),
    ("POST", f"{AUTH}/embedded"): own(200),
    ("GET", ME): own(200),
    ("PUT", ME): Row(Scope.ACCOUNT, 200, 403, 403, send=fresh_email),  # the others have no such password
    ("DELETE", ME): Row(Scope.ACCOUNT, 409, 403, 403, send=json(current_password=PASSWORD)),  # its job waits
    ("GET", f"{ME}/stats"): own(200),
    ("GET", f"{ME}/credits"): own(200),
    ("POST", f"{ME}/change-password"): Row(
        Scope.ACCOUNT, 200, 403, 403, send=json(current_password=PASSWORD, new_password=PASSWORD)
    ),
    ("GET", f"{ME}/api-keys"): own(200, Scope.ACCOUNT),
    ("POST", f"{ME}/api-keys"): own(201, Scope.ACCOUNT, send=json(name="n", scopes=["account"])),
    ("DELETE", f"{ME}/api-keys/{{key_id}}"): mine(f"{ME}/api-keys/{{}}", 204, Scope.ACCOUNT, thing="key"),
    ("GET", "/api/v1/users/subscription-tiers"): own(200),
    # admins
    ("GET", "/metrics"): Row(Scope.READ, 403, 403, 200, admins_only=True),
    ("GET", WATCHES): admins(200, Scope.READ),
    ("GET", f"{WATCHES}/{{name}}"): admins(404, Scope.READ, path=lambda _: f"{WATCHES}/none"),
    ("GET", f"{WATCHES}/{{name}}/files"): admins(404, Scope.READ, path=lambda _: f"{WATCHES}/none/files"),
    ("POST", f"{WATCHES}/{{name}}/pause"): admins(404, Scope.WRITE, path=lambda _: f"{WATCHES}/none/pause"),
    ("POST", f"{WATCHES}/{{name}}/resume"): admins(404, Scope.WRITE, path=lambda _: f"{WATCHES}/none/resume"),
    ("POST", f"{WATCHES}/{{name}}/rescan"): admins(404, Scope.WRITE, path=lambda _: f"{WATCHES}/none/rescan"),
    ("GET", f"{ADMIN}/stats"): admins(200),
    ("GET", f"{ADMIN}/users"): admins(200),
    ("POST", f"{ADMIN}/users"): admins(201, send=lambda _: {"json": {"email": f"{uuid.uuid4()}@example.org"}}),
    ("GET", f"{ADMIN}/users/{{account_id}}"): admins(200, path=account(f"{ADMIN}/users/{{}}")),
    ("PATCH", f"{ADMIN}/users/{{account_id}}"): admins(200, path=account(f"{ADMIN}/users/{{}}"), send=json(tier="pro")),
    ("DELETE", f"{ADMIN}/users/{{account_id}}"): admins(409, path=account(f"{ADMIN}/users/{{}}")),  # its job waits
    ("GET", f"{ADMIN}/users/{{account_id}}/credits"): admins(200, path=account(f"{ADMIN}/users/{{}}/credits")),
    ("POST", f"{ADMIN}/users/{{account_id}}/credits"): admins(
        201, path=account(f"{ADMIN}/users/{{}}/credits"), send=json(amount=5, reason="a gift")
    ),
    ("POST", f"{ADMIN}/users/{{account_id}}/login-link"): admins(201, path=account(f"{ADMIN}/users/{{}}/login-link")),
    ("GET", f"{ADMIN}/jobs"): admins(200),
    ("POST", f"{ADMIN}/jobs/{{job_id}}/cancel"): admins(200, path=lambda t: f"{ADMIN}/jobs/{t.job}/cancel"),
    ("GET", f"{ADMIN}/system/health"): admins(200),
}
NOT_HTTP: dict[str, str] = {
    "/ws/jobs/{job_id:str}": "test_a_connection_lets_in_whom_it_should",
    "/ws/compositions/{composition_id:str}": "test_a_connection_lets_in_whom_it_should",
    "/api/v1/ws/compositions/{composition_id:str}": "test_a_connection_lets_in_whom_it_should",
}
"""WebSocket routes and mounted applications: the path, and the test that shows that it lets in nobody unknown."""
