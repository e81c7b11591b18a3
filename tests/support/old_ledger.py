"""A ledger as an older version of the program left it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from dreamina_ui.ledger.migrations import MIGRATIONS
from tests.support.databases import open_database


def version_before(statement: str) -> int:
    """The ledger version just before the migration that begins with a statement."""
    return next(
        number
        for number, step in enumerate(MIGRATIONS)
        if any(isinstance(part, str) and part.split()[:3] == statement.split() for part in step)
    )


@contextmanager
def old_ledger(path: Path, version: int) -> Iterator[sa.Connection]:
    """Create a ledger of an older version; rows can be written on the connection."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(open_database(path)) as database, database.write() as transaction:
        connection = transaction.connection
        tables = sa.MetaData()
        tables.reflect(connection)
        tables.drop_all(connection)  # a database that is used again has those of today
        connection.execute(sa.text("CREATE TABLE ledger_version (version INTEGER)"))
        for part in (part for step in MIGRATIONS[:version] for part in step):
            if isinstance(part, str):
                connection.execute(sa.text(part))
            else:
                part(connection)
        connection.execute(sa.text("INSERT INTO ledger_version (version) VALUES (:version)"), {"version": version})
        yield connection
