"""Refuses requests that another site's page, or a proxy that nobody declared, sends in a visitor's name."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from dreamina_ui.web.auth.permissions import is_direct
from dreamina_ui.web.http import path_below_root, send_refusal
from dreamina_ui.web.paths import FILES, IMPORT, PREFIX, SHARED, UPLOADS

_FORMS = (f"/{PREFIX}/sign-in", f"/{PREFIX}/sign-out", f"/{PREFIX}/library/zip")
"""Our routes that accept a form; all others that change something accept JSON, or an image, which no form can send."""

_LINKED_PAGES = (f"/{PREFIX}/sign-in", f"/{PREFIX}/owner")
"""Our pages below `/dreamina/` that another site may link to; besides them, only shared pages are pages."""


_PORTS = {"http": 80, "https": 443}


class OriginGuard:
    """ASGI middleware around the whole site. Another site's page may link to our pages, and nothing else.

    What changes something is sent as JSON, or as an image for an upload: a page of another port of this host, for which
    browsers send no more than an Origin header over plain http, could send a form, but neither of these without being
    allowed to.

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
            if scope["method"] == "POST" and not _has_accepted_type(scope):
                await send_refusal(send, 415, "Send this as application/json.")
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
    return not is_link or (path.startswith(f"/{PREFIX}/") and path not in _LINKED_PAGES and not _is_shared(path))


def _is_shared(path: str) -> bool:
    """Whether this is a page that somebody shared, to be opened from anywhere."""
    return path.startswith(f"/{PREFIX}/{SHARED}/")


def _has_accepted_type(scope: Scope) -> bool:
    path = path_below_root(scope)
    if not path.startswith(f"/{PREFIX}/") or path in _FORMS:
        return True
    content_type = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
    if path == IMPORT:
        return content_type == "application/zip"
    is_image = content_type.startswith("image/") or content_type == "application/octet-stream"
    return content_type == "application/json" or (is_image and path == f"/{PREFIX}/{UPLOADS}")


def _is_from_another_site(headers: Headers) -> bool:
    """Browsers say so in a header, except for old ones and over plain http, which send an Origin alone."""
    if "sec-fetch-site" in headers:
        return headers["sec-fetch-site"] in ("cross-site", "same-site")
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        requested, sender = urlsplit(f"//{headers.get('x-forwarded-host', headers.get('host', ''))}"), urlsplit(origin)
        # Many proxies pass no port on.
        is_other_port = requested.port is not None and requested.port != (sender.port or _PORTS.get(sender.scheme))
        return requested.hostname is None or sender.hostname != requested.hostname or is_other_port
    except ValueError:
        return True
