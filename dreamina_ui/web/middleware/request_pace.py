"""How many requests each client may send per second: a token bucket for each name."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

BURST_S = 4.0
"""How many seconds' worth of requests may come at once."""

_ROUNDING_S = 1e-6
MAX_NAMES = 20_000
"""How many names are remembered; the one that was silent longest is forgotten first, and may hurry again."""


class RequestPace:
    """Counts requests by name.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._debts: OrderedDict[str, tuple[float, float]] = OrderedDict()  # seconds' worth of requests, and as of when

    def wait_s(self, rates: Mapping[str, float]) -> float:
        """Count a request for each name, with the requests per second that the name may send.

        Returns:
            0, or the seconds to wait before there is room for one; then nothing is counted.
        """
        now = self._clock()
        debts = {name: self._debt(name, now) + 1 / rate for name, rate in rates.items()}
        if (most := max(debts.values(), default=0.0)) > BURST_S + _ROUNDING_S:
            return most - BURST_S
        for name, debt in debts.items():
            self._debts[name] = (debt, now)
            self._debts.move_to_end(name)
        while len(self._debts) > MAX_NAMES:
            self._debts.popitem(last=False)
        return 0.0

    def knows(self, name: str) -> bool:
        """Whether a name was counted before and is not forgotten."""
        return name in self._debts

    def _debt(self, name: str, now: float) -> float:
        debt, since = self._debts.get(name, (0.0, now))
        return max(0.0, debt - (now - since))
