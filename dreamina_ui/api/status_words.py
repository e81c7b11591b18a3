"""The service's words for how far a request has come, and what they mean in ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dreamina_ui.api.model_api import CancelOutcome, Phase

_WORDS: Mapping[Phase, tuple[str, ...]] = {
    "queued": ("in_queue", "pending", "waiting", "queued", "enqueued", "queueing", "scheduled", "submitted"),
    "running": ("in_progress", "starting", "processing", "running", "executing", "generating"),
    "canceling": ("cancelling", "canceling", "cancel_requested", "cancellation_requested"),
    "completed": ("completed", "succeeded", "succeed", "success", "successful", "complete", "done", "finished"),
    "failed": (
        "failed",
        "fail",
        "error",
        "errored",
        "failure",
        "rejected",
        "expired",
        "timeout",
        "timed_out",
        "crashed",
    ),
    "cancelled": ("cancelled", "canceled", "aborted"),
}
_PHASES = {word: phase for phase, words in _WORDS.items() for word in words}
_OUTCOMES: Mapping[str, CancelOutcome] = {
    "cancelled": "accepted",
    "canceled": "accepted",
    "cancelling": "accepted",
    "canceling": "accepted",
    "cancel_requested": "accepted",
    "cancellation_requested": "accepted",
    "not_cancellable": "refused",
    "not_cancelable": "refused",
    "uncancellable": "refused",
    "too_late": "refused",
    "already_running": "refused",
    "already_completed": "refused",
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
    """A word in one spelling: `In Progress`, `in-progress` and `inProgress` are all `in_progress`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[\s_-]+", "_", word.strip()).lower()
