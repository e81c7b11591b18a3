"""The service's words for how far a request has come, and what they mean in ours."""

from __future__ import annotations

from collections.abc import Mapping

from dreamina_ui.api.model_api import CancelOutcome, Phase

_PHASES: Mapping[str, Phase] = {
    "in_queue": "queued",
    "pending": "queued",
    "waiting": "queued",
    "queued": "queued",
    "in_progress": "running",
    "starting": "running",
    "processing": "running",
    "running": "running",
    "cancelling": "canceling",
    "canceling": "canceling",
    "cancel_requested": "canceling",
    "cancellation_requested": "canceling",
    "completed": "completed",
    "succeeded": "completed",
    "success": "completed",
    "failed": "failed",
    "error": "failed",
    "cancelled": "cancelled",
    "canceled": "cancelled",
}
_OUTCOMES: Mapping[str, CancelOutcome] = {
    "cancelled": "accepted",
    "canceled": "accepted",
    "cancelling": "accepted",
    "canceling": "accepted",
    "cancel_requested": "accepted",
    "cancellation_requested": "accepted",
    "not_cancellable": "refused",
    "not_cancelable": "refused",
}


def phase_of(status: str | None) -> Phase | None:
    """What a status means, in any spelling; None for one that nobody has heard of.

    Source: RunComfy Model API documentation; the words beyond its four come from public clients.
    """
    return _PHASES.get(_plain(status)) if status else None


def outcome_of(word: str | None) -> CancelOutcome | None:
    """What the service's answer to a cancel means, in any spelling; None for one that nobody has heard of."""
    return _OUTCOMES.get(_plain(word)) if word else None


def _plain(word: str) -> str:
    return word.strip().lower()
