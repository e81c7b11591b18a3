"""How late is `completed` noticed, and for how many status calls: ours, the best possible, and a fixed interval.

Below: how good the estimate of the whole run time is that the page shows at half time.

Run times are log-normal and known to our pace, as after some jobs. Everything is computed, nothing is waited for: the
best possible schedule by dynamic programming over a fine grid, ours and the fixed one by summing over the same law.

    python -m benchmarks.polling [--json]
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from itertools import product
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from dreamina_ui.api.pacing import Pace, RunTimeModel

STEP_S = 0.02
MEDIANS_S = (8.0, 20.0, 40.0)
SIGMAS = (0.2, 0.35, 0.5)
LOOK_COSTS_S = (0.03, 0.06, 0.12, 0.25, 0.5)
Steps = npt.NDArray[np.int_]
Values = npt.NDArray[np.float64]


class Law:
    """A law on a grid of `STEP_S`: survival at each point, up to where hardly any run is left."""

    def __init__(self, law: RunTimeModel) -> None:
        self.law = law
        self.end = int(law.median_s * math.exp(4.2 * law.sigma) / STEP_S) + 1
        self.survival = np.array([law.survival(k * STEP_S) for k in range(self.end + 1)])
        self.survival[-1] = 0.0  # the last look of all finds every run ended
        self.area = np.concatenate([[0.0], np.cumsum((self.survival[1:] + self.survival[:-1]) / 2) * STEP_S])

    def late_s(self, start: int, ends: Steps) -> Values:
        """Expected lateness, times its chance, of runs that end in (start, end] and are seen at `end`."""
        width = (ends - start) * STEP_S
        late: Values = width * self.survival[start] - (self.area[ends] - self.area[start])
        return late

    def judge(self, looks: list[int]) -> tuple[float, float]:
        """`(status calls, seconds of lateness)` per run, for looks at these grid points."""
        calls = late = 0.0
        for start, end in zip([0, *looks], looks, strict=False):
            calls += self.survival[start]
            late += float(self.late_s(start, np.array([end]))[0])
        return calls, late


def best(law: Law, look_cost_s: float) -> list[int]:
    """The looks that cost least in calls and lateness together."""
    value = np.zeros(law.end + 1)
    choice = np.full(law.end + 1, law.end)
    for start in range(law.end - 1, -1, -1):
        ends = np.arange(start + 1, law.end + 1)
        cost = look_cost_s * law.survival[start] + law.late_s(start, ends) + value[ends]
        pick = int(np.argmin(cost))
        value[start], choice[start] = cost[pick], ends[pick]
    looks: list[int] = []
    at = 0
    while at < law.end:
        at = int(choice[at])
        looks.append(at)
    return looks


def ours(law: Law, pace: Pace) -> list[int]:
    """The looks of our pace."""
    looks: list[int] = []
    at_s = 0.0
    while not looks or looks[-1] < law.end:
        at_s += pace.run_pause_s(law.law, at_s)
        looks.append(min(max(round(at_s / STEP_S), looks[-1] + 1 if looks else 1), law.end))
    return looks


def fixed(law: Law, calls: float) -> float:
    """Seconds of lateness of a fixed interval that spends as many calls."""
    few, many = 1, law.end
    while many - few > 1:
        interval = (few + many) // 2
        if law.judge(_every(law, interval))[0] > calls:
            few = interval
        else:
            many = interval
    return law.judge(_every(law, many))[1]


def _every(law: Law, interval: int) -> list[int]:
    return [*range(interval, law.end, interval), law.end]


def measure() -> list[dict[str, float]]:
    """One row for each law and price of a look."""
    rows = []
    for median_s, sigma in product(MEDIANS_S, SIGMAS):
        law = Law(RunTimeModel(median_s, sigma))
        # The optimum between two numbers of calls is found by its own price: a curve of calls and lateness.
        curve = sorted(law.judge(best(law, cost_s)) for cost_s in np.geomspace(0.005, 4.0, 24))
        calls_known, late_known = zip(*curve, strict=True)
        for cost_s in LOOK_COSTS_S:
            pace = replace(Pace(), look_cost_s=cost_s, min_s=STEP_S)
            calls, late_s = law.judge(ours(law, pace))
            best_s = float(np.exp(np.interp(calls, calls_known, np.log(late_known))))
            fixed_s = fixed(law, calls)
            rows.append(
                {
                    "median_s": median_s, "sigma": sigma, "look_cost_s": cost_s, "calls": calls, "late_s": late_s,
                    "best_s": best_s, "fixed_s": fixed_s, "to_best": late_s / best_s, "to_fixed": late_s / fixed_s,
                }
            )  # fmt: skip
    return rows


def well_estimated() -> dict[float, tuple[float, float]]:
    """By sigma, the share of runs whose estimate at half time is within 25 %: ours, and one best number for all."""
    found = {}
    for sigma in (0.17, *SIGMAS):
        law = RunTimeModel(20.0, sigma)
        runs_s = [20.0 * math.exp(sigma * NormalDist().inv_cdf((number + 0.5) / 2000)) for number in range(2000)]
        best_s = 20.0 * math.sqrt(0.75 * 1.25)
        found[sigma] = (
            sum(abs(law.expected_total_s(run_s / 2) - run_s) <= run_s / 4 for run_s in runs_s) / len(runs_s),
            sum(abs(best_s - run_s) <= run_s / 4 for run_s in runs_s) / len(runs_s),
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    as_json = parser.parse_args().json
    rows = measure()
    if as_json:
        print(json.dumps(rows))
        return
    print(" ".join(f"{name:>11}" for name in rows[0]))
    for row in rows:
        print(" ".join(f"{value:11.3f}" for value in row.values()))
    for sigma, (our_share, best_share) in well_estimated().items():
        print(f"sigma {sigma:4.2f}: at half time {our_share:.0%} within 25 %, with one best number {best_share:.0%}")
    print(f"worst ratio to the best possible: {max(row['to_best'] for row in rows):.3f}")


if __name__ == "__main__":
    main()
