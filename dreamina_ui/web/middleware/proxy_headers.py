"""Trusts the `X-Forwarded-*` headers of named proxies only.

Anybody can send such headers; with them believed, a limit per client would be no limit.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

UNTRUSTED = b"x-forwarded-untrusted"
"""Replaces the headers of a proxy that is not trusted: a proxy stands between, and that is all we know."""

_MAX_REMEMBERED = 1024
_PROXY_HEADERS = (b"forwarded", b"x-real-ip", b"x-gradio-server")


class ProxyHeaders:
    """ASGI middleware that sets a request's client IP address and scheme, as far as the headers can be trusted.

    Args:
        trusted: IP addresses and networks, such as `127.0.0.1` or `10.0.0.0/8`. Of those that a trusted proxy lists,
            the last one that is not itself trusted is the client's.
    """

    def __init__(self, app: ASGIApp, trusted: Iterable[str] = ()) -> None:
        names = sorted(trusted)
        self._networks = [ipaddress.ip_network(name) for name in names]
        self._is_trusted = lru_cache(maxsize=_MAX_REMEMBERED)(self._is_trusted_peer)
        self._app = app
        self._app_behind_proxy: ASGIApp = ProxyHeadersMiddleware(app, names)  # type: ignore[assignment,arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if self._is_trusted((scope.get("client") or ("",))[0]):
            # Some proxies list the scheme of each hop; the first one is what the browser shows.
            scope["headers"] = [
                (name, value.split(b",")[0].strip() if name == b"x-forwarded-proto" else value)
                for name, value in scope["headers"]
                if name not in _PROXY_HEADERS
            ]
            await self._app_behind_proxy(scope, receive, send)
            return
        forged = {name for name, _ in scope["headers"] if name.startswith(b"x-forwarded") or name in _PROXY_HEADERS}
        if forged:
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in forged] + [(UNTRUSTED, b"1")]
        await self._app(scope, receive, send)

    def _is_trusted_peer(self, host: str) -> bool:
        try:
            peer = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(peer in network for network in self._networks)
