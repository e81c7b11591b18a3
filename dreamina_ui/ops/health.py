"""Whether the program can do its work: the ledger can be written, the disk has room, the API answers.

It is cheap however often it is asked, and a call to the API is made for it only when there was none for a while.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from dreamina_ui.api.call_stats import ApiCalls
from dreamina_ui.errors import ApiError, DiskError, LedgerError
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.media.fetching.reachability import Reachability

log = logging.getLogger(__name__)

MIN_FREE_BYTES = 100_000_000
"""With less room than this the disk is full: the files of one job may need as much."""

CACHE_TTL_S = 1.0
"""How long a result is repeated without a new check."""

PROBE_PAUSE_S = 60.0
"""How long without a response of the API until it is probed, and the minimum pause between two probes."""

FIRST_PROBE_S = 2.0
"""How long the first result waits for the API."""


class Health:
    """Checks what everything depends on.

    Args:
        folder: the data folder.
        calls: the outcomes of the calls to the API.
        probe: makes a harmless call to the API that costs nothing; `calls` records its outcome.
        files: whether result files could be fetched; None where that is of no concern.
        check_bucket: raises DiskError if the bucket of all images takes no files; None if there is none.
        min_free_bytes: with less space the disk counts as full.
        clock: gives a time in seconds that only grows; that of `calls`.
    """

    def __init__(
        self,
        ledger: Ledger,
        folder: Path,
        calls: ApiCalls,
        probe: Callable[[], object],
        files: Reachability | None = None,
        *,
        check_bucket: Callable[[], None] | None = None,
        min_free_bytes: int = MIN_FREE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._folder = folder
        self._calls = calls
        self._probe = probe
        self._files = files
        self._check_bucket = check_bucket
        self._min_free_bytes = min_free_bytes
        self._clock = clock
        self._check_lock = threading.Lock()
        self._checked_at: float | None = None
        self._last_result: tuple[str, ...] = ()
        self._probed_at: float | None = None
        self._is_draining = False

    def drain(self) -> None:
        """The program stops: a load balancer is to send nothing more."""
        self._is_draining = True

    def not_ready(self) -> tuple[str, ...]:
        """Which of `ledger`, `disk`, `media`, `api` and `files` is not ready; none if all are; `draining` at a stop.

        It may wait for the disk, and for the bucket.
        """
        if self._is_draining:
            return ("draining",)
        with self._check_lock:
            now = self._clock()
            if self._checked_at is None or now - self._checked_at >= CACHE_TTL_S:
                ready = {
                    "ledger": self._ledger_is_ready(),
                    "disk": self._disk_has_room(),
                    "media": self._bucket_takes_files(),
                    "api": self._api_is_up(),
                    "files": self._files is None or self._files.problem() is None,
                }
                self._last_result = tuple(part for part, is_ready in ready.items() if not is_ready)
                self._checked_at = self._clock()
            return self._last_result

    def _ledger_is_ready(self) -> bool:
        try:
            self._ledger.check_writable()
        except LedgerError as exc:
            log.warning("Not ready: %s", exc)
            return False
        return True

    def _disk_has_room(self) -> bool:
        try:
            return shutil.disk_usage(self._folder).free >= self._min_free_bytes
        except OSError as exc:
            log.warning("Not ready: %s", exc)
            return False

    def _bucket_takes_files(self) -> bool:
        try:
            if self._check_bucket:
                self._check_bucket()
        except DiskError as exc:
            log.warning("Not ready: %s", exc)
            return False
        return True

    def _api_is_up(self) -> bool:
        """The outcome of the latest call; when that is old, a new one is made."""
        last, now = self._calls.last, self._clock()
        is_stale = last is None or now - last.at >= PROBE_PAUSE_S
        if is_stale and (self._probed_at is None or now - self._probed_at >= PROBE_PAUSE_S):
            self._probed_at = now
            probe = threading.Thread(target=self._run_probe, name="probe", daemon=True)
            probe.start()
            if last is None:
                probe.join(FIRST_PROBE_S)
                last = self._calls.last
        return last is not None and last.was_answered

    def _run_probe(self) -> None:
        try:
            self._probe()
        except ApiError as exc:
            log.info("The probe of the API failed: %s", exc)
