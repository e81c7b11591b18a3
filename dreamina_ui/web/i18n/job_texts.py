"""A job's state and problem as text: what happened, what it means for money, and the one action that helps.

Texts are keyed by problem and phase, because "we keep checking" is false for a job that was never sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from dreamina_ui.api.status_words import phase_of as phase_of_status
from dreamina_ui.errors import JobFailedError, KeyNeededError
from dreamina_ui.ledger.job import Job
from dreamina_ui.web.i18n.translate import translate

Phase = Literal["submit", "poll", "download"]
Action = Literal["try_again", "retry_download", "add_funds", "use_own_key", "edit_prompt", "sign_in", "none"]
"""What the one primary button beside a problem does; `none` for no button."""

_DOWNLOAD_PROBLEMS = ("media", "address", "disk", "storage", "no_files", "not_ready", "file_unavailable", "incomplete")
_FINAL_POLL_PROBLEMS = (JobFailedError.kind, "not_found", "foreign", "gave_up", "given_up")
_FINAL_DOWNLOAD_PROBLEMS = ("media", "address", "no_files", "incomplete", "given_up")
_MAX_REASON = 300
_SUBMIT_ACTIONS: dict[str, Action] = {
    "refused": "edit_prompt",
    "input": "edit_prompt",
    "balance": "add_funds",
    KeyNeededError.kind: "use_own_key",
}


def phase_of(job: Job) -> Phase:
    """How far a job came: without a request id nothing was accepted; files are downloaded after the result."""
    if not job.request_id:
        return "submit"
    if job.problem == "given_up":
        return "download" if job.completed_at else "poll"
    if job.problem in _FINAL_POLL_PROBLEMS:
        return "poll"
    if job.state == "saving" or job.outputs or job.problem in _DOWNLOAD_PROBLEMS:
        return "download"
    return "poll"


def action_of(job: Job, *, for_owner: bool) -> Action:
    """The one action that helps with a job's problem.

    `try_again` only where nothing was accepted, so that it never pays twice.

    Args:
        for_owner: whether the reader is the owner, whose token pays for jobs without a key of their own.
    """
    phase, has_own_key = phase_of(job), job.key_fingerprint is not None
    if job.problem == KeyNeededError.kind and not job.is_settled:
        return "use_own_key" if has_own_key else "none"
    if job.state != "failed":
        return "none"
    if phase == "submit":
        if job.problem == "auth" and has_own_key:
            return "use_own_key"
        if job.problem in ("auth", "balance") and not has_own_key and not for_owner:
            return "use_own_key"
        return _SUBMIT_ACTIONS.get(job.problem or "", "try_again")
    if job.problem == JobFailedError.kind:
        return "edit_prompt"
    return "none" if job.problem == "foreign" else "retry_download"


def state_text(job: Job, language: str) -> str:
    """A job's state in words, such as `Queued · position 3`."""
    parts = [translate(language, f"state_{job.state}")]
    if job.state == "queued" and job.queue_position is not None:
        key = "queue_position" if job.queue_position else "queue_next"
        parts.append(translate(language, key, position=job.queue_position))
    if job.state in ("queued", "running") and job.status and phase_of_status(job.status) is None:
        parts.append(translate(language, "strange_status", status=job.status))
    return " · ".join(parts)


def message(job: Job, api_origin: str, language: str, *, for_owner: bool = True) -> str:
    """What a person should know about a job beyond its state: the problem, the outcome of a cancel; or `""`.

    The service's own words and details for operators are in `job.detail`, in English.

    Args:
        api_origin: the API that the program uses for such jobs now.
        for_owner: as for `action_of`.
    """
    parts: list[str] = []
    if job.state == "submit_unclear":
        parts.append(translate(language, "message_submit_unclear"))
    elif job.state == "cancelled":
        parts.append(_cancelled_text(job, language))
    elif not job.is_settled and job.api_origin != api_origin:
        parts.append(translate(language, "message_other_api", origin=job.api_origin))
    if job.problem and job.state != "submit_unclear":
        parts.append(problem_text(job, language, for_owner=for_owner))
    if job.state == "failed" and (stored := sum(output.state == "kept" for output in job.outputs)):
        parts.append(translate(language, "message_partly", kept=stored, total=len(job.outputs)))
    if job.state not in ("cancelled", "submit_unclear") and job.cancel_requested_at:
        parts.append(_cancel_text(job, language))
    return " ".join(filter(None, parts))


def problem_text(job: Job, language: str, *, for_owner: bool) -> str:
    """What happened to a job and what it means for money, in the phase it is in; never empty."""
    reason = (job.detail or "")[:_MAX_REASON] if job.problem == JobFailedError.kind else ""
    texts = (translate(language, key, reason=reason) for key in _problem_keys(job, for_owner, has_reason=bool(reason)))
    return next(filter(None, texts))


def _problem_keys(job: Job, for_owner: bool, *, has_reason: bool) -> Iterator[str]:
    """The keys of a problem's text, the most specific first."""
    phase, problem = phase_of(job), job.problem
    if phase == "poll" and job.is_settled and problem not in _FINAL_POLL_PROBLEMS:
        problem = "ended"
    if phase == "download" and job.is_settled and problem not in _FINAL_DOWNLOAD_PROBLEMS:
        problem = "media"
    if has_reason and phase == "poll":
        yield f"problem_{phase}_{problem}_reason"
    if job.key_fingerprint:
        yield f"problem_{phase}_{problem}_own_key"
    elif not for_owner:
        yield f"problem_{phase}_{problem}_visitor"
    yield f"problem_{phase}_{problem}"
    yield f"problem_{phase}_api"


def _cancelled_text(job: Job, language: str) -> str:
    if not job.request_id:
        return translate(language, "message_cancelled_unsent")
    return "" if job.cancel_outcome else translate(language, "message_cancelled_elsewhere")


def _cancel_text(job: Job, language: str) -> str:
    """The outcome of a cancel so far, for a job that is not cancelled."""
    outcomes = {"too_late": "too_late", "unconfirmed": "unconfirmed"}
    if job.finished_at is not None and job.finished_at < (job.cancel_requested_at or 0):
        key = "too_late_done"
    elif job.problem == KeyNeededError.kind and not job.is_settled:
        key = "later"
    else:
        key = outcomes.get(job.cancel_outcome or "", "asked")
    return translate(language, f"message_cancel_{key}")
