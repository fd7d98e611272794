"""Swagger UI and ReDoc from files that came with a package: they work where there is no internet."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

from litestar import MediaType, Response, get

from vtid.errors import NotFound

ASSETS = "/docs/assets"
TYPES = {".js": "text/javascript", ".css": "text/css", ".png": "image/png"}
SWAGGER = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>vtid API</title>
<link rel="stylesheet" href="{ASSETS}/swagger-ui-dist/swagger-ui.css">
<link rel="icon" href="{ASSETS}/swagger-ui-dist/favicon-32x32.png"></head><body><div id="ui"></div>
<script src="{ASSETS}/swagger-ui-dist/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({{url: "/schema/openapi.json", dom_id: "#ui", deepLinking: true, validatorUrl: null}})</script>
</body></html>"""
REDOC = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>vtid API</title>
<link rel="icon" href="{ASSETS}/swagger-ui-dist/favicon-32x32.png"></head><body style="margin:0"><div id="ui"></div>
<script src="{ASSETS}/redoc/bundles/redoc.standalone.js"></script>
<script>Redoc.init("/schema/openapi.json", {{disableGoogleFont: true, hideLoading: true}},
document.getElementById("ui"))</script></body></html>"""


@cache
def assets() -> dict[str, Path]:
    """The package's files by name. It is found without being imported: it is meant for another framework."""
    spec = importlib.util.find_spec("drf_spectacular_sidecar")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent / "static" / "drf_spectacular_sidecar"
    return {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.suffix in TYPES}


@get("/docs", media_type=MediaType.HTML, include_in_schema=False)
async def swagger() -> str:
    """Swagger UI."""
    return SWAGGER


@get("/redoc", media_type=MediaType.HTML, include_in_schema=False)
async def redoc() -> str:
    """ReDoc."""
    return REDOC


@get(ASSETS + "/{name:path}", include_in_schema=False, sync_to_thread=True)
def asset(name: str) -> Response[bytes]:
    """A script, a style sheet or a picture of theirs."""
    # Looked up among what is there: a name from outside never becomes a path.
    path = assets().get(name.lstrip("/"))
    if path is None:
        raise NotFound("There is no such file.")
    return Response(path.read_bytes(), media_type=TYPES[path.suffix], headers={"Cache-Control": "max-age=86400"})


handlers = (swagger, redoc, asset)
