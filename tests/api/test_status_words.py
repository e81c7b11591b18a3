"""The service's words, in every spelling, are one of ours or none."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamina_ui.api.model_api import CancelOutcome, Phase
from dreamina_ui.api.status_words import outcome_of, phase_of

PHASES = {
    "in_queue": "queued", "pending": "queued", "waiting": "queued",
    "in_progress": "running", "starting": "running", "processing": "running",
    "completed": "completed", "succeeded": "completed", "cancelling": "canceling",
    "cancellation_requested": "canceling",
    "failed": "failed", "error": "failed", "cancelled": "cancelled", "canceled": "cancelled",
    "done": "completed", "timed_out": "failed", "rejected": "failed", "aborted": "cancelled",
}  # fmt: skip
OUTCOMES = {"cancelled": "accepted", "canceled": "accepted", "cancellation_requested": "accepted",
            "not_cancellable": "refused", "already_running": "refused"}  # fmt: skip


@pytest.mark.parametrize(("status", "phase"), PHASES.items())
def test_every_spelling_of_a_status_is_known(status: str, phase: str) -> None:
    """The service and its clients write the same thing in several ways."""
    assert phase_of(status) == phase_of(status.upper()) == phase_of(f" {status.title()}\n") == phase
    assert phase_of(status.replace("_", " ").title()) == phase_of(status.replace("_", "-")) == phase
    assert phase_of(status.title().replace("_", "")) == phase


@pytest.mark.parametrize("status", [None, "", " ", "warming_up", "inqueue", "ok", "up", "queued?", "İN_QUEUE"])
def test_an_unknown_status_has_no_phase(status: str | None) -> None:
    """It is shown as it came and asked again, and never taken for an end."""
    assert phase_of(status) is None


@pytest.mark.parametrize(("word", "outcome"), OUTCOMES.items())
def test_every_spelling_of_a_cancels_outcome_is_known(word: str, outcome: str) -> None:
    """A cancel that was accepted must not be sent again and again because of a spelling."""
    assert outcome_of(word) == outcome_of(f"{word.upper()} ") == outcome_of(word.replace("_", " ").title()) == outcome


@settings(deadline=None, derandomize=True)
@given(st.text())
def test_no_word_breaks_anything(word: str) -> None:
    """The service may answer with anything."""
    assert phase_of(word) in {*get_args(Phase), None}
    assert outcome_of(word) in {*get_args(CancelOutcome), None}
