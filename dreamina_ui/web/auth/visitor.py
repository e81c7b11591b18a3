"""Visitors: each browser gets an anonymous identity in a cookie that no script can read.

The ledger stores only a hash of the cookie, so that whoever reads the ledger cannot act as the visitor.
"""

from __future__ import annotations

import hashlib
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dreamina_ui.web.http import path_below_root, read_cookie, set_cookie

VISITOR_COOKIE = "dreamina_visitor"
VISITOR_HEADER = "X-Dreamina-Visitor"
VISITOR_QUERY = "visitor"
MIN_SECRET_LENGTH = 32
_YEAR_S = 31_536_000


def visitor_id(cookie_header: str | None) -> str | None:
    """The visitor_id for a request's `Cookie` header; None for a program or a browser that refuses cookies."""
    return _hash_secret(read_cookie(cookie_header, VISITOR_COOKIE))


def visitor_id_without_cookie(request: HTTPConnection) -> str | None:
    """The visitor_id of a page that gets no cookies and stores its secret itself.

    It comes in a header, or in the query string where a browser allows no header (streams and downloads).
    """
    return _hash_secret(request.headers.get(VISITOR_HEADER) or request.query_params.get(VISITOR_QUERY, ""))


def new_visitor_secret() -> str:
    """A visitor's secret, 256 random bits."""
    return secrets.token_urlsafe(32)


def person_id(source: str, name: str) -> str:
    """The visitor_id of a person who signed in, the same on every device; no cookie has a visitor_id of this form.

    Args:
        source: who vouches for the name.
    """
    return "person-" + hashlib.sha256(f"{source} {name}".encode(errors="surrogatepass")).hexdigest()[:32]


def _hash_secret(secret: str) -> str | None:
    return hashlib.sha256(secret.encode()).hexdigest()[:32] if len(secret) >= MIN_SECRET_LENGTH else None


class VisitorCookie:
    """ASGI middleware that gives a browser its identity when it opens the page, and renews it at each visit.

    Only the page itself does: parallel requests of a first visit would race for different identities.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        opens_page = scope["type"] == "http" and scope["method"] == "GET" and path_below_root(scope) in ("", "/")
        if not opens_page:
            await self.app(scope, receive, send)
            return
        secret = read_cookie(Headers(scope=scope).get("cookie"), VISITOR_COOKIE)
        if not _hash_secret(secret):
            secret = new_visitor_secret()

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                cookie = set_cookie(HTTPConnection(scope), VISITOR_COOKIE, secret, _YEAR_S)
                MutableHeaders(scope=message).append("set-cookie", cookie)
            await send(message)

        await self.app(scope, receive, send_with_cookie)
