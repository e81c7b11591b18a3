"""What finished runs say about the next one."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamina_ui.api.run_time_fit import UNKNOWN, SimilarRuns, fit_run_times, prior_from

RELAXED = settings(deadline=None, derandomize=True)


def test_without_runs_the_prior_is_the_model() -> None:
    """The first job of a size has an estimate too."""
    model = fit_run_times([])
    assert model.median_s == pytest.approx(UNKNOWN.median_s)
    assert model.sigma == pytest.approx(math.hypot(UNKNOWN.error, UNKNOWN.sigma))


@pytest.mark.parametrize(("median_s", "sigma"), [(6.0, 0.15), (45.0, 0.5), (300.0, 1.0)])
def test_the_fit_recovers_the_model_of_the_runs(median_s: float, sigma: float) -> None:
    """After sixty pictures the page knows how long one takes."""
    source = random.Random(7)
    model = fit_run_times([source.lognormvariate(math.log(median_s), sigma) for _ in range(60)])
    assert abs(math.log(model.median_s / median_s)) < 3 * sigma / math.sqrt(60)
    assert model.sigma == pytest.approx(sigma, rel=0.3)


def test_each_run_moves_the_estimate_its_way() -> None:
    """One run of this very kind says more than any assumption, and each further one makes it surer."""
    models = [fit_run_times([60.0] * count) for count in range(9)]
    assert [model.median_s for model in models] == sorted(model.median_s for model in models)
    assert [model.sigma for model in models] == sorted((model.sigma for model in models), reverse=True)
    assert models[1].median_s > 50
    assert models[8].median_s == pytest.approx(60, rel=0.01)


def test_at_half_time_four_of_five_estimates_are_within_a_quarter() -> None:
    """Runs of 10 to 20 s, learned from forty of them: who looks at the bar can plan a coffee."""
    source = random.Random(3)
    runs_s = [source.lognormvariate(math.log(14.0), 0.17) for _ in range(1040)]
    model = fit_run_times(runs_s[:40])
    good = [abs(model.expected_total_s(run_s / 2) - run_s) <= run_s / 4 for run_s in runs_s[40:]]
    assert sum(good) >= 0.8 * len(good)


@RELAXED
@given(st.lists(st.floats(-1e6, 1e9), max_size=80))
def test_any_run_times_give_a_usable_model(durations_s: list[float]) -> None:
    """A clock that was set back writes nonsense into the ledger; it must not stop the worker."""
    model = fit_run_times(durations_s)
    assert 0 < model.median_s < math.inf
    assert 0.08 <= model.sigma <= 1.5


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_service_that_changes_its_pace_is_known_anew_after_ten_runs(factor: float) -> None:
    """Sixty runs of yesterday must not outvote the ten of today."""
    source = random.Random(5)
    old = [source.lognormvariate(math.log(14.0), 0.2) for _ in range(50)]
    new = [source.lognormvariate(math.log(14.0 * factor), 0.2) for _ in range(10)]
    model = fit_run_times([*new, *old])
    assert model.median_s == pytest.approx(14.0 * factor, rel=0.2)
    assert model.sigma < 0.35


def test_one_odd_run_is_not_a_change() -> None:
    """A machine that slept makes one run look like an hour."""
    source = random.Random(6)
    runs_s = [source.lognormvariate(math.log(14.0), 0.2) for _ in range(30)]
    assert fit_run_times([3600.0, *runs_s]).median_s == pytest.approx(14.0, rel=0.5)


def test_runs_of_another_size_suggest_a_run_time() -> None:
    """The first large image of a model whose small ones are known is no riddle."""
    prior = prior_from([SimilarRuns([5.0, 5.2, 4.9], size_ratio=4.0, is_same_model=True)])
    assert 7 < prior.median_s < 16
    assert prior.error < 0.7 * UNKNOWN.error


def test_the_closer_a_kind_is_the_more_it_counts() -> None:
    """A video model says little about an image model."""
    runs_s = [100.0] * 3
    errors = [
        prior_from([SimilarRuns(runs_s, size_ratio=1.0, **facts)]).error
        for facts in ({"is_same_model": True}, {"is_same_category": True}, {})
    ]
    assert errors == sorted(errors)
    assert errors[0] < errors[1] < errors[2] < UNKNOWN.error


def test_kinds_that_contradict_each_other_are_no_guide() -> None:
    """One that takes a second and one that takes ten minutes leave everything open."""
    apart = [SimilarRuns([1.0] * 5, size_ratio=1.0, is_same_model=True), SimilarRuns([600.0] * 5, 1.0, True)]
    assert prior_from(apart).error > 1.0
    assert prior_from([SimilarRuns([], 2.0), SimilarRuns([-1.0, 0.0], 2.0)]) == prior_from([])
