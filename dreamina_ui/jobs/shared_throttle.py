"""One pace of calls for all servers that share a ledger: each takes slots in pieces, as it needs them.

What one server learns from a refusal, all know with their next piece.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from dreamina_ui.api.pacing import Throttle
from dreamina_ui.errors import LedgerError
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.sharing.pace_rows import lock_pace, write_pace

log = logging.getLogger(__name__)
_T = TypeVar("_T")

PIECE_S = 0.1
"""How much of the pace one server takes at a time."""

MAX_LATE_S = 0.1
"""How late a slot may be used: later, calls would come closer together than the pace allows."""

_WAIT_S = 0.01
"""How soon the schedule asks again while a piece is on its way."""


class SharedThrottle:
    """A `CallPace` for all servers.

    Args:
        api_origin: the API whose pace it is.
        clock: this server's seconds, as the schedule uses them.
    """

    def __init__(self, ledger: Ledger, api_origin: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._api_origin = api_origin
        self._clock = clock
        self._lock = threading.Lock()
        self._slots: deque[float] = deque()
        self._refused_for_s: float | None = None
        self._alone = Throttle()
        self._is_needed, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="pace", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._is_needed.set()
        if self._thread.is_alive():
            self._thread.join()

    def wait_s(self, now: float) -> float:
        with self._lock:
            while self._slots and self._slots[0] < now - MAX_LATE_S:
                self._slots.popleft()
            if not self._slots:
                self._is_needed.set()
                return _WAIT_S
            return max(0.0, self._slots[0] - now)

    def take(self, now: float) -> None:
        with self._lock:
            if self._slots:
                self._slots.popleft()

    def refuse(self, now: float, retry_after_s: float | None = None) -> None:
        with self._lock:
            self._slots.clear()
            self._refused_for_s = max(self._refused_for_s or 0.0, retry_after_s or 0.0)
        self._is_needed.set()

    def take_piece(self) -> None:
        """Report a refusal, if there was one, and take the next slots, at most `PIECE_S` of them."""
        with self._lock:
            refused_for_s, self._refused_for_s = self._refused_for_s, None

        def change(throttle: Throttle, now: float) -> list[float]:
            if refused_for_s is not None:
                throttle.refuse(now, refused_for_s)
            return [slot - now for slot in throttle.take_slots(now, PIECE_S)]

        try:
            pauses_s = self._at_all_servers(change)
        except LedgerError as exc:
            log.warning("This server paces its calls by itself now: %s", exc)
            pauses_s = change(self._alone, self._clock())
        now = self._clock()
        with self._lock:
            self._slots.extend(now + pause_s for pause_s in pauses_s)

    def _at_all_servers(self, change: Callable[[Throttle, float], _T]) -> _T:
        with self._ledger.writing(durable=False, serialized=False) as transaction:
            throttle = Throttle.from_text(lock_pace(transaction, self._api_origin))
            result = change(throttle, self._ledger.time(transaction))
            write_pace(transaction, self._api_origin, throttle.to_text())
        return result

    def _run(self) -> None:
        while True:
            self._is_needed.wait()
            self._is_needed.clear()
            if self._stopping.is_set():
                return
            with self._lock:
                has_slots = bool(self._slots)
            if not has_slots:
                try:
                    self.take_piece()
                except Exception:
                    log.exception("No calls could be planned; this will be tried again")
