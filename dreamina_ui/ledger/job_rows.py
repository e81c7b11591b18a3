"""The tables `jobs`, `outputs` and `state_changes`: every statement on a job's rows.

What every job's life needs is built once and takes its values as parameters: benchmarks/README.md has the figures.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from sys import intern
from typing import Any

import sqlalchemy as sa

from dreamina_ui.errors import JobNotFoundError
from dreamina_ui.ledger.job import ACTIVE, FinishedRun, Job, Output
from dreamina_ui.ledger.search import search_text, text_conditions
from dreamina_ui.ledger.tables import jobs, outputs, state_changes
from dreamina_ui.ledger.transaction import Prepared, Reader, Transaction

PAGE_JOBS = 500

_JOB_COLUMNS = [name for name in Job.__dataclass_fields__ if name not in ("inputs", "outputs")]
_OUTPUT_COLUMNS = [name for name in Output.__dataclass_fields__ if name != "index"]
_REPEATED = ("model_id", "api_origin", "size", "state", "status", "replica_id")
"""Texts that many jobs have in common: a server that follows ten thousand of them has each once in its memory."""

_NEWEST_FIRST = (jobs.c.created_at.desc(), jobs.c.job_id.desc())

_READ_JOB = sa.select(jobs).where(jobs.c.job_id == sa.bindparam("job_id"))
_READ_OUTPUTS = sa.select(outputs).where(outputs.c.job_id == sa.bindparam("job_id")).order_by(outputs.c.output_index)
_READ_OUTPUTS_OF_SEVERAL = (
    sa.select(outputs)
    .where(outputs.c.job_id.in_(sa.bindparam("job_ids", expanding=True)))
    .order_by(outputs.c.output_index)
)
_UPDATE_UNCHANGED_JOB = jobs.update().where(
    jobs.c.job_id == sa.bindparam("read_job_id"), jobs.c.version == sa.bindparam("read_version")
)
_READ_FILE_KEYS = sa.select(outputs.c.file_key).where(outputs.c.file_key.in_(sa.bindparam("file_keys", expanding=True)))
_KEYS_PER_QUERY = 500
_INSERT_OUTPUT = outputs.insert()
_UPDATE_OUTPUT = outputs.update().where(
    outputs.c.job_id == sa.bindparam("of_job_id"), outputs.c.output_index == sa.bindparam("at_index")
)
_INSERT_STATE_CHANGE = Prepared(state_changes.insert())
_FIND_DUPLICATE = Prepared(
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
_OF_PRESS_ID = Prepared(
    sa.select(jobs).where(jobs.c.requester == sa.bindparam("requester"), jobs.c.press_id == sa.bindparam("press_id"))
)
_OF_VISITOR = sa.select(jobs).where(jobs.c.visitor_id == sa.bindparam("visitor_id")).order_by(*_NEWEST_FIRST)
_NEWEST_OF_VISITOR = _OF_VISITOR.limit(sa.bindparam("limit"))
_UNSETTLED_OF_VISITOR = _OF_VISITOR.where(jobs.c.state.in_(ACTIVE))
_WITH_IDS = sa.select(jobs).where(jobs.c.job_id.in_(sa.bindparam("job_ids", expanding=True)))
_CHANGED = sa.select(jobs).where(
    jobs.c.job_id.in_(sa.bindparam("topics", expanding=True))
    | jobs.c.visitor_id.in_(sa.bindparam("topics", expanding=True)),
    jobs.c.updated_at >= sa.bindparam("since"),
)


@lru_cache(1000)
def _insert_with(names: tuple[str, ...]) -> Prepared:
    return Prepared(jobs.insert().values({name: sa.bindparam(name) for name in names}))


def new_row(job: Job) -> Mapping[str, Any]:
    """What `insert_job` writes: made before the transaction, so that nobody waits for it."""
    row = {name: getattr(job, name) for name in _JOB_COLUMNS}
    row |= {"inputs": _inputs_text(job), "search_text": _searchable(job)}
    row["requester"] = None if job.press_id is None else job.requester
    return {name: value for name, value in row.items() if value is not None}  # each value of a statement costs time


def insert_job(transaction: Transaction, job: Job, row: Mapping[str, Any]) -> None:
    """Write a new job's row and its first state."""
    _insert_with(tuple(row)).write(transaction, row)
    insert_state_change(transaction, job)


def update_job(transaction: Transaction, job: Job, values: Mapping[str, Any]) -> bool:
    """Set columns of a job; False if the row is no longer as it was read."""
    update = {**values, "read_job_id": job.job_id, "read_version": job.version}
    return bool(transaction.connection.execute(_UPDATE_UNCHANGED_JOB, update).rowcount)


def put_output(transaction: Transaction, job: Job, output: Output) -> None:
    """Write an output, or replace the one that the job has with the same index."""
    values = {name: getattr(output, name) for name in _OUTPUT_COLUMNS}
    if any(known.index == output.index for known in job.outputs):
        transaction.connection.execute(_UPDATE_OUTPUT, {**values, "of_job_id": job.job_id, "at_index": output.index})
    else:
        transaction.connection.execute(_INSERT_OUTPUT, {**values, "job_id": job.job_id, "output_index": output.index})


def insert_state_change(transaction: Transaction, job: Job) -> None:
    """Write down the state that a job is in now, with its time."""
    row = {"version": job.version, "state": job.state, "changed_at": job.updated_at, "problem": job.problem}
    _INSERT_STATE_CHANGE.write(transaction, {"job_id": job.job_id, **row})


def read_job(reader: Reader, job_id: str) -> Job:
    """Read one job; raises JobNotFoundError."""
    row = reader.connection.execute(_READ_JOB, {"job_id": job_id}).mappings().first()
    if row is None:
        raise JobNotFoundError(f"No job {str(job_id)[:64]!r} is known here.")
    output_rows = reader.connection.execute(_READ_OUTPUTS, {"job_id": job_id}).mappings()
    return _job(row, [_output(output_row) for output_row in output_rows])


def send_press_id(transaction: Transaction, requester: str, press_id: str) -> None:
    """Send ahead what `job_of_press_id` reads."""
    _OF_PRESS_ID.send(transaction, {"requester": requester, "press_id": press_id})


def job_of_press_id(reader: Reader, requester: str, press_id: str) -> Job | None:
    """The job that a requester created with this `press_id`, if there is one."""
    rows = _OF_PRESS_ID.mappings(reader, {"requester": requester, "press_id": press_id})
    return next(iter(jobs_of_rows(reader, rows)), None)


def find_duplicate(reader: Reader, job: Job, since: float) -> Job | None:
    """The newest job of the same visitor, model, inputs and payer that was created at `since` or later."""
    same = {
        "visitor_id": job.visitor_id,
        "model_id": job.model_id,
        "key_fingerprint": job.key_fingerprint,
        "inputs": _inputs_text(job),
        "since": since,
    }
    return next(iter(jobs_of_rows(reader, _FIND_DUPLICATE.mappings(reader, same))), None)


def jobs_with_ids(reader: Reader, job_ids: Sequence[str]) -> list[Job]:
    """Those of these jobs that there are."""
    return select_jobs(reader, _WITH_IDS, {"job_ids": job_ids})


def changed_jobs(reader: Reader, topics: Sequence[str], since: float) -> list[Job]:
    """The jobs that changed at `since` or later, and are among the topics: their own ids, or those of visitors."""
    changed: list[Job] = []
    for start in range(0, len(topics), _KEYS_PER_QUERY):
        values = {"topics": topics[start : start + _KEYS_PER_QUERY], "since": since}
        changed += select_jobs(reader, _CHANGED, values)
    return changed


def unfinished_jobs(reader: Reader, api_origins: Sequence[str]) -> list[Job]:
    """All jobs of these APIs that are not settled, oldest first."""
    # By state alone, which has an index with few rows: the planner would choose that of the API, with nearly all.
    query = sa.select(jobs).where(jobs.c.state.in_(ACTIVE)).order_by(jobs.c.created_at, jobs.c.job_id)
    return [job for job in select_jobs(reader, query) if job.api_origin in api_origins]


def recent_jobs(reader: Reader, visitor_id: str, limit: int) -> list[Job]:
    """A visitor's newest jobs, and all of theirs that are not settled; newest first."""
    newest = select_jobs(reader, _NEWEST_OF_VISITOR, {"visitor_id": visitor_id, "limit": limit})
    known = {job.job_id for job in newest}
    unsettled = select_jobs(reader, _UNSETTLED_OF_VISITOR, {"visitor_id": visitor_id})
    return newest + [job for job in unsettled if job.job_id not in known]


def job_of_request(reader: Reader, api_origin: str, request_id: str) -> Job | None:
    """The job that holds a request of an API, if there is one."""
    query = sa.select(jobs).where(jobs.c.api_origin == api_origin, jobs.c.request_id == request_id).limit(1)
    return next(iter(select_jobs(reader, query)), None)


def job_of_file(reader: Reader, file_key: str) -> Job | None:
    """The job whose output has this file key, if there is one."""
    query = sa.select(outputs.c.job_id).where(outputs.c.file_key == file_key)
    job_id = reader.connection.execute(query).scalar()
    return read_job(reader, job_id) if job_id else None


def known_file_keys(reader: Reader, file_keys: Sequence[str]) -> list[str]:
    """Those file keys that an output has, each once and in their order; in few queries, however many there are."""
    known: set[str] = set()
    for start in range(0, len(file_keys), _KEYS_PER_QUERY):
        some = file_keys[start : start + _KEYS_PER_QUERY]
        known.update(reader.connection.execute(_READ_FILE_KEYS, {"file_keys": some}).scalars())
    return [file_key for file_key in dict.fromkeys(file_keys) if file_key in known]


_FINISHED_RUNS = sa.select(jobs.c.job_id, jobs.c.model_id, jobs.c.size, jobs.c.completed_at - jobs.c.started_at).where(
    jobs.c.completed_at.is_not(None), jobs.c.started_at.is_not(None)
)


def run_times(reader: Reader, model_id: str, size: str | None, limit: int) -> list[FinishedRun]:
    """The newest finished runs of a model and size, newest first."""
    query = _FINISHED_RUNS.where(jobs.c.model_id == model_id, jobs.c.size == size).order_by(jobs.c.completed_at.desc())
    return [FinishedRun(*row) for row in reader.connection.execute(query.limit(limit))]


def newest_runs(reader: Reader, limit: int) -> list[FinishedRun]:
    """The finished runs among the `limit` newest jobs, newest first."""
    newest = sa.select(jobs.c.job_id).order_by(jobs.c.created_at.desc(), jobs.c.job_id.desc()).limit(limit)
    query = _FINISHED_RUNS.where(jobs.c.job_id.in_(newest)).order_by(jobs.c.completed_at.desc())
    return [FinishedRun(*row) for row in reader.connection.execute(query)]


def states_of_job(reader: Reader, job_id: str) -> list[tuple[str, float]]:
    """Every state that a job went through, with its time, oldest first."""
    query = (
        sa.select(state_changes.c.state, state_changes.c.changed_at)
        .where(state_changes.c.job_id == job_id)
        .order_by(state_changes.c.version)
    )
    return [(state, changed_at) for state, changed_at in reader.connection.execute(query)]


def page_of_jobs(
    reader: Reader, *, state: str = "", text: str = "", visitor_id: str | None = None, after: Job | None = None
) -> list[Job]:
    """Up to `PAGE_JOBS` jobs, newest first, also archived ones.

    Args:
        state: only jobs in this state; "" for all.
        text: words that must all be in the prompt; case, width and accents do not matter.
        visitor_id: only a visitor's jobs; None for everybody's.
        after: the last job of the page before.
    """
    query = sa.select(jobs).order_by(*_NEWEST_FIRST).limit(PAGE_JOBS)
    if visitor_id is not None:
        query = query.where(jobs.c.visitor_id == visitor_id)
    if state:
        query = query.where(jobs.c.state == state)
    query = query.where(*text_conditions(reader, text))
    if after is not None:
        query = query.where(sa.tuple_(jobs.c.created_at, jobs.c.job_id) < (after.created_at, after.job_id))
    return select_jobs(reader, query)


def jobs_of_name(reader: Reader, request_id: str, job_id_start: str | None, limit: int) -> list[Job]:
    """The jobs that hold a request_id, or whose job_id starts so."""
    where = jobs.c.request_id == request_id
    if job_id_start is not None:
        where |= jobs.c.job_id.startswith(job_id_start)
    return select_jobs(reader, sa.select(jobs).where(where).limit(limit))


def select_jobs(reader: Reader, query: sa.Select[Any], values: Mapping[str, Any] | None = None) -> list[Job]:
    """The jobs of a query over the table `jobs`, each with all its outputs."""
    return jobs_of_rows(reader, reader.connection.execute(query, values).mappings().all())


def jobs_of_rows(reader: Reader, rows: Sequence[Mapping[Any, Any]]) -> list[Job]:
    """Jobs from rows of the table `jobs`, each with all its outputs."""
    by_job: dict[str, list[Output]] = {}
    job_ids = {"job_ids": [row["job_id"] for row in rows]}
    for row in reader.connection.execute(_READ_OUTPUTS_OF_SEVERAL, job_ids).mappings() if rows else ():
        by_job.setdefault(row["job_id"], []).append(_output(row))
    return [_job(row, by_job.get(row["job_id"], ())) for row in rows]


def _searchable(job: Job) -> str:
    """What the library searches; PostgreSQL stores no NUL."""
    return search_text(job.inputs).replace("\x00", "")


def _inputs_text(job: Job) -> str:
    return json.dumps(dict(job.inputs))


def _job(row: Mapping[Any, Any], job_outputs: Iterable[Output]) -> Job:
    values = {name: row[jobs.c[name].name] for name in _JOB_COLUMNS}
    for name in _REPEATED:
        values[name] = values[name] and intern(values[name])
    inputs = {intern(name): value for name, value in json.loads(row["inputs"]).items()}
    return Job(**values, inputs=inputs, outputs=tuple(job_outputs))


def _output(row: Mapping[Any, Any]) -> Output:
    values = {name: row[outputs.c[name].name] for name in _OUTPUT_COLUMNS}
    return Output(index=row["output_index"], **values)
