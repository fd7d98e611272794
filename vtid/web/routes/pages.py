"""The page at the root, until the web application takes its place."""

from __future__ import annotations

from litestar import MediaType, Response, get

from vtid.web.given import Core
from vtid.web.routes.login import POLICY

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>vtid</title>
<style>body{font:16px/1.5 system-ui;margin:4rem auto;max-width:38rem;padding:0 1rem}</style>
<h1>vtid %s</h1><p>The daemon is running. What it offers over HTTP:</p>
<ul><li><a href="/login">log in</a></li>
<li><a href="/docs">API documentation</a>
(<a href="/redoc">ReDoc</a>, <a href="/schema/openapi.json">OpenAPI</a>)</li>
<li><a href="/api/v1/jobs/">jobs</a>, <a href="/api/v1/pipelines">pipelines</a>,
<a href="/api/v1/plugins">plugins</a></li>
<li><a href="/health">health</a>, <a href="/metrics">metrics</a></li></ul>
<form method="post" action="/logout"><button>Log out</button></form></html>"""


@get("/", media_type=MediaType.HTML, include_in_schema=False)
async def index(core: Core) -> Response[str]:
    """Where to go from here."""
    headers = {"Content-Security-Policy": POLICY}
    return Response(PAGE % core.version, media_type=MediaType.HTML, headers=headers)


handlers = (index,)
