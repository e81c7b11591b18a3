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
from dreamina_ui.errors import ApiError, LedgerError
from dreamina_ui.ledger.ledger import Ledger

log = logging.getLogger(__name__)

MIN_FREE_BYTES = 100_000_000
"""With less room than this the disk is full: the files of one job may need as much."""

KEPT_S = 1.0
"""How long an answer is given again instead of looking anew."""

PROBE_PAUSE_S = 60.0
"""How long the API may go unheard before it is asked, and the least pause between two such calls."""

FIRST_PROBE_S = 2.0
"""How long the very first answer waits for the API."""


class Health:
    """Looks after the parts that others depend on.

    Args:
        folder: the data folder.
        calls: what became of the calls to the API.
        probe: makes a harmless call to the API that costs nothing; `calls` hears what became of it.
        least_free_bytes: with less room the disk counts as full.
        clock: gives a time in seconds that only grows; that of `calls`.
    """

    def __init__(
        self,
        ledger: Ledger,
        folder: Path,
        calls: ApiCalls,
        probe: Callable[[], object],
        *,
        min_free_bytes: int = MIN_FREE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._folder = folder
        self._calls = calls
        self._probe = probe
        self._least_free_bytes = min_free_bytes
        self._clock = clock
        self._one_look = threading.Lock()
        self._looked_at: float | None = None
        self._found: tuple[str, ...] = ()
        self._probed_at: float | None = None

    def not_ready(self) -> tuple[str, ...]:
        """Which of `ledger`, `disk` and `api` is not ready; none if all are. It may wait for the disk."""
        with self._one_look:
            now = self._clock()
            if self._looked_at is None or now - self._looked_at >= KEPT_S:
                ready = {"ledger": self._ledger_is_ready(), "disk": self._disk_has_room(), "api": self._api_answers()}
                self._found = tuple(part for part, is_ready in ready.items() if not is_ready)
                self._looked_at = self._clock()
            return self._found

    def _ledger_is_ready(self) -> bool:
        try:
            self._ledger.check_writable()
        except LedgerError as exc:
            log.warning("Not ready: %s", exc)
            return False
        return True

    def _disk_has_room(self) -> bool:
        try:
            return shutil.disk_usage(self._folder).free >= self._least_free_bytes
        except OSError as exc:
            log.warning("Not ready: %s", exc)
            return False

    def _api_answers(self) -> bool:
        """What the newest call says; when that was long ago, another is made, and its answer holds from then on."""
        last, now = self._calls.last, self._clock()
        is_stale = last is None or now - last.at >= PROBE_PAUSE_S
        if is_stale and (self._probed_at is None or now - self._probed_at >= PROBE_PAUSE_S):
            self._probed_at = now
            asking = threading.Thread(target=self._ask, name="probe", daemon=True)
            asking.start()
            if last is None:
                asking.join(FIRST_PROBE_S)
                last = self._calls.last
        return last is not None and last.was_answered

    def _ask(self) -> None:
        try:
            self._probe()
        except ApiError as exc:
            log.info("The API was asked whether it is there: %s", exc)
