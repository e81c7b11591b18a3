"""Names our cookies so that nobody else on the same host can set, read or replace them.

Inside the program a cookie has its plain name, such as `dreamina_visitor`. The browser stores it under a name with the
id of this installation, because browsers send cookies to every port and path of a host. Over https the name begins with
`__Host-`: a browser accepts such a cookie from this very host only, not from a sibling subdomain.
"""

from __future__ import annotations

from collections import defaultdict

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dreamina_ui.web.auth.permissions import KEY_COOKIE
from dreamina_ui.web.auth.sessions import SESSION_COOKIE
from dreamina_ui.web.auth.visitor import VISITOR_COOKIE
from dreamina_ui.web.http import LANGUAGE_COOKIE

HOST_PREFIX = "__Host-"
NAMES = (VISITOR_COOKIE, SESSION_COOKIE, KEY_COOKIE, LANGUAGE_COOKIE)
_LEGACY_NAMES = (VISITOR_COOKIE, LANGUAGE_COOKIE)
"""Plain names that are still read over plain http, where nothing can protect a cookie: version 1.0 set them."""


class CookieNames:
    """ASGI middleware outside of everything that reads or sets a cookie.

    Two cookies of one name count as none: one of them was set by somebody else. Cookies of other programs pass as they
    are, but for backslashes, which none of ours has: Python before 3.11.10 takes 10 s to read 60 kB of them, and
    everybody would wait (CVE-2024-7592).

    Args:
        installation_id: differs between installations; part of a cookie's name.
    """

    def __init__(self, app: ASGIApp, installation_id: str) -> None:
        self.app = app
        self._stored_names = {name: f"{name}_{installation_id}" for name in NAMES}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        is_secure = scope["scheme"] in ("https", "wss")
        headers = [pair for pair in scope["headers"] if pair[0] != b"cookie"]
        sent = b"; ".join(value for name, value in scope["headers"] if name == b"cookie").replace(b"\\", b"")
        if cookies := self._read(sent.decode("latin-1"), is_secure=is_secure):
            headers.append((b"cookie", cookies.encode("latin-1")))
        scope["headers"] = headers

        async def send_with_names(message: Message) -> None:
            if message["type"] == "http.response.start":
                response_headers = MutableHeaders(scope=message)
                cookies = response_headers.getlist("set-cookie")
                if cookies:
                    del response_headers["set-cookie"]
                    for cookie in cookies:
                        response_headers.append("set-cookie", self._stored(cookie, is_secure=is_secure))
            await send(message)

        await self.app(scope, receive, send_with_names)

    def _read(self, header: str, *, is_secure: bool) -> str:
        """A `Cookie` header with our cookies under their plain names."""
        values: dict[str, list[str]] = defaultdict(list)
        others = []
        for part in filter(None, (part.strip() for part in header.split(";"))):
            name, _, value = part.partition("=")
            plain = name.removeprefix(HOST_PREFIX)
            if plain in NAMES or plain in self._stored_names.values():
                values[name].append(value)
            else:
                others.append(part)
        ours = []
        for plain, stored in self._stored_names.items():
            names = [HOST_PREFIX + stored] if is_secure else [HOST_PREFIX + stored, stored]
            if not is_secure and plain in _LEGACY_NAMES:
                names.append(plain)
            candidates = next((values[name] for name in names if values[name]), [])
            if len(candidates) == 1:
                ours.append(f"{plain}={candidates[0]}")
        return "; ".join(ours + others)

    def _stored(self, cookie: str, *, is_secure: bool) -> str:
        """A `Set-Cookie` header with the name under which the browser stores the cookie."""
        name, _, rest = cookie.partition("=")
        if name not in self._stored_names:
            return cookie
        return f"{HOST_PREFIX if is_secure else ''}{self._stored_names[name]}={rest}"
