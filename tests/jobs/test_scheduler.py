"""The schedule looks at every job when its time has come, once at a time, and forgets none."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import pytest

from dreamina_ui.api.pacing import Throttle
from dreamina_ui.jobs.scheduler import Schedule

FAR_S = 3600.0


class Watched:
    """A schedule that reports which job it polls; the test ends each poll."""

    def __init__(self, throttle: Throttle | None = None) -> None:
        self.polls: SimpleQueue[str] = SimpleQueue()
        self.schedule = Schedule(self.polls.put, throttle)

    def next(self) -> str:
        return self.polls.get(timeout=5.0)

    def nothing_is_due(self) -> bool:
        """Whether a fresh job is the very next to be looked at: what was due before it would come first."""
        self.schedule.put("probe", 0.0)
        result = self.next()
        self.schedule.finish("probe", None)
        return result == "probe"


class CountedThrottle(Throttle):
    """Counts the calls that it lets through."""

    calls = 0

    def take(self, now: float) -> None:
        self.calls += 1
        super().take(now)


@pytest.fixture
def watched() -> Iterator[Watched]:
    made = Watched()
    made.schedule.start()
    yield made
    made.schedule.stop()


def test_a_job_is_polled_when_it_is_due(watched: Watched) -> None:
    """Whatever order they are put in, the next one is the one that is due."""
    for job_id, pause_s in (("late", 0.02), ("far", FAR_S), ("now", 0.0), ("soon", 0.004)):
        watched.schedule.put(job_id, pause_s)
    assert [watched.next() for _ in range(3)] == ["now", "soon", "late"]
    assert watched.nothing_is_due()


def test_a_step_after_a_response_takes_no_status_call_from_others() -> None:
    """Where ten calls a second are allowed, saving a picture must not cost another visitor a poll."""
    throttle = CountedThrottle()
    watched = Watched(throttle)
    watched.schedule.start()
    counts = []
    watched.schedule.put("j", 0.0)
    for pause_s in (0.0, 0.002, None):
        assert watched.next() == "j"
        watched.schedule.finish("j", pause_s)
        counts.append(throttle.calls)
    watched.schedule.stop()
    assert counts == [1, 1, 2]


def test_what_was_put_before_the_start_is_polled() -> None:
    """A restart puts its unfinished jobs first and starts then."""
    watched = Watched()
    watched.schedule.put("j", 0.0)
    watched.schedule.start()
    assert watched.next() == "j"
    watched.schedule.stop()


def test_the_next_poll_comes_after_the_requested_pause(watched: Watched) -> None:
    """A job is followed until it needs no more looks."""
    watched.schedule.put("j", 0.0)
    for _ in range(3):
        assert watched.next() == "j"
        watched.schedule.finish("j", 0.002)
    assert watched.next() == "j"
    watched.schedule.finish("j", None)
    assert watched.nothing_is_due()


def test_a_sooner_poll_replaces_a_later_one(watched: Watched) -> None:
    """After a click on Cancel nobody waits for the look that was planned."""
    watched.schedule.put("j", FAR_S)
    watched.schedule.put("j", 0.0)
    assert watched.next() == "j"
    watched.schedule.finish("j", None)
    assert watched.nothing_is_due()


def test_a_replaced_poll_does_not_happen(watched: Watched) -> None:
    """A job that has ended is not asked about again."""
    watched.schedule.put("j", 0.004)
    watched.schedule.put("j", 0.0)
    assert watched.next() == "j"
    watched.schedule.finish("j", None)
    watched.schedule.put("k", 0.006)
    assert watched.next() == "k"


def test_a_later_poll_does_not_replace_a_sooner_one(watched: Watched) -> None:
    """Nothing that is planned is put off."""
    watched.schedule.put("j", 0.004)
    watched.schedule.put("j", FAR_S)
    assert watched.next() == "j"
    watched.schedule.finish("j", None)
    assert watched.nothing_is_due()


@pytest.mark.parametrize("pause_s", [None, FAR_S], ids=["ended", "planned-late"])
def test_a_plan_during_a_poll_is_carried_out_after_it(watched: Watched, pause_s: float | None) -> None:
    """A poll that has just read the old state must not swallow the event."""
    watched.schedule.put("j", 0.0)
    assert watched.next() == "j"
    watched.schedule.put("j", 0.0)
    watched.schedule.put("j", FAR_S)
    assert watched.nothing_is_due()
    watched.schedule.finish("j", pause_s)
    assert watched.next() == "j"
    watched.schedule.finish("j", None)
    assert watched.nothing_is_due()


def test_a_plan_during_a_poll_does_not_delay_the_next(watched: Watched) -> None:
    """The sooner of the two counts."""
    watched.schedule.put("j", 0.0)
    assert watched.next() == "j"
    watched.schedule.put("j", FAR_S)
    watched.schedule.finish("j", 0.0)
    assert watched.next() == "j"


def test_a_long_poll_delays_no_other_job(watched: Watched) -> None:
    """One slow request must not stop the others."""
    watched.schedule.put("slow", 0.0)
    assert watched.next() == "slow"
    for number in range(20):
        watched.schedule.put(f"j{number}", 0.0)
    assert {watched.next() for _ in range(20)} == {f"j{number}" for number in range(20)}


def test_one_job_is_never_polled_twice_at_the_same_time() -> None:
    """Two looks at one job could save its files twice."""
    lock = threading.Lock()
    inside: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    most = 0
    idle = threading.Condition(lock)
    pool = ThreadPoolExecutor(8)

    def step(job_id: str) -> None:
        nonlocal most
        with lock:
            inside[job_id] += 1
            seen[job_id] += 1
            most = max(most, inside[job_id])
        if seen[job_id] < 20:
            schedule.put(job_id, 0.0)
        with lock:
            inside[job_id] -= 1
            idle.notify_all()
        schedule.finish(job_id, None)

    def poll(job_id: str) -> None:
        pool.submit(step, job_id)

    schedule = Schedule(poll)
    schedule.start()
    jobs = [f"j{number}" for number in range(4)]

    def press() -> None:
        for _ in range(50):
            for job_id in jobs:
                schedule.put(job_id, 0.0)

    threads = [threading.Thread(target=press) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with lock:
        assert idle.wait_for(lambda: all(seen[job_id] >= 20 for job_id in jobs), 5.0)
    schedule.stop()
    pool.shutdown()
    assert most == 1


def test_stop_ends_the_thread_and_all_polls() -> None:
    """A program that stops must not begin anything new."""
    watched = Watched()
    before = set(threading.enumerate())
    watched.schedule.start()
    (thread,) = set(threading.enumerate()) - before
    watched.schedule.put("j", FAR_S)
    watched.schedule.stop()
    assert not thread.is_alive()
    watched.schedule.put("k", 0.0)
    watched.schedule.finish("l", 0.0)
    watched.schedule.stop()
    assert watched.polls.empty()


def test_a_schedule_that_never_started_can_be_stopped() -> None:
    """A start that fails half-way cleans up behind itself."""
    Watched().schedule.stop()


def test_of_many_that_wait_a_next_step_comes_first_and_then_the_most_urgent() -> None:
    """However many jobs wait for the service's pace, a completed image is fetched at once."""
    throttle = CountedThrottle(initial_per_s=0.001)
    watched = Watched(throttle)
    for number in range(300):
        watched.schedule.put(f"job {number}", 0.5)
    now = time.monotonic() + 10.0
    assert watched.schedule._pause_s(now) == 0.0
    assert len(watched.schedule._take(now)) == 1
    watched.schedule._throttle = Throttle(initial_per_s=1000.0)
    watched.schedule.put("next step", 0.0)
    watched.schedule._pause_s(now + 0.1)
    assert watched.schedule._take(now + 0.1)[0] == "next step"
