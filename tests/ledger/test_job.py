"""A job's states and the moves between them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import get_args

import pytest

from dreamina_ui.ledger.job import SETTLED, TERMINAL, TRANSITIONS, Job, State, iso, new_id

STATES = set(get_args(State))
JOB = Job(job_id="j", model_id="m", api_origin="o", inputs={}, created_at=100.0, updated_at=100.0)


def test_every_move_leads_to_a_known_state() -> None:
    """A state without a row in the table would be a trap without a way out."""
    assert set(TRANSITIONS) == STATES
    assert all(targets <= STATES - {state} for state, targets in TRANSITIONS.items())


def test_an_end_is_an_end() -> None:
    """What is done stays done and what is cancelled stays cancelled; a failure can only be fetched again."""
    ends = {"done": set(), "failed": {"saving"}, "cancelled": set()}
    assert set(ends) == TERMINAL
    assert {state: set(TRANSITIONS[state]) for state in ends} == ends


def test_nothing_goes_back_to_the_submit() -> None:
    """A submit costs money: no road in the table leads to a second one."""
    assert all("submitting" not in targets for targets in TRANSITIONS.values())
    assert {state for state, targets in TRANSITIONS.items() if "submit_unclear" in targets} == {"submitting"}


def test_every_state_can_be_reached_and_can_come_to_rest() -> None:
    """No job waits forever by design."""
    reached, edge = {"submitting"}, {"submitting"}
    while edge:
        edge = set().union(*(TRANSITIONS[state] for state in edge)) - reached
        reached |= edge
    assert reached == STATES
    assert all(TRANSITIONS[state] & SETTLED for state in STATES - SETTLED)


def test_a_job_is_settled_where_only_a_person_can_act() -> None:
    """Streams end there, and a job with an unknown outcome is not polled forever."""
    assert {state for state in STATES if replace(JOB, state=state).is_settled} == TERMINAL | {"submit_unclear"}


def test_times_are_utc_with_milliseconds() -> None:
    """Programs compare them as text."""
    assert iso(1795348800.0) == "2026-11-22T12:00:00.000Z"
    assert iso(1795348800.9876) == "2026-11-22T12:00:00.987Z"
    assert iso(0.0) == "1970-01-01T00:00:00.000Z"
    assert iso(None) is None


def test_the_time_of_a_job_stops_with_it() -> None:
    """A job of yesterday did not take a day; a clock that was set back gives no negative time."""
    assert JOB.elapsed_s(130.5) == 30.5
    assert replace(JOB, finished_at=110.0).elapsed_s(1e9) == 10.0
    assert JOB.elapsed_s(90.0) == 0.0


def test_ids_cannot_be_guessed() -> None:
    """A program's only key to its job is the id."""
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(item) == 32 and int(item, 16) >= 0 for item in ids)


def test_a_job_is_a_snapshot() -> None:
    """Threads share it; nobody changes it under another one's hands."""
    with pytest.raises(FrozenInstanceError):
        JOB.state = "done"  # type: ignore[misc]
