"""How often a password or an API key may be guessed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

FREE_ATTEMPTS = 5
FIRST_DELAY_S = 5.0
MAX_DELAY_S = 300.0
ATTEMPT_TTL_S = 3600.0


class LoginThrottle:
    """Some failed attempts at once, then one after each delay, which grows to minutes.

    Each client is counted by itself, over all the names that it tries. There is no limit for all clients together:
    strangers could use it up and lock the owner out. Source: OWASP, "Slow Down Online Guessing Attacks with Device
    Cookies".

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, tuple[int, float]] = {}  # by client: number of attempts, start of the last one

    def record_attempt(self, client: str) -> float:
        """Count an attempt as failed until `record_success`, so that many at once are no way around.

        Returns:
            Seconds to wait before an attempt may be made; 0 when this one may.
        """
        now = self._clock()
        failures, last = self._failures.get(client, (0, -math.inf))
        if now - last > ATTEMPT_TTL_S:
            failures = 0
        doublings = min(failures - FREE_ATTEMPTS, 20)
        delay_s = FIRST_DELAY_S * 2**doublings if failures >= FREE_ATTEMPTS else 0.0
        wait_s = last + min(delay_s, MAX_DELAY_S) - now
        if wait_s > 0:
            return wait_s
        self._failures.pop(client, None)  # the newest entry is the last one
        self._failures[client] = (failures + 1, now)
        self._forget_old(now)
        return 0.0

    def record_success(self, client: str) -> None:
        """Do not count an attempt that was right; the failures before it still count.

        Otherwise a guesser could sign in with a login of their own after every few guesses at another.
        """
        failures, last = self._failures.get(client, (0, 0.0))
        if failures > 1:
            self._failures[client] = (failures - 1, last)
        else:
            self._failures.pop(client, None)

    def _forget_old(self, now: float) -> None:
        for client, (_, last) in list(self._failures.items()):
            if now - last <= ATTEMPT_TTL_S:
                return
            del self._failures[client]
