"""Which job is looked at when: one thread, one heap, and never two looks at one job at the same time."""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Callable


class Schedule:
    """Calls `look(job_id)` when a job's time has come.

    Args:
        look: must return at once and see to it that `finish` is called, from any thread.
    """

    def __init__(self, look: Callable[[str], None]) -> None:
        self._look = look
        self._wake = threading.Condition()
        self._heap: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}
        self._looking: dict[str, float] = {}  # job_id -> when it was asked for again meanwhile
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="schedule", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._wake:
            self._stopped = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join()

    def put(self, job_id: str, pause_s: float) -> None:
        """Look at a job in `pause_s` seconds, or earlier if that is planned; after the look that is going on."""
        self._plan(job_id, time.monotonic() + pause_s)

    def finish(self, job_id: str, pause_s: float | None) -> None:
        """A look has ended; the next one is in `pause_s` seconds, or None is needed."""
        with self._wake:
            again = self._looking.pop(job_id, math.inf)
        due = min(again, math.inf if pause_s is None else time.monotonic() + pause_s)
        if due < math.inf:
            self._plan(job_id, due)

    def _plan(self, job_id: str, due: float) -> None:
        with self._wake:
            if job_id in self._looking:
                self._looking[job_id] = min(due, self._looking[job_id])
            elif due < self._due.get(job_id, math.inf):
                self._due[job_id] = due
                heapq.heappush(self._heap, (due, job_id))
                self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._stopped and (not self._heap or self._heap[0][0] > time.monotonic()):
                    self._wake.wait(self._heap[0][0] - time.monotonic() if self._heap else None)
                if self._stopped:
                    return
                due, job_id = heapq.heappop(self._heap)
                if self._due.get(job_id) != due:
                    continue  # replaced by a sooner look
                del self._due[job_id]
                self._looking[job_id] = math.inf
            self._look(job_id)
