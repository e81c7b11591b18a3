"""Files in a bucket that a row has replaced or given up: what a program stored that was frozen, or cut off.

Files of jobs that no row knows are never removed: a ledger that was lost, or the wrong one, must not cost the images.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, islice

from dreamina_ui.errors import JobNotFoundError
from dreamina_ui.ledger.job import Job
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.media.input_thumbnails import BucketThumbnails
from dreamina_ui.media.object_store import ObjectStore, OutputObject

log = logging.getLogger(__name__)

MIN_AGE_S = 86_400.0
"""A file is written before its row says so, by a program that may wait for the database meanwhile."""

_AT_ONCE = 500


def is_superseded(item: OutputObject, job: Job) -> bool:
    """Whether a job's row says that this file is not, and never will be, its output."""
    output = next((output for output in job.outputs if output.index == item.index), None)
    if not job.is_settled or output is None or output.state not in ("kept", "deleted"):
        return False  # it may be what a person paid for and can still get
    return output.state == "deleted" or item.sha256 is None or item.sha256 != output.sha256


class SupersededFiles:
    """Removes them.

    Args:
        thumbnails: of given files, of which the oldest go.
        clock: the time in seconds since 1970.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: ObjectStore,
        thumbnails: BucketThumbnails,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._thumbnails = thumbnails
        self._clock = clock

    def remove(self) -> int:
        """Read the list of all files once, and remove those that are superseded for a day; returns how many.

        Raises:
            StorageError: the bucket refuses.
            LedgerError: the ledger could not be read.
        """
        count = self._thumbnails.remove_old()
        superseded = self._superseded()
        while batch := list(islice(superseded, _AT_ONCE)):
            self._store.delete(batch)
            count += len(batch)
        if count:
            log.info("Removed %d files from the bucket that no row names", count)
        return count

    def _superseded(self) -> Iterator[OutputObject]:
        for job_id, items in groupby(self._store.objects(), lambda item: item.job_id):
            yield from self._superseded_of(job_id, list(items))

    def _superseded_of(self, job_id: str, items: Iterable[OutputObject]) -> Iterator[OutputObject]:
        latest = self._clock() - MIN_AGE_S
        old = [item for item in items if item.stored.modified_at < latest]
        if old:
            try:
                job = self._ledger.job(job_id)
            except JobNotFoundError:
                return
            yield from (item for item in old if is_superseded(item, job))
