"""Who sends a request, and whose jobs they may see: every route and endpoint asks this module.

A visitor sees their own jobs. The owner sees everything; at an installation that nobody else reaches, whoever sits at
the machine is the owner.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from dreamina_ui.errors import RequesterError
from dreamina_ui.ledger.job import Job
from dreamina_ui.settings import is_loopback
from dreamina_ui.web.auth.sessions import SESSION_COOKIE, Session, Sessions
from dreamina_ui.web.auth.visitor import (
    MIN_SECRET_LENGTH,
    person_id,
    visitor_id,
    visitor_id_without_cookie,
)
from dreamina_ui.web.http import read_cookie

NOBODY = "nobody"
KEY_COOKIE = "dreamina_key"
REQUESTER_HEADER = "x-dreamina-requester"
"""Who clicked, as `Permissions.requester_tag` named them to the page: sent with each request that costs money."""

FORWARDING_HEADERS = (
    "x-forwarded", "forwarded", "x-real-ip", "x-client-ip", "x-cluster-client-ip", "x-original-", "x-envoy-", "via",
    "true-client-ip", "cf-", "fastly-client-ip", "fly-", "x-gradio-server",
)  # fmt: skip
"""Beginnings of the headers that only a proxy or tunnel adds."""


@dataclass(frozen=True)
class Profile:
    """Somebody at Hugging Face.

    Attributes:
        number: stays the same.
        name: may pass to somebody else.
    """

    number: str
    name: str


class Permissions:
    """Who may see what.

    Args:
        is_shared: whether others than the person at this machine may reach the page.
        owners: which logins, or names at Hugging Face, are the owner's.
        uses_hugging_face: whether people sign in there; Gradio then stores who they are in a session that it signs.
        sessions: who has signed in.
        tag_secret: what the names of requesters are hashed with; None for random bytes.
    """

    def __init__(
        self,
        *,
        is_shared: bool,
        owners: Collection[str] = (),
        uses_hugging_face: bool = False,
        sessions: Sessions | None = None,
        tag_secret: bytes | None = None,
    ) -> None:
        self._is_shared = is_shared
        self._owners = frozenset(owners)
        self.uses_hugging_face = uses_hugging_face
        self.sessions = sessions or Sessions()
        self._tag_secret = tag_secret or secrets.token_bytes(32)

    def session(self, request: HTTPConnection) -> Session | None:
        """The session of a browser or program that has signed in."""
        return self.sessions.find(read_session_cookie(request)) or self.sessions.find(read_basic_credentials(request))

    def person(self, request: HTTPConnection) -> str | None:
        """The visitor_id of somebody who signed in by name, the same on every device."""
        session = self.session(request)
        if session and session.name:
            return person_id("login", session.name)
        profile = self.hugging_face(request)
        return person_id("hugging face", profile.number) if profile else None

    def hugging_face(self, request: HTTPConnection) -> Profile | None:
        """Who has signed in at Hugging Face, from the session that Gradio signs and verifies."""
        info = request.scope.get("session", {}).get("oauth_info") if self.uses_hugging_face else None
        if not info or info.get("expires_at", 0) <= time.time():
            return None
        return Profile(number=info["userinfo"]["sub"], name=info["userinfo"]["preferred_username"])

    def visitor(self, request: HTTPConnection) -> str | None:
        """The visitor_id of the sender; None for a program, and for a browser that stores no identity."""
        return self.person(request) or visitor_id(request.headers.get("cookie")) or visitor_id_without_cookie(request)

    def requester_tag(self, request: HTTPConnection) -> str:
        """What a page calls the sender of its requests: 16 hex digits; "" without an identity.

        It tells nobody who that is, and stays the same for a login, also after signing in anew.
        """
        visitor = self.visitor(request)
        return hmac.new(self._tag_secret, visitor.encode(), hashlib.sha256).hexdigest()[:16] if visitor else ""

    def ensure_same_requester(self, request: HTTPConnection) -> None:
        """Refuse to spend in the name of somebody else than whoever clicked; a page repeats what was not answered.

        Raises:
            RequesterError: the header names somebody else. Without the header nobody is refused.
        """
        clicked_by = request.headers.get(REQUESTER_HEADER)
        if clicked_by and not hmac.compare_digest(clicked_by.encode(), self.requester_tag(request).encode()):
            raise RequesterError

    def key_session(self, request: HTTPConnection, cookie: str = "") -> str | None:
        """The session under which a browser's RunComfy key is stored, whether it is still there or not.

        The login is part of it: whoever signs in next on this browser does not pay with this key.

        Args:
            cookie: the value that the browser is about to get.

        Returns:
            A hash; None for a browser that gave no key.
        """
        value = cookie or read_cookie(request.headers.get("cookie"), KEY_COOKIE)
        if len(value) < MIN_SECRET_LENGTH:
            return None
        return hashlib.sha256(f"{self.person(request)} {value}".encode()).hexdigest()

    def has_key(self, request: HTTPConnection) -> bool:
        """Whether the browser gave a key of its own."""
        return self.key_session(request) is not None

    def is_owner(self, request: HTTPConnection) -> bool:
        """Whether the owner sends this: signed in, or at an installation that nobody else reaches."""
        if not self._is_shared and is_direct(request):
            return True
        if session := self.session(request):
            return session.name is None or session.name in self._owners
        profile = self.hugging_face(request)
        return profile is not None and profile.name in self._owners

    def is_stranger(self, request: HTTPConnection) -> bool:
        """Whether nobody knows who sends this: it is not the owner, and nobody who signed in by name."""
        return not self.is_owner(request) and self.person(request) is None

    def own_ids(self, request: HTTPConnection) -> frozenset[str]:
        """The visitor_ids of the sender, and of the owner's logins."""
        names = {person_id("login", name) for name in self._owners}
        return frozenset(names | {name for name in (self.visitor(request), visitor_id(_cookies(request))) if name})

    def scope(self, request: HTTPConnection) -> str | None:
        """The visitor_id whose jobs a request may see, None for everybody's; `NOBODY` without an identity."""
        return None if self.is_owner(request) else self.visitor(request) or NOBODY

    def sees_others(self, request: HTTPConnection) -> bool:
        """Whether a request may see the jobs of others than its sender: the owner's, on a shared page."""
        return self._is_shared and self.is_owner(request)

    def may_see(self, request: HTTPConnection, job: Job) -> bool:
        """Whether a request may see and change a job."""
        scope = self.scope(request)
        return scope is None or job.visitor_id == scope


def is_direct(request: HTTPConnection) -> bool:
    """Whether a request comes straight from this machine.

    A tunnel or proxy on this machine shows in the names of hosts that the browser sends, in a header that proxies add,
    or in HTTP/1.0, which no browser speaks. The client's IP address is needed too: another machine may send any name.
    """
    if request.client is None or not is_loopback(request.client.host) or request.scope.get("http_version") == "1.0":
        return False
    if any(name.startswith(FORWARDING_HEADERS) for name in request.headers):
        return False
    urls = [request.headers[name] for name in ("origin", "referer") if name in request.headers]
    return all(map(_is_local_url, [f"http://{request.headers.get('host', '')}", *urls]))


def _is_local_url(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


def _cookies(request: HTTPConnection) -> str | None:
    return request.headers.get("cookie")


def read_session_cookie(request: HTTPConnection) -> str:
    """The token of a browser that signed in; `""` if there is none."""
    return read_cookie(request.headers.get("cookie"), SESSION_COOKIE)


def read_basic_credentials(request: HTTPConnection) -> str:
    """A program's HTTP Basic credentials as they came; `""` if there are none."""
    header = request.headers.get("authorization", "")
    return header if header[:6].lower() == "basic " else ""
