"""Logging in with a browser: a plain page, by password or by a one-time link, until the web application has its own."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import parse_qs

from litestar import MediaType, Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.response import Redirect

from vtid.app import App
from vtid.domain.account import User
from vtid.errors import InvalidInput, TooLarge, Unauthorized, VtidError
from vtid.web.auth import COOKIE
from vtid.web.given import Core, Door
from vtid.web.reading import chunks

AnyRequest = Request[Any, Any, Any]
MAX_FORM = 16 * 1024
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>vtid: log in</title>
<style>body{{font:16px/1.5 system-ui;margin:4rem auto;max-width:22rem;padding:0 1rem}}
label,button{{display:block;margin-top:1rem}}input{{width:100%;font:inherit}}[role=alert]{{color:#b00020}}</style>
<h1>Log in</h1>{said}<form method="post" action="/login">{fields}<button>Log in</button></form></html>"""
PASSWORD_FIELDS = """<label>E-mail address
<input name="email" type="email" autocomplete="username" required autofocus></label>
<label>Password<input name="password" type="password" autocomplete="current-password" required></label>"""  # noqa: S105
LINK_FIELDS = """<p>As {email}. This link works once: choose a password now, or go on with the one that you have.</p>
<input type="hidden" name="token" value="{token}"><input type="hidden" autocomplete="username" value="{email}">
<label>New password (10 characters or more; may be left empty)
<input name="password" type="password" autocomplete="new-password" minlength="10"></label>"""


def _page(fields: str, said: str = "", status: int = 200) -> Response[str]:
    html = PAGE.format(fields=fields, said=f'<p role="alert">{escape(said)}</p>' if said else "")
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return Response(html, media_type=MediaType.HTML, status_code=status, headers=headers)


def _by_link(user: User, token: str) -> str:
    return LINK_FIELDS.format(email=escape(user.email), token=escape(token))


@get("/login", include_in_schema=False)
async def login_page(core: Core, request: AnyRequest) -> Response[str]:
    """The form. A one-time link opens it too, and is used up only when the form is sent: programs look at links."""
    token = request.query_params.get("token")
    if not token:
        return _page(PASSWORD_FIELDS)
    user = await core.accounts.is_login_link(str(token))
    if user is None:
        return _page(PASSWORD_FIELDS, "This link is not valid any more.", 401)
    return _page(_by_link(user, str(token)))


@post("/login", status_code=303, include_in_schema=False)
async def login(core: Core, gate: Door, request: AnyRequest) -> Response[Any]:
    """Log in, and go to the first page."""
    form = await _form(request)
    token, password = form.get("token", ""), form.get("password", "")
    await gate.count_login(request.scope, form.get("email", ""))
    try:
        if token:
            user = await core.accounts.use_login_link(token, password or None)
        else:
            user = await core.accounts.login(form.get("email", ""), password)
    except InvalidInput as error:  # of the new password; the link was not used up
        owner = await core.accounts.is_login_link(token)
        return _page(_by_link(owner, token) if owner else PASSWORD_FIELDS, error.message, 400)
    except VtidError as error:
        if not isinstance(error, Unauthorized):
            raise
        return _page(PASSWORD_FIELDS, error.message, 401)
    answer: Response[Any] = Redirect("/", status_code=303)
    answer.set_cookie(_cookie(core, request, await core.accounts.open_session(user)))
    return answer


@post("/logout", status_code=303, include_in_schema=False)
async def logout(core: Core, request: AnyRequest) -> Response[Any]:
    """End the session of this browser."""
    if cookie := request.cookies.get(COOKIE):
        await core.accounts.logout(cookie)
    answer: Response[Any] = Redirect("/login", status_code=303)
    answer.set_cookie(_cookie(core, request, "", max_age=0))
    return answer


def _cookie(core: App, request: AnyRequest, value: str, max_age: int | None = None) -> Cookie:
    days = core.config.auth.refresh_token_days
    secure = (core.config.server.public_url or "").startswith("https://") or request.url.scheme == "https"
    age = days * 24 * 3600 if max_age is None else max_age
    return Cookie(key=COOKIE, value=value, path="/", max_age=age, httponly=True, samesite="lax", secure=secure)


async def _form(request: AnyRequest) -> dict[str, str]:
    """The fields of the form; of one that came twice, the last."""
    body = bytearray()
    async for chunk in chunks(request):
        body += chunk
        if len(body) > MAX_FORM:
            raise TooLarge("This is no login form.")
    try:
        fields = {name: values[-1] for name, values in parse_qs(body.decode(), max_num_fields=10).items()}
    except ValueError:
        fields = {"": "\0"}
    if any("\0" in value for value in fields.values()):  # PostgreSQL could not even be asked for it
        raise InvalidInput("This is no login form.")
    return fields


handlers = (login_page, login, logout)
