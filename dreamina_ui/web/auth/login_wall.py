"""Who gets in: the check of names and passwords, and the wall around a page that is closed to all others."""

from __future__ import annotations

import base64
import hmac
import logging
import math

from pydantic import SecretStr
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dreamina_ui.media.signed_urls import FOLDER
from dreamina_ui.ops.passwords import Logins
from dreamina_ui.web.auth.permissions import Permissions, basic_credentials, is_direct
from dreamina_ui.web.auth.sessions import LoginThrottle
from dreamina_ui.web.auth.visitor import client_ip_hash, path_of, person_id, visitor_id
from dreamina_ui.web.paths import HEALTHZ, METRICS, PREFIX, READYZ

log = logging.getLogger(__name__)

STYLES = ("/sign-in.css", "/colours.css", "/logo.svg")
"""Ends of the paths of what the sign-in page looks like."""

OPEN = (
    f"/{PREFIX}/sign-in",
    f"/{PREFIX}/sign-out",
    "/login",
    "/login/",
    HEALTHZ,
    READYZ,
    METRICS,  # asks for its own token
    "/gradio_api/startup-events",  # Gradio asks this of itself when it starts; it says `true` and nothing else
)
"""Paths that a closed page answers to everybody; besides the sign-in page's style, and signed addresses of pictures."""


class Authenticator:
    """The names and passwords that are right, and how often they may be guessed.

    Args:
        access: gets the sessions of those who sign in.
        logins: who may sign in by name; any make the page a closed one.
        owner_password: what the owner signs in with, without a name.
    """

    def __init__(
        self,
        access: Permissions,
        logins: Logins | None = None,
        owner_password: SecretStr | None = None,
        tries: LoginThrottle | None = None,
    ) -> None:
        self.access = access
        self.is_closed = bool(logins)
        self.has_owner_password = owner_password is not None
        self._logins = logins or Logins({})
        self._owner_password = owner_password
        self._tries = tries or LoginThrottle()
        self._known: set[str] = set()

    @property
    def has_sign_in(self) -> bool:
        """Whether there is any way to sign in."""
        return self.is_closed or self.has_owner_password or self.access.uses_hugging_face

    async def check(self, request: HTTPConnection, name: str, password: str) -> float:
        """Check a password.

        Args:
            name: `""` for the owner's password.

        Returns:
            0 when it is right, infinity when it is wrong, and else the seconds to wait before a try will be looked at.
        """
        # Each name is counted for itself: who has one login must not get new tries for another's by signing in.
        login = person_id("login", name)
        visitor = visitor_id(request.headers.get("cookie"))
        browser = f"{visitor} {login}"
        is_here, is_known = is_direct(request), visitor is not None and browser in self._known
        address = client_ip_hash(request.client.host if request.client else None)
        guesser = f"here {login}" if is_here else browser if is_known else f"address {address} {login}"
        wait_s = self._tries.begin(guesser, is_trusted=is_here or is_known)
        if wait_s:
            return wait_s
        if not await run_in_threadpool(self._is_right, name, password):
            log.warning("A wrong name or password was given, from address %s", (address or "unknown")[:8])
            return math.inf
        self._tries.succeeded(guesser)
        if visitor:
            self._known.add(browser)
        return 0.0

    def _is_right(self, name: str, password: str) -> bool:
        if name:
            return self._logins.are_right(name, password)
        if self._owner_password is None:
            return False
        kept = self._owner_password.get_secret_value()
        return hmac.compare_digest(password.encode(errors="surrogatepass"), kept.encode())


class LoginWall:
    """ASGI middleware around a closed page: who has not signed in gets the sign-in page, or 401.

    Programs may send name and password with each call, as HTTP Basic; they are checked once.
    """

    def __init__(self, app: ASGIApp, gate: Authenticator) -> None:
        self.app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refusal = await self._refusal(HTTPConnection(scope))
            await (refusal or self.app)(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        else:  # nothing here speaks over a WebSocket
            await send({"type": "websocket.close", "code": 1008})

    async def _refusal(self, request: HTTPConnection) -> Response | None:
        path, access = path_of(request.scope), self._gate.access
        is_signed = path.startswith(f"/{FOLDER}/")  # the service fetches pictures there; the signature opens
        is_style = path.startswith(f"/{PREFIX}/assets/") and path.endswith(STYLES)
        if path in OPEN or is_style or is_signed or access.session(request):
            return None
        credentials = basic_credentials(request)
        if credentials:
            name, password = _read_basic(credentials)
            wait_s = await self._gate.check(request, name, password)
            if not wait_s:
                access.sessions.begin(name or None, credentials)
                return None
            if wait_s < math.inf:
                return JSONResponse({"message": "Too early."}, 429, {"Retry-After": str(math.ceil(wait_s))})
        if request.scope["method"] == "GET" and path in ("", "/"):
            return RedirectResponse(f"{PREFIX}/sign-in", 303, {"Cache-Control": "no-store"})
        if request.scope["method"] == "GET" and path == f"/{PREFIX}/owner":
            return RedirectResponse("sign-in?next=owner", 303, {"Cache-Control": "no-store"})
        # A browser would answer this header with a window of its own, in the middle of the page.
        headers = {} if "sec-fetch-site" in request.headers else {"WWW-Authenticate": 'Basic realm="Dreamina UI"'}
        return JSONResponse({"message": "Sign in first."}, 401, headers | {"Cache-Control": "no-store"})


def _read_basic(credentials: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(credentials.partition(" ")[2], validate=True).decode()
    except ValueError:
        return "", ""
    name, _, password = text.partition(":")
    return name, password
