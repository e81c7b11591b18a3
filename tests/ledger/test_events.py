"""News of jobs reach everyone who wants them, and nobody else."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from dreamina_ui.ledger.events import JobEvents
from dreamina_ui.ledger.job import Job

JOB = Job(job_id="j1", model_id="m", api_origin="o", inputs={}, created_at=1.0, updated_at=1.0, visitor_id="v1")


def test_news_go_to_those_who_follow_the_job_or_its_visitor() -> None:
    """One person's page must not hear of another one's prompts."""
    changes = JobEvents()
    handled: list[tuple[str, Job | None]] = []

    def subscribe(topic: str) -> None:
        changes.subscribe(topic, lambda job: handled.append((topic, job)))

    for topic in ("j1", "v1", "j2", "v2"):
        subscribe(topic)
    changes.publish(JOB)
    assert sorted(topic for topic, _ in handled) == ["j1", "v1"]
    assert all(job is JOB for _, job in handled)


def test_a_job_without_a_visitor_is_nobodys_news() -> None:
    """Jobs of programs appear on no page."""
    changes = JobEvents()
    handled: list[Job | None] = []
    changes.subscribe("", handled.append)
    changes.publish(replace(JOB, visitor_id=None))
    changes.publish(replace(JOB, visitor_id=""))
    assert handled == []


def test_who_unsubscribes_gets_no_more_events_and_the_others_do() -> None:
    """A closed page costs nothing."""
    changes = JobEvents()
    first: list[Job | None] = []
    second: list[Job | None] = []
    leave = changes.subscribe("j1", first.append)
    changes.subscribe("j1", second.append)
    changes.publish(JOB)
    leave()
    changes.publish(JOB)
    assert (len(first), len(second)) == (1, 2)


def test_leaving_twice_is_leaving_once() -> None:
    """A stream may end in two ways at the same moment."""
    changes = JobEvents()
    handled: list[Job | None] = []
    leave = changes.subscribe("j1", handled.append)
    changes.subscribe("j1", handled.append)
    leave()
    leave()
    changes.publish(JOB)
    assert len(handled) == 1


def test_one_broken_listener_keeps_the_news_from_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """The loop of a page that is gone refuses; the other pages still hear."""
    changes = JobEvents()
    handled: list[Job | None] = []

    def broken(_job: Job | None) -> None:
        raise RuntimeError("Event loop is closed")

    changes.subscribe("j1", broken)
    changes.subscribe("j1", handled.append)
    changes.publish(JOB)
    assert handled == [JOB]
    assert "listener" in caplog.text


def test_a_listener_may_subscribe_and_unsubscribe_while_it_is_called() -> None:
    """A stream ends when it hears of the end: that must not lock up."""
    changes = JobEvents()
    handled: list[Job | None] = []

    def once(job: Job | None) -> None:
        assert job is not None
        leave()
        changes.subscribe("j1", handled.append)
        changes.publish(replace(job, version=2))

    leave = changes.subscribe("j1", once)
    changes.publish(JOB)
    assert [job and job.version for job in handled] == [2]


def test_many_threads_may_come_go_and_tell() -> None:
    """Pages open and close while the workers publish."""
    changes = JobEvents()
    handled: list[Job | None] = []
    changes.subscribe("v1", handled.append)
    gate = threading.Barrier(8)

    def busy() -> None:
        gate.wait()
        for _ in range(50):
            leave = changes.subscribe("j1", lambda _: None)
            changes.publish(JOB)
            leave()

    threads = [threading.Thread(target=busy) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(handled) == 8 * 50


def test_every_listener_is_called_when_the_program_stops() -> None:
    """An open stream that ends by itself keeps the stop short and the log clean."""
    changes = JobEvents()
    handled: list[Job | None] = []
    changes.subscribe("a", handled.append)
    changes.subscribe("b", handled.append)
    changes.close()
    assert handled == [None, None]
