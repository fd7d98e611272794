"""The page at the root, until the web application takes its place."""

from __future__ import annotations

import contextlib
from html import escape
from typing import Any

from litestar import MediaType, Request, Response, get

from vtid.errors import VtidError
from vtid.web.auth import COOKIE
from vtid.web.given import Core
from vtid.web.routes.login import POLICY

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>vtid</title>
<style>body{{font:16px/1.5 system-ui;margin:4rem auto;max-width:38rem;padding:0 1rem}}</style>
<h1>vtid {version}</h1><p>The daemon is running. What it offers over HTTP:</p>
<ul><li><a href="/docs">API documentation</a>
(<a href="/redoc">ReDoc</a>, <a href="/schema/openapi.json">OpenAPI</a>)</li>
<li><a href="/api/v1/jobs/">jobs</a>, <a href="/api/v1/pipelines">pipelines</a>,
<a href="/api/v1/plugins">plugins</a></li>
<li><a href="/health">health</a>, <a href="/metrics">metrics</a></li></ul>
{who}</html>"""
STRANGER = '<p>You are not logged in here. <a href="/login">Log in</a></p>'
KNOWN = '<form method="post" action="/logout"><p>You are {email}. <button>Log out</button></p></form>'


@get("/", media_type=MediaType.HTML, include_in_schema=False)
async def index(core: Core, request: Request[Any, Any, Any]) -> Response[str]:
    """Where to go from here."""
    who = STRANGER
    if cookie := request.cookies.get(COOKIE):
        with contextlib.suppress(VtidError):  # of a login that has ended, or while the database does not answer
            who = KNOWN.format(email=escape((await core.accounts.session(cookie)).user.email))
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return Response(PAGE.format(version=core.version, who=who), media_type=MediaType.HTML, headers=headers)


handlers = (index,)
