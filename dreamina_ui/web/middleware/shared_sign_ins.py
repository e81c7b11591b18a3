"""Where several servers share a ledger: reads what another server knows of a browser before a request is handled."""

from __future__ import annotations

import logging

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from dreamina_ui.errors import LedgerError, SettingsError
from dreamina_ui.jobs.api_keys import ApiKeyService
from dreamina_ui.web.auth.permissions import KEY_COOKIE, Permissions, read_session_cookie
from dreamina_ui.web.http import read_cookie

log = logging.getLogger(__name__)


class SharedSignIns:
    """ASGI middleware that brings a browser's session and its own key to this server."""

    def __init__(self, app: ASGIApp, permissions: Permissions, api_keys: ApiKeyService) -> None:
        self.app = app
        self._permissions = permissions
        self._api_keys = api_keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = HTTPConnection(scope)
            await self._permissions.sessions.refresh(read_session_cookie(request))
            await self._bring_key(request)
        await self.app(scope, receive, send)

    async def _bring_key(self, request: HTTPConnection) -> None:
        session = self._permissions.key_session(request)
        if session is None or self._api_keys.is_here(session):
            return
        cookie = read_cookie(request.headers.get("cookie"), KEY_COOKIE)
        try:
            await run_in_threadpool(self._api_keys.bring, cookie, session)
        except (LedgerError, SettingsError) as exc:
            log.warning("A visitor's own key could not be read: %s", exc)
