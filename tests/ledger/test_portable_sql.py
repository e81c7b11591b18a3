"""All SQL that is SQLite's own is in one module: every other statement is also PostgreSQL's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from dreamina_ui.ledger import (
    batch_rows,
    budget_rows,
    control_rows,
    job_rows,
    library_queries,
    report_queries,
)
from dreamina_ui.ledger.job import Job, Output
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.library_queries import LibraryFilter
from dreamina_ui.ledger.transaction import Prepared
from tests.support.ledger_jobs import ORIGIN, new_job


def make_job(**fields: Any) -> Job:
    return new_job(**{"visitor_id": "v", "client_hash": "home"} | fields)


@contextmanager
def statements() -> Iterator[list[sa.ClauseElement]]:
    """All statements that are executed meanwhile, and those that are prepared."""
    modules = (batch_rows, budget_rows, control_rows, job_rows)
    prepared = [value for module in modules for value in vars(module).values() if isinstance(value, Prepared)]
    executed: list[sa.ClauseElement] = [value.statement for value in prepared]

    def record(_connection: Any, statement: Any, *_rest: Any) -> None:
        executed.append(statement)

    sa.event.listen(sa.Engine, "before_execute", record)
    try:
        yield executed
    finally:
        sa.event.remove(sa.Engine, "before_execute", record)


def assert_portable(executed: list[sa.ClauseElement], at_least: int) -> None:
    assert len(executed) >= at_least
    for statement in executed:
        assert str(statement.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]


def test_statements_of_jobs_are_portable(tmp_path: Path) -> None:
    """What slips in elsewhere is found before somebody changes the database."""
    with statements() as executed, closing(Ledger(tmp_path / "ledger.sqlite3")) as ledger:
        job = ledger.add(make_job(press_id="p"))
        ledger.change(job.job_id, "queued", request_id="r", cost_usd=0.03)
        ledger.change(job.job_id, outputs=[Output(0, "image", "k")])
        ledger.change(job.job_id, outputs=[Output(0, "image", "k", "kept")])
        ledger.add(make_job(key_fingerprint="f"), duplicate_since=0.0)
        ledger.unfinished(ORIGIN)
        ledger.recent("v", 5)
        ledger.by_request(ORIGIN, "r")
        ledger.output_by_key("k")
        ledger.run_times("m", None)
        ledger.newest_runs()
        ledger.state_changes(job.job_id)
        ledger.by_name("r", job.job_id[:6], 9)
        list(ledger.every_job(state="queued", text="red fox"))
        assert ledger.find_budget_differences() == []
        ledger.recount()
        ledger.secret("s")
    assert_portable(executed, 60)


def test_statements_of_limits_and_reports_are_portable(tmp_path: Path) -> None:
    """Money is counted alike in every database."""
    with statements() as executed, closing(Ledger(tmp_path / "ledger.sqlite3")) as ledger:
        job = ledger.add(make_job())
        with ledger.writing() as transaction:
            control_rows.insert_control(transaction, "stop", "", "owner", set_at=1.0)
            control_rows.delete_control(transaction, "stop", "", value="auth")
            control_rows.replace_kind(transaction, "word", ["owl"], set_at=1.0)
            control_rows.controls_of_job(transaction, job, ORIGIN)
            control_rows.values_of_kind(transaction, "limit")
            control_rows.all_controls(transaction)
            budget_rows.read_usages(transaction, ORIGIN, 0, visitor_id="v", client_hash="home")
            budget_rows.highest_usages(transaction, ORIGIN, 0)
            budget_rows.spent_micro_usd(transaction, ORIGIN, 0, 0)
            budget_rows.active_jobs_of_key(transaction, "f")
            report_queries.cost_groups(transaction, "v", all_of_owner=True)
            report_queries.spending_since(transaction, ORIGIN, 0.0)
            report_queries.count_states(transaction)
            report_queries.count_visitors(transaction)
            report_queries.visitor_summaries(
                transaction, ORIGIN, 0.0, max_visitors=9, max_client_hashes=2, max_images=2
            )
            report_queries.recent_errors(transaction, ORIGIN, 9)
    assert_portable(executed, 40)


def test_statements_of_the_library_and_of_batches_are_portable(tmp_path: Path) -> None:
    """Filters build their statements as they go, so that each one is tried."""
    shown = LibraryFilter("v", "red fox", "done", "1024x1024(1:1)", favorites=True, since=0.0, until=9.0, archive=True)
    batch = batch_rows.BatchRow("b", "v", "home", "m", ORIGIN, None, "running", None, 1.0, 1.0, 0.03, "p")
    with statements() as executed, closing(Ledger(tmp_path / "ledger.sqlite3")) as ledger, ledger.writing() as writer:
        library_queries.page_of_entries(writer, shown, "1.0~j~0", 9)
        library_queries.library_usage(writer, "v")
        library_queries.newest_job_of_file(writer, "ab", "v")
        library_queries.files_deleted_before(writer, 1.0, 9)
        library_queries.oldest_files(writer, 9, before=1.0)
        batch_rows.insert_batch(writer, batch, [{"prompt": "fox"}, {"prompt": "owl"}, {"prompt": "hen"}])
        batch_rows.refuse_item(writer, "b", 0, "{}")
        batch_rows.refused_items(writer, ["b"])
        batch_rows.mark_item_sent(writer, "b", 1, "j")
        batch_rows.count_items(writer, ["b"])
        batch_rows.count_planned(writer, "client_hash", "home")
        batch_rows.waiting_bytes(writer, "client_hash", "home")
        batch_rows.next_items(writer, 0.0)
        batch_rows.batches_of_visitor(writer, "v", 9)
        batch_rows.move_batch(writer, "b", only_in="running", now=1.0, state="paused")
        batch_rows.paused_batches(writer, 9.0)
        batch_rows.cancel_planned(writer, "b")
        batch_rows.end_batch_if_done(writer, "b", 1.0)
        batch_rows.delete_empty_batches(writer, "visitor_id", "v", 3)
    assert_portable(executed, 40)
