"""Who has signed in, and how often a password may be guessed. All in memory: a restart signs everybody out."""

from __future__ import annotations

import hashlib
import math
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

COOKIE = "dreamina_sign_in"
LASTS_S = 30 * 86_400.0
MAX_SESSIONS = 10_000

FREE_TRIES = 5
FIRST_WAIT_S = 5.0
MAX_WAIT_S = 300.0
FORGET_S = 3600.0
MAX_TRIES_A_MINUTE = 60


@dataclass(frozen=True)
class Session:
    """One browser or program that has signed in.

    Attributes:
        name: by which login; None for the owner's password.
        until: when it ends, in seconds since 1970.
    """

    name: str | None
    until: float


class Sessions:
    """The sessions, by a hash of their token, which is worth nothing outside of this process.

    Args:
        clock: seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._sessions: dict[bytes, Session] = {}
        self._key = secrets.token_bytes(32)

    def begin(self, name: str | None, token: str | None = None) -> str:
        """A new session; gives its token, for the browser's cookie.

        Args:
            name: by which login; None for the owner's password.
            token: what the caller shows with each call instead of a cookie.
        """
        now = self._clock()
        self._sessions = {key: each for key, each in self._sessions.items() if each.until > now}
        while len(self._sessions) >= MAX_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))
        token = token or secrets.token_urlsafe(32)
        self._sessions[self._hash(token)] = Session(name, until=now + LASTS_S)
        return token

    def find(self, token: str) -> Session | None:
        """The session of a token."""
        found = self._sessions.get(self._hash(token))
        return found if found and found.until > self._clock() else None

    def end(self, token: str) -> None:
        """Sign out."""
        self._sessions.pop(self._hash(token), None)

    def _hash(self, token: str) -> bytes:
        return hashlib.blake2b(token.encode(), key=self._key).digest()


class LoginThrottle:
    """How often a password may be guessed: some tries at once, then one after each pause, which grows to minutes.

    Untrusted guessers are counted together, too. Trusted ones are counted for themselves alone, so that strangers
    cannot keep the owner out. Source: OWASP, "Slow Down Online Guessing Attacks with Device Cookies".

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: dict[str, tuple[int, float]] = {}  # by guesser: how many tries, and when the last one began
        self._all: deque[float] = deque()

    def begin(self, guesser: str, *, is_trusted: bool = False) -> float:
        """Begin a try: it counts as failed until `succeeded`, so that many at once are no way around.

        Returns:
            How many seconds to wait before a try may be made; 0 when this one may.
        """
        now = self._clock()
        failed, last = self._failed.get(guesser, (0, -math.inf))
        if now - last > FORGET_S:
            failed = 0
        pause = FIRST_WAIT_S * 2 ** min(failed - FREE_TRIES, 20) if failed >= FREE_TRIES else 0.0
        wait = last + min(pause, MAX_WAIT_S) - now
        while self._all and now - self._all[0] >= 60:
            self._all.popleft()
        if not is_trusted and len(self._all) >= MAX_TRIES_A_MINUTE:
            wait = max(wait, self._all[0] + 60 - now)
        if wait > 0:
            return wait
        if not is_trusted:
            self._all.append(now)
        self._failed = {each: told for each, told in self._failed.items() if now - told[1] <= FORGET_S}
        self._failed[guesser] = (failed + 1, now)
        return 0.0

    def succeeded(self, guesser: str) -> None:
        """The try that began was right."""
        self._failed.pop(guesser, None)
