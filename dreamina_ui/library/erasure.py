"""Deletes all of a visitor's data in one act."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable

from dreamina_ui.ledger import library_queries
from dreamina_ui.ledger.budget_rows import day_of
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.personal import erasure
from dreamina_ui.library.input_images import InputImages
from dreamina_ui.library.library import Library

MAX_FILES = 5000
"""How many files are removed at once; the housekeeping removes the rest."""

log = logging.getLogger(__name__)


class Erasure:
    """From the moment that `erase` returns, nobody sees anything that the visitor made.

    Args:
        input_images: what visitors gave to make images with.
        clock: gives the time, in seconds since 1970.
    """

    def __init__(self, ledger: Ledger, library: Library, input_images: InputImages, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._library = library
        self._input_images = input_images
        self._clock = clock

    def visitors(self) -> list[str | None]:
        """Everybody who has anything here, for `erase`. Raises LedgerError."""
        with self._ledger.reading() as reader:
            return erasure.all_visitors(reader)

    def erase(self, visitor_id: str | None) -> int:
        """Delete a visitor's jobs with their texts and files, given images, boards, shares, batches, and prompt tools.

        Of a job, only what the owner's bookkeeping needs stays, under a name that leads to nobody: its time, model,
        size, and cost.

        Args:
            visitor_id: None for the jobs of programs that have no visitor.

        Returns:
            How many jobs.

        Raises:
            LedgerError: nothing is deleted.
            DiskError: the rest of the files goes with the next round of the housekeeping.
        """
        now = self._clock()
        pseudonym = erasure.ERASED + secrets.token_hex(16)
        with self._ledger.writing() as transaction:
            count = erasure.erase_visitor(transaction, visitor_id, pseudonym, now, day_of(now))
        log.info("The data of a visitor is deleted: %d jobs", count)
        if visitor_id is not None:
            self._input_images.remove_visitor(visitor_id)
        self.finish()
        return count

    def finish(self) -> int:
        """Remove what is left of erased data: files, and texts of jobs that have ended since; returns how many files.

        Raises:
            LedgerError, DiskError: the rest waits for the next round.
        """
        with self._ledger.writing() as transaction:
            erasure.wipe_texts(transaction)
        with self._ledger.reading() as reader:
            files = library_queries.files_of_erased(reader, MAX_FILES)
        for job, output in files:
            self._library.remove(job, output, "person")
        return len(files)
