"""Ledgers with any number of jobs, written by the database itself: a million takes a minute or two."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from benchmarks.admission import new_admitted_job
from dreamina_ui.ledger.engines.sqlite import open_sqlite
from dreamina_ui.ledger.job import Output
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.search import create_search_index
from dreamina_ui.ledger.tables import jobs, outputs

DAYS = 365
MAX_VISITORS = 5000
JOBS_PER_VISITOR = 25
"""In a small ledger; each has more in a large one."""

VISITOR = f"{7:032x}"
RARE_WORD = "axolotl"
"""Only in the oldest job."""

_WORDS = ("lake", "city", "forest", "river", "desert", "snow", "harbor", "garden", "bridge", "castle")
_OUTPUT = Output(0, "image", "key", "kept", "original.png", "image/png", "PNG", 1024, 1024, 1_000_000, "0" * 64)


def fill_sqlite(path: Path, count: int) -> None:
    """Write `count` done jobs of a year, each with an image that is not there, and count the budgets."""
    now, visitors = time.time(), min(MAX_VISITORS, count // JOBS_PER_VISITOR)
    with closing(Ledger(path)) as ledger:
        _add_template(ledger, now)
        engine = open_sqlite(path, busy_timeout_s=10.0, durable=False)
        words = "CASE n % 10 " + " ".join(f"WHEN {at} THEN '{word}'" for at, word in enumerate(_WORDS)) + " END"
        prompt = _prompt(words)
        own = {
            "job_id": "lower(hex(randomblob(16)))",
            "request_id": "lower(hex(randomblob(16)))",
            "visitor_id": f"printf('%032x', n * 7919 % {visitors})",
            "address": f"printf('%032x', n * 7919 % {visitors} / 3)",
            "created_at": _created_at(now, count),
            "search_text": prompt,
            "inputs": f"json_object('prompt', {prompt})",
        }
        with engine.begin() as connection:
            numbers = f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
            indexes = connection.exec_driver_sql(
                "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name IN ('jobs', 'outputs') "
                "AND type IN ('index', 'trigger')"
            ).all()
            for kind, name, _ in indexes:  # filled row by row, they take most of the time
                connection.exec_driver_sql(f"DROP {kind} {name}")
            _multiply(connection, own, numbers, "lower(hex(randomblob(16)))")
            for kind, name, statement in indexes:
                if kind == "index" or not name.startswith("jobs_search"):
                    connection.exec_driver_sql(statement)
            create_search_index(connection)
        engine.dispose()
        ledger.recount()


def fill_postgresql(url: str, count: int) -> None:
    """The same on a PostgreSQL database."""
    from dreamina_ui.ledger.engines.postgresql import PostgresqlDatabase

    now, visitors = time.time(), min(MAX_VISITORS, count // JOBS_PER_VISITOR)
    with closing(Ledger(PostgresqlDatabase(url))) as ledger:
        _add_template(ledger, now)
        words = f"(ARRAY{list(_WORDS)!r})[n % 10 + 1]"
        prompt = _prompt(words)
        own = {
            "job_id": "md5(n::text || 'job')",
            "request_id": "md5(n::text || 'request')",
            "visitor_id": f"lpad(to_hex(n::bigint * 7919 % {visitors}), 32, '0')",
            "address": f"lpad(to_hex(n::bigint * 7919 % {visitors} / 3), 32, '0')",
            "created_at": _created_at(now, count),
            "search_text": prompt,
            "inputs": f"json_build_object('prompt', {prompt})::text",
        }
        with ledger.writing() as transaction:
            numbers = f"WITH numbers AS (SELECT generate_series(1, {count}) AS n)"
            _multiply(transaction.connection, own, numbers, "md5(jobs.job_id || 'file')")
        with ledger.writing() as transaction:
            for name in ("jobs", "outputs"):
                transaction.connection.exec_driver_sql(f"ANALYZE {name}")
        ledger.recount()


def _prompt(word: str) -> str:
    """SQL for the prompt of job `n`, with SQL for a word of it."""
    return f"'a red fox in a ' || {word} || ', number ' || n || CASE n WHEN 1 THEN ', {RARE_WORD}' ELSE '' END"


def _created_at(now: float, count: int) -> str:
    """SQL for when job `n` of so many was made, evenly over all days."""
    return f"{now - DAYS * 86400!r} + {DAYS * 86400.0 / count!r} * n"


def _add_template(ledger: Ledger, now: float) -> None:
    job = ledger.add(replace(new_admitted_job(now), state="queued", request_id="template"))
    job = ledger.change(job, "running", started_at=now)
    ledger.change(job, "done", via={"saving": now + 9}, outputs=[_OUTPUT], cost_usd=0.03, completed_at=now + 9)


def _multiply(connection: sa.Connection, own: dict[str, str], numbers: str, file_key: str) -> None:
    """Copy the only job and its output, with values of their own for each number `n`."""
    columns = [column.name for column in jobs.columns]
    values = ", ".join(own.get(name, f"template.{name}") for name in columns)
    connection.exec_driver_sql(
        f"{numbers}, template AS MATERIALIZED (SELECT * FROM jobs LIMIT 1) "
        f"INSERT INTO jobs ({', '.join(columns)}) SELECT {values} FROM numbers, template"
    )
    own = {"job_id": "jobs.job_id", "file_key": file_key}
    columns = [column.name for column in outputs.columns]
    values = ", ".join(own.get(name, f"template.{name}") for name in columns)
    connection.exec_driver_sql(
        "WITH template AS MATERIALIZED (SELECT * FROM outputs LIMIT 1) "
        f"INSERT INTO outputs ({', '.join(columns)}) SELECT {values} FROM jobs, template "
        "WHERE jobs.request_id <> 'template'"
    )
