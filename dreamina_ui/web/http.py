"""What every route needs of HTTP: paths, cookies, the language, a JSON body, and a refusal as JSON."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import math
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from starlette.requests import HTTPConnection, Request, cookie_parser
from starlette.responses import JSONResponse, Response
from starlette.types import Scope, Send

from dreamina_ui.errors import DreaminaError, LimitError, RateLimitError
from dreamina_ui.ledger.job import IPV6_MARK
from dreamina_ui.web.i18n.error_texts import error_action, error_text
from dreamina_ui.web.i18n.translate import languages, pick_language

NO_STORE = {"Cache-Control": "no-store"}
IMMUTABLE = "private, max-age=31536000, immutable"
PUBLIC_IMMUTABLE = "public, max-age=31536000, immutable"
LANGUAGE_COOKIE = "dreamina_language"
"""The language chosen on the page, which writes this cookie; the sign-in page follows it, too."""


_MAX_REMEMBERED = 4096
_MAX_USUAL_COOKIES = 1000
_MAX_IP_LENGTH = 64
"""How many headers and IP addresses are remembered, and how long these are at most, in characters."""


def path_below_root(scope: Scope) -> str:
    """A request's path below the root path, which some proxies leave in place and others strip."""
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    return path[len(root) :] if root and (path + "/").startswith(root + "/") else path


def client_ip_hash(host: str | None) -> str:
    """A hash of a client's IP address, for limits: 32 hex digits.

    Of an IPv6 address only the /64 counts, as a home has many. The beginnings of its hash are those of the /56 and the
    /48, which a customer of some providers has, too; see `networks_of`.

    Clients whose IP address cannot be read share one hash, and so their limits.
    """
    return _ip_hash((host or "")[:_MAX_IP_LENGTH])


@lru_cache(maxsize=_MAX_REMEMBERED)
def _ip_hash(host: str) -> str:
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return hashlib.sha256(b"unknown").hexdigest()[:32]
    if isinstance(ip, ipaddress.IPv6Address):  # some proxies write IPv4 addresses in its form
        if ip.ipv4_mapped is None:
            return _ipv6_hash(ip)
        ip = ip.ipv4_mapped
    return hashlib.sha256(str(ip).encode()).hexdigest()[:32]


def _ipv6_hash(ip: ipaddress.IPv6Address) -> str:
    networks = [ipaddress.ip_network((ip, length), strict=False) for length in (48, 56, 64)]
    site, part, home = (hashlib.sha256(str(network).encode()).hexdigest() for network in networks)
    return IPV6_MARK + site[: 16 - len(IPV6_MARK)] + part[:8] + home[:8]


def read_cookie(cookie_header: str | None, name: str) -> str:
    """The value of one cookie in a request's `Cookie` header; `""` if it is missing."""
    header = cookie_header or ""
    cookies = _read_usual_cookies(header) if len(header) <= _MAX_USUAL_COOKIES else cookie_parser(header)
    return cookies.get(name, "")


@lru_cache(maxsize=_MAX_REMEMBERED)
def _read_usual_cookies(header: str) -> Mapping[str, str]:
    """Remembers the last ones: a request's cookies are read many times, and those of an open page again and again."""
    return cookie_parser(header)


def set_cookie(request: HTTPConnection, name: str, value: str, max_age_s: int | None) -> str:
    """A `Set-Cookie` header for this site alone, hidden from scripts.

    Args:
        max_age_s: 0 deletes the cookie; None makes a session cookie, which ends with the browser.
    """
    # In a Space the page lives in a frame of another site: only a partitioned cookie gets through there.
    policy = "SameSite=None; Secure; Partitioned" if request.scope["scheme"] == "https" else "SameSite=Lax"
    age = "" if max_age_s is None else f"Max-Age={max_age_s}; "
    return f"{name}={value}; Path=/; {age}HttpOnly; {policy}"


def language_of(request: HTTPConnection) -> str:
    """The language in the query string, or the one chosen on the page, or the browser's."""
    chosen = read_cookie(request.headers.get("cookie"), LANGUAGE_COOKIE)
    for language in (request.query_params.get("language", ""), chosen):
        if language in languages():
            return language
    return pick_language(request.headers.get("accept-language"))


def json_in_html(value: Any) -> str:
    """A value as JSON that can stand in a `<script>` element."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


async def read_json(request: Request) -> dict[str, Any]:
    """A request's JSON object; `{}` for anything else. The middleware bounds its size."""
    try:
        value = json.loads(await request.body())
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def read_id(body: Mapping[str, Any], name: str) -> str | None:
    """One of our ids in a body, such as a file key; None for what cannot be one, which no database should look for."""
    value = body.get(name)
    return value if isinstance(value, str) and value.isascii() else None


def hashed_client_ip(request: Request) -> str | None:
    """A hash of the client's IP address, for limits; None if it has none."""
    return client_ip_hash(request.client.host if request.client else None)


def message_response(message: str, status: int) -> Response:
    """`{"message": str}`."""
    return JSONResponse({"message": message}, status)


def refusal(
    exc: DreaminaError, language: str, titles: Mapping[str, str] | None = None, *, for_owner: bool = False
) -> Response:
    """The response to a request that failed: `{"kind": str, "message": str, "action": str}`; see `job_texts.Action`.

    Where waiting helps, the seconds stand in `retry_after_s` and in the header `Retry-After`.

    Args:
        titles: the titles of the fields in the form, by schema key.
        for_owner: whether the owner reads it, whose token pays.
    """
    text = error_text(exc, language, titles, for_owner=for_owner)
    content: dict[str, Any] = {"kind": exc.kind, "message": text, "action": error_action(exc, for_owner=for_owner)}
    headers: dict[str, str] = {}
    if (retry_after_s := _retry_after_s(exc)) is not None:
        content["retry_after_s"] = retry_after_s
        headers["Retry-After"] = str(retry_after_s)
    return JSONResponse(content, exc.http_status, headers)


def _retry_after_s(exc: DreaminaError) -> int | None:
    """Whole seconds until it is worth asking again; None if nobody knows."""
    if isinstance(exc, LimitError) and exc.until is not None:
        return max(1, math.ceil(exc.until - time.time()))
    if isinstance(exc, RateLimitError) and exc.retry_after_s is not None:
        return max(1, math.ceil(exc.retry_after_s))
    return None


async def send_refusal(
    send: Send, status: int, text: str, *, closes_connection: bool = False, retry_after_s: int = 0
) -> None:
    """Refuse a request in a middleware, as `{"message": text, "detail": text}`; Gradio's page shows the second."""
    body = json.dumps({"message": text, "detail": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if closes_connection:
        headers.append((b"connection", b"close"))
    if retry_after_s:
        headers.append((b"retry-after", str(retry_after_s).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
