"""When to poll again: pure arithmetic, no clock and no I/O.

A poll costs a call, polling late costs waiting. For a cost of `c` seconds of lateness per call, the best density of
calls at time t is sqrt(h(t) / 2c), where h is the hazard of finishing at t (optimum checking: Barlow, Hunter and
Proschan 1963; Keller 1974). Run times are taken as log-normal; `run_time_fit` fits them to finished jobs.

Where next to nothing is known of them, no density of calls is right for all: one that falls makes polls worse than a
fixed pause. So pauses then stay as long as the ones before.
"""

from __future__ import annotations

import json
import math
from collections import Counter, deque
from dataclasses import dataclass
from typing import Protocol

_STEP = 0.1
_WIDE_SIGMA = 0.75
"""From here on a run-time model knows the magnitude at best."""

_WIDE_UNTIL_S = 180.0
"""How long a run whose magnitude is unknown is polled densely."""

_CROWD_GROWTH, _MAX_GROWTH = 0.03, 1.6
_FIRST_SPREAD = 0.618034
"""The golden ratio spreads any number of first polls evenly."""

_MAX_RETRY_AFTER_S = 300.0
_NEAR_LIMIT = 0.9, 1.02
"""How near to the rate of the last refusal a pace hardly grows: each probe of a limit costs a second."""

_CALM_S = 10.0
"""A pace that was not refused for so long is near the limit."""

_CATCH_UP_S = 0.05
"""How many seconds of a pace that a busy machine missed it may catch up on at once."""


@dataclass(frozen=True)
class RunTimeModel:
    """Run times, as a log-normal distribution.

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


@dataclass(frozen=True)
class Pace:
    """Bounds and costs of polling.

    Attributes:
        min_s, max_s: bounds of every pause, in seconds.
        first_s: the longest pause from the acceptance of a request to its first poll.
        queue_max_s: the longest pause for a request in the queue.
        poll_cost_s: how many seconds of lateness one status call is worth.
        retry_max_s: the longest pause after an attempt that brought nothing.
        cancel_min_s, cancel_max_s: the first and the longest pause until a wish to cancel is sent again.
        cancel_lost_min_s: the first one where the wish was not answered.
        pick_up_interval_s: pause between two reads of the ledger for jobs that another process wrote.
    """

    min_s: float = 0.4
    max_s: float = 30.0
    first_s: float = 0.95
    queue_max_s: float = 8.0
    poll_cost_s: float = 0.06
    retry_max_s: float = 30.0
    cancel_min_s: float = 30.0
    cancel_max_s: float = 600.0
    cancel_lost_min_s: float = 2.0
    pick_up_interval_s: float = 10.0

    def queue_pause_s(self, position: int | None) -> float:
        """Seconds to the next poll of a request in the queue; the front is watched more closely."""
        grown = max(0.5 * (1 + (2 if position is None else position)), self.min_s)
        return min(grown, self.queue_max_s, self.max_s)

    def first_pause_s(self, model: RunTimeModel, rank: int = 0) -> float:
        """Seconds from the acceptance of a request to its first poll.

        Args:
            rank: how many of its kind were accepted and have not ended. Their polls are spread, so that one of them
                soon sees how long such runs take.
        """
        spread = 0.5 + (rank * _FIRST_SPREAD) % 1.0 if rank and model.sigma > _WIDE_SIGMA else 1.0
        return max(min(self._until_due_s(model, 0.0), self.first_s * spread, self.max_s), self.min_s)

    def run_pause_s(
        self, model: RunTimeModel, elapsed_s: float, *, polls: int = 0, runs: int = 1, since_poll_s: float = 0.0
    ) -> float:
        """Seconds to the next poll of a request that has run for `elapsed_s` seconds.

        Args:
            polls: how many there were; 0 if that is not known.
            runs: how many requests of this kind run. Each end teaches about the others, so they need fewer polls.
            since_poll_s: how long ago the last poll was.
        """
        pause_s = self._until_due_s(model, elapsed_s)
        if polls and model.sigma > _WIDE_SIGMA and elapsed_s < _WIDE_UNTIL_S:
            growth = min(1.0 + _CROWD_GROWTH * (runs - 1), _MAX_GROWTH)
            pause_s = min(pause_s, growth * elapsed_s / polls)
        return min(max(pause_s, self.min_s - since_poll_s, 0.0), self.max_s)

    def _until_due_s(self, model: RunTimeModel, elapsed_s: float) -> float:
        """Seconds until the best density of calls adds up to one."""
        polls, pause = 0.0, 0.0
        while pause < self.max_s:
            step = max(_STEP, 0.08 * pause)
            more = step * math.sqrt(model.hazard(elapsed_s + pause + step / 2) / (2 * self.poll_cost_s))
            if polls + more >= 1:
                return pause + step * (1 - polls) / more
            polls += more
            pause += step
        return pause

    def retry_pause_s(self, attempts: int, jitter: float, retry_after_s: float | None = None) -> float:
        """Seconds to wait after the `attempts`-th attempt in a row that brought nothing; `jitter` is random in [0, 1).

        A wait that the service asked for is granted, up to five minutes.
        """
        grown = min(self.min_s * 2.0 ** min(attempts, 16), self.retry_max_s) * (0.5 + jitter / 2)
        return max(grown, min(retry_after_s or 0.0, _MAX_RETRY_AFTER_S))

    def cancel_pause_s(self, attempts: int, *, is_answered: bool = True, retry_after_s: float | None = None) -> float:
        """Seconds until a wish to cancel that was sent `attempts` times may be sent once more.

        A wish that was not answered may never have arrived: it is sent again sooner, while the request still waits.
        """
        first_s = self.cancel_min_s if is_answered else self.cancel_lost_min_s
        grown = min(first_s * 2.0 ** min(attempts - 1, 16), self.cancel_max_s)
        return max(grown, min(retry_after_s or 0.0, _MAX_RETRY_AFTER_S))


class CallPace(Protocol):
    """When the next call to the service may be made; `now` is in seconds, by one clock."""

    def wait_s(self, now: float) -> float:
        """Seconds until the next call is allowed; 0 if it is now."""

    def take(self, now: float) -> None:
        """Count one call, made now."""

    def refuse(self, now: float, retry_after_s: float | None = None) -> None:
        """The service refused a call because there are too many."""


class Throttle:
    """How fast the service lets us poll, judged by its refusals: faster quickly at first, slowly after one, and hardly
    near the rate at which the last one came.

    Args:
        initial_per_s: calls per second to begin with.
        max_per_s: calls per second never exceeded.
    """

    def __init__(self, initial_per_s: float = 40.0, max_per_s: float = 1000.0) -> None:
        self.per_s = initial_per_s
        self._max_per_s = max_per_s
        self._next = -math.inf
        self._grown_at: float | None = None
        self._calm_until = -math.inf
        self._full_per_s = 0.0  # the rate at the last refusal; 0.0 before the first one
        self._taken: deque[float] = deque()

    def wait_s(self, now: float) -> float:
        """Seconds until the next call is allowed; 0 if it is now."""
        return max(0.0, self._next - now)

    def take(self, now: float) -> None:
        """Count one call, made now."""
        catch_up_s = 0.0 if self._full_per_s else _CATCH_UP_S  # never against a limit of the service
        self._next = max(self._next, now - catch_up_s) + 1 / self.per_s
        self._taken.append(now)
        while self._taken[0] < now - 1.0:
            self._taken.popleft()
        passed_s = min(now - (self._grown_at if self._grown_at is not None else now), 1.0)
        self._grown_at = now
        if now >= self._calm_until:
            self.per_s = min(self.per_s * self._growth() ** passed_s, self._max_per_s)

    def _growth(self) -> float:
        """The factor of one second."""
        if not self._full_per_s:
            return 2.0
        is_near = _NEAR_LIMIT[0] <= self.per_s / self._full_per_s <= _NEAR_LIMIT[1]  # beyond, the limit was raised
        return 1.001 if is_near else 1.02

    def refuse(self, now: float, retry_after_s: float | None = None) -> None:
        """The service refused a call; of several at the same time only the first one counts."""
        # Services count by the second: within the one that is full, a slower call is refused as well.
        self._next = max(self._next, now + min(max(retry_after_s or 0.0, 1.0), _MAX_RETRY_AFTER_S))
        if now < self._calm_until:
            return
        taken = sum(moment > now - 1.0 for moment in self._taken)
        # The first one may come from far above the limit, and one soon after another says that this is still too fast.
        is_known = bool(self._full_per_s) and now - self._calm_until > _CALM_S
        cut = 0.95 if is_known else 0.85 if self._full_per_s else 0.8
        self._full_per_s = float(min(self.per_s, max(taken - 1, 1)))
        self.per_s = max(0.2, cut * self._full_per_s)
        self._calm_until = self._next + 2.0

    def take_slots(self, now: float, seconds: float) -> list[float]:
        """Take all calls of the next `seconds`, one at least; returns when each may be made."""
        slots = [max(self._next, now)]
        self.take(slots[0])
        while self._next < slots[0] + seconds:
            slots.append(self._next)
            self.take(self._next)
        return slots

    def to_text(self) -> str:
        """All that it knows, for `from_text`."""
        buckets = Counter(round(moment, 1) for moment in self._taken)
        known = [self.per_s, self._next, self._grown_at, self._calm_until, self._full_per_s, sorted(buckets.items())]
        return json.dumps(known)

    @classmethod
    def from_text(cls, text: str) -> Throttle:
        """A throttle as another one was, but for the tenths of seconds; a new one for ""."""
        throttle = cls()
        if text:
            throttle.per_s, throttle._next, throttle._grown_at, *more = json.loads(text)
            throttle._calm_until, throttle._full_per_s, buckets = more
            throttle._taken = deque(moment for moment, count in buckets for _ in range(count))
        return throttle
