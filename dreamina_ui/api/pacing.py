"""When to ask again: pure arithmetic, no clock and no I/O.

Asking costs a call, asking late costs waiting. For a cost of `c` seconds of lateness per call, the best density of
calls at time t is sqrt(h(t) / 2c), where h is the hazard of finishing at t (optimum checking: Barlow, Hunter and
Proschan 1963; Keller 1974). Run times are taken as log-normal, learned from finished jobs of the same model and size.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

_STEP = 0.1
_CATCH_UP_S = 0.05
"""How much of a pace that a busy machine could not keep is made up for at once, in seconds of it."""


@dataclass(frozen=True)
class RunTimeModel:
    """A log-normal law of run times.

    Attributes:
        median_s: half of the runs take less.
        sigma: standard deviation of the logarithm.
    """

    median_s: float
    sigma: float

    def _z(self, t_s: float) -> float:
        return (math.log(t_s) - math.log(self.median_s)) / self.sigma

    def survival(self, t_s: float) -> float:
        """Chance that a run takes longer than `t_s` seconds."""
        return 1.0 if t_s <= 0 else 0.5 * math.erfc(self._z(t_s) / math.sqrt(2))

    def hazard(self, t_s: float) -> float:
        """Chance per second that a run which has lasted `t_s` seconds ends now."""
        if t_s <= 0:
            return 0.0
        z = self._z(t_s)
        if z > 6:  # the far tail, where both factors underflow: Mills' ratio
            return z / (self.sigma * t_s)
        density = math.exp(-z * z / 2) / (self.sigma * t_s * math.sqrt(2 * math.pi))
        return density / self.survival(t_s)

    def expected_total_s(self, elapsed_s: float) -> float:
        """Median of the whole run time, given that it has lasted `elapsed_s` seconds."""
        half = self.survival(elapsed_s) / 2
        low = max(elapsed_s, 1e-3)
        high = max(low * 2, self.median_s * 2)
        while self.survival(high) > half and high < 1e6:
            high *= 2
        for _ in range(40):
            middle = (low + high) / 2
            if self.survival(middle) > half:
                low = middle
            else:
                high = middle
        return high


PRIOR = RunTimeModel(median_s=20.0, sigma=0.8)
PRIOR_WEIGHT = 3.0


def learn(durations_s: Sequence[float], prior: RunTimeModel = PRIOR, weight: float = PRIOR_WEIGHT) -> RunTimeModel:
    """The law that finished runs suggest; the prior counts as `weight` runs.

    Args:
        durations_s: run times in seconds, any order; values that are not positive are left out.
    """
    logs = [math.log(duration) for duration in durations_s if duration > 0]
    total = len(logs) + weight
    mean = (sum(logs) + weight * math.log(prior.median_s)) / total if logs else math.log(prior.median_s)
    if len(logs) >= 8:  # enough to stand alone: a wrong prior would only widen the law
        mean = sum(logs) / len(logs)
        weight = 1.0
        total = len(logs) + weight
    spread = sum((value - mean) ** 2 for value in logs) + weight * prior.sigma**2
    return RunTimeModel(math.exp(mean), min(max(math.sqrt(spread / total), 0.08), 1.5))


@dataclass(frozen=True)
class Pace:
    """Bounds and costs of asking.

    Attributes:
        shortest_s, longest_s: bounds of every pause, in seconds.
        queue_longest_s: bound of the pause for a request in the queue.
        look_cost_s: how many seconds of lateness one status call is worth.
        fault_longest_s: bound of the pause after a call that failed.
        adopt_s: pause between two looks into the ledger for jobs that another process wrote.
    """

    min_s: float = 0.4
    max_s: float = 30.0
    queue_longest_s: float = 8.0
    look_cost_s: float = 0.06
    error_max_s: float = 30.0
    adopt_s: float = 10.0

    def queue_pause_s(self, position: int | None) -> float:
        """Seconds to the next look at a request in the queue; the front is watched more closely."""
        grown = max(0.5 * (1 + (2 if position is None else position)), self.min_s)
        return min(grown, self.queue_longest_s, self.max_s)

    def run_pause_s(self, law: RunTimeModel, elapsed_s: float) -> float:
        """Seconds to the next look at a request that has run for `elapsed_s` seconds."""
        looks, pause = 0.0, 0.0
        while pause < self.max_s:
            step = max(_STEP, 0.1 * pause)
            more = step * math.sqrt(law.hazard(elapsed_s + pause + step / 2) / (2 * self.look_cost_s))
            if looks + more >= 1:
                pause += step * (1 - looks) / more
                break
            looks += more
            pause += step
        return min(max(pause, self.min_s), self.max_s)

    def fault_pause_s(self, faults: int, jitter: float, retry_after_s: float | None = None) -> float:
        """Seconds to wait after the `faults`-th failed call in a row; `jitter` is random in [0, 1).

        A wait that the service asked for is kept, up to five minutes.
        """
        grown = min(self.min_s * 2.0 ** min(faults, 16), self.error_max_s) * (0.5 + jitter / 2)
        return max(grown, min(retry_after_s or 0.0, 300.0))


class Throttle:
    """How fast the service lets us ask, learned from its refusals: quickly up at first, and gently after the first one.

    Args:
        first_per_s: calls per second to begin with.
        most_per_s: calls per second never exceeded.
    """

    def __init__(self, first_per_s: float = 40.0, most_per_s: float = 1000.0) -> None:
        self.per_s = first_per_s
        self._most_per_s = most_per_s
        self._next = -math.inf
        self._grown_at: float | None = None
        self._calm_until = -math.inf
        self._was_refused = False
        self._taken: deque[float] = deque()

    def wait_s(self, now: float) -> float:
        """Seconds until the next call is allowed; 0 if it is now."""
        return max(0.0, self._next - now)

    def take(self, now: float) -> None:
        """Count one call, made now."""
        made_up_for_s = 0.0 if self._was_refused else _CATCH_UP_S  # a pace that the service has limited is kept to
        self._next = max(self._next, now - made_up_for_s) + 1 / self.per_s
        self._taken.append(now)
        while self._taken[0] < now - 1.0:
            self._taken.popleft()
        passed_s = min(now - (self._grown_at if self._grown_at is not None else now), 1.0)
        self._grown_at = now
        if now >= self._calm_until:
            self.per_s *= (1.02 if self._was_refused else 2.0) ** passed_s
            self.per_s = min(self.per_s, self._most_per_s)

    def refuse(self, now: float, retry_after_s: float | None = None) -> None:
        """The service refused a call; of several under way at the same time only the first one teaches anything."""
        # Services count by the second: within the one that is full, a slower call is refused as well.
        self._next = max(self._next, now + min(max(retry_after_s or 0.0, 1.0), 300.0))
        if now < self._calm_until:
            return
        self._was_refused = True
        taken = sum(moment > now - 1.0 for moment in self._taken)
        self.per_s = max(0.2, 0.8 * min(self.per_s, max(taken - 1, 1)))
        self._calm_until = self._next + 2.0
