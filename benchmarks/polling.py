"""How late `completed` is noticed, and with how many status calls: by the app, optimally, and with a fixed interval.

Also: how accurate the estimate of the total run time is that the page shows at half time.

Run times are log-normal and known, as after some jobs. Everything is computed without waiting: the optimal schedule by
dynamic programming over a fine grid, the schedule of the app and the fixed one by sums over the same model.

    python -m benchmarks.polling [--cold] [--json]

`--cold` measures instead what happens where little is known yet (`cold_polling.py`).
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from benchmarks.cold_polling import cold_rows, drift_rows, other_size_rows
from dreamina_ui.api.pacing import Pace, RunTimeModel

STEP_S = 0.02
MEDIANS_S = (8.0, 20.0, 40.0)
SIGMAS = (0.2, 0.35, 0.5)
POLL_COSTS_S = (0.03, 0.06, 0.12, 0.25, 0.5)
Steps = npt.NDArray[np.int_]
Values = npt.NDArray[np.float64]


class RunTimeGrid:
    """A run-time model on a grid of `STEP_S`: the survival function, up to where hardly any run is left."""

    def __init__(self, model: RunTimeModel) -> None:
        self.model = model
        self.end = int(model.median_s * math.exp(4.2 * model.sigma) / STEP_S) + 1
        self.survival = np.array([model.survival(k * STEP_S) for k in range(self.end + 1)])
        self.survival[-1] = 0.0  # at the last poll every run has ended
        self.area = np.concatenate([[0.0], np.cumsum((self.survival[1:] + self.survival[:-1]) / 2) * STEP_S])

    def late_s(self, start: int, ends: Steps) -> Values:
        """Expected lateness, times its chance, of runs that end in (start, end] and are seen at `end`."""
        width = (ends - start) * STEP_S
        late: Values = width * self.survival[start] - (self.area[ends] - self.area[start])
        return late

    def cost_of(self, polls: list[int]) -> tuple[float, float]:
        """`(status calls, seconds of lateness)` per run, for polls at these grid points."""
        calls = late = 0.0
        for start, end in zip([0, *polls], polls, strict=False):
            calls += self.survival[start]
            late += float(self.late_s(start, np.array([end]))[0])
        return calls, late


def best(model: RunTimeGrid, poll_cost_s: float) -> list[int]:
    """The polls with the lowest total cost of calls and lateness."""
    value = np.zeros(model.end + 1)
    choice = np.full(model.end + 1, model.end)
    for start in range(model.end - 1, -1, -1):
        ends = np.arange(start + 1, model.end + 1)
        cost = poll_cost_s * model.survival[start] + model.late_s(start, ends) + value[ends]
        pick = int(np.argmin(cost))
        value[start], choice[start] = cost[pick], ends[pick]
    polls: list[int] = []
    at = 0
    while at < model.end:
        at = int(choice[at])
        polls.append(at)
    return polls


def ours(model: RunTimeGrid, pace: Pace) -> list[int]:
    """The polls of the app."""
    polls: list[int] = []
    at_s = 0.0
    while not polls or polls[-1] < model.end:
        at_s += pace.run_pause_s(model.model, at_s)
        polls.append(min(max(round(at_s / STEP_S), polls[-1] + 1 if polls else 1), model.end))
    return polls


def fixed(model: RunTimeGrid, calls: float) -> float:
    """Seconds of lateness of a fixed interval with as many calls."""
    few, many = 1, model.end
    while many - few > 1:
        interval = (few + many) // 2
        if model.cost_of(_at_interval(model, interval))[0] > calls:
            few = interval
        else:
            many = interval
    return model.cost_of(_at_interval(model, many))[1]


def _at_interval(model: RunTimeGrid, interval: int) -> list[int]:
    return [*range(interval, model.end, interval), model.end]


def measure() -> list[dict[str, float]]:
    """One row for each model and cost of a poll."""
    rows = []
    for median_s, sigma in product(MEDIANS_S, SIGMAS):
        model = RunTimeGrid(RunTimeModel(median_s, sigma))
        # Varying the cost of a poll gives the optimal lateness as a curve over the number of calls.
        curve = sorted(model.cost_of(best(model, cost_s)) for cost_s in np.geomspace(0.005, 4.0, 24))
        calls_known, late_known = zip(*curve, strict=True)
        for cost_s in POLL_COSTS_S:
            pace = replace(Pace(), poll_cost_s=cost_s, min_s=STEP_S)
            calls, late_s = model.cost_of(ours(model, pace))
            best_s = float(np.exp(np.interp(calls, calls_known, np.log(late_known))))
            fixed_s = fixed(model, calls)
            rows.append(
                {
                    "median_s": median_s, "sigma": sigma, "look_cost_s": cost_s, "calls": calls, "late_s": late_s,
                    "best_s": best_s, "fixed_s": fixed_s, "to_best": late_s / best_s, "to_fixed": late_s / fixed_s,
                }
            )  # fmt: skip
    return rows


def well_estimated() -> dict[float, tuple[float, float]]:
    """By sigma, the share of runs whose estimate at half time is within 25 %: of the app, and of the best constant."""
    shares = {}
    for sigma in (0.17, *SIGMAS):
        model = RunTimeModel(20.0, sigma)
        runs_s = [20.0 * math.exp(sigma * NormalDist().inv_cdf((number + 0.5) / 2000)) for number in range(2000)]
        best_s = 20.0 * math.sqrt(0.75 * 1.25)
        shares[sigma] = (
            sum(abs(model.expected_total_s(run_s / 2) - run_s) <= run_s / 4 for run_s in runs_s) / len(runs_s),
            sum(abs(best_s - run_s) <= run_s / 4 for run_s in runs_s) / len(runs_s),
        )
    return shares


def _print(rows: Sequence[dict[str, float]]) -> None:
    print(" ".join(f"{name:>11}" for name in rows[0]))
    for row in rows:
        print(" ".join(f"{value:11.3f}" for value in row.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--cold", action="store_true", help="first runs, and a service that changes its pace")
    options = parser.parse_args()
    if options.cold:
        tables = {"cold": cold_rows(), "after three runs of another size": other_size_rows(), "drift": drift_rows()}
        if options.json:
            print(json.dumps(tables))
            return
        for name, table in tables.items():
            print(name)
            _print(table)
        return
    rows = measure()
    if options.json:
        print(json.dumps(rows))
        return
    _print(rows)
    for sigma, (our_share, best_share) in well_estimated().items():
        print(f"sigma {sigma:4.2f}: at half time {our_share:.0%} within 25 %, with the best constant {best_share:.0%}")
    print(f"worst ratio to the best possible: {max(row['to_best'] for row in rows):.3f}")


if __name__ == "__main__":
    main()
