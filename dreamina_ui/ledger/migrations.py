"""The ledger's history: numbered steps of portable SQL; a released step is never edited, new ones are appended.

Servers of several versions may share a ledger while they are replaced one by one, so a step only adds: tables, indexes,
and columns that may be empty. What nobody uses any more is removed by a later release, which raises `READABLE_FROM`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import sqlalchemy as sa

from dreamina_ui.errors import LedgerError
from dreamina_ui.ledger.search import create_search_index, renew_sqlite_search_index, search_text
from dreamina_ui.ledger.tables import ledger_version
from dreamina_ui.ledger.totals import CREATE_TABLES, create_triggers
from dreamina_ui.ledger.transaction import Transaction

log = logging.getLogger(__name__)


def _fill_search_text(connection: sa.Connection) -> None:
    rows = connection.execute(sa.text("SELECT job_id, inputs FROM jobs")).all()
    values = [{"text": search_text(json.loads(inputs)), "job_id": job_id} for job_id, inputs in rows]
    if values:
        connection.execute(sa.text("UPDATE jobs SET search_text = :text WHERE job_id = :job_id"), values)


def _widen_budget_owner(connection: sa.Connection) -> None:
    """For the ids of models; SQLite enforces no length."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("ALTER TABLE budgets ALTER COLUMN owner TYPE VARCHAR(200)"))


_IS_ACTIVE = "state NOT IN ('done', 'failed', 'cancelled', 'submit_unclear')"
_COUNTS = (
    "CASE WHEN (state = 'failed' AND request_id IS NULL) OR (state = 'cancelled' AND COALESCE(cost_usd, 0.0) = 0.0) "
    "THEN 0 ELSE 1 END"
)
_MICRO_USD = "FLOOR(COALESCE(cost_usd, reserved_usd, 0.0) * 1000000 + 0.5)"

MIGRATIONS: tuple[tuple[str | Callable[[sa.Connection], None], ...], ...] = (
    (
        """
        CREATE TABLE jobs (
            job_id VARCHAR(32) PRIMARY KEY,
            visitor_id VARCHAR(64),
            model_id VARCHAR(200) NOT NULL,
            api_origin VARCHAR(200) NOT NULL,
            inputs TEXT NOT NULL,
            size VARCHAR(60),
            state VARCHAR(20) NOT NULL,
            status VARCHAR(60),
            queue_position INTEGER,
            request_id VARCHAR(200),
            problem VARCHAR(40),
            detail TEXT,
            cost_usd DOUBLE PRECISION,
            cancel_requested_at DOUBLE PRECISION,
            cancel_outcome VARCHAR(20),
            created_at DOUBLE PRECISION NOT NULL,
            updated_at DOUBLE PRECISION NOT NULL,
            accepted_at DOUBLE PRECISION,
            started_at DOUBLE PRECISION,
            completed_at DOUBLE PRECISION,
            finished_at DOUBLE PRECISION,
            version INTEGER NOT NULL
        )
        """,
        "CREATE UNIQUE INDEX jobs_request ON jobs (api_origin, request_id)",
        "CREATE INDEX jobs_visitor ON jobs (visitor_id, created_at)",
        "CREATE INDEX jobs_state ON jobs (state)",
        "CREATE INDEX jobs_law ON jobs (model_id, size, completed_at)",
        """
        CREATE TABLE outputs (
            job_id VARCHAR(32) NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
            output_index INTEGER NOT NULL,
            kind VARCHAR(10) NOT NULL,
            file_key VARCHAR(32) NOT NULL UNIQUE,
            state VARCHAR(10) NOT NULL,
            file_name VARCHAR(60),
            media_type VARCHAR(60),
            format VARCHAR(20),
            width INTEGER,
            height INTEGER,
            size_bytes BIGINT,
            sha256 VARCHAR(64),
            note TEXT,
            PRIMARY KEY (job_id, output_index)
        )
        """,
        """
        CREATE TABLE state_changes (
            job_id VARCHAR(32) NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
            version INTEGER NOT NULL,
            state VARCHAR(20) NOT NULL,
            changed_at DOUBLE PRECISION NOT NULL,
            problem VARCHAR(40),
            PRIMARY KEY (job_id, version)
        )
        """,
    ),
    (
        "ALTER TABLE jobs ADD COLUMN search_text TEXT",
        "ALTER TABLE jobs ADD COLUMN put_aside_at DOUBLE PRECISION",
        "ALTER TABLE outputs ADD COLUMN favourite_at DOUBLE PRECISION",
        "ALTER TABLE outputs ADD COLUMN deleted_at DOUBLE PRECISION",
        _fill_search_text,
        "CREATE INDEX jobs_newest ON jobs (created_at, job_id)",
        "CREATE INDEX outputs_deleted ON outputs (deleted_at)",
    ),
    (
        "ALTER TABLE jobs ADD COLUMN reserved_usd DOUBLE PRECISION",
        "ALTER TABLE jobs ADD COLUMN address VARCHAR(64)",
        "CREATE INDEX jobs_address ON jobs (address, created_at)",
    ),
    (
        # With the state alone, a page of jobs that are done sorted all of them.
        "DROP INDEX jobs_state",
        "CREATE INDEX jobs_state ON jobs (state, created_at, job_id)",
    ),
    (
        """
        CREATE TABLE controls (
            kind VARCHAR(10) NOT NULL,
            name VARCHAR(200) NOT NULL,
            value VARCHAR(40),
            set_at DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (kind, name)
        )
        """,
    ),
    (
        "ALTER TABLE jobs ADD COLUMN key_mark VARCHAR(64)",
        "CREATE TABLE secrets (name VARCHAR(40) PRIMARY KEY, value VARCHAR(64) NOT NULL)",
    ),
    (
        """
        CREATE TABLE batches (
            batch_id VARCHAR(32) PRIMARY KEY,
            visitor_id VARCHAR(64) NOT NULL,
            address VARCHAR(64),
            model_id VARCHAR(200) NOT NULL,
            api_origin VARCHAR(200) NOT NULL,
            key_mark VARCHAR(64),
            state VARCHAR(10) NOT NULL,
            problem TEXT,
            created_at DOUBLE PRECISION NOT NULL,
            changed_at DOUBLE PRECISION NOT NULL
        )
        """,
        """
        CREATE TABLE batch_items (
            batch_id VARCHAR(32) NOT NULL REFERENCES batches (batch_id) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            inputs TEXT NOT NULL,
            state VARCHAR(10) NOT NULL,
            job_id VARCHAR(32) UNIQUE,
            problem TEXT,
            PRIMARY KEY (batch_id, position)
        )
        """,
        "CREATE INDEX batches_state ON batches (state, created_at)",
        "CREATE INDEX batches_visitor ON batches (visitor_id, created_at)",
        "CREATE INDEX batch_items_state ON batch_items (state, batch_id, position)",
    ),
    ("ALTER TABLE batches ADD COLUMN price_usd DOUBLE PRECISION",),
    (
        "ALTER TABLE jobs ADD COLUMN requester VARCHAR(80)",
        "ALTER TABLE jobs ADD COLUMN press_id VARCHAR(200)",
        "CREATE UNIQUE INDEX jobs_press ON jobs (requester, press_id)",
        "ALTER TABLE batches ADD COLUMN press_id VARCHAR(200)",
        "CREATE UNIQUE INDEX batches_press ON batches (visitor_id, press_id)",
    ),
    (
        """
        CREATE TABLE budgets (
            scope VARCHAR(12) NOT NULL,
            api_origin VARCHAR(200) NOT NULL,
            owner VARCHAR(64) NOT NULL,
            day INTEGER NOT NULL,
            active INTEGER NOT NULL,
            made INTEGER NOT NULL,
            requested INTEGER NOT NULL,
            micro_usd BIGINT NOT NULL,
            PRIMARY KEY (scope, api_origin, owner, day)
        )
        """,
        *(
            f"""
            INSERT INTO budgets (scope, api_origin, owner, day, active, made, requested, micro_usd)
            SELECT '{scope}', api_origin, {owner}, -1, COUNT(*), 0, 0, 0
            FROM jobs WHERE {owner} IS NOT NULL AND key_mark IS NULL AND {_IS_ACTIVE} GROUP BY {groups}
            UNION ALL
            SELECT '{scope}', api_origin, {owner}, FLOOR(created_at / 86400.0), 0, SUM({_COUNTS}), COUNT(*), {money}
            FROM jobs WHERE {owner} IS NOT NULL AND key_mark IS NULL
            GROUP BY {groups}, FLOOR(created_at / 86400.0)
            """  # noqa: S608 - constants only
            for scope, owner, groups, money in (
                ("visitor", "visitor_id", "api_origin, visitor_id", "0"),
                ("address", "address", "api_origin, address", "0"),
                ("installation", "''", "api_origin", f"SUM({_COUNTS} * {_MICRO_USD})"),
            )
        ),
        f"""
        INSERT INTO budgets (scope, api_origin, owner, day, active, made, requested, micro_usd)
        SELECT 'own_key', '', key_mark, -1, COUNT(*), 0, 0, 0
        FROM jobs WHERE key_mark IS NOT NULL AND {_IS_ACTIVE} GROUP BY key_mark
        """,  # noqa: S608 - constants only
    ),
    (
        """
        CREATE TABLE batch_values (
            batch_id VARCHAR(32) NOT NULL REFERENCES batches (batch_id) ON DELETE CASCADE,
            value_index INTEGER NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (batch_id, value_index)
        )
        """,
        "DROP INDEX jobs_address",  # the budgets count what it was for
        "ALTER TABLE batches ADD COLUMN size_bytes BIGINT",
        "UPDATE batches SET size_bytes = "
        "(SELECT SUM(LENGTH(inputs)) FROM batch_items WHERE batch_items.batch_id = batches.batch_id)",
    ),
    (_fill_search_text,),  # accents and width no longer matter
    (
        "ALTER TABLE batches ADD COLUMN layout TEXT",
        "ALTER TABLE batches ADD COLUMN request TEXT",
        "ALTER TABLE batch_items ADD COLUMN row_index INTEGER",
        "ALTER TABLE batch_items ADD COLUMN column_index INTEGER",
    ),
    (
        "ALTER TABLE jobs ADD COLUMN replica_id VARCHAR(32)",
        "ALTER TABLE jobs ADD COLUMN armed_at DOUBLE PRECISION",
        "CREATE INDEX jobs_active ON jobs (replica_id) WHERE state IN ('queued', 'running', 'saving', 'submitting')",
        "CREATE TABLE replicas (replica_id VARCHAR(32) PRIMARY KEY, seen_at DOUBLE PRECISION NOT NULL)",
        """
        CREATE TABLE duties (
            name VARCHAR(40) PRIMARY KEY,
            replica_id VARCHAR(32) NOT NULL,
            held_until DOUBLE PRECISION NOT NULL
        )
        """,
    ),
    (
        """
        CREATE TABLE sessions (
            token_hash VARCHAR(128) PRIMARY KEY,
            name TEXT,
            expires_at DOUBLE PRECISION NOT NULL
        )
        """,
        "CREATE INDEX sessions_end ON sessions (expires_at)",
        """
        CREATE TABLE login_attempts (
            client VARCHAR(200) PRIMARY KEY,
            failures INTEGER NOT NULL,
            last_at DOUBLE PRECISION NOT NULL
        )
        """,
        "CREATE INDEX login_attempts_age ON login_attempts (last_at)",
        "CREATE TABLE known_browsers (browser VARCHAR(200) PRIMARY KEY, seen_at DOUBLE PRECISION NOT NULL)",
        """
        CREATE TABLE own_keys (
            session_hash VARCHAR(64) PRIMARY KEY,
            key_mark VARCHAR(64) NOT NULL,
            sealed TEXT NOT NULL,
            used_at DOUBLE PRECISION NOT NULL
        )
        """,
        "CREATE INDEX own_keys_key ON own_keys (key_mark)",
    ),
    ("CREATE TABLE pace (api_origin VARCHAR(200) PRIMARY KEY, state TEXT NOT NULL)",),
    (
        "ALTER TABLE outputs ADD COLUMN rating INTEGER",
        "ALTER TABLE outputs ADD COLUMN colors INTEGER",
        "CREATE INDEX outputs_without_colors ON outputs (job_id) "
        "WHERE colors IS NULL AND kind = 'image' AND state = 'kept'",
        """
        CREATE TABLE boards (
            board_id VARCHAR(32) PRIMARY KEY,
            visitor_id VARCHAR(64) NOT NULL,
            name VARCHAR(200) NOT NULL,
            position INTEGER NOT NULL,
            created_at DOUBLE PRECISION NOT NULL
        )
        """,
        "CREATE INDEX boards_visitor ON boards (visitor_id, position)",
        """
        CREATE TABLE board_files (
            board_id VARCHAR(32) NOT NULL REFERENCES boards (board_id) ON DELETE CASCADE,
            file_key VARCHAR(32) NOT NULL,
            added_at DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (board_id, file_key)
        )
        """,
        "CREATE INDEX board_files_file ON board_files (file_key)",
        """
        CREATE TABLE shares (
            share_id VARCHAR(32) PRIMARY KEY,
            visitor_id VARCHAR(64) NOT NULL,
            file_key VARCHAR(32),
            board_id VARCHAR(32),
            shows_prompt INTEGER NOT NULL,
            created_at DOUBLE PRECISION NOT NULL
        )
        """,
        "CREATE INDEX shares_visitor ON shares (visitor_id, created_at)",
        "CREATE INDEX shares_file ON shares (file_key)",
        "CREATE INDEX shares_board ON shares (board_id)",
    ),
    (create_search_index,),
    (
        """
        CREATE TABLE input_images (
            input_key VARCHAR(32) PRIMARY KEY,
            visitor_id VARCHAR(64) NOT NULL,
            client_hash VARCHAR(64),
            source_sha256 VARCHAR(64) NOT NULL,
            extension VARCHAR(4) NOT NULL,
            width INTEGER NOT NULL,
            height INTEGER NOT NULL,
            size_bytes BIGINT NOT NULL,
            created_at DOUBLE PRECISION NOT NULL,
            keep_until DOUBLE PRECISION NOT NULL
        )
        """,
        "CREATE INDEX input_images_visitor ON input_images (visitor_id, source_sha256)",
        "CREATE INDEX input_images_client ON input_images (client_hash)",
        "CREATE INDEX input_images_keep ON input_images (keep_until)",
        """
        CREATE TABLE job_inputs (
            job_id VARCHAR(32) NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
            input_key VARCHAR(32) NOT NULL,
            PRIMARY KEY (job_id, input_key)
        )
        """,
        "CREATE INDEX job_inputs_input ON job_inputs (input_key)",
        """
        CREATE TABLE prompt_tools (
            visitor_id VARCHAR(64) NOT NULL,
            kind VARCHAR(10) NOT NULL,
            name VARCHAR(64) NOT NULL,
            client_hash VARCHAR(64),
            content TEXT NOT NULL,
            set_at DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (visitor_id, kind, name)
        )
        """,
        "CREATE INDEX prompt_tools_client ON prompt_tools (client_hash)",
    ),
    (
        """
        CREATE TABLE catalogs (
            api_origin VARCHAR(200) PRIMARY KEY,
            models TEXT NOT NULL,
            read_at DOUBLE PRECISION NOT NULL
        )
        """,
    ),
    ("ALTER TABLE replicas ADD COLUMN role VARCHAR(10) NOT NULL DEFAULT 'all'",),
    (renew_sqlite_search_index,),
    (
        _widen_budget_owner,
        f"""
        INSERT INTO budgets (scope, api_origin, owner, day, active, made, requested, micro_usd)
        SELECT 'model', api_origin, model_id, FLOOR(created_at / 86400.0), 0, SUM({_COUNTS}),
            SUM({_COUNTS} * CASE WHEN cost_usd IS NULL THEN 0 ELSE 1 END),
            SUM({_COUNTS} * FLOOR(COALESCE(cost_usd, 0.0) * 1000000 + 0.5))
        FROM jobs WHERE key_mark IS NULL AND api_origin <> 'import'
        GROUP BY api_origin, model_id, FLOOR(created_at / 86400.0)
        """,  # noqa: S608 - constants only
        "CREATE INDEX budgets_day ON budgets (day) WHERE scope <> 'erased'",
        "CREATE INDEX jobs_problems ON jobs (updated_at) WHERE problem IS NOT NULL",
    ),
    (
        """
        CREATE TABLE prices (
            api_origin VARCHAR(200) NOT NULL,
            model_id VARCHAR(200) NOT NULL,
            price TEXT NOT NULL,
            read_at DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (api_origin, model_id)
        )
        """,
    ),
    ("ALTER TABLE ledger_version ADD COLUMN readable_from INTEGER",),
    (*CREATE_TABLES, create_triggers),
    (
        """
        CREATE TABLE batch_retries (
            visitor_id VARCHAR(64) NOT NULL,
            press_id VARCHAR(200) NOT NULL,
            batch_id VARCHAR(32) NOT NULL REFERENCES batches (batch_id) ON DELETE CASCADE,
            created_at DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (visitor_id, press_id)
        )
        """,
        "CREATE INDEX batch_retries_batch ON batch_retries (batch_id, created_at)",
    ),
)

READABLE_FROM = 24
"""Programs that know so many steps can work with a ledger that has all of them."""


def migrate(transaction: Transaction, label: str) -> None:
    """Bring the tables up to date.

    Args:
        label: what error messages call the ledger.

    Raises:
        LedgerError: a newer version of this program made the ledger, and this one could not work with it.
    """
    connection = transaction.connection
    connection.execute(sa.text("CREATE TABLE IF NOT EXISTS ledger_version (version INTEGER)"))
    done = connection.execute(sa.select(ledger_version.c.version)).scalar() or 0
    if done > len(MIGRATIONS):
        _accept_newer(connection, done, label)
        return
    for step in MIGRATIONS[done:]:
        for statement in step:
            if isinstance(statement, str):
                connection.execute(sa.text(statement))
            else:
                statement(connection)
    if done < len(MIGRATIONS):
        connection.execute(ledger_version.delete())
        connection.execute(ledger_version.insert().values(version=len(MIGRATIONS), readable_from=READABLE_FROM))


def _accept_newer(connection: sa.Connection, version: int, label: str) -> None:
    """Raise LedgerError unless the newer program says that this one can work with its ledger, too."""
    readable_from = connection.execute(sa.select(ledger_version.c.readable_from)).scalar()
    if readable_from is None or readable_from > len(MIGRATIONS):
        raise LedgerError(
            f"{label} was made by a newer version of this program (ledger version {version}; this program "
            f"knows {len(MIGRATIONS)}). Update the program, or choose another DREAMINA_DATA_DIR or "
            "DREAMINA_DATABASE_URL."
        )
    log.warning("%s was made by a newer version of this program, which this one can work with", label)
