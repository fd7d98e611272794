"""The OpenAPI document, and Swagger UI and ReDoc from files that came with a package: they work without internet."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

from litestar import MediaType, Request, Response, Router, get
from litestar.params import FromPath

from vtid.errors import NotFound
from vtid.web import openapi
from vtid.web.auth import OPEN_ROUTES

SCHEMA = "/schema/openapi.json"
ASSETS = "/docs/assets"
TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}
SWAGGER = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>vtid API</title>
<link rel="stylesheet" href="{ASSETS}/swagger-ui-dist/swagger-ui.css">
<link rel="icon" href="{ASSETS}/swagger-ui-dist/favicon-32x32.png"></head><body><div id="ui"></div>
<script src="{ASSETS}/swagger-ui-dist/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({{url: "{SCHEMA}", dom_id: "#ui", deepLinking: true, validatorUrl: null}})</script>
</body></html>"""
REDOC = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>vtid API</title>
<link rel="icon" href="{ASSETS}/swagger-ui-dist/favicon-32x32.png"></head><body style="margin:0"><div id="ui"></div>
<script src="{ASSETS}/redoc/bundles/redoc.standalone.js"></script>
<script>Redoc.init("{SCHEMA}", {{hideLoading: true}}, document.getElementById("ui"))</script></body></html>"""
# The bundles themselves name pictures and validators elsewhere; the browser is told to fetch nothing from there.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; worker-src 'self' blob:; frame-ancestors 'none'"
)


class Nowhere(Router):
    """Takes no routes. Litestar's own pages for the document fetch from a CDN, the one that says 404 too."""

    def register(self, value: Any) -> list[Any]:
        """Leave it out."""
        del value
        return []


@cache
def assets() -> dict[str, Path]:
    """The package's files by name. It is found without being imported: it is meant for another framework."""
    spec = importlib.util.find_spec("drf_spectacular_sidecar")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent / "static" / "drf_spectacular_sidecar"
    return {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.suffix in TYPES}


def _page(html: str) -> Response[str]:
    return Response(html, media_type=MediaType.HTML, headers={"Content-Security-Policy": POLICY})


@get("/docs", include_in_schema=False)
async def swagger() -> Response[str]:
    """Swagger UI."""
    return _page(SWAGGER)


@get("/redoc", include_in_schema=False)
async def redoc() -> Response[str]:
    """ReDoc."""
    return _page(REDOC)


@get(SCHEMA, include_in_schema=False, media_type="application/vnd.oai.openapi+json", sync_to_thread=False)
def document(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The OpenAPI document."""
    return openapi.complete(request.app.openapi_schema.to_schema(), OPEN_ROUTES)


@get(ASSETS + "/{name:path}", include_in_schema=False, sync_to_thread=True)
def asset(name: FromPath[str]) -> Response[bytes]:
    """A script, a style sheet or a picture of theirs."""
    # Looked up among what is there: a name from outside never becomes a path.
    path = assets().get(name.lstrip("/"))
    if path is None:
        raise NotFound("There is no such file.")
    return Response(path.read_bytes(), media_type=TYPES[path.suffix], headers={"Cache-Control": "max-age=86400"})


handlers = (swagger, redoc, document, asset)
