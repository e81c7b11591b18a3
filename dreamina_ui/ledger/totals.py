"""Totals over all jobs and files, which triggers of the database keep: nobody waits until every row is read.

Triggers, so that a server of an older version keeps them too while it works beside this one, and whichever statement
changes a row. `find_total_differences` computes the same numbers from the rows: `verify` compares them.

A transaction of PostgreSQL adds to rows of its own connection (`bucket`), so that no two wait for each other; days and
visitors have one row each, which only those change that lock the payer.
"""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from dreamina_ui.ledger.transaction import Reader, Transaction


class _Total(NamedTuple):
    """A table of totals: one row for each combination of keys.

    Attributes:
        source: the table whose rows are added up.
        where: which of them count.
        keys, sums, latest: columns, each with what a row of the source has there; {row} stands for the row. Sums are
            added up; of `latest`, the largest is stored.
        is_divided: whether each connection has rows of its own.
    """

    name: str
    source: str
    where: str
    keys: dict[str, str]
    sums: dict[str, str]
    latest: dict[str, str]
    is_divided: bool


_COUNTS = (
    "CASE WHEN ({row}.state = 'failed' AND {row}.request_id IS NULL) "
    "OR ({row}.state = 'cancelled' AND COALESCE({row}.cost_usd, 0.0) = 0.0) THEN 0 ELSE 1 END"
)
_IS_OF_OWNER = "CASE WHEN {row}.key_mark IS NULL THEN 1 ELSE 0 END"
_DAY = "CAST(FLOOR({row}.created_at / 86400.0) AS INTEGER)"
_SETTLED = "{row}.state IN ('done', 'failed', 'cancelled', 'submit_unclear')"
_IS_SHOWN = "CASE WHEN {row}.state = 'kept' AND {row}.deleted_at IS NULL THEN 1 ELSE 0 END"
_IS_LIMITED = "CASE WHEN {row}.state = 'deleted' AND {row}.note = 'limit' THEN 1 ELSE 0 END"
_IS_BILLED = "CASE WHEN {row}.cost_usd IS NULL THEN 0 ELSE 1 END"
_IS_OPEN = "CASE WHEN {row}.cost_usd IS NULL AND {row}.reserved_usd IS NOT NULL THEN 1 ELSE 0 END"


def _micro(amount: str) -> str:
    return f"CAST(FLOOR(COALESCE({amount}, 0.0) * 1000000 + 0.5) AS BIGINT)"


_COST, _RESERVED = _micro("{row}.cost_usd"), _micro("{row}.reserved_usd")
_AMOUNT = _micro("COALESCE({row}.cost_usd, {row}.reserved_usd)")

_TOTALS = (
    _Total(
        "file_totals",
        "outputs",
        "1 = 1",
        {},
        {
            "files": _IS_SHOWN,
            "size_bytes": f"({_IS_SHOWN}) * COALESCE({{row}}.size_bytes, 0)",
            "removed_by_limit": _IS_LIMITED,
        },
        {},
        is_divided=True,
    ),
    _Total("state_totals", "jobs", _SETTLED, {"state": "{row}.state"}, {"jobs": "1"}, {}, is_divided=True),
    _Total(
        "day_totals",
        "jobs",
        "{row}.key_mark IS NULL AND {row}.api_origin <> 'import'",
        {"api_origin": "{row}.api_origin", "day": _DAY},
        {
            "jobs": _COUNTS,
            "billed_jobs": f"({_COUNTS}) * {_IS_BILLED}",
            "billed_micro_usd": f"({_COUNTS}) * {_COST}",
            "foreseen_micro_usd": f"({_COUNTS}) * {_IS_BILLED} * {_RESERVED}",
            "open_jobs": f"({_COUNTS}) * {_IS_OPEN}",
            "open_micro_usd": f"({_COUNTS}) * {_IS_OPEN} * {_RESERVED}",
        },
        {},
        is_divided=False,
    ),
    _Total(
        "visitor_totals",
        "jobs",
        "{row}.key_mark IS NOT NULL OR {row}.api_origin <> 'import'",
        {
            "owner": "COALESCE({row}.visitor_id, '')",
            "api_origin": "CASE WHEN {row}.key_mark IS NULL THEN {row}.api_origin ELSE '' END",
        },
        {"jobs": "1", "micro_usd": f"({_COUNTS}) * {_IS_OF_OWNER} * {_AMOUNT}"},
        {"last_at": "{row}.created_at"},
        is_divided=False,
    ),
)
"""A visitor's jobs on keys of their own have no `api_origin`; those of programs have no `owner`."""

CREATE_TABLES = (
    """
    CREATE TABLE file_totals (
        bucket INTEGER PRIMARY KEY,
        files BIGINT NOT NULL,
        size_bytes BIGINT NOT NULL,
        removed_by_limit BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE state_totals (
        bucket INTEGER NOT NULL,
        state VARCHAR(20) NOT NULL,
        jobs BIGINT NOT NULL,
        PRIMARY KEY (bucket, state)
    )
    """,
    """
    CREATE TABLE day_totals (
        api_origin VARCHAR(200) NOT NULL,
        day INTEGER NOT NULL,
        jobs BIGINT NOT NULL,
        billed_jobs BIGINT NOT NULL,
        billed_micro_usd BIGINT NOT NULL,
        foreseen_micro_usd BIGINT NOT NULL,
        open_jobs BIGINT NOT NULL,
        open_micro_usd BIGINT NOT NULL,
        PRIMARY KEY (api_origin, day)
    )
    """,
    """
    CREATE TABLE visitor_totals (
        owner VARCHAR(64) NOT NULL,
        api_origin VARCHAR(200) NOT NULL,
        jobs BIGINT NOT NULL,
        micro_usd BIGINT NOT NULL,
        last_at DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (owner, api_origin)
    )
    """,
)


def create_triggers(connection: sa.Connection) -> None:
    """Let the database keep all totals from now on, and count what there is."""
    is_sqlite = connection.dialect.name == "sqlite"
    for total in _TOTALS:
        for statement in _sqlite_triggers(total) if is_sqlite else _postgresql_triggers(total):
            connection.exec_driver_sql(statement)
    _fill(connection)


def rebuild_totals(transaction: Transaction) -> None:
    """Put what the rows say in the place of all totals."""
    for total in _TOTALS:
        transaction.connection.exec_driver_sql(f"DELETE FROM {total.name}")  # noqa: S608
    _fill(transaction.connection)


def find_total_differences(reader: Reader) -> list[str]:
    """The totals that are not what the rows say, one line each; read them in one snapshot."""
    differences = []
    for total in _TOTALS:
        keys, sums = list(total.keys), list(total.sums)
        added = ", ".join([*keys, *(f"SUM({name})" for name in sums)])
        groups = f" GROUP BY {', '.join(keys)}" if keys else ""
        # The latest is no sum, and stays when the job is gone that it was.
        stored, counted = (
            {tuple(row[: len(keys)]): tuple(int(value or 0) for value in row[len(keys) :]) for row in rows}
            for rows in (
                reader.connection.exec_driver_sql(f"SELECT {added} FROM {total.name}{groups}"),  # noqa: S608
                reader.connection.exec_driver_sql(_counting(total)),
            )
        )
        nothing = (0,) * len(sums)
        for key in sorted({*stored, *counted}):
            if (is_now := stored.get(key, nothing)) != (should_be := counted.get(key, nothing)):
                name = " ".join([total.name, *map(str, key)])
                differences.append(f"{name}: {is_now} instead of {should_be}")
    return differences


def _fill(connection: sa.Connection) -> None:
    for total in _TOTALS:
        bucket, zero = ("bucket, ", "0, ") if total.is_divided else ("", "")
        names = ", ".join([*total.keys, *total.sums, *total.latest])
        counted = _counting(total, with_latest=True)
        rows = f"SELECT {zero}{names} FROM ({counted}) AS counted WHERE {next(iter(total.sums))} IS NOT NULL"  # noqa: S608
        connection.exec_driver_sql(f"INSERT INTO {total.name} ({bucket}{names}) {rows}")


def _counting(total: _Total, *, with_latest: bool = False) -> str:
    """A query for what the rows say."""
    columns = [f"{_of(value, total.source)} AS {name}" for name, value in total.keys.items()]
    columns += [f"CAST(SUM({_of(value, total.source)}) AS BIGINT) AS {name}" for name, value in total.sums.items()]
    if with_latest:
        columns += [f"MAX({_of(value, total.source)}) AS {name}" for name, value in total.latest.items()]
    groups = ", ".join(_of(value, total.source) for value in total.keys.values())
    query = f"SELECT {', '.join(columns)} FROM {total.source} WHERE {_of(total.where, total.source)}"  # noqa: S608
    return f"{query} GROUP BY {groups}" if groups else query


def _of(expression: str, row: str) -> str:
    return expression.format(row=row)


def _add(total: _Total, row: str, bucket: str) -> str:
    """A statement that adds what a row has to the totals, or takes away what it had (`old`)."""
    sign = "-1 * " if row == "old" else ""
    keys = [*(["bucket"] if total.is_divided else []), *total.keys]
    names = ", ".join([*keys, *total.sums, *total.latest])
    values = [bucket] if total.is_divided else []
    values += [_of(value, row) for value in total.keys.values()]
    values += [f"{sign}({_of(value, row)})" for value in total.sums.values()]
    values += [_of(value, row) for value in total.latest.values()]
    sets = [f"{name} = {total.name}.{name} + excluded.{name}" for name in total.sums]
    sets += [
        f"{name} = CASE WHEN excluded.{name} > {total.name}.{name} THEN excluded.{name} ELSE {total.name}.{name} END"
        for name in total.latest
    ]
    return (
        f"INSERT INTO {total.name} ({names}) SELECT {', '.join(values)} WHERE {_of(total.where, row)} "
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {', '.join(sets)}"
    )


def _has_changed(total: _Total, is_other: str) -> str:
    """Whether it matters: whoever changes nothing about a day must not wait for those who do."""
    values = [total.where, *total.keys.values(), *total.sums.values()]
    return " OR ".join(f"({_of(value, 'new')}) {is_other} ({_of(value, 'old')})" for value in values)


def _sqlite_triggers(total: _Total) -> list[str]:
    add, take = (_add(total, row, "0") for row in ("new", "old"))
    name, source = total.name, total.source
    return [
        f"CREATE TRIGGER {name}_add AFTER INSERT ON {source} BEGIN {add}; END",
        f"CREATE TRIGGER {name}_change AFTER UPDATE ON {source} WHEN {_has_changed(total, 'IS NOT')} "
        f"BEGIN {take}; {add}; END",
        f"CREATE TRIGGER {name}_remove AFTER DELETE ON {source} BEGIN {take}; END",
    ]


def _postgresql_triggers(total: _Total) -> list[str]:
    add, take = (_add(total, row, "mod(pg_backend_pid(), 4096)") for row in ("new", "old"))
    events = {
        "add": ("INSERT", "", add),
        "change": ("UPDATE", f"WHEN ({_has_changed(total, 'IS DISTINCT FROM')})", f"{take}; {add}"),
        "remove": ("DELETE", "", take),
    }
    statements = []
    for ending, (event, condition, body) in events.items():
        name = f"{total.name}_{ending}"
        statements += [
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {body}; RETURN NULL; END $$",
            f"CREATE TRIGGER {name} AFTER {event} ON {total.source} FOR EACH ROW {condition} EXECUTE FUNCTION {name}()",
        ]
    return statements
