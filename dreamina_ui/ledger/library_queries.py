"""What the library reads: its entries by pages, files to remove, and how much there is.

A page starts at a cursor, not at a count of rows, so that the last page costs what the first one does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dreamina_ui.errors import InputError
from dreamina_ui.ledger.job import SETTLED, Job, Output
from dreamina_ui.ledger.job_rows import jobs_of_rows, select_jobs
from dreamina_ui.ledger.personal.board_rows import is_on_board
from dreamina_ui.ledger.personal.erasure import ERASED
from dreamina_ui.ledger.search import text_conditions
from dreamina_ui.ledger.tables import batch_items, file_totals, jobs, outputs, shares
from dreamina_ui.ledger.transaction import Reader, Transaction

_IS_STORED = outputs.c.state == "kept"
_IS_SHOWN = _IS_STORED & outputs.c.deleted_at.is_(None)
_IS_IN_TRASH = _IS_STORED & outputs.c.deleted_at.is_not(None)


@dataclass(frozen=True)
class LibraryFilter:
    """Which part of the library to show; the defaults show everything that is not archived.

    Attributes:
        visitor_id: whose; None for everybody's.
        text: words that must all be in the prompt; case, width and accents do not matter.
        state: a job's state, or "" for all.
        size: a size choice, such as `2048x2048(1:1)`, or "" for all.
        favorites: only favorites.
        since, until: created at `since` or later and before `until`, in seconds since 1970.
        archive: only what is archived, instead of the rest.
        model_id: a model, or "" for all.
        batches: only what batches made.
        board_id: only what is on this board, or "" for all.
        min_rating: only files with this rating or a better one; 0 for all.
        color: only images with one of these colors, as bits; 0 for all.
        shared: only files that somebody shared.
        trash: only files that somebody deleted and that can still be restored, instead of the rest.
        oldest_first: the order.
    """

    visitor_id: str | None = None
    text: str = ""
    state: str = ""
    size: str = ""
    favorites: bool = False
    since: float | None = None
    until: float | None = None
    archive: bool = False
    model_id: str = ""
    batches: bool = False
    board_id: str = ""
    min_rating: int = 0
    color: int = 0
    shared: bool = False
    trash: bool = False
    oldest_first: bool = False


@dataclass(frozen=True)
class Entry:
    """One tile of the library: a stored file of a job, or a job that has none."""

    job: Job
    output: Output | None

    @property
    def cursor(self) -> str:
        """Where the entry stands; the next page begins behind it. Files that a job gets later stand behind the job."""
        return f"{self.job.created_at!r}~{self.job.job_id}~{self.output.index if self.output else -1}"


@dataclass(frozen=True)
class Usage:
    """What a library holds: stored files, and the bytes of their originals."""

    files: int
    size_bytes: int
    removed_by_limit: int


def page_of_entries(reader: Reader, shown: LibraryFilter, after: str, limit: int) -> list[Entry]:
    """One page, in the filter's order.

    Args:
        after: the `cursor` of the last entry of the page before; "" for the first page.

    Raises:
        InputError: `after` is no cursor.
    """
    query = _entries(reader, shown)
    if after:
        query = query.where(_is_behind(after, oldest_first=shown.oldest_first))
    return _read_entries(reader, query.limit(limit))


def count_entries(reader: Reader, shown: LibraryFilter) -> int:
    """How many entries all pages together have."""
    entries = _entries(reader, shown).with_only_columns(sa.literal(1)).order_by(None).subquery()
    return int(reader.connection.execute(sa.select(sa.func.count()).select_from(entries)).scalar_one())


def library_usage(reader: Reader, visitor_id: str | None = None) -> Usage:
    """How many files there are and how many bytes their originals have; of one visitor or of all."""
    if visitor_id is None:
        stored = (file_totals.c.files, file_totals.c.size_bytes, file_totals.c.removed_by_limit)
        query = sa.select(*(sa.func.coalesce(sa.func.sum(column), 0) for column in stored))
    else:
        columns = (
            sa.func.count(sa.case((_IS_SHOWN, 1))),
            sa.func.coalesce(sa.func.sum(sa.case((_IS_SHOWN, outputs.c.size_bytes))), 0),
            sa.func.count(sa.case(((outputs.c.state == "deleted") & (outputs.c.note == "limit"), 1))),
        )
        query = sa.select(*columns).join_from(outputs, jobs, jobs.c.job_id == outputs.c.job_id)
        query = query.where(jobs.c.visitor_id == visitor_id)
    return Usage(*(int(count) for count in reader.connection.execute(query).one()))  # a sum may come as a Decimal


def newest_job_of_file(reader: Reader, sha256: str, visitor_id: str | None = None) -> Job | None:
    """The newest job with an original of this SHA-256 (lower-case hex), also if the file was deleted."""
    query = sa.select(jobs).join(outputs, outputs.c.job_id == jobs.c.job_id).where(outputs.c.sha256 == sha256)
    if visitor_id is not None:
        query = query.where(jobs.c.visitor_id == visitor_id)
    return next(iter(select_jobs(reader, query.order_by(jobs.c.created_at.desc()).limit(1))), None)


def files_deleted_before(reader: Reader, moment: float, limit: int) -> list[tuple[Job, Output]]:
    """Files that a person deleted before `moment` and that are still on disk."""
    query = _files().where(_IS_STORED, outputs.c.deleted_at < moment).order_by(outputs.c.deleted_at)
    return _read_files(reader, query.limit(limit))


def files_of_erased(reader: Reader, limit: int) -> list[tuple[Job, Output]]:
    """Stored files of jobs whose visitor's data was erased."""
    is_erased = (jobs.c.visitor_id >= ERASED) & (jobs.c.visitor_id < ERASED[:-1] + ".")
    query = _files().where(_IS_STORED, outputs.c.deleted_at.is_not(None), is_erased)
    return _read_files(reader, query.limit(limit))


def files_without_colors(reader: Reader, limit: int) -> list[tuple[Job, Output]]:
    """Stored images whose colors nobody has looked at."""
    query = _files().where(_IS_STORED, outputs.c.kind == "image", outputs.c.colors.is_(None))
    return _read_files(reader, query.limit(limit))


def set_colors(transaction: Transaction, file_key: str, colors: int) -> None:
    """Store which colors an image has."""
    transaction.connection.execute(outputs.update().where(outputs.c.file_key == file_key).values(colors=colors))


def oldest_files(reader: Reader, limit: int, *, before: float | None = None) -> list[tuple[Job, Output]]:
    """Stored files of settled jobs in the order in which a limit removes them: oldest first, favorites last.

    Args:
        before: only files of jobs that were created before, and no favorites.
    """
    query = _files().where(_IS_SHOWN, jobs.c.state.in_(SETTLED))
    if before is not None:
        query = query.where(jobs.c.created_at < before, outputs.c.favorite_at.is_(None))
    query = query.order_by(outputs.c.favorite_at.is_not(None), jobs.c.created_at)
    return _read_files(reader, query.limit(limit))


def _entries(reader: Reader, shown: LibraryFilter) -> sa.Select[Any]:
    query = sa.select(*jobs.columns, outputs.c.output_index.label("shown_index")).select_from(
        jobs.outerjoin(outputs, (outputs.c.job_id == jobs.c.job_id) & (_IS_IN_TRASH if shown.trash else _IS_SHOWN))
    )
    if shown.trash:
        query = query.where(outputs.c.job_id.is_not(None))
    else:
        # A job that is done and shows no file had them deleted: nothing of it is left to show.
        query = query.where(outputs.c.job_id.is_not(None) | (jobs.c.state != "done"))
        query = query.where(jobs.c.archived_at.is_not(None) if shown.archive else jobs.c.archived_at.is_(None))
    return _in_order(_narrowed(reader, query, shown), oldest_first=shown.oldest_first)


def _narrowed(reader: Reader, query: sa.Select[Any], shown: LibraryFilter) -> sa.Select[Any]:
    for column, value in (
        (jobs.c.visitor_id, shown.visitor_id),
        (jobs.c.state, shown.state),
        (jobs.c.size, shown.size),
        (jobs.c.model_id, shown.model_id),
    ):
        if value:
            query = query.where(column == value)
    query = query.where(*text_conditions(reader, shown.text))
    if shown.favorites:
        query = query.where(outputs.c.favorite_at.is_not(None))
    if shown.board_id:
        query = query.where(is_on_board(shown.board_id))
    if shown.min_rating:
        query = query.where(outputs.c.rating >= shown.min_rating)
    if shown.color:
        query = query.where(outputs.c.colors.bitwise_and(shown.color) != 0)
    if shown.shared:
        query = query.where(outputs.c.file_key.in_(sa.select(shares.c.file_key)))
    if shown.batches:
        query = query.where(jobs.c.job_id.in_(sa.select(batch_items.c.job_id)))
    if shown.since is not None:
        query = query.where(jobs.c.created_at >= shown.since)
    if shown.until is not None:
        query = query.where(jobs.c.created_at < shown.until)
    return query


def _in_order(query: sa.Select[Any], *, oldest_first: bool) -> sa.Select[Any]:
    columns = (jobs.c.created_at, jobs.c.job_id)
    return query.order_by(*(columns if oldest_first else (column.desc() for column in columns)), outputs.c.output_index)


def _files() -> sa.Select[Any]:
    query = sa.select(*jobs.columns, outputs.c.output_index.label("shown_index"))
    return query.join(outputs, outputs.c.job_id == jobs.c.job_id)


def _read_files(reader: Reader, query: sa.Select[Any]) -> list[tuple[Job, Output]]:
    return [(entry.job, entry.output) for entry in _read_entries(reader, query) if entry.output]


def _read_entries(reader: Reader, query: sa.Select[Any]) -> list[Entry]:
    rows = reader.connection.execute(query).mappings().all()
    by_id = {job.job_id: job for job in jobs_of_rows(reader, _unique_jobs(rows))}
    return [_entry(by_id[row["job_id"]], row["shown_index"]) for row in rows]


def _is_behind(cursor: str, *, oldest_first: bool) -> sa.ColumnElement[bool]:
    try:
        created_at_text, job_id, index_text = cursor.split("~")
        created_at, index = float(created_at_text), int(index_text)
        if not math.isfinite(created_at) or not -1 <= index < 1 << 31:
            raise ValueError(cursor)
        job_id.encode()
    except ValueError as exc:
        raise InputError("after", "format", "place in the library", cursor) from exc
    time, key = jobs.c.created_at, jobs.c.job_id
    is_beyond, is_key_beyond = (time > created_at, key > job_id) if oldest_first else (time < created_at, key < job_id)
    later_job = is_beyond | ((time == created_at) & is_key_beyond)
    # The bound on created_at alone lets the database start its index at the cursor.
    from_cursor = time >= created_at if oldest_first else time <= created_at
    return from_cursor & (later_job | ((key == job_id) & (outputs.c.output_index > index)))


def _unique_jobs(rows: Sequence[sa.RowMapping]) -> list[sa.RowMapping]:
    return list({row["job_id"]: row for row in rows}.values())


def _entry(job: Job, index: int | None) -> Entry:
    return Entry(job, next((output for output in job.outputs if output.index == index), None))
