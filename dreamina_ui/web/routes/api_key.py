"""A visitor's own RunComfy key: given over a route of ours, so that no Gradio component ever holds it.

The browser keeps a cookie that no script can read and that ends with the browser's session; the key itself goes to the
server's memory, and comes back to nobody. Where several servers share a ledger, it is stored there, sealed with that
cookie.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from contextlib import suppress

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from dreamina_ui.errors import AuthError, DreaminaError, LedgerError, SettingsError
from dreamina_ui.jobs.api_keys import ApiKeyService
from dreamina_ui.spending.accounts import Accounts
from dreamina_ui.web.auth.login_throttle import LoginThrottle
from dreamina_ui.web.auth.permissions import KEY_COOKIE, Permissions
from dreamina_ui.web.http import (
    NO_STORE,
    hashed_client_ip,
    language_of,
    message_response,
    read_json,
    refusal,
    set_cookie,
)
from dreamina_ui.web.i18n.translate import translate
from dreamina_ui.web.paths import PREFIX

MAX_KEY_CHARACTERS = 500


def build_key_routes(
    api_keys: ApiKeyService, accounts: Accounts, permissions: Permissions, throttle: LoginThrottle | None = None
) -> list[BaseRoute]:
    """The one route to give a key, to see which one is given, and to take it back."""
    handlers = _KeyRoutes(api_keys, accounts, permissions, throttle or LoginThrottle())
    return [
        Route(f"/{PREFIX}/key", handlers.show),
        Route(f"/{PREFIX}/key", handlers.give, methods=["POST"]),
        Route(f"/{PREFIX}/key", handlers.take_back, methods=["DELETE"]),
    ]


class _KeyRoutes:
    def __init__(
        self, api_keys: ApiKeyService, accounts: Accounts, permissions: Permissions, throttle: LoginThrottle
    ) -> None:
        self._api_keys = api_keys
        self._accounts = accounts
        self._permissions = permissions
        self._throttle = throttle

    async def show(self, request: Request) -> Response:
        """`{"given": bool, "hint": str | None, "required": bool}`; given without a hint: the key is no longer here."""
        return self._status(self._permissions.key_session(request))

    async def give(self, request: Request) -> Response:
        """Check the key given as `{"key": str}` and keep it; responds as `show`, and with `is_checked`."""
        language = language_of(request)
        key = (await read_json(request)).get("key")
        key = key.strip() if isinstance(key, str) and len(key) <= MAX_KEY_CHARACTERS else ""
        client = hashed_client_ip(request) or "local"
        if wait_s := await self._throttle.begin_attempt(client):
            text = translate(language, "sign_in_wait", seconds=math.ceil(wait_s))
            return JSONResponse({"message": text}, 429, {"Retry-After": str(math.ceil(wait_s))})
        session = secrets.token_urlsafe(32)  # a new one each time: nobody can have planted it
        cookie = set_cookie(request, KEY_COOKIE, session, None)
        hashed = self._permissions.key_session(request, session)
        try:
            is_checked = await asyncio.wrap_future(self._api_keys.check_soon(key))
            await run_in_threadpool(self._api_keys.give, key, hashed, session)
            if older := self._permissions.key_session(request):
                await run_in_threadpool(self._api_keys.take_back, older)
        except (SettingsError, AuthError) as exc:
            key_flaw = "error_key_shape" if isinstance(exc, SettingsError) else "error_key_refused"
            return message_response(translate(language, key_flaw), exc.http_status)
        except DreaminaError as exc:
            return refusal(exc, language)
        if is_checked:
            await self._throttle.forgive_attempt(client)
        return self._status(hashed, cookie, is_checked=is_checked)

    async def take_back(self, request: Request) -> Response:
        """Forget the key; jobs under way wait for it."""
        if session := self._permissions.key_session(request):
            with suppress(LedgerError):  # the key is forgotten; the worker will notice
                await run_in_threadpool(self._api_keys.take_back, session)
        return self._status(None, set_cookie(request, KEY_COOKIE, "", 0))

    def _status(self, session: str | None, cookie: str | None = None, **more: bool) -> Response:
        accounts = self._accounts
        status = {
            "given": session is not None,
            "hint": accounts.key_suffix(session),
            "required": accounts.requires_own_key,
        }
        headers = NO_STORE | ({"Set-Cookie": cookie} if cookie else {})
        return JSONResponse(status | more, headers=headers)
