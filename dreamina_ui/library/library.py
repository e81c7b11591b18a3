"""The library: everything that was created, newest first, by pages; and what is deleted, with time to undo it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dreamina_ui.ledger import library_queries
from dreamina_ui.ledger.job import Job, Output
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.library_queries import Entry, LibraryFilter, Usage
from dreamina_ui.ledger.personal import share_rows
from dreamina_ui.media.store import MediaStore, StoredFile

__all__ = ["PAGE_ENTRIES", "UNDO_S", "Entry", "Library", "LibraryFilter", "Usage"]

UNDO_S = 600.0
"""How long a deleted picture can be restored."""

PAGE_ENTRIES = 24


class Library:
    """Reads the library, and marks and removes files.

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
            after: the `cursor` of the last entry of the page before; "" for the first page.

        Raises:
            InputError: `after` is no cursor.
            LedgerError: the ledger could not be read.
        """
        with self._ledger.reading() as reader:
            return library_queries.page_of_entries(reader, shown, after, limit)

    def count(self, shown: LibraryFilter) -> int:
        """How many entries all pages together have."""
        with self._ledger.reading() as reader:
            return library_queries.count_entries(reader, shown)

    def entries(self, shown: LibraryFilter) -> Iterator[Entry]:
        """Every entry, page by page, so that memory stays flat."""
        after = ""
        while page := self.page(shown, after, limit=500):
            yield from page
            after = page[-1].cursor

    def usage(self, visitor_id: str | None = None) -> Usage:
        """How many files there are and how many bytes their originals have; of one visitor or of all."""
        with self._ledger.reading() as reader:
            return library_queries.library_usage(reader, visitor_id)

    def by_sha256(self, sha256: str, visitor_id: str | None = None) -> Job | None:
        """The newest job with an original of this SHA-256 (lower-case hex), also if the file was deleted."""
        with self._ledger.reading() as reader:
            return library_queries.newest_job_of_file(reader, sha256, visitor_id)

    def picture(self, file_key: str) -> tuple[Job, Output, StoredFile] | None:
        """The job, output and original of a file key; None if there is no such file or it was deleted."""
        match = self._ledger.output_by_key(file_key)
        if match is None or match[1].state != "kept" or match[1].deleted_at is not None:
            return None
        job, output = match
        original = self._media.find(job.job_id, output.index, "original", output.sha256)
        return (job, output, original) if original else None

    def mark(self, file_keys: Sequence[str], visitor_id: str | None = None, **marks: float | None) -> int:
        """Set `favorite_at`, `deleted_at` or `rating` of files, or clear it with None; returns how many there were."""
        count = 0
        for file_key in self._ledger.known_file_keys(file_keys):
            match = self._ledger.output_by_key(file_key)
            if match and visitor_id in (None, match[0].visitor_id) and match[1].state == "kept":
                self._ledger.change(match[0].job_id, outputs=[replace(match[1], **marks)])  # type: ignore[arg-type]
                count += 1
        return count

    def remove(self, job: Job, output: Output, note: str) -> None:
        """Remove a file's copies from the disk for good; its row stays and says why.

        Raises:
            DiskError: the disk refuses; the row is as it was.
            LedgerError: the row could not be written; `verify` will report the file as missing.
        """
        self._media.remove(job.job_id, output.index)
        self._ledger.change(job.job_id, outputs=[replace(output, state="deleted", note=note)])
        with self._ledger.writing() as transaction:
            share_rows.delete_shares_of(transaction, file_key=output.file_key)

    def without_colors(self, limit: int) -> list[tuple[Job, Output]]:
        """Stored images whose colors nobody has looked at."""
        with self._ledger.reading() as reader:
            return library_queries.files_without_colors(reader, limit)

    def set_colors(self, output: Output, colors: int) -> None:
        """Store which colors an image has; nobody gets news of it, as nothing that is shown changes."""
        with self._ledger.writing(durable=False) as transaction:
            library_queries.set_colors(transaction, output.file_key, colors)

    def deleted_before(self, moment: float, limit: int = 500) -> list[tuple[Job, Output]]:
        """Files that a person deleted before `moment` and that are still on disk."""
        with self._ledger.reading() as reader:
            return library_queries.files_deleted_before(reader, moment, limit)

    def oldest(self, *, before: float | None = None, limit: int = 100) -> list[tuple[Job, Output]]:
        """Stored files in the order in which a limit removes them: oldest first, favorites last."""
        with self._ledger.reading() as reader:
            return library_queries.oldest_files(reader, limit, before=before)
