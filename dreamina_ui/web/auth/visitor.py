"""Visitors: each browser gets an anonymous identity in a cookie that no script can read.

The ledger stores only a hash of the cookie, so that whoever reads the ledger cannot act as the visitor.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

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


def read_cookie(cookie_header: str | None, name: str) -> str:
    """The value of one cookie in a request's `Cookie` header; `""` if it is missing."""
    return cookie_parser(cookie_header or "").get(name, "")


def set_cookie(request: HTTPConnection, name: str, value: str, max_age_s: int | None) -> str:
    """A `Set-Cookie` header for this site alone, hidden from scripts.

    Args:
        max_age_s: 0 deletes the cookie; None makes a session cookie, which ends with the browser.
    """
    # In a Space the page lives in a frame of another site: only a partitioned cookie gets through there.
    policy = "SameSite=None; Secure; Partitioned" if request.scope["scheme"] == "https" else "SameSite=Lax"
    age = "" if max_age_s is None else f"Max-Age={max_age_s}; "
    return f"{name}={value}; Path=/; {age}HttpOnly; {policy}"


def path_below_root(scope: Scope) -> str:
    """A request's path below the root path, which some proxies leave in place and others strip."""
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    return path[len(root) :] if root and (path + "/").startswith(root + "/") else path


def client_ip_hash(host: str | None) -> str | None:
    """A hash of a client's IP address, for limits; of an IPv6 address only the /64 counts, as a home has many.

    Returns:
        None where `host` is no IP address.
    """
    try:
        ip = ipaddress.ip_address((host or "").partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address):  # some proxies write IPv4 addresses in its form
        ip = ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False).network_address
    return hashlib.sha256(str(ip).encode()).hexdigest()[:32]


def _hash_secret(secret: str) -> str | None:
    return hashlib.sha256(secret.encode()).hexdigest()[:32] if len(secret) >= MIN_SECRET_LENGTH else None


class VisitorCookie:
    """ASGI middleware that gives a browser its identity when it opens the page, and only then.

    Parallel requests of a first visit would otherwise race for different identities.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        opens_page = scope["type"] == "http" and scope["method"] == "GET" and path_below_root(scope) in ("", "/")
        if not opens_page or visitor_id(headers.get("cookie")):
            await self.app(scope, receive, send)
            return

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                cookie = set_cookie(HTTPConnection(scope), VISITOR_COOKIE, new_visitor_secret(), _YEAR_S)
                MutableHeaders(scope=message).append("set-cookie", cookie)
            await send(message)

        await self.app(scope, receive, send_with_cookie)
