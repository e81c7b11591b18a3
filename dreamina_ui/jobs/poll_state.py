"""What the worker remembers of one job between two polls; all of it may be lost."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from dreamina_ui.api.model_api import StatusResponse
from dreamina_ui.ledger.job import Job, State

STATUS_TIMEOUT_S = 24 * 3600.0
"""After so long without a status that says anything, a job is failed: it may be fetched again, and blocks no limit."""

RESULT_TIMEOUT_S = 1800.0
"""The same for a result that is never handed out although the request is completed."""

FILES_TIMEOUT_S = 900.0
"""The same for files that cannot be downloaded."""

JUST_ACCEPTED_S = 2.0
"""How long after its acceptance a job that runs may have done so from the beginning."""

MIN_FRUITLESS_POLLS = 8
"""So many polls must have brought nothing, too: a machine that slept for a day has not polled for a day."""


@dataclass(slots=True)
class PollState:
    """One job between two polls.

    Attributes:
        job: as this process last read or wrote it.
        errors: calls that failed in a row.
        missing_since: since when the service says that it does not know the request.
        is_saving: whether the next step asks for the result, and not for the status.
        completed, completed_at: a status of `completed` that is not yet written.
        fruitless_since, fruitless_polls: since when, and how many times, polling brought nothing new.
        cancel_attempts: how many times the wish to cancel was sent.
        cancel_accepted: whether the service took it, and carries it out when it likes.
        cancel_not_before: when it may be sent again, in seconds since 1970.
        cancel_lock: held while it is sent.
    """

    job: Job | None = None
    errors: int = 0
    missing_since: float | None = None
    is_saving: bool = False
    completed: StatusResponse | None = None
    completed_at: float | None = None
    fruitless_since: float | None = None
    fruitless_polls: int = 0
    cancel_attempts: int = 0
    cancel_accepted: bool = False
    cancel_not_before: float = 0.0
    cancel_lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def note_fruitless(self, now: float, timeout_s: float) -> bool:
        """Count a poll that brought nothing; returns whether it is time to give up."""
        self.fruitless_since = now if self.fruitless_since is None else self.fruitless_since
        self.fruitless_polls += 1
        return now - self.fruitless_since >= timeout_s and self.fruitless_polls >= MIN_FRUITLESS_POLLS

    def note_progress(self) -> None:
        """Polling brought something: the time to give up begins anew."""
        self.errors = 0
        self.missing_since = self.fruitless_since = None
        self.fruitless_polls = 0


def read_status(job: Job, response: StatusResponse, now: float) -> tuple[State | None, dict[str, Any]]:
    """The state that a status means, None for one that changes nothing, and what it says of a job's fields."""
    states: dict[str | None, State] = {
        "queued": "queued",
        "running": "running",
        "completed": "saving",
        "failed": "failed",
        "cancelled": "cancelled",
    }
    state = states.get(response.phase)
    fields: dict[str, Any] = {"status": response.status, "problem": None, "detail": None}
    fields["queue_position"] = response.queue_position if state == "queued" else None
    if state in ("running", "saving"):
        fields["started_at"] = job.started_at or _started_at(job, state, now)
        if job.cancel_requested_at and not job.cancel_outcome:
            fields["cancel_outcome"] = "too_late"
    if state == "saving":
        fields["completed_at"] = now
    if state == "cancelled":
        fields["cancel_outcome"] = "cancelled" if job.cancel_requested_at else None
    return state, fields


def _started_at(job: Job, state: State, now: float) -> float | None:
    """When the service began with a job that is not in the queue: at once, if nobody has seen it in there."""
    was_just_accepted = job.accepted_at is not None and now - job.accepted_at <= JUST_ACCEPTED_S
    return now if state == "running" and not (was_just_accepted and job.status is None) else job.accepted_at
