"""The PostgreSQL engine: everything in the ledger that is PostgreSQL's own.

Every transaction that writes first takes one advisory lock, so that writers go one after another over all programs
that share the database, as they do in SQLite. What is checked in a transaction therefore still holds when it commits.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from dreamina_ui.errors import LedgerError, SettingsError
from dreamina_ui.ledger.transaction import Channel, Reader, Transaction

try:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict
    from psycopg.types.string import StrDumperUnknown

    from dreamina_ui.ledger.engines.channel import PostgresqlChannel
except ImportError as exc:
    raise SettingsError('DREAMINA_DATABASE_URL needs one more package: pip install "psycopg[binary]>=3.2,<4"') from exc

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 8
"""Of one program. A server has 100 by default, for all programs together."""

POOL_TIMEOUT_S = 10.0
"""How long a thread waits for one of them."""

MIGRATION_TIMEOUT_S = 600.0
"""How long a program that starts waits for another one that changes the tables."""

STALLED_S = 5
"""How long a transaction may do nothing before the server ends it: a program that is frozen inside of one, or cut off
from the network, would hold the lock against all others."""

_LOCK_NOT_AVAILABLE = "55P03"
_DATABASE_ERRORS = (SQLAlchemyError, psycopg.Error, OverflowError, ValueError)
_CONNECTION_OPTIONS = {
    "application_name": "dreamina-ui",
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
"""How soon a server that vanished is noticed; what the URL says instead counts."""

# The schema is part of the key: installations in two schemas of one database do not wait for each other.
_CLOCK = "SELECT EXTRACT(EPOCH FROM clock_timestamp())::double precision"
_LOCK = "SELECT pg_advisory_xact_lock(1685218661, hashtext(current_schema()))"


class _TextDumper(StrDumperUnknown):
    """Writes texts as PostgreSQL can store them: without NUL, which no text there contains."""

    def dump(self, obj: str) -> psycopg.abc.Buffer | None:
        return super().dump(obj.replace("\x00", "\ufffd"))


class PostgresqlDatabase:
    """A `Database` on a PostgreSQL server.

    Args:
        url: as libpq takes it, such as `postgresql://user:password@host:5432/name`; it may name several hosts.
        lock_timeout_s: how long a write waits for those of other programs.
        max_connections: how many connections are open at most.

    Raises:
        LedgerError: the server cannot be reached, or refuses.
        SettingsError: the URL is none, or the database's encoding is not UTF-8.
    """

    def __init__(self, url: str, lock_timeout_s: float = 10.0, max_connections: int = MAX_CONNECTIONS) -> None:
        self._options = options = _connection_options(url)
        self._label = _label(options)
        self._is_ready = False
        self._lock_timeout_s = lock_timeout_s
        self._write_lock = threading.Lock()  # a thread that waits needs no connection
        self._engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=lambda: _connect(options),
            isolation_level="AUTOCOMMIT",  # a single query begins no transaction; writers do, below
            pool_size=max_connections,
            max_overflow=0,
            pool_timeout=POOL_TIMEOUT_S,
            pool_pre_ping=True,  # a restart of the server costs no failed request
        )
        try:
            with self.read() as reader:
                encoding = reader.connection.exec_driver_sql("SHOW server_encoding").scalar_one()
            if encoding != "UTF8":
                raise SettingsError(f"DREAMINA_DATABASE_URL: the database's encoding must be UTF8; it is {encoding}.")
        except BaseException:
            self.close()
            raise

    @property
    def label(self) -> str:
        return "database" if self._is_ready else self._label

    @contextmanager
    def write(self, *, durable: bool = True, serialized: bool = True) -> Iterator[Transaction]:
        flush = "" if durable else "SET LOCAL synchronous_commit = off; "
        stalled = f"SET LOCAL idle_in_transaction_session_timeout = '{STALLED_S}s'; "
        if not serialized:
            with self._transaction(flush + stalled, self._lock_timeout_s, lock="") as transaction:
                yield transaction
            return
        with self._write_lock, self._transaction(flush + stalled, self._lock_timeout_s) as transaction:
            yield transaction

    @contextmanager
    def migrating(self) -> Iterator[Transaction]:
        with self._transaction("", MIGRATION_TIMEOUT_S) as transaction:
            yield transaction

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Reader]:
        try:
            with self._engine.connect() as connection:
                if snapshot:  # the pool ends it when the connection comes back
                    connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                yield Reader(connection)
        except _DATABASE_ERRORS as exc:
            raise self._ledger_error("read", exc) from exc

    def time(self, reader: Reader) -> float | None:
        return float(reader.connection.exec_driver_sql(_CLOCK).scalar_one())

    def open_channel(self) -> Channel:
        return PostgresqlChannel(lambda: _connect(self._options))

    def mark_ready(self) -> None:
        self._is_ready = True

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _transaction(self, settings: str, lock_timeout_s: float, lock: str = _LOCK) -> Iterator[Transaction]:
        timeout = f"SET LOCAL lock_timeout = {round(lock_timeout_s * 1000)}; "
        try:
            with self._engine.begin() as connection:
                # One round trip. READ WRITE, so that a standby refuses it.
                connection.exec_driver_sql(f"BEGIN READ WRITE; {timeout}{settings}{lock}")
                yield Transaction(connection)
        except _DATABASE_ERRORS as exc:
            raise self._ledger_error("written", exc) from exc

    def _ledger_error(self, verb: str, exc: Exception) -> LedgerError:
        reason = " ".join(str(getattr(exc, "orig", None) or exc).split())
        if _sqlstate(exc) == _LOCK_NOT_AVAILABLE:
            reason = "it is locked by another program"
        elif self._is_ready and _is_about_the_connection(exc):
            log.warning("The database %s: %s", self._label, reason)
            reason = "it cannot be reached now"  # visitors read it, and the driver names the host
        return LedgerError(f"The ledger {self.label} could not be {verb}: {reason}.")


def _connection_options(url: str) -> dict[str, str]:
    """A URL as the driver takes it, in parts; raises SettingsError."""
    try:
        return _CONNECTION_OPTIONS | {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except psycopg.Error as exc:  # it shows no part of the URL, which may hold a password
        raise SettingsError(
            "DREAMINA_DATABASE_URL is no URL of PostgreSQL, such as postgresql://user:password@host/name"
        ) from exc


def _label(options: dict[str, str]) -> str:
    host = options.get("host") or options.get("hostaddr") or "localhost"
    return f"postgresql://{host}:{options.get('port', 5432)}/{options.get('dbname', '')}"


def _connect(options: dict[str, str]) -> psycopg.Connection:
    # Never prepared: behind PgBouncer, a statement may meet a connection that does not know it.
    connection = psycopg.connect(prepare_threshold=None, **options)  # type: ignore[arg-type]
    connection.adapters.register_dumper(str, _TextDumper)
    return connection


def _is_about_the_connection(exc: Exception) -> bool:
    """Whether it failed because of the connection and not because of what was asked."""
    if isinstance(exc, PoolTimeoutError):
        return True
    cause = exc.orig if isinstance(exc, DBAPIError) else exc
    if not isinstance(cause, (psycopg.OperationalError, psycopg.InterfaceError)):
        return False
    return cause.sqlstate is None or cause.sqlstate[:2] in ("08", "57")  # connection lost; the server stops


def _sqlstate(exc: Exception) -> str | None:
    cause = exc.orig if isinstance(exc, DBAPIError) else exc
    return cause.sqlstate if isinstance(cause, psycopg.Error) else None
