"""Programs that share a database wait for each other only where both depend on the same."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dreamina_ui.errors import LedgerError
from dreamina_ui.ledger.engines import postgresql
from dreamina_ui.ledger.ledger import Ledger
from tests.support.databases import PostgresqlEngine
from tests.support.ledger_jobs import new_job


def test_who_pays_for_a_job_waits_for_nobody_elses(pg: PostgresqlEngine, tmp_path: Path) -> None:
    """One visitor's crowd of jobs on their own key is no queue for everybody else."""
    path = tmp_path / "ledger"
    ledger = Ledger(pg.open(path))
    other, impatient = pg.open(path), Ledger(pg.open(path, lock_timeout_s=0.05))
    job = ledger.add(new_job(key_fingerprint="own key"))
    with other.write(locks=[job.api_origin]):
        impatient.add(new_job(key_fingerprint="own key"))
        impatient.change(job, "queued", request_id="r1")
        with pytest.raises(LedgerError, match="locked by another program"):
            impatient.add(new_job())
        with pytest.raises(LedgerError, match="locked by another program"), impatient.writing():
            pass  # what says nothing of what it depends on runs alone
    impatient.add(new_job())
    for opened in (ledger, impatient):
        opened.close()


def test_many_locks_at_once_lock_everybody_out(pg: PostgresqlEngine, tmp_path: Path) -> None:
    """A crowd of requests must not use up the server's memory for locks."""
    path = tmp_path / "ledger"
    Ledger(pg.open(path)).close()
    first, second = pg.open(path), pg.open(path, lock_timeout_s=0.05)
    with (
        first.write(locks=[f"visitor {number}" for number in range(postgresql._MAX_LOCKS + 1)]),
        pytest.raises(LedgerError, match="locked by another program"),
        second.write(locks=["somebody"]),
    ):
        pass


def test_a_program_that_stands_still_while_it_writes_locks_nobody_out(
    pg: PostgresqlEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two statements that share a way there and back, the database does not see that it is frozen."""
    path = tmp_path / "ledger"
    ledger, frozen = Ledger(pg.open(path)), pg.open(path)
    job = new_job()

    def write_and_stand_still() -> None:
        with frozen.write(locks=[job.api_origin]) as transaction:
            assert transaction.execute("SELECT 1").fetchall() == [(1,)]
            monkeypatch.setattr(postgresql, "_ROUND_S", 0.05)
            monkeypatch.setattr(postgresql, "STALLED_S", 0)
            assert ledger.add(job) is job

    with pytest.raises(LedgerError):
        write_and_stand_still()
    ledger.close()


def test_an_error_that_is_noticed_late_undoes_everything(pg: PostgresqlEngine, tmp_path: Path) -> None:
    """Statements are sent without waiting for each; a refused one must still leave nothing behind."""
    path = tmp_path / "ledger"
    ledger = Ledger(pg.open(path))
    job = ledger.add(new_job())
    with pytest.raises(LedgerError, match="jobs_pkey"):
        ledger.add(job)
    assert ledger.find_budget_differences() == []
    assert ledger.job(job.job_id).state == "submitting"
    ledger.add(new_job())
    ledger.close()


def test_the_same_request_at_two_servers_is_one_job_whoever_pays(pg: PostgresqlEngine, tmp_path: Path) -> None:
    """A page that repeats a lost request reaches another server, and nothing is paid twice."""
    path = tmp_path / "ledger"
    ledgers = [Ledger(pg.open(path)) for _ in range(2)]
    gate = threading.Barrier(8)

    def press(number: int) -> str:
        gate.wait()
        return ledgers[number % 2].add(new_job(visitor_id="v", press_id="one press")).job_id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(press, range(8)))) == 1
    assert ledgers[0].find_budget_differences() == []
    for ledger in ledgers:
        ledger.close()
