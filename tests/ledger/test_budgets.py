"""The budgets' counters are what the jobs' rows say, whatever happens to the jobs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import fields, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dreamina_ui.errors import LimitError, StateError
from dreamina_ui.ledger.budget_rows import (
    ALL_DAYS,
    Budget,
    BudgetDifference,
    Scope,
    Usage,
    add_to_budgets,
    budget_changes,
    day_of,
    micro_usd,
    read_usages,
    read_usages_and_spent,
)
from dreamina_ui.ledger.job import Job, State, new_id
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.report_queries import CostGroup, cost_groups
from dreamina_ui.ledger.tables import jobs
from dreamina_ui.ledger.transaction import Transaction
from dreamina_ui.spending.limits import Limits, SpendingGuard, day_end, month_end, month_start
from tests.support.databases import Engine
from tests.support.ledger_jobs import ORIGIN, new_job
from tests.support.old_ledger import old_ledger, version_before

MIDNIGHT = datetime(2026, 12, 1, tzinfo=timezone.utc).timestamp()
RELAXED = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

moments = st.sampled_from([MIDNIGHT - 86400, MIDNIGHT - 0.001, MIDNIGHT, MIDNIGHT + 43200, MIDNIGHT + 86399.999])
amounts = st.sampled_from([None, 0.0, 0.03, 0.1, 0.0000004, 0.0000005, 1 / 3, 12.345678])
new_jobs = st.fixed_dictionaries(
    {
        "created_at": moments,
        "reserved_usd": amounts,
        "cost_usd": amounts,
        "visitor_id": st.sampled_from([None, "v", "w"]),
        "client_hash": st.sampled_from([None, "home"]),
        "key_fingerprint": st.sampled_from([None, None, "k"]),
        "api_origin": st.sampled_from([ORIGIN, ORIGIN, "sandbox"]),
        "state": st.sampled_from(get_args(State)),
        "request_id": st.sampled_from([None, "r"]),
    }
)
changes = st.fixed_dictionaries(
    {"to": st.sampled_from([None, *get_args(State)])},
    optional={"cost_usd": amounts, "reserved_usd": amounts, "archived_at": st.just(9.0), "problem": st.just("x")},
)


def make_job(**fields: Any) -> Job:
    if fields.get("request_id"):
        fields["request_id"] = new_id()
    return new_job(**{"created_at": MIDNIGHT, "updated_at": MIDNIGHT} | fields)


def usage(ledger: Ledger, scope: Scope) -> Usage:
    """What the visitor `v` or the installation used on the day after MIDNIGHT."""
    with ledger.reading() as reader:
        return read_usages(reader, ORIGIN, day_of(MIDNIGHT), visitor_id="v")[scope]


def refuse(_transaction: Transaction, _job: Job) -> None:
    raise LimitError("per_day", 1, None)


@RELAXED
@given(st.lists(st.one_of(new_jobs, st.tuples(st.integers(0, 9), changes)), max_size=30))
def test_counters_are_what_the_rows_say_after_any_changes(ledger: Ledger, steps: list[Any]) -> None:
    """A counter that drifts either stops paying guests or lets strangers spend more than the owner allowed."""
    job_ids: list[str] = []
    for step in steps:
        if isinstance(step, dict):
            job_ids.append(ledger.add(make_job(**step)).job_id)
        elif job_ids:
            index, change = step
            with suppress(StateError):
                ledger.change(job_ids[index % len(job_ids)], **change)
    assert ledger.find_budget_differences() == []
    assert ledger.find_total_differences() == []


@settings(RELAXED, max_examples=8)  # each one creates a ledger, and has the more jobs
@given(st.lists(new_jobs, max_size=90))
def test_an_older_ledger_gets_its_counters_from_its_rows(
    tmp_path: Path, engine: Engine, rows: list[dict[str, Any]]
) -> None:
    """An update in the middle of a month must not give everybody a fresh budget."""
    path = tmp_path / f"{new_id()}.sqlite3"
    with old_ledger(path, version_before("CREATE TABLE budgets")) as connection:
        for row in rows:
            made = make_job(**row)
            values = {field.name: getattr(made, field.name) for field in fields(made)} | {"inputs": "{}"}
            newer = ("outputs", "replica_id", "armed_at")
            connection.execute(jobs.insert(), {name: values[name] for name in values if name not in newer})
    with closing(Ledger(path)) as ledger:
        assert ledger.find_budget_differences() == []
        assert ledger.find_total_differences() == []


def test_a_wrong_counter_is_found(ledger: Ledger, path: Path, engine: Engine) -> None:
    """What nobody looks at drifts unseen."""
    ledger.add(make_job(visitor_id="v", reserved_usd=0.12))
    engine.rows(path, "UPDATE budgets SET made = 7 WHERE scope = 'visitor' AND day >= 0")
    budget, counted = Budget("visitor", ORIGIN, "v"), Usage(made=1, requested=1)
    assert ledger.find_budget_differences() == [
        BudgetDifference(budget, day_of(MIDNIGHT), counted._replace(made=7), counted)
    ]


def test_a_job_counts_by_its_states_and_costs(ledger: Ledger) -> None:
    """Reserved from the start, then at its real cost; free again once nothing can be billed."""
    job = ledger.add(make_job(visitor_id="v", reserved_usd=0.12))
    assert usage(ledger, "installation") == Usage(1, 1, 1, 120_000)
    ledger.change(job.job_id, "queued", request_id="r")
    ledger.change(job.job_id, "saving", cost_usd=0.03)
    ledger.change(job.job_id, "done")
    assert usage(ledger, "installation") == Usage(0, 1, 1, 30_000)
    refused = ledger.add(make_job(visitor_id="v", reserved_usd=0.12))
    ledger.change(refused.job_id, "failed")
    assert usage(ledger, "installation") == Usage(0, 1, 2, 30_000)
    assert usage(ledger, "visitor") == Usage(0, 1, 2, 0)


def test_costs_of_the_owner_are_added_up_as_jobs_change(ledger: Ledger) -> None:
    """The spending page is not to read a million rows, and not to differ from them either."""
    job = ledger.add(make_job(visitor_id="v", reserved_usd=0.12))
    own = ledger.add(make_job(visitor_id="v", key_fingerprint="k", cost_usd=0.5, state="queued", request_id="r"))
    refused = ledger.add(make_job(visitor_id="w"))

    def groups(visitor_id: str | None, *, all_of_owner: bool = True) -> list[CostGroup]:
        with ledger.reading() as reader:
            return cost_groups(reader, visitor_id, all_of_owner=all_of_owner)

    of_day = partial(CostGroup, day_of(MIDNIGHT), job.model_id, False)
    assert groups(None) == [of_day(False, 0.0, 0, 2)]
    ledger.change(refused.job_id, "failed")
    ledger.change(job.job_id, "queued", request_id="s", cost_usd=0.03)
    assert groups("w") == [of_day(False, 0.03, 1, 0)]
    with_own_key = of_day(True, 0.5, 1, 0)
    assert own in ledger.recent("v", 5)
    assert sorted(groups("v"), key=lambda group: group.usd) == [of_day(False, 0.03, 1, 0), with_own_key]
    assert sorted(groups("v", all_of_owner=False), key=lambda group: group.usd) == [
        of_day(False, 0.03, 1, 0),
        with_own_key,
    ]


def test_a_refused_request_counts_nowhere(ledger: Ledger) -> None:
    """Its hooks undo everything, also where others share its transaction."""
    gate = threading.Barrier(20)

    def add(number: int) -> None:
        gate.wait()
        with suppress(LimitError):
            ledger.add(make_job(visitor_id="v"), [refuse] if number % 2 else [])

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(add, range(20)))
    assert usage(ledger, "visitor") == Usage(active=10, made=10, requested=10)
    assert ledger.find_budget_differences() == []


def test_limits_start_anew_at_the_very_midnight_of_a_job(ledger: Ledger) -> None:
    """Days and months end in UTC, by the moment of the request and not of the write."""
    guard = SpendingGuard(Limits(per_day=1, usd_per_month=0.5), ORIGIN)

    def add(created_at: float, reserved_usd: float = 0.1) -> Job:
        return ledger.add(make_job(created_at=created_at, reserved_usd=reserved_usd), [guard.enforce_limits])

    before = MIDNIGHT - 0.001
    add(before)
    with pytest.raises(LimitError) as caught:
        add(before)
    assert (caught.value.limit, caught.value.until) == ("per_day", MIDNIGHT)
    assert day_end(before) == month_end(before) == MIDNIGHT
    add(MIDNIGHT)
    add(MIDNIGHT + 86400, 0.4)
    with pytest.raises(LimitError) as caught:
        add(MIDNIGHT + 2 * 86400, 0.000001)
    assert caught.value.limit == "usd_per_month", "exactly used up, and November is not in it"


def test_many_threads_hit_a_limit_exactly(ledger: Ledger) -> None:
    """Two requests at the same moment cannot both be the last one."""
    guard = SpendingGuard(Limits(visitor_at_once=7, per_day=11, usd_per_day=100.0), ORIGIN)
    gate = threading.Barrier(24)

    def add(number: int) -> bool:
        gate.wait()
        try:
            ledger.add(make_job(visitor_id="vw"[number % 2], reserved_usd=0.1), [guard.enforce_limits])
        except LimitError:
            return False
        return True

    with ThreadPoolExecutor(24) as pool:
        assert sum(pool.map(add, range(24))) == 11
    assert usage(ledger, "installation") == Usage(11, 11, 11, 1_100_000)


def test_a_long_history_costs_a_request_no_more_rows(ledger: Ledger) -> None:
    """Admission reads counters, so that a busy month does not slow down the page."""
    job = make_job(visitor_id="v", client_hash="home")
    for _ in range(30):
        ledger.add(replace(job, job_id=new_id()))
    with ledger.reading() as reader:
        table = reader.connection.exec_driver_sql("SELECT scope, day FROM budgets").all()
    assert len(table) == 7
    assert {day for _, day in table} == {ALL_DAYS, day_of(MIDNIGHT)}


@pytest.mark.sqlite
def test_admission_reads_the_counters_of_one_visitor(ledger: Ledger) -> None:
    """An index of all that a day has, for the Admin tab, must not be what each request is admitted by."""
    statements: list[str] = []
    with ledger.reading() as reader:
        connection = reader.connection.connection.driver_connection
        assert connection
        connection.set_trace_callback(statements.append)
        read_usages(reader, ORIGIN, day_of(MIDNIGHT), visitor_id="v", client_hash="home")
        connection.set_trace_callback(None)
        (statement,) = statements
        plan = " ".join(str(row[3]) for row in reader.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}"))
    assert "owner=?" in plan
    assert "budgets_day" not in plan


def test_money_is_rounded_to_the_nearest_millionth() -> None:
    """Sums stay exact, in the program and in SQL alike."""
    assert [micro_usd(usd) for usd in (0.03, 0.0000004, 0.0000005, 1 / 3)] == [30_000, 0, 1, 333_333]


def test_what_was_read_ahead_counts_what_a_group_adds(ledger: Ledger) -> None:
    """Requests that share a transaction must not all get the last place of a limit."""
    earlier = make_job(visitor_id="v", client_hash="home", reserved_usd=0.5)
    job = make_job(visitor_id="v", client_hash="home", reserved_usd=0.03)
    ledger.add(earlier)
    days = day_of(month_start(MIDNIGHT)), day_of(MIDNIGHT)
    with ledger.writing() as transaction:
        SpendingGuard(Limits(), ORIGIN).send_reads(transaction, job)
        add_to_budgets(transaction, budget_changes(None, job))
        add_to_budgets(transaction, budget_changes(None, make_job(visitor_id="w", reserved_usd=1.0)))
        ahead, now = (
            read_usages_and_spent(transaction, ORIGIN, *days, visitor_id="v", client_hash="home") for _ in range(2)
        )
    assert ahead == now
    assert ahead[0]["visitor"].active == 2
    assert ahead[1] == (1_530_000, 1_530_000)
