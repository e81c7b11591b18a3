"""Refuses requests that another site's page, or a proxy that nobody declared, sends in a visitor's name."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from dreamina_ui.web.auth.permissions import is_direct
from dreamina_ui.web.http import path_below_root, send_refusal
from dreamina_ui.web.paths import FILES, PREFIX

_LINKED_PAGES = (f"/{PREFIX}/sign-in", f"/{PREFIX}/owner")
"""Our pages below `/dreamina/` that another site may link to; nothing else there is a page."""


class OriginGuard:
    """ASGI middleware around the whole site. Another site's page may link to our pages, and nothing else.

    Args:
        is_private: whether only this machine itself may change anything. No limits hold where nobody declared that
            others can reach the page; a tunnel, or another site's name that leads to this machine, brings strangers.
    """

    def __init__(self, app: ASGIApp, *, is_private: bool = False) -> None:
        self.app = app
        self._is_private = is_private

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if _is_foreign(scope):
                await send_refusal(send, 403, "Not from another site.")
                return
            if self._is_private and scope["method"] == "POST" and not is_direct(HTTPConnection(scope)):
                text = "Only this machine itself may do this. To let others in, the owner sets DREAMINA_SHARED=1."
                await send_refusal(send, 403, text)
                return
        await self.app(scope, receive, send)


def _is_foreign(scope: Scope) -> bool:
    """Whether another site's page sends this, and it is neither a link to one of our pages nor a picture's URL."""
    headers, path = Headers(scope=scope), path_below_root(scope)
    if not _is_from_another_site(headers) or path.startswith(f"/{PREFIX}/{FILES}/"):
        return False
    is_link = scope["method"] in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
    return not is_link or (path.startswith(f"/{PREFIX}/") and path not in _LINKED_PAGES)


def _is_from_another_site(headers: Headers) -> bool:
    """Browsers say so in a header, except for old ones and over http, which send an Origin alone."""
    if "sec-fetch-site" in headers:
        return headers["sec-fetch-site"] in ("cross-site", "same-site")
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        # Without ports: proxies seldom pass them on, and cookies ignore them.
        requested = urlsplit(f"//{headers.get('x-forwarded-host', headers.get('host', ''))}").hostname
        return urlsplit(origin).hostname != requested or requested is None
    except ValueError:
        return True
