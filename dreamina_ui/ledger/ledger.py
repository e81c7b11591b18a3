"""The ledger: one row per job, on disk before anything is sent, and the only place that knows the database.

Every change is all or nothing, and once it is written, the listeners of `changes` get it. A row's state moves only as
`job.TRANSITIONS` allows, and each move is stored with its time. What only we know, and how a job ended, is on the disk
when the call returns; what the service can report again may reach it a little later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.exc import IntegrityError

from dreamina_ui.errors import InputError, LedgerError, StateError
from dreamina_ui.ledger import budget_rows, control_rows, job_rows, totals
from dreamina_ui.ledger.budget_rows import BudgetDifference
from dreamina_ui.ledger.engines.sqlite import SqliteDatabase
from dreamina_ui.ledger.engines.write_queue import MAX_GROUP, WriteQueue
from dreamina_ui.ledger.events import JobEvents
from dreamina_ui.ledger.job import (
    IMPORT_ORIGIN,
    MAX_DETAIL_CHARACTERS,
    SETTLED,
    TERMINAL,
    TRANSITIONS,
    FinishedRun,
    Job,
    Output,
    State,
    limit_input_length,
)
from dreamina_ui.ledger.migrations import migrate
from dreamina_ui.ledger.personal import input_image_rows
from dreamina_ui.ledger.transaction import AddHook, Channel, Database, Reader, Transaction

log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True)
class _Change:
    """What a change makes of a job.

    Attributes:
        stages: the job after each move, and as it is in the end.
        values: the columns to set.
        outputs: those to write.
    """

    stages: tuple[Job, ...]
    values: Mapping[str, Any]
    outputs: tuple[Output, ...]


class Ledger:
    """The rows on disk.

    Args:
        database: the database; or the path of an SQLite file, which is created, with its folder, if it is not there.
        clock: the time in seconds since 1970.
        busy_timeout_s: of an SQLite file: how long a write waits for another process's lock.
        max_group: how many writes that wait share a transaction at most.

    Attributes:
        replica_id: of several servers that share the ledger, which one this is; None if there is one only.

    Raises:
        LedgerError: the file cannot be opened, is damaged, or was made by a newer version of this program.
    """

    replica_id: str | None = None

    def __init__(
        self,
        database: Path | Database,
        *,
        clock: Callable[[], float] = time.time,
        busy_timeout_s: float = 10.0,
        max_group: int = MAX_GROUP,
    ) -> None:
        self.changes = JobEvents()
        self.clock = clock
        self._database = SqliteDatabase(database, busy_timeout_s) if isinstance(database, Path) else database
        self._writes = WriteQueue(self._database, max_group)
        try:
            with self._database.migrating() as transaction:
                migrate(transaction, self._database.label)
            self._database.mark_ready()
        except LedgerError:
            self.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def add(
        self,
        job: Job,
        hooks: Sequence[AddHook] = (),
        *,
        duplicate_since: float | None = None,
        replaces: Job | None = None,
        send_reads: Sequence[AddHook] = (),
    ) -> Job:
        """Write a new job; when this returns, the row is on disk.

        With a `press_id`, it is written once: repeated, also after a restart, it is the job that is there already.

        Args:
            hooks: called in this order, in the same transaction, before the row is written; an exception from one of
                them undoes everything and is raised here.
            duplicate_since: for a job without a `press_id`: if the visitor created a job with the very same inputs at
                this time or later, write nothing and call no hook; in seconds since 1970.
            replaces: the job as it was read that this one is made of: it is archived in the same transaction, so that
                a job is replaced once.
            send_reads: send ahead what the hooks read.

        Returns:
            The new job, or the one that is there already: then no hook was called.

        Raises:
            InputError: the inputs are too long for a row, or have a given image that the visitor does not have.
            StateError: the job to replace has changed since it was read; nothing is written.
            LedgerError: the row could not be written.
        """
        limit_input_length(job.inputs)
        now = self.clock()
        archived = replaces and replace(replaces, archived_at=now, updated_at=now, version=replaces.version + 1)
        row, counters = job_rows.new_row(job), budget_rows.budget_changes(None, job)

        def send(transaction: Transaction) -> None:
            if job.press_id is not None:
                job_rows.send_press_id(transaction, job.requester, job.press_id)
            for reads in send_reads:
                reads(transaction, job)

        def write(transaction: Transaction) -> Job:
            existing = _existing(transaction, job, duplicate_since)
            if existing is not None:
                return existing
            for hook in hooks:
                hook(transaction, job)
            if replaces and archived:
                values = {name: getattr(archived, name) for name in ("archived_at", "updated_at", "version")}
                if not job_rows.update_job(transaction, replaces, values):
                    raise StateError(f"Job {replaces.job_id[:8]} has changed meanwhile. Nothing was submitted.")
            job_rows.insert_job(transaction, job, row)
            input_image_rows.use_in_job(transaction, job)
            budget_rows.add_to_budgets(transaction, counters)
            return job

        # The second one, so that the same `press_id` is found whoever pays.
        added = self._writes.run(write, locks=[budget_rows.payer(job), job.requester], send_reads=send)
        if added is job:
            self._publish(job, moved=True)
            if archived:
                self._publish(archived, moved=False)
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
            to: the new state; None leaves it as it is.
            only_in: refuse the change unless the job is in one of these states.
            via: states that it went through since it was written, each with its time; these moves are stored, too.
            outputs: what is known of these outputs now; one with the same index is replaced.
            durable: whether a power loss right afterwards may not undo it; False for what the service can report again.

        Raises:
            JobNotFoundError: no such job.
            StateError: the job may not make this move from its present state.
            LedgerError: not written; the row is as it was.
        """
        moves = [*(via or {}).items(), *([(to, None)] if to else [])]

        def change(job: Job) -> Job | None:
            """Change the job if it is still as it was read; else None."""
            if only_in is not None and job.state not in only_in:
                raise StateError(f"Job {job.job_id[:8]} is {job.state}.")
            is_resumed = self.replica_id and job.is_settled and to not in (None, *SETTLED)
            follower = {"replica_id": self.replica_id} if is_resumed else {}
            planned = _plan_change(job, moves, outputs, fields | follower, self.clock())
            if planned is None:
                return job
            return planned.stages[-1] if self._write_change(job, planned, durable=durable) else None

        job_id = job if isinstance(job, str) else job.job_id
        if isinstance(job, Job):
            with suppress(StateError):  # the row may be in another state by now
                changed = change(job)
                if changed is not None and changed is not job:
                    return changed
        while (changed := change(self.job(job_id))) is None:
            pass
        return changed

    def job(self, job_id: str) -> Job:
        """Read one job.

        Raises:
            JobNotFoundError: no such job.
            LedgerError: the ledger could not be read.
        """
        with self.reading() as reader:
            return job_rows.read_job(reader, job_id)

    def unfinished(self, *api_origins: str) -> list[Job]:
        """All jobs of these APIs that are not settled, oldest first."""
        with self.reading() as reader:
            return job_rows.unfinished_jobs(reader, api_origins)

    def recent(self, visitor_id: str, limit: int) -> list[Job]:
        """A visitor's newest jobs, and all of theirs that are not settled; newest first."""
        with self.reading() as reader:
            return job_rows.recent_jobs(reader, visitor_id, limit)

    def by_request(self, api_origin: str, request_id: str) -> Job | None:
        """The job that holds a request of an API, if there is one.

        Raises:
            InputError: this can be no request_id.
        """
        if "\x00" in request_id:
            raise InputError("request_id", "format", "request id", request_id)
        with self.reading() as reader:
            return job_rows.job_of_request(reader, api_origin, request_id)

    def by_press_id(self, requester: str, press_id: str) -> Job | None:
        """The job that a requester, as `job.requester_of` names them, created with a `press_id`, if there is one."""
        with self.reading() as reader:
            return job_rows.job_of_press_id(reader, requester, press_id)

    def secret(self, name: str) -> bytes:
        """32 random bytes of this installation, created at the first call and the same ever after.

        Raises:
            LedgerError: the ledger could not be read or written.
        """
        with self.writing() as transaction:
            return control_rows.read_or_create_secret(transaction, name)

    def output_by_key(self, file_key: str) -> tuple[Job, Output] | None:
        """The job and output with this file key, if there is one."""
        with self.reading() as reader:
            job = job_rows.job_of_file(reader, file_key)
        output = next((output for output in job.outputs if output.file_key == file_key), None) if job else None
        return (job, output) if job and output else None

    def known_file_keys(self, file_keys: Sequence[str]) -> list[str]:
        """Those file keys that an output has, each once and in their order."""
        with self.reading() as reader:
            return job_rows.known_file_keys(reader, file_keys)

    def run_times(self, model_id: str, size: str | None, limit: int = 60) -> list[FinishedRun]:
        """The newest finished runs of this model and size, newest first."""
        with self.reading() as reader:
            return job_rows.run_times(reader, model_id, size, limit)

    def newest_runs(self, limit: int = 200) -> list[FinishedRun]:
        """The finished runs among the `limit` newest jobs of any model, newest first."""
        with self.reading() as reader:
            return job_rows.newest_runs(reader, limit)

    def state_changes(self, job_id: str) -> list[tuple[str, float]]:
        """Every state that a job went through, with its time, oldest first."""
        with self.reading() as reader:
            return job_rows.states_of_job(reader, job_id)

    def every_job(self, *, state: str = "", text: str = "", visitor_id: str | None = None) -> Iterator[Job]:
        """Every job, newest first, also archived ones; read by pages, so that memory stays flat.

        Args:
            state: only jobs in this state; "" for all.
            text: words that must all be in the prompt; case, width and accents do not matter.
            visitor_id: only a visitor's jobs; None for everybody's.

        Raises:
            LedgerError: the ledger could not be read.
        """
        last: Job | None = None
        while True:
            with self.reading() as reader:
                page = job_rows.page_of_jobs(reader, state=state, text=text, visitor_id=visitor_id, after=last)
            yield from page
            if len(page) < job_rows.PAGE_JOBS:
                return
            last = page[-1]

    def by_name(self, request_id: str, job_id_start: str | None, limit: int) -> list[Job]:
        """The jobs that hold a request_id of any API, or whose job_id starts with `job_id_start`."""
        with self.reading() as reader:
            return job_rows.jobs_of_name(reader, request_id, job_id_start, limit)

    def find_budget_differences(self) -> list[BudgetDifference]:
        """The budgets' counters that are not what the jobs' rows say; [] is as it must be."""
        with self.snapshot() as reader:
            return budget_rows.find_differences(reader)

    def find_total_differences(self) -> list[str]:
        """The totals that are not what the rows say, a line for each; [] is as it must be."""
        with self.snapshot() as reader:
            return totals.find_total_differences(reader)

    def recount(self) -> None:
        """Put what the rows say in the place of all counters of the budgets, and of all totals."""
        with self.writing() as transaction:
            budget_rows.rebuild_budgets(transaction)
            totals.rebuild_totals(transaction)

    def check_writable(self) -> None:
        """Begin a transaction, and write nothing.

        Raises:
            LedgerError: the ledger could not be written now.
        """
        with self.writing(durable=False):
            pass

    def open_channel(self) -> Channel | None:
        """Messages between the programs that share this ledger; None if there can be only one."""
        return self._database.open_channel()

    def time(self, reader: Reader) -> float:
        """The time that all programs with this ledger share, in seconds since 1970."""
        shared = self._database.time(reader)
        return self.clock() if shared is None else shared

    def write_row(self, job_id: str, work: Callable[[Transaction], _T]) -> _T:
        """Change a job's row in a transaction that it shares with others that wait; the result, once it is committed.

        Raises:
            LedgerError: nothing was written.
        """
        return self._writes.run(work, locks=[job_id])

    @contextmanager
    def writing(self, *, durable: bool = True, serialized: bool = True) -> Iterator[Transaction]:
        """One transaction, all or nothing; database errors become LedgerError. The arguments are the database's."""
        with self._database.write(durable=durable, serialized=serialized) as transaction:
            yield transaction

    @contextmanager
    def snapshot(self) -> Iterator[Reader]:
        """As `reading`, but all reads see the rows of one moment."""
        with self._database.read(snapshot=True) as reader:
            yield reader

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """A connection to read with; database errors become LedgerError."""
        with self._database.read() as reader:
            yield reader

    def _write_change(self, job: Job, change: _Change, *, durable: bool) -> bool:
        """Write a change and publish its stages; False if the row is no longer as it was read."""
        moves = [stage for before, stage in pairwise((job, *change.stages)) if stage.state != before.state]

        counters = budget_rows.budget_changes(job, change.stages[-1])
        locks = [job.job_id, *([budget_rows.payer(job)] if counters else [])]

        def write(transaction: Transaction) -> bool:
            if not job_rows.update_job(transaction, job, change.values):
                return False
            for output in change.outputs:
                job_rows.put_output(transaction, job, output)
            for move in moves:
                job_rows.insert_state_change(transaction, move)
            budget_rows.add_to_budgets(transaction, counters)
            return True

        if not self._writes.run(write, locks=locks, durable=durable):
            return False
        for stage in change.stages:
            self._publish(stage, moved=stage in moves)
        return True

    def _publish(self, job: Job, *, moved: bool) -> None:
        if moved:
            facts = {"job": job.job_id[:8], "state": job.state, "request_id": job.request_id}
            level = logging.DEBUG if job.api_origin == IMPORT_ORIGIN else logging.INFO  # a stranger imports thousands
            log.log(level, "Job %(job)s: %(state)s (request %(request_id)s)", facts, extra=facts)
        self.changes.publish(job)


def is_request_taken(exc: LedgerError) -> bool:
    """Whether a write failed because another job already holds that request."""
    # SQLite names the columns, PostgreSQL the index.
    cause = exc.__cause__
    return isinstance(cause, IntegrityError) and any(name in str(cause) for name in ("jobs.request_id", "jobs_request"))


def _existing(transaction: Transaction, job: Job, duplicate_since: float | None) -> Job | None:
    """The job that a new one would repeat, if there is one."""
    if job.press_id is not None:
        return job_rows.job_of_press_id(transaction, job.requester, job.press_id)
    return None if duplicate_since is None else job_rows.find_duplicate(transaction, job, duplicate_since)


def _plan_change(
    job: Job,
    moves: Sequence[tuple[State, float | None]],
    outputs: Sequence[Output],
    fields: Mapping[str, Any],
    now: float,
) -> _Change | None:
    """What moves, fields and outputs change about a job; None if nothing. Raises StateError for a forbidden move."""
    stages = [job]
    for state, at in moves:
        before = stages[-1]
        if state == before.state:
            continue
        if state not in TRANSITIONS[before.state]:
            raise StateError(f"Job {job.job_id[:8]} is {before.state} and cannot become {state}.")
        ended_at = now if state in TERMINAL else None
        version = before.version + 1
        stages.append(replace(before, state=state, version=version, updated_at=at or now, finished_at=ended_at))
    if fields.get("detail"):
        fields = {**fields, "detail": fields["detail"][:MAX_DETAIL_CHARACTERS]}
    new_fields = {name: value for name, value in fields.items() if getattr(job, name) != value}
    new_outputs = tuple(output for output in outputs if output not in job.outputs)
    moved = len(stages) > 1
    if not (moved or new_fields or new_outputs):
        return None
    by_index = {output.index: output for output in (*job.outputs, *new_outputs)}
    values = {**new_fields, "version": stages[-1].version if moved else job.version + 1, "updated_at": now}
    stages.append(replace(stages.pop(), **values, outputs=tuple(by_index[index] for index in sorted(by_index))))
    values |= {name: getattr(stages[-1], name) for name in ("state", "finished_at") if moved}
    return _Change(tuple(stages[moved:]), values, new_outputs)
