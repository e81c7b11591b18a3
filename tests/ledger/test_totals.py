"""Totals that the database keeps are what the rows say, whoever changes them and however."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dreamina_ui.ledger import report_queries, tables
from dreamina_ui.ledger.job import Job, Output
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.library_queries import Usage, library_usage
from dreamina_ui.ledger.personal.erasure import ERASED, erase_visitor
from tests.support.databases import Engine
from tests.support.ledger_jobs import new_job

IMAGE = Output(0, "image", "key", "kept", "original.png", "image/png", "PNG", 9, 9, 1000, "0" * 64)


def add_done(ledger: Ledger, **fields: Any) -> Job:
    job = ledger.add(new_job(**{"visitor_id": "v", "reserved_usd": 0.12} | fields))
    job = ledger.change(job, "queued", request_id=job.job_id)
    outputs = [replace(IMAGE, index=at, file_key=secrets.token_hex(8)) for at in range(2)]
    return ledger.change(job, "done", via={"running": 2.0, "saving": 3.0}, outputs=outputs, cost_usd=0.03)


def usage(ledger: Ledger) -> Usage:
    with ledger.reading() as reader:
        return library_usage(reader)


def execute(ledger: Ledger, statement: sa.Executable) -> None:
    """As a server of another version does, which knows of no total."""
    with ledger.writing() as transaction:
        transaction.connection.execute(statement)


def test_files_are_counted_as_they_come_and_go(ledger: Ledger) -> None:
    """The limit on the library removes as many files as these totals say."""
    assert usage(ledger) == Usage(0, 0, 0)
    job, _ = add_done(ledger), add_done(ledger)
    assert usage(ledger) == Usage(4, 4000, 0)
    first, second = job.outputs
    job = ledger.change(job, outputs=[replace(first, deleted_at=5.0)])
    assert usage(ledger) == Usage(3, 3000, 0)
    ledger.change(job, outputs=[replace(second, state="deleted", note="limit", size_bytes=None)])
    assert usage(ledger) == Usage(2, 2000, 1)
    execute(ledger, tables.outputs.update().values(deleted_at=9.0))
    assert usage(ledger) == Usage(0, 0, 1)
    execute(ledger, tables.jobs.delete())
    assert usage(ledger) == Usage(0, 0, 0)
    assert ledger.find_total_differences() == []


def test_totals_follow_what_another_version_writes(ledger: Ledger) -> None:
    """During an update, old servers work beside new ones, and nobody counts anew afterwards."""
    job, other = add_done(ledger), add_done(ledger, visitor_id=None, key_fingerprint="k")
    execute(ledger, tables.jobs.update().where(tables.jobs.c.job_id == job.job_id).values(cost_usd=0.5))
    execute(ledger, tables.jobs.update().where(tables.jobs.c.job_id == other.job_id).values(state="failed"))
    assert ledger.find_total_differences() == []
    with ledger.reading() as reader:
        assert report_queries.count_states(reader) == {"done": 1, "failed": 1}
        assert report_queries.spending_since(reader, job.api_origin, 0.0).billed_usd == 0.5


def test_an_erased_visitor_is_no_visitor_any_more(ledger: Ledger) -> None:
    """Their jobs are the owner's bookkeeping, under a name that is nobody's."""
    add_done(ledger)
    with ledger.writing() as transaction:
        erase_visitor(transaction, "v", f"{ERASED}1", 9.0, 0)
    assert ledger.find_total_differences() == []
    with ledger.reading() as reader:
        made = report_queries.visitor_summaries(reader, "x", 0.0, max_visitors=9, max_client_hashes=9, max_images=9)
    assert made == []


def test_a_wrong_total_is_found_and_counted_anew(ledger: Ledger, path: Path, engine: Engine) -> None:
    """What nobody looks at drifts unseen."""
    add_done(ledger)
    engine.rows(path, "UPDATE file_totals SET files = 7")
    assert ledger.find_total_differences() == ["file_totals: (7, 2000, 0) instead of (2, 2000, 0)"]
    ledger.recount()
    assert ledger.find_total_differences() == []
