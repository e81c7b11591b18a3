"""When to ask again: the arithmetic is right, its bounds hold, and it beats asking at fixed intervals."""

from __future__ import annotations

import math
import random
from itertools import pairwise
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamina_ui.api.pacing import Pace, RunTimeModel
from dreamina_ui.api.run_time_fit import fit_run_times

RELAXED = settings(deadline=None, derandomize=True)
MODELS = st.builds(RunTimeModel, st.floats(0.01, 5000), st.floats(0.08, 1.5))
SECONDS = st.floats(0, 1e7)
PACE = Pace()


# --- the model of run times


@RELAXED
@given(MODELS, st.floats(0.02, 20))
def test_the_hazard_is_how_fast_survival_falls(model: RunTimeModel, share: float) -> None:
    """The two are written by hand; one wrong factor would poll at the wrong times forever."""
    t_s = model.median_s * share
    if model.survival(t_s) < 1e-8:
        return  # too small for a difference quotient
    step = t_s * 1e-5
    slope = (model.survival(t_s - step) - model.survival(t_s + step)) / (2 * step)
    assert model.hazard(t_s) == pytest.approx(slope / model.survival(t_s), rel=1e-3, abs=1e-9)


@RELAXED
@given(MODELS, SECONDS, SECONDS)
def test_survival_only_falls(model: RunTimeModel, one_s: float, other_s: float) -> None:
    """It is a chance, from 1 at the start to 0 in the end."""
    early, late = sorted((one_s, other_s))
    assert 1 >= model.survival(early) >= model.survival(late) >= 0
    assert model.survival(0) == 1
    assert model.survival(model.median_s) == pytest.approx(0.5)


@pytest.mark.parametrize("sigma", [0.08, 0.3, 1.5])
def test_the_hazard_has_no_jump_where_its_formula_changes(sigma: float) -> None:
    """Far out both factors underflow; the formula that takes over there must fit."""
    model = RunTimeModel(20.0, sigma)
    border_s = 20.0 * math.exp(6 * sigma)
    assert model.hazard(border_s * 1.0001) == pytest.approx(model.hazard(border_s * 0.9999), rel=0.04)
    assert math.isfinite(model.hazard(border_s * 1e6))


@RELAXED
@given(MODELS, st.floats(-100, 1e7))
def test_a_run_is_never_expected_to_have_ended_already(model: RunTimeModel, elapsed_s: float) -> None:
    """A progress bar that stands at 110 % is worse than none."""
    total_s = model.expected_total_s(elapsed_s)
    assert math.isfinite(total_s)
    assert total_s >= elapsed_s


@RELAXED
@given(MODELS)
def test_at_the_start_the_median_is_expected(model: RunTimeModel) -> None:
    """The bar is full when half of such runs are done."""
    assert model.expected_total_s(0.0) == pytest.approx(model.median_s, rel=1e-3, abs=1e-3)


def test_a_longer_run_is_expected_to_take_longer() -> None:
    """The estimate goes with what is known."""
    totals = [fit_run_times([]).expected_total_s(elapsed) for elapsed in (0, 10, 20, 40, 80, 160)]
    assert totals == sorted(totals)


# --- pauses


@RELAXED
@given(MODELS, st.floats(-1e6, 1e9))
def test_a_pause_while_running_keeps_its_bounds(model: RunTimeModel, elapsed_s: float) -> None:
    """Neither a flood of calls nor a job that is forgotten."""
    assert PACE.min_s <= PACE.run_pause_s(model, elapsed_s) <= PACE.max_s


@RELAXED
@given(st.none() | st.integers())
def test_a_pause_in_the_queue_keeps_its_bounds(position: int | None) -> None:
    """The service may say any position."""
    assert PACE.min_s <= PACE.queue_pause_s(position) <= PACE.max_s


def test_the_front_of_the_queue_is_watched_more_closely() -> None:
    """Who is next wants to know at once; who is fortieth does not."""
    pauses = [PACE.queue_pause_s(position) for position in range(40)]
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1] == PACE.queue_max_s
    assert PACE.queue_pause_s(2**63) == PACE.queue_max_s


@RELAXED
@given(st.integers(0, 10**6), st.floats(0, 1, exclude_max=True), st.none() | st.floats(allow_nan=True))
def test_a_pause_after_an_error_keeps_its_bounds(errors: int, jitter: float, retry_after_s: float | None) -> None:
    """A service that is down is not hammered, and one that says "come back in a year" is asked again."""
    pause_s = PACE.retry_pause_s(errors, jitter, retry_after_s)
    assert 0 < pause_s <= 300.0


@RELAXED
@given(st.integers(1, 50), st.floats(0, 1, exclude_max=True), st.floats(0, 300))
def test_a_wait_that_the_service_asks_for_is_respected(errors: int, jitter: float, retry_after_s: float) -> None:
    """429 with Retry-After is an order."""
    assert PACE.retry_pause_s(errors, jitter, retry_after_s) >= retry_after_s
    assert PACE.retry_pause_s(errors, jitter, 86_400) == 300.0


def test_pauses_grow_with_errors_and_jitter_spreads_them() -> None:
    """A hundred jobs must not all ask again in the same moment."""
    assert [PACE.retry_pause_s(errors, 0.999) for errors in range(12)] == sorted(
        PACE.retry_pause_s(errors, 0.999) for errors in range(12)
    )
    assert PACE.retry_pause_s(99, 0.0) == 15.0
    assert PACE.retry_pause_s(99, 0.999) == pytest.approx(30.0, rel=0.01)


def test_a_wish_to_cancel_is_sent_again_after_growing_pauses() -> None:
    """One that was not answered may be lost: it is sent again while the request still waits."""
    answered = [PACE.cancel_pause_s(attempts) for attempts in range(1, 9)]
    lost = [PACE.cancel_pause_s(attempts, is_answered=False) for attempts in range(1, 12)]
    assert answered == sorted(answered)
    assert lost == sorted(lost)
    assert (answered[0], lost[0], answered[-1], lost[-1]) == (30, 2, 600, 600)
    assert PACE.cancel_pause_s(1, is_answered=False, retry_after_s=20) == 20


def test_polls_are_dense_where_the_end_is_likely() -> None:
    """Calls are spent where they save waiting."""
    model = RunTimeModel(20.0, 0.2)
    at_start, at_median = PACE.run_pause_s(model, 0.0), PACE.run_pause_s(model, 20.0)
    assert at_start > 3 * at_median
    dear = Pace(poll_cost_s=1.0)
    assert dear.run_pause_s(model, 20.0) > at_median


@RELAXED
@given(st.builds(RunTimeModel, st.floats(5, 60), st.floats(0.1, 1.0)), st.floats(0, 3))
def test_a_pause_ends_where_one_poll_is_due(model: RunTimeModel, share: float) -> None:
    """It is reckoned in large steps, as it is reckoned thousands of times a minute; they must not lead it astray."""
    elapsed_s = share * model.median_s
    pause_s = PACE.run_pause_s(model, elapsed_s)
    step_s = pause_s / 2000
    densities = [
        math.sqrt(model.hazard(elapsed_s + (index + 0.5) * step_s) / (2 * PACE.poll_cost_s)) for index in range(2000)
    ]
    polls_due = sum(densities) * step_s
    if pause_s == PACE.min_s:
        assert polls_due > 0.92
    elif pause_s == PACE.max_s:
        assert polls_due < 1.08
    else:
        assert polls_due == pytest.approx(1.0, abs=0.08)


@RELAXED
@given(st.builds(RunTimeModel, st.floats(1, 100), st.floats(0.8, 1.5)), st.integers(1, 40))
def test_without_knowledge_pauses_do_not_grow(model: RunTimeModel, polls: int) -> None:
    """A density of calls that falls is worse than a fixed pause, whatever the run takes."""
    elapsed_s = PACE.first_pause_s(model) * polls
    assert PACE.run_pause_s(model, elapsed_s, polls=polls) <= PACE.first_pause_s(model) * 1.0001


def test_polls_of_many_unknown_runs_are_sparser_and_spread() -> None:
    """One of twenty runs that end together is enough to see it; polled together, they see no more than one."""
    unknown = fit_run_times([])
    assert PACE.run_pause_s(unknown, 10.0, polls=10, runs=20) > PACE.run_pause_s(unknown, 10.0, polls=10)
    first = sorted(PACE.first_pause_s(unknown, rank) for rank in range(20))
    assert max(late - early for early, late in pairwise(first)) < PACE.first_s / 5


def test_a_poll_that_is_overdue_is_made_at_once() -> None:
    """What was just learned may say that a run has ended long ago; only the shortest pause of a job is kept."""
    model = RunTimeModel(10.0, 0.08)
    assert PACE.run_pause_s(model, 30.0, since_poll_s=5.0) < PACE.min_s / 2
    assert PACE.run_pause_s(model, 30.0) == PACE.min_s


# --- what it is worth


def polls_of(model: RunTimeModel, duration_s: float) -> tuple[int, float]:
    """Follow one run by pure arithmetic: how many calls, and how late its end is seen, in seconds."""
    now_s, calls = 0.0, 0
    while now_s < duration_s:
        now_s += PACE.run_pause_s(model, now_s)
        calls += 1
    return calls, now_s - duration_s


@pytest.mark.parametrize(("median_s", "sigma"), [(6.0, 0.2), (20.0, 0.35), (60.0, 0.35)])
def test_fitted_polls_see_the_end_sooner_than_fixed_ones_at_the_same_cost(median_s: float, sigma: float) -> None:
    """Otherwise all this arithmetic could be a constant."""
    source = random.Random(11)
    model = fit_run_times([source.lognormvariate(math.log(median_s), sigma) for _ in range(60)])
    runs_s = [source.lognormvariate(math.log(median_s), sigma) for _ in range(400)]
    seen = [polls_of(model, run_s) for run_s in runs_s]
    calls, lateness_s = fmean(item for item, _ in seen), fmean(item for _, item in seen)

    # The fixed interval that spends as many calls: found by halving.
    short_s, long_s = 0.01, 100.0
    for _ in range(50):
        interval_s = (short_s + long_s) / 2
        if fmean(math.ceil(run_s / interval_s) for run_s in runs_s) > calls:
            short_s = interval_s
        else:
            long_s = interval_s
    fixed_s = fmean(math.ceil(run_s / long_s) * long_s - run_s for run_s in runs_s)
    assert lateness_s < 0.9 * fixed_s
