"""The ledger: one row per job, on disk before anything is sent, and the only place that knows the database.

Every change is all or nothing, and once it is written, whoever listens to `changes` is told. A row's state moves only
as `job.MOVES` allows, and each move is kept with its time. What only we know, and how a job ended, is on the disk when
the call returns; what the service can say again may reach it a little later.
All SQL that is SQLite's own stands in `tables.open_sqlite`.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, IntegrityError, SQLAlchemyError

from dreamina_ui.errors import JobNotFoundError, LedgerError, StateError
from dreamina_ui.ledger.events import JobEvents
from dreamina_ui.ledger.job import SETTLED, TERMINAL, TRANSITIONS, Job, Output, State
from dreamina_ui.ledger.migrations import MIGRATIONS, search_text
from dreamina_ui.ledger.tables import find_damage, jobs, ledger_version, open_sqlite, outputs, state_changes
from dreamina_ui.ledger.tables import secrets as secrets_table

log = logging.getLogger(__name__)

# The driver says the last two of a value that it cannot store, and JSON of a row that is damaged.
_FAULTS = (SQLAlchemyError, OverflowError, ValueError)
_JOB_COLUMNS = [name for name in Job.__dataclass_fields__ if name not in ("inputs", "outputs")]
# Statements of every job's life are built once, and take their values as parameters. Measured with py-spy: to build
# them anew took 40 % of the time in which Python's lock was held.
_ONE_JOB = sa.select(jobs).where(jobs.c.job_id == sa.bindparam("job_id"))
_ITS_OUTPUTS = sa.select(outputs).where(outputs.c.job_id == sa.bindparam("job_id")).order_by(outputs.c.output_index)
_ADD_JOB = jobs.insert()
_CHANGE_AS_READ = jobs.update().where(
    jobs.c.job_id == sa.bindparam("read_job_id"), jobs.c.version == sa.bindparam("read_version")
)
_ADD_OUTPUT = outputs.insert()
_CHANGE_OUTPUT = outputs.update().where(
    outputs.c.job_id == sa.bindparam("of_job_id"), outputs.c.output_index == sa.bindparam("at_index")
)
_NOTE_STATE = state_changes.insert()
_NEWEST_FIRST = (jobs.c.created_at.desc(), jobs.c.job_id.desc())
_DUPLICATE = (
    sa.select(jobs)
    .where(
        jobs.c.visitor_id == sa.bindparam("visitor_id"),
        jobs.c.created_at >= sa.bindparam("since"),
        jobs.c.model_id == sa.bindparam("model_id"),
        jobs.c.inputs == sa.bindparam("inputs"),
        jobs.c.key_fingerprint.is_not_distinct_from(sa.bindparam("key_fingerprint")),
    )
    .order_by(*_NEWEST_FIRST)
    .limit(1)
)
_MINE = sa.select(jobs).where(jobs.c.visitor_id == sa.bindparam("visitor_id")).order_by(*_NEWEST_FIRST)
_MY_NEWEST = _MINE.limit(sa.bindparam("most"))
_MINE_UNSETTLED = _MINE.where(jobs.c.state.not_in(SETTLED))
_OUTPUTS_OF_SEVERAL = (
    sa.select(outputs)
    .where(outputs.c.job_id.in_(sa.bindparam("job_ids", expanding=True)))
    .order_by(outputs.c.output_index)
)

_T = TypeVar("_T")
_TURNS = 4
"""How many transactions one thread writes before it hands the queue to another."""


@dataclass(frozen=True)
class _Piece:
    """Work that waits to be written; `awake` is set when it is done, or when its thread is the one to do it."""

    work: Callable[[sa.Connection], Any]
    durable: bool
    awake: threading.Event = field(default_factory=threading.Event)
    outcome: Future[Any] = field(default_factory=Future)


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
        self.changes = JobEvents()
        self._path = path
        self._told_path = path
        self._clock = clock
        self._one_writer = threading.Lock()
        self._queue: list[_Piece] = []
        self._queue_lock = threading.Lock()
        if flaw := find_damage(path):
            raise _damaged(path, flaw)
        self._durably = open_sqlite(path, busy_timeout_s)
        self._soon = open_sqlite(path, busy_timeout_s, durable=False)
        self._reader = open_sqlite(path, busy_timeout_s, writes=False)
        self._identity: tuple[int, int] | None = None
        try:
            self._migrate()
            self._identity = _identity(path)
            self._told_path = Path(path.name)  # visitors are told from now on, and where it lies is not their business
        except LedgerError:
            self.close()
            raise

    def close(self) -> None:
        for engine in (self._durably, self._soon, self._reader):
            engine.dispose()

    def add(
        self,
        job: Job,
        check: Callable[[sa.Connection, Job], None] | None = None,
        *,
        duplicate_since: float | None = None,
    ) -> Job:
        """Write a new job; when this returns, the row is on disk.

        Args:
            check: called in the same transaction before the row is written; what it raises undoes all.
            twin_since: if the visitor has made a job with the very same inputs at this time or later, write nothing.

        Returns:
            The new job, or its twin.

        Raises:
            LedgerError: the row could not be written.
        """
        row = {name: getattr(job, name) for name in _JOB_COLUMNS}
        row |= {"inputs": json.dumps(dict(job.inputs)), "search_text": search_text(job.inputs)}

        def write(connection: sa.Connection) -> Job:
            if duplicate_since is not None and (duplicate := _find_duplicate(connection, job, duplicate_since)):
                return duplicate
            if check is not None:
                check(connection, job)
            connection.execute(_ADD_JOB, row)
            _note_state(connection, job)
            return job

        added = self._write(write)
        if added is job:
            self._publish(job, moved=True)
        return added

    def change(
        self,
        job: Job | str,
        to: State | None = None,
        *,
        only_in: Sequence[str] | None = None,
        via: Mapping[State, float] | None = None,
        outputs: Sequence[Output] = (),
        durable: bool = True,
        **fields: Any,
    ) -> Job:
        """Move a job to a state and set fields, all or nothing; a change that changes nothing writes nothing.

        Args:
            job: the job as it was read, or its job_id; with the job it is read again only if it has changed since.
            to: the new state; None keeps the present one.
            only_in: refuse the change unless the job is in one of these states.
            via: states that it has gone through since it was written, each with its time; these moves are noted, too.
            outputs: what is known of these outputs now; one with the same index is replaced.
            durable: whether a power cut right afterwards may not undo it; False for what the service can say again.

        Raises:
            JobNotFoundError: no such job.
            MoveError: the job may not make this move from its present state.
            LedgerError: not written; the row is as it was.
        """
        moves = [*(via or {}).items(), *([(to, None)] if to else [])]
        change = partial(self._change, moves=moves, only_in=only_in, outputs=outputs, durable=durable, fields=fields)
        job_id = job if isinstance(job, str) else job.job_id
        if isinstance(job, Job):
            with suppress(StateError):  # what it was refused for may be no longer so
                changed = change(job)
                if changed is not None and changed is not job:
                    return changed
        while (changed := change(self.job(job_id))) is None:
            pass
        return changed

    def _change(
        self,
        job: Job,
        *,
        moves: Iterable[tuple[State, float | None]],
        only_in: Sequence[str] | None,
        outputs: Sequence[Output],
        durable: bool,
        fields: Mapping[str, Any],
    ) -> Job | None:
        """Change a job that was just read, if there is something to change; None if it is no longer as it was read."""
        if only_in is not None and job.state not in only_in:
            raise StateError(f"Job {job.job_id[:8]} is {job.state}.")
        now, stages = self._clock(), [job]
        for state, at in moves:
            before = stages[-1]
            if state == before.state:
                continue
            if state not in TRANSITIONS[before.state]:
                raise StateError(f"Job {job.job_id[:8]} is {before.state} and cannot become {state}.")
            ended_at = now if state in TERMINAL else None
            version = before.version + 1
            stages.append(replace(before, state=state, version=version, updated_at=at or now, finished_at=ended_at))
        news = {name: value for name, value in fields.items() if getattr(job, name) != value}
        new_outputs = [output for output in outputs if output not in job.outputs]
        moved = len(stages) > 1
        if not (moved or news or new_outputs):
            return job
        by_index = {output.index: output for output in (*job.outputs, *new_outputs)}
        values = {**news, "version": stages[-1].version if moved else job.version + 1, "updated_at": now}
        stages.append(replace(stages.pop(), **values, outputs=tuple(by_index[index] for index in sorted(by_index))))
        values |= {name: getattr(stages[-1], name) for name in ("state", "finished_at") if moved}
        return stages[-1] if self._update(job, stages[moved:], values, new_outputs, durable=durable) else None

    def job(self, job_id: str) -> Job:
        """Read one job.

        Raises:
            JobNotFoundError: no such job.
            LedgerError: the ledger could not be read.
        """
        with self.reading() as connection:
            return _read_job(connection, job_id)

    def unfinished(self, *api_origins: str) -> list[Job]:
        """All jobs of these APIs that are not at rest, oldest first."""
        return self._select(jobs.c.api_origin.in_(api_origins) & jobs.c.state.not_in(SETTLED), newest_first=False)

    def recent(self, visitor_id: str, limit: int) -> list[Job]:
        """A visitor's newest jobs, and every one of theirs that is not at rest; newest first."""
        with self.reading() as connection:
            newest = _jobs_of(connection, _MY_NEWEST, {"visitor_id": visitor_id, "most": limit})
            known = {job.job_id for job in newest}
            going_on = _jobs_of(connection, _MINE_UNSETTLED, {"visitor_id": visitor_id})
        return newest + [job for job in going_on if job.job_id not in known]

    def by_request(self, api_origin: str, request_id: str) -> Job | None:
        """The job that holds a request, if there is one."""
        found = self._select((jobs.c.api_origin == api_origin) & (jobs.c.request_id == request_id), limit=1)
        return found[0] if found else None

    def secret(self, name: str) -> bytes:
        """32 random bytes of this installation: made when first asked for, and the same ever after.

        Raises:
            LedgerError: the ledger could not be read or written.
        """
        with self.writing() as connection:
            known = connection.execute(sa.select(secrets_table.c.value).where(secrets_table.c.name == name)).scalar()
            if known is None:
                known = secrets.token_hex(32)
                connection.execute(secrets_table.insert().values(name=name, value=known))
        return bytes.fromhex(known)

    def output_by_key(self, file_key: str) -> tuple[Job, Output] | None:
        """The job and output behind a file's address."""
        with self.reading() as connection:
            job_id = connection.execute(sa.select(outputs.c.job_id).where(outputs.c.file_key == file_key)).scalar()
            job = _read_job(connection, job_id) if job_id else None
        found = next((output for output in job.outputs if output.file_key == file_key), None) if job else None
        return (job, found) if job and found else None

    def run_times(self, model_id: str, size: str | None, limit: int = 60) -> list[float]:
        """Seconds that the newest finished runs of this model and size took."""
        query = (
            sa.select(jobs.c.completed_at - jobs.c.started_at)
            .where(jobs.c.model_id == model_id, jobs.c.size == size, jobs.c.completed_at.is_not(None))
            .order_by(jobs.c.completed_at.desc())
            .limit(limit)
        )
        with self.reading() as connection:
            return [float(seconds) for seconds in connection.execute(query).scalars() if seconds is not None]

    def state_changes(self, job_id: str) -> list[tuple[str, float]]:
        """Every state a job went through, with its time, oldest first."""
        query = (
            sa.select(state_changes.c.state, state_changes.c.changed_at)
            .where(state_changes.c.job_id == job_id)
            .order_by(state_changes.c.version)
        )
        with self.reading() as connection:
            return [(state, changed_at) for state, changed_at in connection.execute(query)]

    def check_writable(self) -> None:
        """Begin to write, and write nothing.

        Raises:
            LedgerError: the ledger could not be written now.
        """
        with self.writing(durable=False):
            pass

    def _update(
        self,
        job: Job,
        stages: Sequence[Job],
        values: Mapping[str, Any],
        new_outputs: Sequence[Output],
        *,
        durable: bool,
    ) -> bool:
        """Write a job's values and outputs, and tell of its stages; False if it is no longer as it was read.

        So the one writer has the fewest statements to make: everybody else waits for it.
        """
        update = {**values, "read_job_id": job.job_id, "read_version": job.version}
        moves = [stage for before, stage in pairwise((job, *stages)) if stage.state != before.state]

        def write(connection: sa.Connection) -> bool:
            if not connection.execute(_CHANGE_AS_READ, update).rowcount:
                return False
            for output in new_outputs:
                _write_output(connection, job, output)
            for move in moves:
                _note_state(connection, move)
            return True

        if not self._write(write, durable=durable):
            return False
        for stage in stages:
            self._publish(stage, moved=stage in moves)
        return True

    def _publish(self, job: Job, *, moved: bool) -> None:
        if moved:
            facts = {"job": job.job_id[:8], "state": job.state, "request_id": job.request_id}
            log.info("Job %(job)s: %(state)s (request %(request_id)s)", facts, extra=facts)
        self.changes.publish(job)

    def _select(
        self, where: sa.ColumnElement[bool], *, limit: int | None = None, newest_first: bool = True
    ) -> list[Job]:
        order = (jobs.c.created_at, jobs.c.job_id)
        query = sa.select(jobs).where(where).order_by(*(c.desc() for c in order) if newest_first else order)
        with self.reading() as connection:
            return _jobs_of(connection, query.limit(limit))

    def _write(self, work: Callable[[sa.Connection], _T], *, durable: bool = True) -> _T:
        """Do a piece of work in a transaction; what waits meanwhile shares the next one.

        The first in the queue writes for all who stand behind it, a few times over: measured with 500 jobs, threads
        spent most of their time waiting for their turn, and then for the next one to wake up.

        Raises:
            LedgerError: not written.
        """
        piece = _Piece(work, durable)
        with self._queue_lock:
            self._queue.append(piece)
            if len(self._queue) == 1:
                piece.awake.set()
        piece.awake.wait()
        if not piece.outcome.done():
            for turns_left in reversed(range(_TURNS)):
                with self._queue_lock:
                    pieces = list(self._queue)
                self._write_together(pieces)
                with self._queue_lock:
                    del self._queue[: len(pieces)]
                    next_one = self._queue[0] if self._queue else None
                for each in pieces:
                    each.awake.set()
                if next_one is None:
                    break
                if not turns_left:
                    next_one.awake.set()
        found: _T = piece.outcome.result()
        return found

    def _write_together(self, pieces: Sequence[_Piece]) -> None:
        has_begun = False
        try:
            with self.writing(durable=any(piece.durable for piece in pieces)) as connection:
                has_begun = True
                found = [piece.work(connection) for piece in pieces]
        except BaseException as exc:  # noqa: BLE001 - whatever it was, whoever waits must be told
            if len(pieces) == 1:
                pieces[0].outcome.set_exception(exc)
                return
            if not has_begun:  # a locked ledger: one after the other, each would wait for the lock anew
                for piece in pieces:
                    piece.outcome.set_exception(LedgerError(str(exc)))
                return
            for piece in pieces:  # one of them broke the transaction of all
                self._write_together([piece])
        else:
            for piece, result in zip(pieces, found, strict=True):
                piece.outcome.set_result(result)

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[sa.Connection]:
        """One transaction, all or nothing, on a connection to write with; its faults become LedgerError."""
        engine = self._durably if durable else self._soon
        try:
            with self._one_writer, engine.begin() as connection:
                yield connection
                # SQLite itself goes on writing into a file that was deleted.
                if self._identity and _identity(self._path) != self._identity:
                    raise LedgerError(
                        f"The ledger {self._told_path} was moved, deleted or replaced while this program runs. "
                        "Stop the program, put the ledger back, and start again."
                    )
        except _FAULTS as exc:
            raise _ledger_error("written", self._told_path, exc) from exc

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to read with; its faults become LedgerError."""
        try:
            with self._reader.connect() as connection:
                yield connection
        except _FAULTS as exc:
            raise _ledger_error("read", self._told_path, exc) from exc

    def _migrate(self) -> None:
        with self.writing() as connection:
            connection.execute(sa.schema.CreateTable(ledger_version, if_not_exists=True))
            done = connection.execute(sa.select(ledger_version.c.version)).scalar() or 0
            if done > len(MIGRATIONS):
                raise LedgerError(
                    f"{self._path} was made by a newer version of this program (ledger version {done}; this program "
                    f"knows {len(MIGRATIONS)}). Update the program, or choose another DREAMINA_DATA_DIR."
                )
            for step in MIGRATIONS[done:]:
                for statement in step:
                    if isinstance(statement, str):
                        connection.execute(sa.text(statement))
                    else:
                        statement(connection)
            if done < len(MIGRATIONS):
                connection.execute(ledger_version.delete())
                connection.execute(ledger_version.insert().values(version=len(MIGRATIONS)))


def is_request_taken(exc: LedgerError) -> bool:
    """Whether a write failed because another job already holds that request."""
    return isinstance(exc.__cause__, IntegrityError)


def _find_duplicate(connection: sa.Connection, job: Job, since: float) -> Job | None:
    same: dict[str, Any] = {
        "visitor_id": job.visitor_id,
        "model_id": job.model_id,
        "key_fingerprint": job.key_fingerprint,
    }
    same |= {"inputs": json.dumps(dict(job.inputs)), "since": since}
    return next(iter(_jobs_of(connection, _DUPLICATE, same)), None)


def _write_output(connection: sa.Connection, job: Job, output: Output) -> None:
    values = {name: getattr(output, name) for name in Output.__dataclass_fields__ if name != "index"}
    if any(known.index == output.index for known in job.outputs):
        connection.execute(_CHANGE_OUTPUT, {**values, "of_job_id": job.job_id, "at_index": output.index})
    else:
        connection.execute(_ADD_OUTPUT, {**values, "job_id": job.job_id, "output_index": output.index})


def _note_state(connection: sa.Connection, job: Job) -> None:
    noted = {"version": job.version, "state": job.state, "changed_at": job.updated_at, "problem": job.problem}
    connection.execute(_NOTE_STATE, {"job_id": job.job_id, **noted})


def _read_job(connection: sa.Connection, job_id: str) -> Job:
    row = connection.execute(_ONE_JOB, {"job_id": job_id}).mappings().first()
    if row is None:
        raise JobNotFoundError(f"No job {str(job_id)[:64]!r} is known here.")
    its_outputs = connection.execute(_ITS_OUTPUTS, {"job_id": job_id}).mappings()
    return _job_of(row, [_output_of(each) for each in its_outputs])


def _jobs_of(connection: sa.Connection, query: sa.Select[Any], values: Mapping[str, Any] | None = None) -> list[Job]:
    rows = [dict(row) for row in connection.execute(query, values).mappings()]
    return with_outputs(connection, rows)


def with_outputs(connection: sa.Connection, rows: Sequence[Mapping[Any, Any]]) -> list[Job]:
    """Jobs from rows of the table `jobs`, each with all its outputs."""
    found: dict[str, list[Output]] = {}
    job_ids = {"job_ids": [row["job_id"] for row in rows]}
    for row in connection.execute(_OUTPUTS_OF_SEVERAL, job_ids).mappings() if rows else ():
        found.setdefault(row["job_id"], []).append(_output_of(row))
    return [_job_of(row, found.get(row["job_id"], ())) for row in rows]


def _job_of(row: Mapping[Any, Any], its_outputs: Iterable[Output]) -> Job:
    values = {name: row[jobs.c[name].name] for name in _JOB_COLUMNS}
    return Job(**values, inputs=json.loads(row["inputs"]), outputs=tuple(its_outputs))


def _output_of(row: Mapping[Any, Any]) -> Output:
    values = {name: row[outputs.c[name].name] for name in Output.__dataclass_fields__ if name != "index"}
    return Output(index=row["output_index"], **values)


def _ledger_error(verb: str, path: Path, exc: Exception) -> LedgerError:
    reason = str(getattr(exc, "orig", None) or exc)
    if type(exc) is DatabaseError:  # its kinds, such as OperationalError, tell of a lock or of the disk
        return _damaged(path, reason)
    return LedgerError(f"The ledger {path} could not be {verb}: {reason}.")


def _damaged(path: Path, flaw: str) -> LedgerError:
    return LedgerError(
        f"The ledger {path} is damaged: {' '.join(flaw.split())}. Stop the program and put a copy of it back, or move "
        f"all files {path.name}* elsewhere to begin with an empty ledger; the pictures stay where they are."
    )


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file lies at a path; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
