"""Which job is polled when: one thread, and never two polls of one job at the same time."""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from dreamina_ui.api.pacing import CallPace, Throttle

_MANY = 100
_ORDER_S = 0.5
"""Of many jobs that wait for the throttle, the order is computed so often: it takes longer than all else."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """A planned poll: when, how long after the moment of planning, and whether it only continues the last one."""

    due: float
    pause_s: float
    continues: bool = False

    def urgency(self, now: float) -> float:
        """How many polls are overdue: a job whose end is near is polled often, and so falls behind sooner."""
        return math.inf if self.pause_s <= 0 else (now - self.due) / self.pause_s


class Schedule:
    """Calls `poll(job_id)` when a job's time has come, no faster than the service lets us.

    Args:
        poll: must return at once and see to it that `finish` is called, from any thread.
        throttle: how fast polls may follow each other.
    """

    def __init__(self, poll: Callable[[str], None], throttle: CallPace | None = None) -> None:
        self._poll = poll
        self._throttle = throttle or Throttle()
        self._wake = threading.Condition()
        self._heap: list[tuple[float, str]] = []
        self._plans: dict[str, _Plan] = {}
        self._ready: set[str] = set()  # due, and waiting for the throttle
        self._order: list[str] = []  # those in the order of their urgency, the most urgent last; it may be a little old
        self._order_until = -math.inf
        self._polling: dict[str, _Plan | None] = {}  # job_id -> what was planned meanwhile
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

    def has(self, job_id: str) -> bool:
        """Whether a job is polled, or will be."""
        with self._wake:
            return job_id in self._plans or job_id in self._polling

    def put(self, job_id: str, pause_s: float) -> None:
        """Poll a job in `pause_s` seconds, or earlier if that is planned; after the poll that is running."""
        plan = _Plan(time.monotonic() + pause_s, pause_s)
        with self._wake:
            if job_id in self._polling:
                self._polling[job_id] = _sooner(plan, self._polling[job_id])
            else:
                self._plan(job_id, plan)

    def finish(self, job_id: str, pause_s: float | None) -> None:
        """A poll has ended; the next one is in `pause_s` seconds, or none is needed.

        What follows at once is what a response led to: it asks for no status, and so is no call for the throttle.
        """
        with self._wake:
            plan = self._polling.pop(job_id, None)
            if pause_s is not None:
                plan = _sooner(_Plan(time.monotonic() + pause_s, pause_s, continues=pause_s == 0.0), plan)
            if plan is not None:
                self._plan(job_id, plan)

    def slow_down(self, retry_after_s: float | None) -> None:
        """The service refused a call because there are too many."""
        with self._wake:
            self._throttle.refuse(time.monotonic(), retry_after_s)

    def _plan(self, job_id: str, plan: _Plan) -> None:
        if _sooner(plan, self._plans.get(job_id)) is plan:
            self._plans[job_id] = plan
            self._ready.discard(job_id)
            heapq.heappush(self._heap, (plan.due, job_id))
            if self._heap[0] == (plan.due, job_id):  # else the thread wakes early enough, or waits for the throttle
                self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._stopped and (pause_s := self._pause_s(time.monotonic())) != 0.0:
                    self._wake.wait(pause_s)
                if self._stopped:
                    return
                job_ids = self._take(time.monotonic())
            for job_id in job_ids:
                self._poll(job_id)

    def _take(self, now: float) -> list[str]:
        """The jobs that may be polled now, the most urgent first."""
        taken: list[str] = []
        if len(self._ready) <= _MANY or not self._order or now >= self._order_until:
            self._order = sorted(self._ready, key=lambda job_id: self._plans[job_id].urgency(now))
            self._order_until = now + _ORDER_S
        while self._order and not self._throttle.wait_s(now):
            job_id = self._order.pop()
            if job_id not in self._ready:  # it was taken, or planned anew
                continue
            self._ready.remove(job_id)
            if not self._plans.pop(job_id).continues:
                self._throttle.take(now)
            self._polling[job_id] = None
            taken.append(job_id)
        return taken

    def _pause_s(self, now: float) -> float | None:
        """Seconds until a job may be polled; None if there is none. Jobs that are due become ready."""
        while self._heap and self._heap[0][0] <= now:
            due, job_id = heapq.heappop(self._heap)
            if job_id in self._plans and self._plans[job_id].due == due:  # else replaced by a sooner poll
                self._ready.add(job_id)
                if self._plans[job_id].pause_s <= 0:
                    self._order.append(job_id)
        if self._ready:
            return self._throttle.wait_s(now)
        return self._heap[0][0] - now if self._heap else None


def _sooner(plan: _Plan, other: _Plan | None) -> _Plan:
    return plan if other is None or plan.due < other.due else other
