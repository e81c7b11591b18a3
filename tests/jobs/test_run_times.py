"""When each run is polled, by what others of its kind took."""

from __future__ import annotations

import pytest

from benchmarks.cold_polling import KIND, OTHER_SIZE, World, fixed_late_s, follow
from dreamina_ui.api.pacing import Pace
from dreamina_ui.jobs.run_times import RunTimes

PACE = Pace()


def planner_of(world: World) -> RunTimes:
    return RunTimes(world, PACE, lambda: world.now)


def with_one_run() -> tuple[World, RunTimes]:
    """One run that ended between 8 and 12 seconds, and whose row is not there yet."""
    world = World()
    planner = planner_of(world)
    planner.accept("one", KIND)
    start = world.now
    world.now += 8.0
    planner.note_running("one", KIND, start)
    world.now += 4.0
    planner.note_end("one", KIND, start)
    return world, planner


def test_the_first_end_plans_the_polls_of_all_others_at_once() -> None:
    """Twenty images of one batch end together: when one is seen, the others are asked about without a pause."""
    world = World()
    planner = planner_of(world)
    for name in ("one", "two", "three", "four"):
        planner.accept(name, KIND)
    start = world.now
    world.now += 19.0
    pauses_s = [planner.note_running(name, KIND, start) for name in ("one", "two", "three", "four")]
    world.now += 0.1
    for name in ("one", "two"):
        planner.note_end(name, KIND, start)
    after_s = planner.note_end("three", KIND, start)
    assert list(after_s) == ["four"]
    assert 0.1 + after_s["four"] < 0.75 * min(pauses_s)
    assert planner.model(KIND).median_s == pytest.approx(19.05, rel=0.1)


def test_an_end_counts_once_when_its_row_is_there() -> None:
    """The row says when the end was noticed; between two polls is a better guess, and it is one run."""
    world, planner = with_one_run()
    world.finish(KIND, 12.0)
    alone = planner.model(KIND)
    world.finished[0] = type(world.finished[0])("one", *KIND, 12.0)
    world.now += 60.0
    assert planner.read(KIND) == alone


def test_the_service_may_say_how_long_it_took() -> None:
    """Its own clock knows the end better than our polls do, unless it says what cannot be."""
    _, planner = with_one_run()
    guess_s = planner.model(KIND).median_s
    planner.note_service_times("one", KIND, "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z")
    planner.note_service_times("one", KIND, None, "soon")
    planner.note_service_times("one", KIND, "2026-01-01T00:00:00", "2026-01-01T00:00:09Z")
    assert planner.model(KIND).median_s == guess_s
    planner.note_service_times("one", KIND, "2026-01-01T00:00:00Z", "2026-01-01T00:00:08.500Z")
    assert planner.model(KIND).median_s < guess_s


def test_another_size_of_the_model_is_known_a_little() -> None:
    """Who made small images yesterday has an estimate for a large one."""
    world = World()
    unknown = planner_of(world).read(KIND)
    for _ in range(3):
        world.finish(OTHER_SIZE, 3.0)
    model = planner_of(world).read(KIND)
    assert 4 < model.median_s < 10
    assert model.sigma < unknown.sigma


@pytest.mark.parametrize("duration_s", [2.0, 5.0, 14.0, 40.0, 120.0])
def test_without_earlier_runs_a_fixed_pause_is_not_better(duration_s: float) -> None:
    """The first job of an installation is the one that people judge it by."""
    calls, late_s = (
        sum(values) / 21
        for values in zip(*(follow(World(), [duration_s * (0.8 + 0.02 * step)]) for step in range(21)), strict=True)
    )
    assert late_s <= 1.2 * fixed_late_s(duration_s, 0.12, calls)


def test_of_many_first_runs_each_is_seen_soon() -> None:
    """The first of twenty teaches about the other nineteen."""
    calls, late_s = follow(World(), [14.0] * 20)
    assert late_s <= 0.5 * 14.0 / (2 * calls)


def test_what_is_polled_no_longer_is_not_planned() -> None:
    """A canceled job must not be polled because another one has ended."""
    world = World()
    planner = planner_of(world)
    start = world.now
    for name in ("one", "two"):
        planner.accept(name, KIND)
        planner.note_running(name, KIND, start)
    planner.forget("two", KIND)
    world.now += 5.0
    assert planner.note_end("one", KIND, start) == {}
    assert planner.note_end("unknown", KIND, start) == {}
