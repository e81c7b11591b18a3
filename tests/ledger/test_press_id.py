"""A request that its caller named is one job, however often it is repeated."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dreamina_ui.errors import InputError, JobNotFoundError, LimitError
from dreamina_ui.ledger.job import Job, new_id, validate_press_id
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.transaction import Transaction
from tests.support.ledger_jobs import new_job

REQUESTERS: tuple[dict[str, str], ...] = (
    {"visitor_id": "v"},
    {"visitor_id": "w", "client_hash": "home"},
    {"key_fingerprint": "k"},
    {"key_fingerprint": "k", "client_hash": "home"},
    {"client_hash": "home"},
    {"client_hash": "work"},
    {},
)


def test_the_same_id_is_the_same_job(ledger: Ledger, path: Path) -> None:
    """A browser that lost the response repeats the request; it must not pay twice, even after a restart in between."""
    first = ledger.add(new_job(press_id="p-1", visitor_id="v"))
    assert ledger.add(new_job(press_id="p-1", visitor_id="v")) == first
    ledger.change(first, "queued", request_id="r")
    ledger.close()
    with closing(Ledger(path)) as reopened:
        again = reopened.add(new_job(press_id="p-1", visitor_id="v", prompt="another"))
    assert (again.job_id, again.state, again.press_id) == (first.job_id, "queued", "p-1")


def test_other_ids_and_requesters_are_other_jobs(ledger: Ledger) -> None:
    """Two people whose programs both count from 1 must not get each other's jobs."""
    jobs = [new_job(press_id=press_id, **requester) for press_id in ("1", "2") for requester in REQUESTERS]
    added = {ledger.add(job).job_id for job in jobs}
    of_one_key = {job.job_id for job in jobs if job.key_fingerprint}
    assert len(added) == len(jobs) - 2, "a program may repeat a request from another address"
    assert len(added & of_one_key) == 2


def test_a_repeated_request_passes_no_limit_and_no_rule_again(ledger: Ledger) -> None:
    """Its slot is taken already: refused now, the browser would show an error for a job that runs."""

    def refuse(_transaction: Transaction, _job: Job) -> None:
        raise LimitError("per_day", 1, None)

    first = ledger.add(new_job(press_id="p", visitor_id="v"))
    assert ledger.add(new_job(press_id="p", visitor_id="v"), [refuse]) == first


def test_a_refused_request_may_be_repeated(ledger: Ledger) -> None:
    """What was not accepted left nothing: the same id is tried anew."""

    def refuse(_transaction: Transaction, _job: Job) -> None:
        raise LimitError("per_day", 1, None)

    refused = new_job(press_id="p", visitor_id="v")
    with pytest.raises(LimitError):
        ledger.add(refused, [refuse])
    with pytest.raises(JobNotFoundError):
        ledger.job(refused.job_id)
    assert ledger.add(new_job(press_id="p", visitor_id="v")).press_id == "p"


def test_two_ids_within_a_second_are_two_jobs(ledger: Ledger) -> None:
    """Who presses twice on purpose gets two; the rule about double clicks is for callers without an id."""
    first = ledger.add(new_job(press_id="p-1", visitor_id="v"))
    assert (
        ledger.add(new_job(press_id="p-2", visitor_id="v", created_at=2.0), duplicate_since=0.0).job_id != first.job_id
    )
    assert ledger.add(new_job(press_id=None, visitor_id="v"), duplicate_since=0.0).press_id == "p-2"


def test_many_threads_with_one_id_make_one_job(ledger: Ledger) -> None:
    """Proxies and browsers repeat while the first try is still on its way."""
    gate = threading.Barrier(12)

    def add(_number: int) -> str:
        gate.wait()
        return ledger.add(new_job(press_id="p", visitor_id="v")).job_id

    with ThreadPoolExecutor(12) as pool:
        assert len(set(pool.map(add, range(12)))) == 1
    assert len(list(ledger.every_job())) == 1


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("vw"), st.booleans()), max_size=20))
def test_there_are_as_many_jobs_as_admitted_ids(ledger: Ledger, calls: list[tuple[str, str, bool]]) -> None:
    """Whatever is repeated, refused or interleaved: submits equal intentions."""
    run = new_id()  # the ledger is one for all examples

    def refuse(_transaction: Transaction, _job: Job) -> None:
        raise LimitError("per_day", 1, None)

    admitted, before = set(), len(list(ledger.every_job()))
    for press_id, visitor_id, is_refused in calls:
        try:
            ledger.add(new_job(press_id=run + press_id, visitor_id=visitor_id), [refuse] if is_refused else [])
        except LimitError:
            assert (press_id, visitor_id) not in admitted
        else:
            admitted.add((press_id, visitor_id))
    assert len(list(ledger.every_job())) - before == len(admitted)


@pytest.mark.parametrize("text", ["", "x" * 201, "a b", "a\x00", "ü", "\ud800", "a\n"])
def test_what_can_be_no_id_is_refused(text: str) -> None:
    """It comes from a header or a browser, and becomes part of an index."""
    with pytest.raises(InputError):
        validate_press_id(text)


def test_common_ids_are_accepted() -> None:
    """UUIDs, ULIDs, and whatever a program's library makes."""
    for text in ("5f0c3c1e-8c4f-4c3b-9a51-0d6f1f1f9f61", "01J9ZK4T8W3V5X7Y9Z", '"quoted"', "a" * 200):
        assert validate_press_id(text) == text
