"""What the owner may watch over time, in Prometheus' text format.

What the ledger knows is read when somebody asks; only times in states are counted as they pass.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import get_args

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dreamina_ui.api.call_stats import ApiCalls
from dreamina_ui.ledger.events import EVERY_JOB
from dreamina_ui.ledger.job import Job, State
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.report_queries import count_states, count_visitors
from dreamina_ui.spending.limits import SpendingGuard, day_start, month_start

BUCKETS_S = (0.1, 0.3, 1.0, 3.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1800.0)
MAX_WATCHED = 10_000


class Metrics(Collector):
    """Numbers about one installation; a registry of its own, nothing global.

    Args:
        clock: gives the time, in seconds since 1970.
    """

    def __init__(
        self, ledger: Ledger, guard: SpendingGuard, calls: ApiCalls, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._ledger = ledger
        self._guard = guard
        self._calls = calls
        self._clock = clock
        self._watched: dict[str, Job] = {}  # each job as it was when it came into its present state
        self._lock = threading.Lock()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._state_seconds = Histogram(
            "dreamina_state_seconds",
            "How long jobs were in a state before they left it, since the program started.",
            ["state"],
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        ledger.changes.subscribe(EVERY_JOB, self._on_change)

    def render(self) -> bytes:
        """Everything, in Prometheus' text format.

        Raises:
            LedgerError: the ledger could not be read.
        """
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What the ledger and the calls say now; the registry asks for it."""
        now = self._clock()
        today = day_start(now)
        with self._ledger.reading() as reader:
            counts = count_states(reader)
            since = {"day": today, "month": month_start(now), "all": 0.0}
            spent = {period: self._guard.spent_usd(reader, start) for period, start in since.items()}
            visitors = count_visitors(reader, since=today)
        yield _gauge("jobs", "Jobs in the ledger.", "state", {state: counts.get(state, 0) for state in get_args(State)})
        yield _gauge("spent_usd", "USD that jobs cost or are expected to cost, by days of UTC.", "period", spent)
        yield GaugeMetricFamily("dreamina_visitors_today", "Visitors who made a job today (UTC).", value=visitors)
        calls = CounterMetricFamily("dreamina_api_calls", "Calls to the API.", labels=["verb", "outcome"])
        for labels, count in sorted(self._calls.counts().items()):
            calls.add_metric(labels, count)
        yield calls

    def _on_change(self, job: Job | None) -> None:
        if job is None:
            return
        with self._lock:
            before = self._watched.get(job.job_id)
            if before is not None and (before.version > job.version or before.state == job.state):
                return  # threads may tell in the wrong order; what changes no state is no news here
            if before is not None:
                self._state_seconds.labels(before.state).observe(max(0.0, job.updated_at - before.updated_at))
            self._watched.pop(job.job_id, None)
            if not job.is_settled:
                self._watched[job.job_id] = job
            if len(self._watched) > MAX_WATCHED:
                del self._watched[next(iter(self._watched))]


def _gauge(name: str, text: str, label: str, values: dict[str, float] | dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"dreamina_{name}", text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family
