"""Removes files: those that a person deleted a while ago, and, only if the owner set a limit, the oldest ones."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from dreamina_ui.errors import DreaminaError
from dreamina_ui.library.library import UNDO_S, Library

log = logging.getLogger(__name__)

INTERVAL_S = 60.0
DUTY_TTL_S = 600.0
"""How long one of several servers is the one that removes files; two at once would remove too many."""

_DAY_S = 86_400.0
SWEEP_INTERVAL_S = _DAY_S
"""How often the list of a bucket is read: it costs a request for each 1000 files."""


class Retention:
    """Tidies the library once a minute.

    Args:
        max_bytes: how many bytes of originals may stay; None for no limit.
        keep_days: how many days a picture stays that is no favorite; None for no limit.
        sweep: removes what no row names from a bucket, once a day; None if there is no bucket.
        each_round: what else is done in each round.
        clock: the time in seconds since 1970.
        has_duty: whether this server is the one to tidy, by name and for how many seconds.
    """

    def __init__(
        self,
        library: Library,
        *,
        max_bytes: float | None = None,
        keep_days: float | None = None,
        sweep: Callable[[], object] | None = None,
        each_round: Sequence[Callable[[], object]] = (),
        clock: Callable[[], float] = time.time,
        has_duty: Callable[[str, float], bool] = lambda _name, _ttl_s: True,
    ) -> None:
        self._has_duty = has_duty
        self._library = library
        self._max_bytes = max_bytes
        self._keep_days = keep_days
        self._sweep = sweep
        self._each_round = each_round
        self._swept_at = 0.0
        self._clock = clock
        self._stopping = threading.Event()

    def start(self) -> None:
        """Tidy once a minute, on a thread of its own."""
        threading.Thread(target=self._run, name="housekeeping", daemon=True).start()

    def stop(self) -> None:
        """Begin no further round."""
        self._stopping.set()

    def tidy(self) -> int:
        """One round; returns how many files are gone.

        Raises:
            DiskError: the disk refuses; the rest waits for the next round.
            LedgerError: the ledger cannot be read or written.
        """
        by_person = self._library.deleted_before(self._clock() - UNDO_S)
        for job, output in by_person:
            self._library.remove(job, output, "person")
        by_limit = self._remove_old() + self._remove_surplus()
        if by_limit:
            log.warning("Removed %d files: the library is at the limit that the owner set", by_limit)
        if self._sweep and self._clock() - self._swept_at >= SWEEP_INTERVAL_S:
            self._sweep()
            self._swept_at = self._clock()
        for work in self._each_round:
            work()
        return len(by_person) + by_limit

    def _remove_old(self) -> int:
        if self._keep_days is None:
            return 0
        old = self._library.oldest(before=self._clock() - self._keep_days * _DAY_S, limit=500)
        for job, output in old:
            self._library.remove(job, output, "limit")
        return len(old)

    def _remove_surplus(self) -> int:
        if self._max_bytes is None:
            return 0
        surplus = self._library.usage().size_bytes - self._max_bytes
        count = 0
        while surplus > 0 and (oldest := self._library.oldest()):
            for job, output in oldest:
                if surplus <= 0:
                    break
                self._library.remove(job, output, "limit")
                surplus -= output.size_bytes or 0
                count += 1
        return count

    def _run(self) -> None:
        while True:
            try:
                if self._has_duty("retention", DUTY_TTL_S):
                    self.tidy()
            except (DreaminaError, OSError) as exc:
                log.warning("The library could not be tidied: %s", exc)
            if self._stopping.wait(INTERVAL_S):
                return
