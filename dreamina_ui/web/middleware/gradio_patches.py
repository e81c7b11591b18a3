"""Closes what Gradio leaves open and this page does not need.

Each part can be deleted when Gradio closes it itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from gradio.blocks import Blocks
from gradio.route_utils import CustomCORSMiddleware
from gradio.routes import App, templates
from gradio.utils import LRUCache
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from dreamina_ui.web.http import path_below_root, send_refusal
from dreamina_ui.web.middleware.script_nonce import add_nonces_to

API_ROUTES = (
    "call/",  # programs
    "info",
    "openapi.json",
    "queue/join",
    "queue/data",
    "heartbeat/",  # the page itself: Gradio reloads it when this ends
    "app_id",
    "startup-events",
    "theme.css",
    "login_check",
    "mcp",  # ours, see web/mcp.py
)
"""Gradio's routes below `/gradio_api/` that the page and programs need, by their beginnings; all others are 404.

Among those are ones that take files from anyone, serve Gradio's cache without owners, bypass the queue and its limits,
end anyone's events, or store what a visitor typed for everyone who has a link.
"""

DISABLED_PAGES = ("/monitoring", "/pwa_icon", "/manifest.json")
"""Beginnings of Gradio's other paths that are 404."""

CALL_ADVICE = " /gradio_api/info lists the endpoints and their inputs."
MAX_SESSIONS = 2000
MAX_SESSION_NAME_LENGTH = 100


class DisabledRoutes:
    """ASGI middleware that returns 404 for all of Gradio's routes but the needed ones."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_disabled(scope):
            await send_refusal(send, 404, "There is nothing here.")
        else:
            await self.app(scope, receive, send)


@asynccontextmanager
async def remove_cors(app: Starlette) -> AsyncIterator[None]:
    """A lifespan that removes Gradio's CORS middleware, which lets every site read responses as the visitor."""
    cors: Any = CustomCORSMiddleware
    app.user_middleware = [middleware for middleware in app.user_middleware if middleware.cls is not cors]
    app.middleware_stack = app.build_middleware_stack()
    yield


def add_script_nonces() -> None:
    """Let the inline scripts of Gradio's page carry the nonce of each request."""
    add_nonces_to(templates)


def limit_queue(page: Blocks) -> None:
    """Let only calls of public endpoints into Gradio's queue, and bound what it stores of those that nobody fetches.

    By itself (6.31) it runs the page's private events, too, and prints a traceback with the caller's text where they
    fail. It stores the name of each session that joins, of any length, and its events: forever where their end is not
    read. One client can fill the memory that way within a minute.
    """
    queue = page._queue
    push = queue.push

    async def push_bounded(body: Any, request: Any, username: str | None) -> Any:
        function = page.fns.get(body.fn_index)
        if function is None or function.api_visibility != "public":
            return False, f"There is no such endpoint.{CALL_ADVICE}", "validator_error"
        if len(body.session_hash or "") > MAX_SESSION_NAME_LENGTH:
            return False, "The session_hash is too long.", "error"
        return await push(body, request, username)

    queue.pending_event_ids_session = LRUCache(MAX_SESSIONS)
    queue.push = push_bounded  # type: ignore[method-assign]


def _is_disabled(scope: Scope) -> bool:
    _, is_api, inner = scope["path"].partition("/gradio_api/")
    if is_api:
        return not inner.startswith(API_ROUTES)
    return path_below_root(scope).startswith(DISABLED_PAGES)


@contextmanager
def skip_unused_apps() -> Iterator[None]:
    """Build a page without the apps that Gradio makes of it meanwhile; `launch` makes the one that serves it.

    Gradio 6.31 makes one at each call of `queue` and one at the end of the `with`, each with all of its routes.
    """
    original = App.__dict__["create_app"]
    App.create_app = staticmethod(lambda *_args, **_options: None)  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        App.create_app = original  # type: ignore[method-assign]
