"""The library: everything made here, newest first, by pages; and what is deleted, with time to think again.

A page is read by its place in time, not by counting rows, so that the last page costs what the first one does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from dreamina_ui.errors import InputError
from dreamina_ui.ledger.job import SETTLED, Job, Output
from dreamina_ui.ledger.ledger import Ledger, with_outputs
from dreamina_ui.ledger.tables import jobs, outputs
from dreamina_ui.media.store import MediaStore, StoredFile

UNDO_S = 600.0
"""How long a deleted picture can be brought back."""

PAGE_ENTRIES = 24


@dataclass(frozen=True)
class LibraryFilter:
    """Which part of the library to show; the defaults show all that is not put aside.

    Attributes:
        visitor_id: whose; None for everybody's.
        text: words that must all be in the prompt, in any case.
        state: a job's state, or "" for every one.
        size: a size choice, such as `2048x2048(1:1)`, or "" for every one.
        favorites: only favourites.
        since, until: made at `since` or later and before `until`, in seconds since 1970.
        archive: only what was put aside, instead of all the rest.
    """

    visitor_id: str | None = None
    text: str = ""
    state: str = ""
    size: str = ""
    favorites: bool = False
    since: float | None = None
    until: float | None = None
    archive: bool = False


@dataclass(frozen=True)
class Entry:
    """One place on the wall: a kept file of a job, or a job that has none."""

    job: Job
    output: Output | None

    @property
    def place(self) -> str:
        """Where the entry stands; `page` goes on behind it. Files that a job gets later stand behind the job."""
        return f"{self.job.created_at!r}~{self.job.job_id}~{self.output.index if self.output else -1}"


@dataclass(frozen=True)
class Usage:
    """What a library holds: kept files, and the bytes of their originals."""

    files: int
    size_bytes: int
    removed_by_limit: int


class Library:
    """Reads and tidies the library.

    Args:
        ledger: the rows.
        media: their files.
    """

    def __init__(self, ledger: Ledger, media: MediaStore) -> None:
        self._ledger = ledger
        self._media = media

    def page(self, shown: LibraryFilter, after: str = "", limit: int = PAGE_ENTRIES) -> list[Entry]:
        """One page, newest first.

        Args:
            after: the `place` of the last entry of the page before; "" for the first page.

        Raises:
            InputError: `after` is no place.
            LedgerError: the ledger could not be read.
        """
        query = self._query(shown)
        if after:
            query = query.where(_is_behind(after))
        with self._ledger.reading() as connection:
            rows = connection.execute(query.limit(limit)).mappings().all()
            found = {job.job_id: job for job in with_outputs(connection, _unique_jobs(rows))}
        return [_entry(found[row["job_id"]], row["shown_index"]) for row in rows]

    def entries(self, shown: LibraryFilter) -> Iterator[Entry]:
        """Every entry, page by page, so that memory stays flat."""
        after = ""
        while page := self.page(shown, after, limit=500):
            yield from page
            after = page[-1].place

    def usage(self, visitor_id: str | None = None) -> Usage:
        """How many files there are and how many bytes their originals have; of one visitor or of all."""
        kept = (outputs.c.state == "kept") & outputs.c.deleted_at.is_(None)
        columns = (
            sa.func.count(sa.case((kept, 1))),
            sa.func.coalesce(sa.func.sum(sa.case((kept, outputs.c.size_bytes))), 0),
            sa.func.count(sa.case(((outputs.c.state == "deleted") & (outputs.c.note == "limit"), 1))),
        )
        query = sa.select(*columns).select_from(outputs)
        if visitor_id is not None:
            query = query.join(jobs, jobs.c.job_id == outputs.c.job_id).where(jobs.c.visitor_id == visitor_id)
        with self._ledger.reading() as connection:
            return Usage(*connection.execute(query).one())

    def by_sha256(self, sha256: str, visitor_id: str | None = None) -> Job | None:
        """The newest job with an original of this SHA-256 (lower-case hex), also if the file is deleted here."""
        query = sa.select(jobs).join(outputs, outputs.c.job_id == jobs.c.job_id).where(outputs.c.sha256 == sha256)
        if visitor_id is not None:
            query = query.where(jobs.c.visitor_id == visitor_id)
        with self._ledger.reading() as connection:
            rows = connection.execute(query.order_by(jobs.c.created_at.desc()).limit(1)).mappings().all()
            found = with_outputs(connection, rows)
        return found[0] if found else None

    def picture(self, file_key: str) -> tuple[Job, Output, StoredFile] | None:
        """The job, output and original behind a file's key; None if it is not there or was deleted."""
        found = self._ledger.output_by_key(file_key)
        if found is None or found[1].state != "kept" or found[1].deleted_at is not None:
            return None
        original = self._media.find(found[0].job_id, found[1].index, "original")
        return (*found, original) if original else None

    def mark(self, file_keys: Sequence[str], visitor_id: str | None = None, **marks: float | None) -> int:
        """Set `favorite_at` or `deleted_at` of files, or take it back with None; returns how many there were."""
        count = 0
        for file_key in dict.fromkeys(file_keys):
            found = self._ledger.output_by_key(file_key)
            if found and visitor_id in (None, found[0].visitor_id) and found[1].state == "kept":
                self._ledger.change(found[0].job_id, outputs=[replace(found[1], **marks)])  # type: ignore[arg-type]
                count += 1
        return count

    def remove(self, job: Job, output: Output, note: str) -> None:
        """Remove a file's copies from the disk, for good; its row stays and says why.

        Raises:
            DiskError: the disk refuses; the row is as it was.
            LedgerError: the row could not be written; it will be found missing.
        """
        self._media.remove(job.job_id, output.index)
        self._ledger.change(job.job_id, outputs=[replace(output, state="deleted", note=note)])

    def deleted_before(self, moment: float, limit: int = 500) -> list[tuple[Job, Output]]:
        """Files that a person deleted before `moment` and that are still on disk."""
        where = (outputs.c.state == "kept") & (outputs.c.deleted_at < moment)
        return self._files(where, outputs.c.deleted_at, limit=limit)

    def oldest(self, *, before: float | None = None, limit: int = 100) -> list[tuple[Job, Output]]:
        """Kept files in the order in which a limit removes them: oldest first, favourites last."""
        where = (outputs.c.state == "kept") & outputs.c.deleted_at.is_(None) & jobs.c.state.in_(SETTLED)
        if before is not None:
            where &= (jobs.c.created_at < before) & outputs.c.favorite_at.is_(None)
        return self._files(where, outputs.c.favorite_at.is_not(None), jobs.c.created_at, limit=limit)

    def _files(
        self, where: sa.ColumnElement[bool], *order: sa.ColumnElement[Any], limit: int
    ) -> list[tuple[Job, Output]]:
        query = sa.select(*jobs.columns, outputs.c.output_index.label("shown_index"))
        query = query.join(outputs, outputs.c.job_id == jobs.c.job_id).where(where).order_by(*order).limit(limit)
        with self._ledger.reading() as connection:
            rows = connection.execute(query).mappings().all()
            found = {job.job_id: job for job in with_outputs(connection, _unique_jobs(rows))}
        entries = [_entry(found[row["job_id"]], row["shown_index"]) for row in rows]
        return [(entry.job, entry.output) for entry in entries if entry.output]

    def _query(self, shown: LibraryFilter) -> sa.Select[Any]:
        on_wall = (outputs.c.state == "kept") & outputs.c.deleted_at.is_(None)
        query = sa.select(*jobs.columns, outputs.c.output_index.label("shown_index")).select_from(
            jobs.outerjoin(outputs, (outputs.c.job_id == jobs.c.job_id) & on_wall)
        )
        # A job that is done and shows no file had them deleted: nothing of it is left to show.
        query = query.where(outputs.c.job_id.is_not(None) | (jobs.c.state != "done"))
        query = query.where(jobs.c.archived_at.is_not(None) if shown.archive else jobs.c.archived_at.is_(None))
        for column, value in (
            (jobs.c.visitor_id, shown.visitor_id),
            (jobs.c.state, shown.state),
            (jobs.c.size, shown.size),
        ):
            if value:
                query = query.where(column == value)
        for word in shown.text.casefold().split():
            query = query.where(jobs.c.search_text.contains(word, autoescape=True))
        if shown.favorites:
            query = query.where(outputs.c.favorite_at.is_not(None))
        if shown.since is not None:
            query = query.where(jobs.c.created_at >= shown.since)
        if shown.until is not None:
            query = query.where(jobs.c.created_at < shown.until)
        return query.order_by(jobs.c.created_at.desc(), jobs.c.job_id.desc(), outputs.c.output_index)


def _is_behind(place: str) -> sa.ColumnElement[bool]:
    try:
        created_at_text, job_id, index_text = place.split("~")
        created_at, index = float(created_at_text), int(index_text)
        if not math.isfinite(created_at) or not -1 <= index < 1 << 31:
            raise ValueError(place)
        job_id.encode()
    except ValueError as exc:
        raise InputError("after", "format", "place in the library", place) from exc
    later_job = (jobs.c.created_at < created_at) | ((jobs.c.created_at == created_at) & (jobs.c.job_id < job_id))
    # The bound on created_at alone lets the database walk its index to the place at once.
    return (jobs.c.created_at <= created_at) & (
        later_job | ((jobs.c.job_id == job_id) & (outputs.c.output_index > index))
    )


def _unique_jobs(rows: Sequence[sa.RowMapping]) -> list[sa.RowMapping]:
    return list({row["job_id"]: row for row in rows}.values())


def _entry(job: Job, index: int | None) -> Entry:
    return Entry(job, next((output for output in job.outputs if output.index == index), None))
