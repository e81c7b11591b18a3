"""How long runs take, from what finished runs took: pure arithmetic.

The median of a kind of run is log-normal around what similar runs suggest (`Prior`), and the runs are log-normal around
that median. Runs from before the service became faster or slower do not count.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median

from dreamina_ui.api.pacing import RunTimeModel

_SIGMA_BOUNDS = 0.08, 1.5
_SIGMA_RUNS = 3.0
"""How many runs the assumed spread counts as."""

_CHANGE_GAIN = 4.0
"""By how much the log-likelihood must gain from a change of the service before it counts as one."""

_ODD = 4.0
"""A run is odd that is so many standard deviations from the median: a machine that slept, for example."""

_MAD_TO_SIGMA = 1.4826
"""The standard deviation of normal values, by their median absolute deviation."""

_SIZE_POWER, _SIZE_POWER_ERROR = 0.6, 0.3
"""Run times grow with this power of the megapixels, give or take."""

_SIBLING_ERROR, _UNSCALED_ERROR = 0.35, 0.7
_CATEGORY_ERROR, _STRANGER_ERROR = 0.8, 1.1


@dataclass(frozen=True)
class Prior:
    """What is assumed of a kind of run before one has ended.

    Attributes:
        median_s: the likeliest median.
        error: standard deviation of the logarithm of the median.
        sigma: the spread of runs around their median, as in `RunTimeModel`.
    """

    median_s: float = 20.0
    error: float = 1.3
    sigma: float = 0.3


@dataclass(frozen=True)
class SimilarRuns:
    """Runs of another kind.

    Attributes:
        durations_s: newest first.
        size_ratio: how many times as many pixels the runs in question have; None if that is not known.
        is_same_model, is_same_category: what they have in common with the runs in question.
    """

    durations_s: Sequence[float]
    size_ratio: float | None = None
    is_same_model: bool = False
    is_same_category: bool = False


UNKNOWN = Prior()


def fit_run_times(durations_s: Sequence[float], prior: Prior = UNKNOWN) -> RunTimeModel:
    """The distribution of the next run, with all that is uncertain about it.

    Args:
        durations_s: seconds that finished runs took, newest first; values that are not positive are left out.
    """
    logs = _logs(durations_s, prior.sigma)
    count = len(logs)
    variance = prior.sigma**2
    if count:
        mean = sum(logs) / count
        squares = sum((value - mean) ** 2 for value in logs)
        variance = (_SIGMA_RUNS * variance + squares) / (_SIGMA_RUNS + count - 1)
    weight = variance / prior.error**2
    median_log = (sum(logs) + weight * math.log(prior.median_s)) / (count + weight)
    low, high = _SIGMA_BOUNDS
    return RunTimeModel(math.exp(median_log), min(max(math.sqrt(variance * (1 + 1 / (count + weight))), low), high))


def _logs(durations_s: Sequence[float], sigma: float) -> Sequence[float]:
    """Logarithms of the run times that count, newest first; odd ones are moved closer to the others."""
    logs = [math.log(duration) for duration in durations_s if duration > 0]
    if not logs:
        return logs
    middle = median(logs)
    reach = _ODD * max(_MAD_TO_SIGMA * median(abs(value - middle) for value in logs), sigma / 2)
    return since_last_change([min(max(value, middle - reach), middle + reach) for value in logs], sigma)


def since_last_change(logs: Sequence[float], sigma: float) -> Sequence[float]:
    """The newest logarithms of run times, up to where the service changed its pace, if it did.

    Args:
        logs: newest first.
        sigma: the spread that is assumed of a few of them.
    """
    count = len(logs)
    if count < 4:
        return logs
    sums = [0.0, *accumulate(logs)]
    squares = [0.0, *accumulate(value * value for value in logs)]

    def spread(start: int, end: int) -> float:
        return squares[end] - squares[start] - (sums[end] - sums[start]) ** 2 / (end - start)

    whole = spread(0, count) + 1.5 * sigma**2
    gain, split = max(
        (count / 2 * math.log(whole / (spread(0, at) + spread(at, count) + 1.5 * sigma**2)), at)
        for at in range(2, count - 1)
    )
    return logs[:split] if gain > _CHANGE_GAIN else logs


def prior_from(similar: Iterable[SimilarRuns]) -> Prior:
    """What runs of other kinds suggest: each kind counts the more, the closer it is."""
    weights = [1 / UNKNOWN.error**2]
    medians = [math.log(UNKNOWN.median_s)]
    for runs in similar:
        logs = _logs(runs.durations_s, UNKNOWN.sigma)
        if not logs:
            continue
        error = _SIBLING_ERROR if runs.is_same_model else _CATEGORY_ERROR if runs.is_same_category else _STRANGER_ERROR
        shift, shift_error = 0.0, _UNSCALED_ERROR
        if runs.size_ratio:
            shift, shift_error = (power * math.log(runs.size_ratio) for power in (_SIZE_POWER, _SIZE_POWER_ERROR))
        medians.append(sum(logs) / len(logs) + shift)
        weights.append(1 / (error**2 + shift_error**2 + UNKNOWN.sigma**2 / len(logs)))
    total = sum(weights)
    mean = sum(weight * median for weight, median in zip(weights, medians, strict=True)) / total
    # Kinds that contradict each other prove that they are no good guide.
    between = (
        sum(weight * (median - mean) ** 2 for weight, median in zip(weights[1:], medians[1:], strict=True)) / total
    )
    return Prior(math.exp(mean), min(math.sqrt(1 / total + between), UNKNOWN.error), UNKNOWN.sigma)
