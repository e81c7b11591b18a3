"""Closes what Gradio leaves open and this page does not need.

Each part can be deleted when Gradio closes it itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gradio.blocks import Blocks
from gradio.route_utils import CustomCORSMiddleware
from gradio.routes import templates
from gradio.utils import LRUCache
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from dreamina_ui.web.http import path_below_root, send_refusal
from dreamina_ui.web.middleware.script_nonce import add_nonces_to

DISABLED_ROUTES = (
    "upload",  # accepts files from anyone, which nothing on this page needs
    "file=",  # serves Gradio's cache without owners, and fetches foreign URLs
    "file/",
    "proxy=",
    "run/",  # bypasses the validators, the queue and its limits
    "api/",
    "cancel",  # ends anyone's events; ours is /dreamina/jobs/{job_id}/cancel
    "stream/",
    "component_server",
    "process_recording",
    "run-history",
    "runs",
    "vibe-",
    "undo-vibe-",
    "custom_component",
    "dev/",  # an endless stream, for people who develop Gradio pages
    "deep_link",  # stores what a visitor typed, for everyone who has the link
    "profiling",
)
"""Beginnings of paths under `/gradio_api/` that are answered with 404."""

CALL_ADVICE = " /gradio_api/info lists the endpoints and their inputs."
MAX_SESSIONS = 2000
MAX_SESSION_NAME_LENGTH = 100


class DisabledRoutes:
    """ASGI middleware that returns 404 for Gradio's unneeded routes."""

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
    inner = scope["path"].partition("/gradio_api/")[2]
    return inner.startswith(DISABLED_ROUTES) or path_below_root(scope).startswith("/monitoring")
