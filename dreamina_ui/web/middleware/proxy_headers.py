"""Which proxies are believed: what the headers `X-Forwarded-*` say of a client counts only when one of them says it.

Anybody can send such headers; a limit for each address would otherwise be a limit for nobody.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

UNTRUSTED = b"x-forwarded-untrusted"
"""Stands for the headers of a proxy that is not believed: something stands between, and that is all we know."""

_TELLING = (b"forwarded", b"x-real-ip", b"x-gradio-server")


class ProxyHeaders:
    """ASGI middleware that gives a request the client's address and scheme, as far as they can be believed.

    Args:
        trusted: addresses and networks, such as `127.0.0.1` or `10.0.0.0/8`. Of the addresses that a proxy among them
            names, the last one that is not itself among them is the client.
    """

    def __init__(self, app: ASGIApp, trusted: Iterable[str] = ()) -> None:
        names = sorted(trusted)
        self._networks = [ipaddress.ip_network(name) for name in names]
        self._app = app
        self._behind_proxy: ASGIApp = ProxyHeadersMiddleware(app, names)  # type: ignore[assignment,arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        told = {name for name, _ in scope["headers"] if name.startswith(b"x-forwarded") or name in _TELLING}
        if self._is_trusted(scope):
            # Some proxies tell the scheme of each step; the first is the one that the person sees.
            scope["headers"] = [
                (name, value.split(b",")[0].strip() if name == b"x-forwarded-proto" else value)
                for name, value in scope["headers"]
                if name not in _TELLING
            ]
            await self._behind_proxy(scope, receive, send)
            return
        if told:
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in told] + [(UNTRUSTED, b"1")]
        await self._app(scope, receive, send)

    def _is_trusted(self, scope: Scope) -> bool:
        try:
            peer = ipaddress.ip_address((scope.get("client") or ("",))[0])
        except ValueError:
            return False
        return any(peer in network for network in self._networks)
