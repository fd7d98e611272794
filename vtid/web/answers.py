"""What most routes answer: a body of JSON, a status, nothing else."""

from __future__ import annotations

from typing import Any, TypeVar

from litestar import Request, Response
from litestar.types import ASGIApp, Receive, Scope, Send

T = TypeVar("T")
BODILESS = frozenset({204, 304})


class View(Response[T]):
    """What a route returned, as Litestar would answer it, at less cost where there is little to say.

    Litestar's own builds headers that may be added to, cookies and what runs afterwards. Where a route asks for any of
    these, or a status that has no body, it still does.
    """

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **asked: Any) -> Any:
        """As Litestar has it."""
        status = self.status_code or 200
        kind = str(getattr(self.media_type, "value", self.media_type) or "application/json")
        more = self.headers or self.cookies or self.background or self.response_type_encoders or any(asked.values())
        if more or status in BODILESS or request.method == "HEAD" or "json" not in kind:
            return super().to_asgi_response(app, request, **asked)
        return _plain(status, kind, self.render(self.content, kind))


def _plain(status: int, kind: str, body: bytes) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return answer
