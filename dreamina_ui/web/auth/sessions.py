"""The sessions of those who signed in. In memory: a restart signs everybody out.

Several servers have them in the ledger, too: whoever signs in or out at one does so at all.
"""

from __future__ import annotations

import hashlib
import logging
import math
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import anyio
import anyio.to_thread

from dreamina_ui.errors import LedgerError
from dreamina_ui.ledger.sharing.sign_ins import SignInStore

log = logging.getLogger(__name__)

SESSION_COOKIE = "dreamina_sign_in"
SESSION_TTL_S = 30 * 86_400.0
MAX_SESSIONS = 10_000
MAX_SESSIONS_PER_PERSON = 100
REFRESH_INTERVAL_S = 2.0
"""How old what this server knows of a session may be, where others may end it."""


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
        store: what several servers share; None for a single one.
    """

    def __init__(self, clock: Callable[[], float] = time.time, *, store: SignInStore | None = None) -> None:
        self._clock = clock
        self._store = store
        self._sessions: dict[bytes, Session] = {}
        self._refreshed_at: dict[bytes, float] = {}
        self._key = store.secret if store else secrets.token_bytes(32)
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
        key = self._hash(token or (new_token := secrets.token_urlsafe(32)))
        self._sessions[key] = Session(name, expires_at=now + SESSION_TTL_S)
        if token:  # every server verifies it by itself: in the ledger, its hash would be one of a password
            self._refreshed_at[key] = math.inf
            return token
        return new_token

    async def sign_in(self, name: str | None) -> str:
        """As `create` with a new token, at all servers.

        Raises:
            LedgerError: not written; there is no session.
        """
        token = self.create(name)
        if self._store:
            key, bounds = self._hash(token), {"per_person": MAX_SESSIONS_PER_PERSON, "most": MAX_SESSIONS}
            write = partial(self._store.add_session, key.hex(), name, self._sessions[key].expires_at, **bounds)
            try:
                await anyio.to_thread.run_sync(write)
            except LedgerError:
                self._delete(key)
                raise
            self._refreshed_at[key] = time.monotonic()
        return token

    async def sign_out(self, token: str) -> None:
        """As `delete`, at all servers.

        Raises:
            LedgerError: not written; the session may continue at other servers.
        """
        self.delete(token)
        if self._store and token:
            await anyio.to_thread.run_sync(self._store.delete_session, self._hash(token).hex())

    async def refresh(self, token: str) -> None:
        """Read what other servers know of a session, unless that was done a moment ago."""
        key = self._hash(token)
        is_fresh = time.monotonic() - self._refreshed_at.get(key, -REFRESH_INTERVAL_S) < REFRESH_INTERVAL_S
        if self._store is None or not token or is_fresh:
            return
        try:
            row = await anyio.to_thread.run_sync(self._store.session, key.hex())
        except LedgerError as exc:  # then what is known here holds
            log.warning("A session could not be read: %s", exc)
            return
        if row is None:
            self._delete(key)
            return
        while key not in self._sessions and len(self._sessions) >= MAX_SESSIONS:
            self._delete(next(iter(self._sessions)))
        self._sessions[key] = Session(*row)
        self._refreshed_at[key] = time.monotonic()

    async def wait_until_deleted(self, token: str, deleted: anyio.Event) -> None:
        """Wait for the event that `watch` gave, also for a session that ends at another server."""
        while not deleted.is_set():
            with anyio.move_on_after(REFRESH_INTERVAL_S if self._store else None):
                await deleted.wait()
            await self.refresh(token)

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
        self._refreshed_at.pop(key, None)
        for event in self._watchers.pop(key, ()):
            event.set()

    def _hash(self, token: str) -> bytes:
        return hashlib.blake2b(token.encode(), key=self._key).digest()
