"""Names and passwords, and the wall around a page that only people with a login may see."""

from __future__ import annotations

import base64
import hmac
import logging
import math
from contextlib import suppress

import anyio
import anyio.to_thread
from anyio import CapacityLimiter
from pydantic import SecretStr
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dreamina_ui.errors import LedgerError
from dreamina_ui.ledger.sharing.sign_ins import SignInStore
from dreamina_ui.media.signed_urls import FOLDER
from dreamina_ui.ops.passwords import Logins
from dreamina_ui.web.auth.login_throttle import LoginThrottle
from dreamina_ui.web.auth.permissions import Permissions, is_direct, read_basic_credentials, read_session_cookie
from dreamina_ui.web.auth.visitor import person_id, visitor_id
from dreamina_ui.web.http import client_ip_hash, language_of, path_below_root
from dreamina_ui.web.i18n.translate import translate
from dreamina_ui.web.paths import HEALTHZ, METRICS, PREFIX, READYZ, SECURITY_TXT, SHARED, is_stream

log = logging.getLogger(__name__)

MAX_VERIFYING = 8
"""How many passwords are verified by a slow hash, or wait for it, at once."""

BUSY_WAIT_S = 2.0
MAX_KNOWN_BROWSERS = 10_000

SIGN_IN_ASSETS = ("/sign-in.css", "/shared.css", "/colors.css", "/logo.svg")
"""Ends of the paths of the files that the sign-in page and shared pages load."""

PUBLIC_PATHS = (
    f"/{PREFIX}/sign-in",
    f"/{PREFIX}/sign-out",
    "/login",
    "/login/",
    HEALTHZ,
    READYZ,
    SECURITY_TXT,
    METRICS,  # asks for its own token
    "/gradio_api/startup-events",  # Gradio requests this from itself when it starts; the response is `true`
)
"""Paths that need no login; besides them only the sign-in page's assets, and signed URLs of pictures."""


class Authenticator:
    """Verifies names and passwords, and limits how often they may be guessed.

    Args:
        permissions: holds the sessions of those who sign in.
        logins: who may sign in by name; if there are any, nobody else sees the page.
        owner_password: what the owner signs in with, without a name.
        store: what several servers share; None for a single one.
    """

    def __init__(
        self,
        permissions: Permissions,
        logins: Logins | None = None,
        owner_password: SecretStr | None = None,
        throttle: LoginThrottle | None = None,
        store: SignInStore | None = None,
    ) -> None:
        self.permissions = permissions
        self.is_closed = bool(logins)
        self.has_owner_password = owner_password is not None
        self._logins = logins or Logins({})
        self._owner_password = owner_password
        self._throttle = throttle or LoginThrottle(store=store, purpose="sign-in")
        self._store = store
        self._known_browsers: dict[str, None] = {}
        # Slow hashes, by whether there is such a name: what computes them, and how many are computed or wait.
        self._queues: dict[bool, CapacityLimiter] = {}
        self._verifying = {True: 0, False: 0}

    @property
    def has_sign_in(self) -> bool:
        """Whether there is any way to sign in."""
        return self.is_closed or self.has_owner_password or self.permissions.uses_hugging_face

    async def verify(self, request: HTTPConnection, name: str, password: str) -> float:
        """Verify a password.

        Args:
            name: `""` for the owner's password.

        Returns:
            0 when it is right, infinity when it is wrong, and otherwise the seconds to wait before the next attempt.
        """
        visitor = visitor_id(request.headers.get("cookie"))
        browser = f"{visitor} {person_id('login', name)}"
        ip_hash = client_ip_hash(request.client.host if request.client else None)
        # A browser that signed in with this login before is counted by itself: others behind its IP address cannot lock
        # it out.
        is_known = visitor is not None and await self._is_known(browser)
        client = browser if is_known else "local" if is_direct(request) else ip_hash
        wait_s = await self._throttle.begin_attempt(client)
        if wait_s:
            return wait_s
        is_right = await self._is_right(name, password)
        if is_right is None:
            await self._throttle.forgive_attempt(client)  # nothing was learned from it
            return BUSY_WAIT_S
        if not is_right:
            log.warning("Wrong name or password, from client %s", ip_hash[:8])
            return math.inf
        await self._throttle.forgive_attempt(client)
        if visitor:
            await self._remember(browser)
        return 0.0

    async def _is_known(self, browser: str) -> bool:
        if self._store and browser not in self._known_browsers:
            with suppress(LedgerError):
                return await anyio.to_thread.run_sync(self._store.is_known, browser)
        return browser in self._known_browsers

    async def _remember(self, browser: str) -> None:
        self._known_browsers[browser] = None
        if len(self._known_browsers) > MAX_KNOWN_BROWSERS:
            del self._known_browsers[next(iter(self._known_browsers))]
        if self._store:
            with suppress(LedgerError):
                await anyio.to_thread.run_sync(self._store.remember, browser)

    async def _is_right(self, name: str, password: str) -> bool | None:
        """Whether a password is right; None while too many others are being verified.

        Slow hashes are computed one at a time, and invented names wait apart from those that there are: whoever sends
        many of them keeps nobody else waiting, and leaves the CPU to others.
        """
        if not name:
            return self._is_of_owner(password)
        if self._logins.are_known(name, password):
            return True
        if not self._logins.is_slow:
            return self._logins.are_right(name, password)
        exists = name in self._logins
        if self._verifying[exists] >= MAX_VERIFYING:
            return None
        queue = self._queues.setdefault(exists, CapacityLimiter(1))
        self._verifying[exists] += 1
        try:
            return await anyio.to_thread.run_sync(self._logins.are_right, name, password, limiter=queue)
        finally:
            self._verifying[exists] -= 1

    def _is_of_owner(self, password: str) -> bool:
        if self._owner_password is None:
            return False
        expected = self._owner_password.get_secret_value()
        return hmac.compare_digest(password.encode(errors="surrogatepass"), expected.encode())


class LoginWall:
    """ASGI middleware around a closed page: who has not signed in gets the sign-in page, or 401.

    Programs may send name and password with each call, as HTTP Basic; they are verified once.
    """

    def __init__(self, app: ASGIApp, authenticator: Authenticator) -> None:
        self.app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = HTTPConnection(scope)
            if refusal := await self._refusal(request):
                await refusal(scope, receive, send)
            elif scope["method"] == "GET" and is_stream(scope["path"]):
                await self._stream_until_signed_out(request, receive, send)
            else:
                await self.app(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        else:  # this site has no WebSocket
            await send({"type": "websocket.close", "code": 1008})

    async def _stream_until_signed_out(self, request: HTTPConnection, receive: Receive, send: Send) -> None:
        is_open = False
        sessions = self._authenticator.permissions.sessions

        async def receive_until_signed_out() -> Message:
            message: Message = {"type": "http.disconnect"}
            async with anyio.create_task_group() as tasks:

                async def disconnect_when_signed_out() -> None:
                    await sessions.wait_until_deleted(token, signed_out)
                    tasks.cancel_scope.cancel()

                tasks.start_soon(disconnect_when_signed_out)
                message = await receive()
                tasks.cancel_scope.cancel()
            return message

        async def send_and_note(message: Message) -> None:
            nonlocal is_open
            is_open = message["type"] == "http.response.start" or message.get("more_body", False)
            await send(message)

        token = read_session_cookie(request) or read_basic_credentials(request)
        with sessions.watch(token) as signed_out:
            await self.app(request.scope, receive_until_signed_out, send_and_note)
            if is_open and signed_out.is_set():
                await send({"type": "http.response.body", "body": b""})

    async def _refusal(self, request: HTTPConnection) -> Response | None:
        path, permissions = path_below_root(request.scope), self._authenticator.permissions
        is_signed = path.startswith(f"/{FOLDER}/")  # RunComfy fetches pictures there; the signature is the permission
        is_signed |= path.startswith(f"/{PREFIX}/{SHARED}/")  # somebody who signed in shared it with everybody
        is_asset = path.startswith(f"/{PREFIX}/assets/") and path.endswith(SIGN_IN_ASSETS)
        if path in PUBLIC_PATHS or is_asset or is_signed or permissions.session(request):
            return None
        credentials = read_basic_credentials(request)
        if credentials:
            name, password = _decode_basic(credentials)
            wait_s = await self._authenticator.verify(request, name, password)
            if not wait_s:
                permissions.sessions.create(name or None, credentials)
                return None
            if wait_s < math.inf:
                return JSONResponse({"message": "Too early."}, 429, {"Retry-After": str(math.ceil(wait_s))})
        if request.scope["method"] == "GET" and path in ("", "/"):
            return RedirectResponse(f"{PREFIX}/sign-in", 303, {"Cache-Control": "no-store"})
        if request.scope["method"] == "GET" and path == f"/{PREFIX}/owner":
            return RedirectResponse("sign-in?next=owner", 303, {"Cache-Control": "no-store"})
        # A browser would answer this header with a window of its own, in the middle of the page.
        headers = {} if "sec-fetch-site" in request.headers else {"WWW-Authenticate": 'Basic realm="Dreamina UI"'}
        text = translate(language_of(request), "signed_out")
        return JSONResponse({"message": text}, 401, headers | {"Cache-Control": "no-store"})


def _decode_basic(credentials: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(credentials.partition(" ")[2], validate=True).decode()
    except ValueError:
        return "", ""
    name, _, password = text.partition(":")
    return name, password
