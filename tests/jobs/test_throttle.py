"""How fast to ask: up to what the service allows, and soon back from too much."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamina_ui.api.pacing import Throttle


def run(throttle: Throttle, allowed_per_s: int, seconds: int) -> tuple[list[float], int]:
    """Ask as fast as the throttle lets, of a service that allows so many calls in each second.

    Returns:
        When it refused, and how many calls it answered.
    """
    now, answered, refused = 0.0, 0, []
    used: dict[int, int] = {}
    while now < seconds:
        throttle.take(now)
        second = int(now)
        used[second] = used.get(second, 0) + 1
        if used[second] > allowed_per_s:
            refused.append(now)
            throttle.refuse(now)
        else:
            answered += 1
        now += max(throttle.wait_s(now), 1e-4)
    return refused, answered


def test_after_the_first_refusal_there_is_at_most_one_a_second() -> None:
    """A service that asks to slow down is respected, and still used well."""
    refused, answered = run(Throttle(), allowed_per_s=10, seconds=120)
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(refused))
    assert len(refused) < 30
    assert answered > 0.6 * 10 * 120


@pytest.mark.parametrize("allowed_per_s", [40, 100, 500])
def test_a_limit_that_was_found_is_used_almost_whole(allowed_per_s: int) -> None:
    """A hundred thousand jobs that wait for a pace of three quarters are noticed late by a third."""
    refused, answered = run(Throttle(), allowed_per_s, seconds=300)
    assert answered > 0.93 * allowed_per_s * 300
    assert len([moment for moment in refused if moment > 30.0]) < 20


def test_a_limit_that_was_raised_is_found_again() -> None:
    """An account that was upgraded is not slow until the next restart."""
    throttle = Throttle()
    run(throttle, allowed_per_s=50, seconds=60)
    before = throttle.per_s
    now = 60.0
    while now < 240.0:
        throttle.take(now)
        now += max(throttle.wait_s(now), 1e-4)
    assert before < 55.0
    assert throttle.per_s > 150.0


def test_without_a_refusal_the_pace_grows_to_the_most() -> None:
    """Five hundred jobs must not wait for a caution that nobody asked for."""
    throttle = Throttle(max_per_s=500.0)
    run(throttle, allowed_per_s=10_000, seconds=8)
    assert throttle.per_s == 500.0


def test_a_late_thread_makes_up_for_a_moment_and_no_more() -> None:
    """On a busy machine a poll that waits for its turn must not slow down all that come after it."""
    throttle = Throttle(initial_per_s=100.0, max_per_s=100.0)
    throttle.take(0.0)
    made_up_for = 0
    while not throttle.wait_s(10.0):
        throttle.take(10.0)
        made_up_for += 1
    assert 5 <= made_up_for <= 6
    throttle.refuse(10.0)
    throttle.take(20.0)
    assert throttle.wait_s(20.0) > 0.0, "what the service has limited is never made up for"


def test_a_wait_that_the_service_names_is_respected() -> None:
    """Retry-After is an order."""
    throttle = Throttle()
    throttle.take(100.0)
    throttle.refuse(100.0, retry_after_s=30.0)
    assert throttle.wait_s(100.0) >= 30.0
    assert throttle.wait_s(131.0) < 5.0


def test_refusals_of_one_moment_teach_once() -> None:
    """Twenty calls under way when the first is refused are one mistake, not twenty."""
    throttle = Throttle()
    for number in range(20):
        throttle.take(number / 20)
    throttle.refuse(1.0)
    once = throttle.per_s
    for _ in range(19):
        throttle.refuse(1.01)
    assert throttle.per_s == once


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans(), st.one_of(st.none(), st.floats(0, 1e6))), max_size=60))
def test_the_throttle_never_closes_for_good(steps: list[tuple[float, bool, float | None]]) -> None:
    """Whatever the service answers, jobs are asked again."""
    throttle, now = Throttle(), 0.0
    for pause_s, is_refused, retry_after_s in steps:
        now += pause_s
        throttle.take(now)
        if is_refused:
            throttle.refuse(now, retry_after_s)
    assert 0.2 <= throttle.per_s <= 1000.0
    assert throttle.wait_s(now) <= 300.0 + 5.0 * len(steps) + 5.0
