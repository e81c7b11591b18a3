"""How long runs take and when each is polled next; the first one that ends teaches about all that still run.

A kind of run is `(model_id, size)`. What is learned at an end counts at once: its row is written only when its files
come. Safe to call from many threads.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from dreamina_ui.api.pacing import Pace, RunTimeModel
from dreamina_ui.api.run_time_fit import SimilarRuns, fit_run_times, prior_from
from dreamina_ui.ledger.job import FinishedRun
from dreamina_ui.models.sizes import parse_size

RUN_TIMES_TTL_S = 5.0
"""How long what was read from the ledger is good enough."""

_MAX_RUNS = 60
_RUNS_WITHOUT_PRIOR = 8
"""So many runs of a kind say more than all others together, and how similar its runs are."""

_REPLAN_INTERVAL_S = 1.0
"""Of kinds of which more is known, one end says little about the others: how often all of those are planned anew."""

_RUNS_PER_REPLAN = 500
"""Of more runs, seldomer: planning one takes a while, and they wait for the throttle anyway."""

_MIN_RUN_S = 0.05
Kind = tuple[str, "str | None"]


class RunTimeSource(Protocol):
    """Where finished runs are written down."""

    def run_times(self, model_id: str, size: str | None, limit: int = ...) -> Sequence[FinishedRun]:
        """The newest finished runs of a kind, newest first."""

    def newest_runs(self) -> Sequence[FinishedRun]:
        """Runs of all kinds that finished lately, newest first."""


@dataclass(slots=True)
class _Run:
    started_at: float
    polled_at: float
    polls: int = 0
    was_compared: bool = False


@dataclass(slots=True)
class _End:
    """How long a run took, at least and at most, and the best guess."""

    earliest_s: float
    latest_s: float
    seconds: float


@dataclass
class _Known:
    """What is known of one kind: finished runs, newest first, and those that still run."""

    model: RunTimeModel = field(default_factory=lambda: fit_run_times(()))
    read_at: float | None = None
    stored: Sequence[FinishedRun] = ()
    similar: Sequence[SimilarRuns] = ()
    ends: dict[str, _End] = field(default_factory=dict)  # by job_id; more exact than a row
    runs: dict[str, _Run] = field(default_factory=dict)
    planned_at: float = -math.inf

    def fit(self) -> None:
        stored = {run.job_id for run in self.stored}
        ended = [end.seconds for job_id, end in self.ends.items() if job_id not in stored]
        rows = [self.ends[run.job_id].seconds if run.job_id in self.ends else run.seconds for run in self.stored]
        durations_s = [*reversed(ended), *rows]
        prior = prior_from(self.similar)
        self.model = fit_run_times(durations_s[:_MAX_RUNS], prior)


class RunTimes:
    """Plans polls of running requests.

    Args:
        source: the ledger.
        clock: gives the time, in seconds since 1970.
    """

    def __init__(self, source: RunTimeSource, pace: Pace, clock: Callable[[], float]) -> None:
        self._source = source
        self._pace = pace
        self._clock = clock
        self._kinds: dict[Kind, _Known] = {}
        self._lock = threading.Lock()

    def model(self, kind: Kind) -> RunTimeModel:
        """How long such runs take, as last fitted; nothing is read."""
        known = self._kinds.get(kind)
        return known.model if known else fit_run_times((), prior_from(()))

    def read(self, kind: Kind) -> RunTimeModel:
        """How long such runs take, by what the ledger held a moment ago."""
        with self._lock:
            known = self._kinds.setdefault(kind, _Known())
            now = self._clock()
            if known.read_at is not None and now - known.read_at <= RUN_TIMES_TTL_S:
                return known.model
            known.read_at = now
        stored = self._source.run_times(*kind)
        similar = self._similar(kind) if len(stored) < _RUNS_WITHOUT_PRIOR else ()
        with self._lock:
            known.stored, known.similar = stored, similar
            known.fit()
            return known.model

    def accept(self, job_id: str, kind: Kind) -> float:
        """A request was accepted; returns seconds to its first poll."""
        model, now = self.read(kind), self._clock()
        with self._lock:
            runs = self._kinds[kind].runs
            runs[job_id] = _Run(now, now)
            return self._pace.first_pause_s(model, len(runs) - 1)

    def note_running(self, job_id: str, kind: Kind, started_at: float) -> float:
        """A poll says that it runs; returns seconds to the next one."""
        self.read(kind)
        with self._lock:
            known, now = self._kinds[kind], self._clock()
            run = known.runs.setdefault(job_id, _Run(started_at, now))
            run.started_at, run.polled_at, run.polls = started_at, now, run.polls + 1
            return self._pause_s(known, run, now)

    def note_end(self, job_id: str, kind: Kind, started_at: float | None) -> dict[str, float]:
        """A poll says that it has ended; returns seconds to the next poll of other runs of its kind, by job_id.

        It ended at some moment since the poll before: the middle of that time is the best guess.
        """
        with self._lock:
            known, now = self._kinds.setdefault(kind, _Known()), self._clock()
            run = known.runs.pop(job_id, None)
            if run is None:  # nobody knows since when it has ended
                return {}
            began_at = started_at if started_at is not None else run.started_at
            latest_s = now - began_at
            earliest_s = max(run.polled_at - began_at, 0.0) if run.polls else latest_s
            known.ends[job_id] = _End(earliest_s, latest_s, max((earliest_s + latest_s) / 2, _MIN_RUN_S))
            if len(known.ends) > _MAX_RUNS:
                known.ends.pop(next(iter(known.ends)))
            is_new_kind = len(known.ends) + len(known.stored) <= _RUNS_WITHOUT_PRIOR
            known.fit()
            interval_s = _REPLAN_INTERVAL_S * max(1.0, len(known.runs) / _RUNS_PER_REPLAN)
            if not is_new_kind and 0 <= now - known.planned_at < interval_s:
                return {}
            known.planned_at = now
            pauses_s = {other: self._pause_s(known, run, now) for other, run in known.runs.items() if run.polls}
            return pauses_s | (self._comparisons(known, earliest_s, now) if is_new_kind else {})

    def _comparisons(self, known: _Known, ended_after_s: float, now: float) -> dict[str, float]:
        """Where nobody knows how similar such runs are: poll each that has run as long as one that ended, once."""
        pauses_s = {}
        for job_id, run in known.runs.items():
            if run.polls and not run.was_compared and now - run.started_at >= ended_after_s:
                run.was_compared = True
                pauses_s[job_id] = max(self._pace.min_s - (now - run.polled_at), 0.0)
        return pauses_s

    def note_service_times(self, job_id: str, kind: Kind, created_at: str | None, finished_at: str | None) -> None:
        """The service says when a request was created and finished; believed where it fits what was seen of the run.

        Args:
            created_at, finished_at: ISO 8601. A request that waited in the queue took longer than its run.
        """
        seconds = _seconds_between(created_at, finished_at)
        with self._lock:
            known = self._kinds.get(kind)
            end = known.ends.get(job_id) if known else None
            if known and end and seconds is not None and end.earliest_s <= seconds <= end.latest_s:
                end.seconds = max(seconds, _MIN_RUN_S)
                known.fit()

    def forget(self, job_id: str, kind: Kind) -> None:
        """It does not run, or is not polled here any longer."""
        with self._lock:
            if known := self._kinds.get(kind):
                known.runs.pop(job_id, None)

    def _pause_s(self, known: _Known, run: _Run, now: float) -> float:
        return self._pace.run_pause_s(
            known.model,
            now - run.started_at,
            polls=run.polls,
            runs=len(known.runs),
            since_poll_s=now - run.polled_at,
        )

    def _similar(self, kind: Kind) -> list[SimilarRuns]:
        """Runs of other kinds, the most similar of which say most about this one."""
        others: dict[Kind, list[float]] = {}
        for run in self._source.newest_runs():
            if (run.model_id, run.size) != kind:
                others.setdefault((run.model_id, run.size), []).append(run.seconds)
        model_id, size = kind
        return [
            SimilarRuns(
                durations_s,
                size_ratio=_size_ratio(size, other_size),
                is_same_model=other_id == model_id,
                is_same_category=other_id.rpartition("/")[2] == model_id.rpartition("/")[2],
            )
            for (other_id, other_size), durations_s in others.items()
        ]


def _size_ratio(size: str | None, other: str | None) -> float | None:
    """How many times as many pixels `size` has as `other`; None if one of them does not say."""
    ours, theirs = parse_size(size), parse_size(other)
    if ours is None or theirs is None or not all((*ours, *theirs)):
        return None
    return (ours[0] * ours[1]) / (theirs[0] * theirs[1])


def _seconds_between(created_at: str | None, finished_at: str | None) -> float | None:
    try:
        moments = [datetime.fromisoformat((text or "").replace("Z", "+00:00")) for text in (created_at, finished_at)]
        return (moments[1] - moments[0]).total_seconds()
    except (ValueError, TypeError):  # no times, or only one of them with a zone
        return None
