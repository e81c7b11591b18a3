"""Counts of our calls to the Model API by outcome: for `/readyz` and `/metrics`."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

UNANSWERED = frozenset({"transport", "protocol", "submit_unclear", "broken"})
"""Outcomes without a response of the API; a refusal is a response."""


@dataclass(frozen=True)
class LastCall:
    """The newest call: whether the API responded, and when that was, in seconds of the clock."""

    was_answered: bool
    at: float


class ApiCalls:
    """Counts calls; safe to use from many threads.

    Args:
        clock: gives a time in seconds that only grows.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.last: LastCall | None = None
        self._counts: Counter[tuple[str, str]] = Counter()
        self._clock = clock
        self._lock = threading.Lock()

    def record(self, verb: str, outcome: str) -> None:
        """Count one call.

        Args:
            verb: `submit`, `status`, `result`, `cancel` or `price`.
            outcome: `ok`, the `kind` of the error it became, or `broken`.
        """
        with self._lock:
            self._counts[verb, outcome] += 1
            self.last = LastCall(outcome not in UNANSWERED, self._clock())

    def counts(self) -> dict[tuple[str, str], int]:
        """How many calls there were, by verb and outcome."""
        with self._lock:
            return dict(self._counts)
