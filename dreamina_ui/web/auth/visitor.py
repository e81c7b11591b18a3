"""Who is asking: each browser is a visitor, known by a cookie that no script can read.

The ledger holds only a hash of the cookie: who reads the ledger cannot become the visitor.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "dreamina_visitor"
HEADER = "X-Dreamina-Visitor"
QUERY = "visitor"
_YEAR_S = 31_536_000


def visitor_id(cookie_header: str | None) -> str | None:
    """The visitor behind a request's `Cookie` header; None for a program or a browser that refuses cookies."""
    return _id_of(cookie_of(cookie_header, COOKIE))


def stored_visitor_id(request: HTTPConnection) -> str | None:
    """The visitor that a page without cookies keeps in the browser's storage; in the address where no header can be."""
    return _id_of(request.headers.get(HEADER) or request.query_params.get(QUERY, ""))


def new_identity() -> str:
    """A visitor's secret, 256 random bits."""
    return secrets.token_urlsafe(32)


def person_id(source: str, name: str) -> str:
    """The visitor that a person is on every device; no cookie has an id of this form.

    Args:
        source: who vouches for the name.
    """
    return "person-" + hashlib.sha256(f"{source} {name}".encode(errors="surrogatepass")).hexdigest()[:32]


def _id_of(secret: str) -> str | None:
    return hashlib.sha256(secret.encode()).hexdigest()[:32] if len(secret) >= 32 else None


def cookie_of(cookie_header: str | None, name: str) -> str:
    """The value of one cookie in a request's `Cookie` header; `""` without."""
    return cookie_parser(cookie_header or "").get(name, "")


def path_of(scope: Scope) -> str:
    """A request's path below the root path, which some proxies leave in place and others take off."""
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    return path[len(root) :] if root and (path + "/").startswith(root + "/") else path


def client_ip_hash(host: str | None) -> str | None:
    """A hash of a client's address, for limits; of an IPv6 address only the network counts, as a home has many."""
    try:
        address = ipaddress.ip_address((host or "").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):  # some proxies write IPv4 addresses in its form
        address = address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False).network_address
    return hashlib.sha256(str(address).encode()).hexdigest()[:32]


def set_cookie(request: HTTPConnection, name: str, value: str, max_age_s: int | None) -> str:
    """A `Set-Cookie` header for this page alone, out of reach of scripts; without an age it ends with the browser."""
    # In a Space the page lives in a frame of another site: only a partitioned cookie gets through there.
    policy = "SameSite=None; Secure; Partitioned" if request.scope["scheme"] == "https" else "SameSite=Lax"
    age = "" if max_age_s is None else f"Max-Age={max_age_s}; "
    return f"{name}={value}; Path=/; {age}HttpOnly; {policy}"


def is_cross_site(headers: Headers) -> bool:
    """Whether another site's page makes this request; browsers say so, programs say nothing.

    Gradio answers every origin with permission to read, so our own routes must look themselves.
    """
    return headers.get("sec-fetch-site") in ("cross-site", "same-site")


class VisitorCookie:
    """ASGI middleware that gives a browser its cookie when it opens the page, and only then.

    Parallel requests of a first visit would otherwise race for different identities.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        opens_page = scope["type"] == "http" and scope["method"] == "GET" and path_of(scope) in ("", "/")
        if not opens_page or visitor_id(headers.get("cookie")):
            await self.app(scope, receive, send)
            return

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append(
                    "set-cookie",
                    set_cookie(HTTPConnection(scope), COOKIE, new_identity(), _YEAR_S),
                )
            await send(message)

        await self.app(scope, receive, send_with_cookie)
