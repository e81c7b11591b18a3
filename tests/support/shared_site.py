"""The routes of a shared page, as browsers of its owner and of visitors request them."""

from __future__ import annotations

from starlette.testclient import TestClient
from starlette.types import ASGIApp

from dreamina_ui.web.auth.permissions import Permissions
from dreamina_ui.web.auth.sessions import SESSION_COOKIE
from dreamina_ui.web.auth.visitor import VISITOR_COOKIE, new_visitor_secret, visitor_id


class SharedSite:
    """A test adds `app`, with routes that use `permissions`."""

    app: ASGIApp

    def __init__(self) -> None:
        self.permissions = Permissions(is_shared=True)
        self._session = self.permissions.sessions.create(None)

    def client(self, *, is_owner: bool = False) -> tuple[TestClient, str]:
        """A browser and its visitor_id."""
        secret = new_visitor_secret()
        cookies = {VISITOR_COOKIE: secret} | ({SESSION_COOKIE: self._session} if is_owner else {})
        return TestClient(self.app, cookies=cookies), visitor_id(f"{VISITOR_COOKIE}={secret}") or ""
