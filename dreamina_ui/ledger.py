"""The ledger: one row per job, on disk before anything is sent, and the only place that knows the database.

Every change is one transaction, and once it is on disk, whoever listens to `changes` is told. A row's state moves only
as `job.MOVES` allows, and each move is kept with its time.
All SQL that is SQLite's own stands in `_sqlite_engine`.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from dreamina_ui.changes import Changes
from dreamina_ui.errors import JobNotFoundError, LedgerError, MoveError
from dreamina_ui.job import AT_REST, MOVES, TERMINAL, Job, Output, State
from dreamina_ui.migrations import MIGRATIONS

log = logging.getLogger(__name__)

_metadata = sa.MetaData()
_jobs = sa.Table(
    "jobs",
    _metadata,
    sa.Column("job_id", sa.String, primary_key=True),
    *(
        sa.Column(name, kind)
        for kind, names in {
            sa.String: "visitor_id model_id api_origin inputs size state status request_id problem detail "
            "cancel_outcome",
            sa.Integer: "queue_position version",
            sa.Float: "cost_usd cancel_requested_at created_at updated_at accepted_at started_at completed_at "
            "finished_at",
        }.items()
        for name in names.split()
    ),
)
_outputs = sa.Table(
    "outputs",
    _metadata,
    sa.Column("job_id", sa.String, primary_key=True),
    sa.Column("output_index", sa.Integer, primary_key=True),
    *(
        sa.Column(name, kind)
        for kind, names in {
            sa.String: "kind file_key state file_name media_type format sha256 note",
            sa.Integer: "width height size_bytes",
        }.items()
        for name in names.split()
    ),
)
_state_changes = sa.Table(
    "state_changes",
    _metadata,
    sa.Column("job_id", sa.String, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("state", sa.String),
    sa.Column("changed_at", sa.Float),
    sa.Column("problem", sa.String),
)
_version = sa.Table("ledger_version", _metadata, sa.Column("version", sa.Integer))


class Ledger:
    """The rows on disk.

    Args:
        path: the SQLite file; made, with its folder, if it is not there.
        clock: gives the time, in seconds since 1970.
        busy_timeout_s: how long a write waits for another process's lock.

    Raises:
        LedgerError: the file cannot be opened, is damaged, or was made by a newer version of this program.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time, busy_timeout_s: float = 10.0) -> None:
        self.changes = Changes()
        self._path = path
        self._clock = clock
        self._one_writer = threading.Lock()
        self._engine = _sqlite_engine(path, busy_timeout_s)
        self._reader = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._migrate()

    def close(self) -> None:
        self._engine.dispose()

    def add(self, job: Job) -> Job:
        """Write a new job; when this returns, the row is on disk.

        Raises:
            LedgerError: the row could not be written.
        """
        row = {column.name: getattr(job, column.name) for column in _jobs.columns if column.name != "inputs"}
        with self._write() as connection:
            connection.execute(_jobs.insert().values(**row, inputs=json.dumps(dict(job.inputs))))
            _note_state(connection, job)
        self._tell(job, moved=True)
        return job

    def change(
        self, job_id: str, to: State | None = None, *, only_in: Sequence[str] | None = None, **fields: Any
    ) -> Job:
        """Move a job to a state and set fields, all or nothing; a change that changes nothing writes nothing.

        Args:
            to: the new state; None keeps the present one.
            only_in: refuse the change unless the job is in one of these states.

        Raises:
            JobNotFoundError: no such job.
            MoveError: the job may not make this move from its present state.
            LedgerError: not written; the row is as it was.
        """
        with self._write() as connection:
            job = _read_job(connection, job_id)
            new_state = to or job.state
            if new_state != job.state and new_state not in MOVES[job.state]:
                raise MoveError(f"Job {job_id[:8]} is {job.state} and cannot become {new_state}.")
            if only_in is not None and job.state not in only_in:
                raise MoveError(f"Job {job_id[:8]} is {job.state}.")
            news = {name: value for name, value in fields.items() if getattr(job, name) != value}
            if new_state == job.state and not news:
                return job
            now = self._clock()
            if new_state != job.state:
                news["state"] = new_state
                news["finished_at"] = now if new_state in TERMINAL else None
            news |= {"version": job.version + 1, "updated_at": now}
            connection.execute(_jobs.update().where(_jobs.c.job_id == job_id).values(**news))
            changed = _read_job(connection, job_id)
            if new_state != job.state:
                _note_state(connection, changed)
        self._tell(changed, moved=new_state != job.state)
        return changed

    def set_output(self, job_id: str, output: Output) -> Job:
        """Write what is known of one output; a row with the same index is replaced.

        Raises:
            JobNotFoundError, LedgerError: as for `change`.
        """
        values = {name: getattr(output, name) for name in Output.__dataclass_fields__ if name != "index"}
        here = (_outputs.c.job_id == job_id) & (_outputs.c.output_index == output.index)
        with self._write() as connection:
            job = _read_job(connection, job_id)
            if not connection.execute(_outputs.update().where(here).values(**values)).rowcount:
                connection.execute(_outputs.insert().values(job_id=job_id, output_index=output.index, **values))
            news = {"version": job.version + 1, "updated_at": self._clock()}
            connection.execute(_jobs.update().where(_jobs.c.job_id == job_id).values(**news))
            changed = _read_job(connection, job_id)
        self._tell(changed, moved=False)
        return changed

    def job(self, job_id: str) -> Job:
        """Read one job.

        Raises:
            JobNotFoundError: no such job.
            LedgerError: the ledger could not be read.
        """
        with self._read() as connection:
            return _read_job(connection, job_id)

    def unfinished(self, api_origin: str) -> list[Job]:
        """All jobs of one API that are not at rest, oldest first."""
        return self._select((_jobs.c.api_origin == api_origin) & _jobs.c.state.not_in(AT_REST), newest_first=False)

    def recent(self, visitor_id: str, limit: int) -> list[Job]:
        """A visitor's newest jobs, and every one of theirs that is not at rest; newest first."""
        mine = _jobs.c.visitor_id == visitor_id
        newest = self._select(mine, limit=limit)
        known = {job.job_id for job in newest}
        going_on = self._select(mine & _jobs.c.state.not_in(AT_REST))
        return newest + [job for job in going_on if job.job_id not in known]

    def twin(self, visitor_id: str, model_id: str, inputs: Mapping[str, Any], since: float) -> Job | None:
        """The visitor's newest job with the very same inputs that was made at `since` or later, if there is one."""
        same = (_jobs.c.visitor_id == visitor_id) & (_jobs.c.created_at >= since) & (_jobs.c.model_id == model_id)
        found = self._select(same & (_jobs.c.inputs == json.dumps(dict(inputs))), limit=1)
        return found[0] if found else None

    def by_request(self, api_origin: str, request_id: str) -> Job | None:
        """The job that holds a request, if there is one."""
        found = self._select((_jobs.c.api_origin == api_origin) & (_jobs.c.request_id == request_id), limit=1)
        return found[0] if found else None

    def output_by_key(self, file_key: str) -> tuple[Job, Output] | None:
        """The job and output behind a file's address."""
        with self._read() as connection:
            job_id = connection.execute(sa.select(_outputs.c.job_id).where(_outputs.c.file_key == file_key)).scalar()
            job = _read_job(connection, job_id) if job_id else None
        found = next((output for output in job.outputs if output.file_key == file_key), None) if job else None
        return (job, found) if job and found else None

    def run_times(self, model_id: str, size: str | None, limit: int = 60) -> list[float]:
        """Seconds that the newest finished runs of this model and size took."""
        query = (
            sa.select(_jobs.c.completed_at - _jobs.c.started_at)
            .where(_jobs.c.model_id == model_id, _jobs.c.size == size, _jobs.c.completed_at.is_not(None))
            .order_by(_jobs.c.completed_at.desc())
            .limit(limit)
        )
        with self._read() as connection:
            return [float(seconds) for seconds in connection.execute(query).scalars() if seconds is not None]

    def state_changes(self, job_id: str) -> list[tuple[str, float]]:
        """Every state a job went through, with its time, oldest first."""
        query = (
            sa.select(_state_changes.c.state, _state_changes.c.changed_at)
            .where(_state_changes.c.job_id == job_id)
            .order_by(_state_changes.c.version)
        )
        with self._read() as connection:
            return [(state, changed_at) for state, changed_at in connection.execute(query)]

    def _tell(self, job: Job, *, moved: bool) -> None:
        if moved:
            log.info("Job %s: %s (request %s)", job.job_id[:8], job.state, job.request_id)
        self.changes.publish(job)

    def _select(
        self, where: sa.ColumnElement[bool], *, limit: int | None = None, newest_first: bool = True
    ) -> list[Job]:
        order = (_jobs.c.created_at, _jobs.c.job_id)
        query = sa.select(_jobs).where(where).order_by(*(c.desc() for c in order) if newest_first else order)
        with self._read() as connection:
            return _jobs_of(connection, query.limit(limit))

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        try:
            with self._one_writer, self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as fault:
            raise _ledger_error("written", self._path, fault) from fault

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        try:
            with self._reader.connect() as connection:
                yield connection
        except SQLAlchemyError as fault:
            raise _ledger_error("read", self._path, fault) from fault

    def _migrate(self) -> None:
        with self._write() as connection:
            connection.execute(sa.schema.CreateTable(_version, if_not_exists=True))
            done = connection.execute(sa.select(_version.c.version)).scalar() or 0
            if done > len(MIGRATIONS):
                raise LedgerError(
                    f"{self._path} was made by a newer version of this program (ledger version {done}; this program "
                    f"knows {len(MIGRATIONS)}). Update the program, or choose another DREAMINA_DATA_DIR."
                )
            for step in MIGRATIONS[done:]:
                for statement in step:
                    connection.execute(sa.text(statement))
            if done < len(MIGRATIONS):
                connection.execute(_version.delete())
                connection.execute(_version.insert().values(version=len(MIGRATIONS)))


def is_request_taken(fault: LedgerError) -> bool:
    """Whether a write failed because another job already holds that request."""
    return isinstance(fault.__cause__, IntegrityError)


def _sqlite_engine(path: Path, busy_timeout_s: float) -> sa.Engine:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise LedgerError(f"The folder of the ledger, {path.parent}, cannot be made: {fault}") from fault
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"timeout": busy_timeout_s, "check_same_thread": False},
        pool_size=16,
        max_overflow=80,
    )

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we begin ourselves, below
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # a plain BEGIN can fail when it turns into a write

    return engine


def _note_state(connection: sa.Connection, job: Job) -> None:
    connection.execute(
        _state_changes.insert().values(
            job_id=job.job_id, version=job.version, state=job.state, changed_at=job.updated_at, problem=job.problem
        )
    )


def _read_job(connection: sa.Connection, job_id: str) -> Job:
    found = _jobs_of(connection, sa.select(_jobs).where(_jobs.c.job_id == job_id))
    if not found:
        raise JobNotFoundError(f"No job {str(job_id)[:64]!r} is known here.")
    return found[0]


def _jobs_of(connection: sa.Connection, query: sa.Select[Any]) -> list[Job]:
    rows = [dict(row) for row in connection.execute(query).mappings()]
    outputs: dict[str, list[Output]] = {}
    wanted = sa.select(_outputs).where(_outputs.c.job_id.in_([row["job_id"] for row in rows]))
    for row in connection.execute(wanted.order_by(_outputs.c.output_index)).mappings() if rows else ():
        values = {name: row[name] for name in Output.__dataclass_fields__ if name != "index"}
        outputs.setdefault(row["job_id"], []).append(Output(index=row["output_index"], **values))
    return [
        Job(**row | {"inputs": json.loads(row["inputs"]), "outputs": tuple(outputs.get(row["job_id"], ()))})
        for row in rows
    ]


def _ledger_error(verb: str, path: Path, fault: SQLAlchemyError) -> LedgerError:
    reason = str(getattr(fault, "orig", None) or fault)
    return LedgerError(f"The ledger {path} could not be {verb}: {reason}.")
