"""The sessions of those who signed in. In memory: a restart signs everybody out."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import anyio

SESSION_COOKIE = "dreamina_sign_in"
SESSION_TTL_S = 30 * 86_400.0
MAX_SESSIONS = 10_000
MAX_SESSIONS_PER_PERSON = 100


@dataclass(frozen=True)
class Session:
    """One browser or program that has signed in.

    Attributes:
        name: the login; None for the owner's password.
        expires_at: seconds since 1970.
    """

    name: str | None
    expires_at: float


class Sessions:
    """The sessions, by a hash of their token that is worth nothing outside of this process.

    A person has a bounded number of them: a new one replaces that person's oldest, and nobody else's.

    Args:
        clock: seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._sessions: dict[bytes, Session] = {}
        self._key = secrets.token_bytes(32)
        self._watchers: dict[bytes, set[anyio.Event]] = defaultdict(set)

    def create(self, name: str | None, token: str | None = None) -> str:
        """Create a session and return its token, for the browser's cookie.

        Args:
            name: the login; None for the owner's password.
            token: what the caller sends with each request instead of a cookie.
        """
        now = self._clock()
        self._sessions = {key: session for key, session in self._sessions.items() if session.expires_at > now}
        own = [key for key, session in self._sessions.items() if session.name == name]
        for key in own[: max(0, len(own) - MAX_SESSIONS_PER_PERSON + 1)]:
            self._delete(key)
        while len(self._sessions) >= MAX_SESSIONS:
            self._delete(next(iter(self._sessions)))
        token = token or secrets.token_urlsafe(32)
        self._sessions[self._hash(token)] = Session(name, expires_at=now + SESSION_TTL_S)
        return token

    def find(self, token: str) -> Session | None:
        """The session of a token; None if it expired or never was."""
        session = self._sessions.get(self._hash(token))
        return session if session and session.expires_at > self._clock() else None

    def delete(self, token: str) -> None:
        """Sign out; must be called on the event loop."""
        self._delete(self._hash(token))

    @contextmanager
    def watch(self, token: str) -> Iterator[anyio.Event]:
        """An event that is set when the session is deleted."""
        key, event = self._hash(token), anyio.Event()
        self._watchers[key].add(event)
        try:
            yield event
        finally:
            watchers = self._watchers[key]
            watchers.discard(event)
            if not watchers:
                del self._watchers[key]

    def _delete(self, key: bytes) -> None:
        self._sessions.pop(key, None)
        for event in self._watchers.pop(key, ()):
            event.set()

    def _hash(self, token: str) -> bytes:
        return hashlib.blake2b(token.encode(), key=self._key).digest()
