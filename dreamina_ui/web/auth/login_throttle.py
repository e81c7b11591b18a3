"""How often a password or an API key may be guessed."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

FREE_ATTEMPTS = 5
FIRST_DELAY_S = 5.0
MAX_DELAY_S = 300.0
ATTEMPT_TTL_S = 3600.0
MAX_ATTEMPTS_PER_MINUTE = 60


class LoginThrottle:
    """Some attempts at once, then one after each delay, which grows to minutes.

    Untrusted clients are also counted together. Trusted ones are counted by themselves alone, so that strangers cannot
    lock the owner out. Source: OWASP, "Slow Down Online Guessing Attacks with Device Cookies".

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, tuple[int, float]] = {}  # by client: number of attempts, start of the last one
        self._untrusted: deque[float] = deque()

    def record_attempt(self, client: str, *, is_trusted: bool = False) -> float:
        """Count an attempt as failed until `reset`, so that many at once are no way around.

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
        while self._untrusted and now - self._untrusted[0] >= 60:
            self._untrusted.popleft()
        if not is_trusted and len(self._untrusted) >= MAX_ATTEMPTS_PER_MINUTE:
            wait_s = max(wait_s, self._untrusted[0] + 60 - now)
        if wait_s > 0:
            return wait_s
        if not is_trusted:
            self._untrusted.append(now)
        self._failures = {name: entry for name, entry in self._failures.items() if now - entry[1] <= ATTEMPT_TTL_S}
        self._failures[client] = (failures + 1, now)
        return 0.0

    def reset(self, client: str) -> None:
        """Forget the failures of a client whose attempt was right."""
        self._failures.pop(client, None)
