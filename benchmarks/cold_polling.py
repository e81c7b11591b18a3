"""How late the end of a run is noticed where little is known yet, on a virtual clock.

The planner of the app (`RunTimes`) plans every poll; a scripted service runs jobs that all begin at once. The fixed
poller has the one interval that costs as many calls.
"""

from __future__ import annotations

import heapq
import math
import random
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

import numpy as np

from dreamina_ui.api.pacing import Pace
from dreamina_ui.jobs.run_times import Kind, RunTimes
from dreamina_ui.ledger.job import FinishedRun

KIND: Kind = ("vendor/model/text-to-image", "2048x2048(1:1)")
OTHER_SIZE: Kind = ("vendor/model/text-to-image", "1024x1024(1:1)")
MEDIANS_S = (2.0, 5.0, 14.0, 40.0, 120.0)
EARLIER = (0, 1, 3)
JOBS = (1, 20)
SIGMA = 0.2
SEEDS = 5
RUNS = 40
"""Runs of jobs for each seed."""

DRIFT_JOBS = 10


@dataclass
class World:
    """A virtual clock, and finished runs as the ledger has them, newest first."""

    now: float = 1e9
    finished: list[FinishedRun] = field(default_factory=list)

    def run_times(self, model_id: str, size: str | None, limit: int = 60) -> Sequence[FinishedRun]:
        return [run for run in self.finished if (run.model_id, run.size) == (model_id, size)][:limit]

    def newest_runs(self) -> Sequence[FinishedRun]:
        return self.finished[:200]

    def finish(self, kind: Kind, seconds: float) -> None:
        """An earlier run."""
        self.finished.insert(0, FinishedRun(f"earlier-{len(self.finished)}", *kind, seconds))


def follow(world: World, durations_s: Sequence[float], planner: RunTimes | None = None) -> tuple[float, float]:
    """Run jobs side by side to their ends; returns `(calls, seconds of lateness)` per job."""
    planner = planner or RunTimes(world, Pace(), lambda: world.now)
    start = world.now
    ids = [f"job-{start}-{number}" for number in range(len(durations_s))]
    ends = {job_id: start + duration for job_id, duration in zip(ids, durations_s, strict=True)}
    due = {job_id: start + planner.accept(job_id, KIND) for job_id in ids}
    heap = [(at, job_id) for job_id, at in due.items()]
    heapq.heapify(heap)
    calls, late_s = 0, 0.0
    while heap:
        at, job_id = heapq.heappop(heap)
        if due.get(job_id) != at:
            continue
        world.now = at
        calls += 1
        if at < ends[job_id]:
            pauses_s = {job_id: planner.note_running(job_id, KIND, start)}
            del due[job_id]
        else:
            late_s += at - ends[job_id]
            pauses_s = planner.note_end(job_id, KIND, start)
            world.finished.insert(0, FinishedRun(job_id, *KIND, at - start))
            del due[job_id]
        for other, pause_s in pauses_s.items():
            if at + pause_s < due.get(other, math.inf):
                due[other] = at + pause_s
                heapq.heappush(heap, (due[other], other))
    return calls / len(ids), late_s / len(ids)


def fixed_late_s(median_s: float, sigma: float, calls: float) -> float:
    """Seconds of lateness of a fixed interval with as many calls, as a mean over all runs."""
    shares = (np.arange(500) + 0.5) / 500
    runs_s = median_s * np.exp(sigma * np.array([NormalDist().inv_cdf(share) for share in shares]))
    short_s, long_s = 0.01, 20 * median_s
    for _ in range(50):
        interval_s = (short_s + long_s) / 2
        if float(np.mean(np.ceil(runs_s / interval_s))) > calls:
            short_s = interval_s
        else:
            long_s = interval_s
    return float(np.mean(np.ceil(runs_s / long_s) * long_s - runs_s))


def _row(median_s: float, jobs: int, earlier: Sequence[tuple[Kind, float]]) -> dict[str, float]:
    """One row: medians over seeds. `earlier` has kinds of earlier runs with their median, oldest first."""
    results = []
    for seed in range(SEEDS):
        source = random.Random(f"{seed} {median_s} {jobs} {earlier}")
        runs = []
        for _ in range(max(RUNS // jobs, 4)):
            world = World()
            for kind, earlier_median_s in earlier:
                world.finish(kind, source.lognormvariate(math.log(earlier_median_s), SIGMA))
            runs.append(follow(world, [source.lognormvariate(math.log(median_s), SIGMA) for _ in range(jobs)]))
        calls, late_s = (statistics.fmean(values) for values in zip(*runs, strict=True))
        results.append((late_s / fixed_late_s(median_s, SIGMA, calls), calls, late_s))
    to_fixed, calls, late_s = (statistics.median(values) for values in zip(*results, strict=True))
    return {"median_s": median_s, "jobs": jobs, "calls": calls, "late_s": late_s, "to_fixed": to_fixed}


def cold_rows(earlier: Iterable[int] = EARLIER) -> list[dict[str, float]]:
    """A row for each number of earlier runs, jobs and true median."""
    return [
        {"earlier": count} | _row(median_s, jobs, [(KIND, median_s)] * count)
        for count in earlier
        for jobs in JOBS
        for median_s in MEDIANS_S
    ]


def other_size_rows() -> list[dict[str, float]]:
    """The same without a run of this size, after three runs of another size with a quarter of the pixels.

    Run times grow with the square root of the pixels in this service; the app does not know that.
    """
    return [_row(median_s, 1, [(OTHER_SIZE, median_s / 2)] * 3) for median_s in MEDIANS_S]


def drift_rows() -> list[dict[str, float]]:
    """Lateness and calls after the service became twice as slow or fast, in the cost that the app minimizes.

    `to_best` compares the cost of both with that of a planner that has never seen other runs.
    """
    rows = []
    for median_s in (5.0, 14.0, 40.0):
        for factor in (0.5, 2.0):
            costs = [_drift_costs(random.Random(f"{seed} {median_s} {factor}"), median_s, factor) for seed in range(60)]
            drifted, settled = (statistics.fmean(values) for values in zip(*costs, strict=True))
            rows.append({"median_s": median_s, "factor": factor, "to_best": drifted / settled})
    return rows


def _drift_costs(source: random.Random, median_s: float, factor: float) -> tuple[float, float]:
    """The cost of one job after the change and `DRIFT_JOBS` jobs, and the same where nothing ever changed."""
    drifted, settled = World(), World()
    for number in range(60 + DRIFT_JOBS):
        at_s = math.log(median_s * (factor if number >= 60 else 1.0))
        drifted.finish(KIND, source.lognormvariate(at_s, SIGMA))
        settled.finish(KIND, source.lognormvariate(math.log(median_s * factor), SIGMA))
    duration_s = source.lognormvariate(math.log(median_s * factor), SIGMA)
    costs = []
    for world in (drifted, settled):
        calls, late_s = follow(world, [duration_s])
        costs.append(late_s + Pace().poll_cost_s * calls)
    return costs[0], costs[1]
