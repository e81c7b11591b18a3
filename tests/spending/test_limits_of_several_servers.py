"""Limits hold at every commit, however many servers admit jobs at the same moment."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from dreamina_ui.errors import LimitError
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.spending.limits import Limits, SpendingGuard
from tests.support.databases import PostgresqlEngine
from tests.support.ledger_jobs import ORIGIN, new_job

SERVERS, PRESSERS, AT_ONCE = 3, 12, 4


def watch_every_commit(pg: PostgresqlEngine, path: Path) -> None:
    """Have the database itself refuse a commit after which more jobs are active than allowed."""
    pg.rows(path, """
        CREATE FUNCTION refuse_too_many() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF (SELECT COUNT(*) FROM jobs WHERE state IN ('queued', 'running', 'saving', 'submitting')) > 4 THEN
                RAISE EXCEPTION 'too many at once';
            END IF;
            RETURN NULL;
        END $$""")  # fmt: skip
    pg.rows(path, "CREATE CONSTRAINT TRIGGER watch AFTER INSERT OR UPDATE ON jobs DEFERRABLE INITIALLY DEFERRED "
                  "FOR EACH ROW EXECUTE FUNCTION refuse_too_many()")  # fmt: skip


def test_a_limit_at_once_holds_at_every_commit(pg: PostgresqlEngine, tmp_path: Path) -> None:
    """One job too many for a moment is one job too many that is paid."""
    path = tmp_path / "ledger"
    ledgers = [Ledger(pg.open(path)) for _ in range(SERVERS)]
    watch_every_commit(pg, path)
    limits = Limits(at_once=AT_ONCE, per_day=40)
    guards = [SpendingGuard(limits, ORIGIN) for _ in ledgers]
    gate, made = threading.Barrier(PRESSERS), []

    def press(presser: int) -> None:
        ledger, guard = ledgers[presser % SERVERS], guards[presser % SERVERS]
        gate.wait()
        for _ in range(10):
            with suppress(LimitError):
                job = ledger.add(
                    new_job(visitor_id=f"v{presser}", created_at=1e9),
                    [guard.enforce_limits],
                    send_reads=[guard.send_reads],
                )
                made.append(job)
                ledger.change(job, "failed", request_id=job.job_id, problem="failed_at_service")

    with ThreadPoolExecutor(PRESSERS) as pool:
        list(pool.map(press, range(PRESSERS)))
    assert 0 < len(made) <= 40
    assert ledgers[0].find_budget_differences() == []
    pg.rows(path, "DROP TRIGGER watch ON jobs")
    pg.rows(path, "DROP FUNCTION refuse_too_many")
    for ledger in ledgers:
        ledger.close()


def test_a_limit_per_day_is_reached_exactly(pg: PostgresqlEngine, tmp_path: Path) -> None:
    """The owner gets what was allowed, not one more and not one less."""
    path = tmp_path / "ledger"
    ledgers = [Ledger(pg.open(path)) for _ in range(SERVERS)]
    guard = SpendingGuard(Limits(per_day=25), ORIGIN)
    gate = threading.Barrier(PRESSERS)

    def press(presser: int) -> int:
        gate.wait()
        admitted = 0
        for _ in range(5):
            with suppress(LimitError):
                ledgers[presser % SERVERS].add(
                    new_job(created_at=1e9), [guard.enforce_limits], send_reads=[guard.send_reads]
                )
                admitted += 1
        return admitted

    with ThreadPoolExecutor(PRESSERS) as pool:
        assert sum(pool.map(press, range(PRESSERS))) == 25
    assert ledgers[0].find_budget_differences() == []
    for ledger in ledgers:
        ledger.close()
