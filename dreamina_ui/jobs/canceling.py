"""A wish to cancel is sent once, and again only after growing pauses; only a status or a result is believed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from dreamina_ui.api.model_api import CancelResponse, ModelApi
from dreamina_ui.api.pacing import Pace
from dreamina_ui.errors import ApiError, RateLimitError, ResponseError
from dreamina_ui.jobs.poll_state import PollState
from dreamina_ui.ledger.job import Job

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CancelAttempt:
    """What came of a wish to cancel.

    Attributes:
        is_accepted: the service took the wish, and may carry it out later.
        is_confirmed: a status was read after the wish; the job's state is the truth.
    """

    job: Job
    is_accepted: bool
    is_confirmed: bool


class CancelSender:
    """Sends wishes to cancel, never two at the same time for one job, and never in quick succession.

    Args:
        pace: bounds of the pauses.
        clock: gives the time, in seconds since 1970.
    """

    def __init__(self, pace: Pace, clock: Callable[[], float]) -> None:
        self._pace = pace
        self._clock = clock

    def send(
        self, client: ModelApi, job: Job, state: PollState, *, attempts_before: int | None = None
    ) -> CancelResponse | None:
        """Send a wish unless it is too early for it; None if nothing was sent, or it was not answered.

        Args:
            attempts_before: a person asks now, who need not wait for the pause of a wish that the service did not
                take: how many times it had been sent before they asked. What was sent since is this person's wish.
        """
        if not state.cancel_lock.acquire(blocking=attempts_before is not None):
            return None
        try:
            return self._send(client, job, state, attempts_before)
        finally:
            state.cancel_lock.release()

    def _send(self, client: ModelApi, job: Job, state: PollState, attempts_before: int | None) -> CancelResponse | None:
        now = self._clock()
        if attempts_before is not None and state.cancel_attempts > attempts_before:
            return None
        if now < state.cancel_not_before and (state.cancel_accepted or attempts_before is None):
            return None
        state.cancel_attempts += 1
        try:
            response = client.cancel(job.request_id or "", attempts=1)
        except ApiError as exc:
            log.info("Job %s: the cancel got no response: %s", job.job_id[:8], exc)
            state.cancel_not_before = now + self._pace.cancel_pause_s(
                state.cancel_attempts,
                is_answered=isinstance(exc, ResponseError) and not isinstance(exc, RateLimitError),
                retry_after_s=exc.retry_after_s if isinstance(exc, RateLimitError) else None,
            )
            return None
        state.cancel_accepted = response.outcome == "accepted"
        state.cancel_not_before = now + self._pace.cancel_pause_s(state.cancel_attempts)
        return response
