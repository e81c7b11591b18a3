"""What a person reads about a job is true in its phase, names what it means for money, and offers one action."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from string import Formatter
from typing import Any, get_args

import pytest

from dreamina_ui import errors
from dreamina_ui.errors import DreaminaError
from dreamina_ui.ledger.job import Job, Outcome, Output, State
from dreamina_ui.web.i18n.job_texts import Action, action_of, message, phase_of, state_text
from dreamina_ui.web.i18n.translate import languages, translate

ROOT = Path(__file__).parents[3]
ORIGIN = "https://model-api.runcomfy.net"
JOB = Job(job_id="j", model_id="m", api_origin=ORIGIN, inputs={"prompt": "fox"}, created_at=1.0, updated_at=1.0)
UNSENT = replace(JOB, state="failed")
ACCEPTED = replace(JOB, state="running", request_id="r-1")
ENDED = replace(ACCEPTED, state="failed")
LANGUAGES = sorted(languages())
PROGRAM_PROBLEMS = {"no_files", "not_sent", "not_ready", "gave_up", "given_up", "incomplete", "file_unavailable"}


def kinds(root: type[DreaminaError]) -> Iterator[str]:
    yield root.kind
    for child in root.__subclasses__():
        yield from kinds(child)


ROOTS = (errors.ApiError, errors.MediaError, errors.JobFailedError, errors.InputError, errors.KeyNeededError)
PROBLEMS = sorted({kind for root in ROOTS for kind in kinds(root)} | PROGRAM_PROBLEMS | {"from a newer version"})


def text_of(job: Job, language: str = "en", *, for_owner: bool = True) -> str:
    return message(job, ORIGIN, language, for_owner=for_owner)


# --- states


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_state_has_a_text(language: str) -> None:
    """A card must say what its job is doing."""
    texts = {state_text(replace(JOB, state=state), language) for state in get_args(State)}
    assert len(texts) == len(get_args(State))
    assert "" not in texts


def test_the_queue_position_is_shown() -> None:
    """Zero jobs ahead is "next"; an unknown position is not shown."""
    queued = replace(JOB, state="queued", status="in_queue")
    assert state_text(queued, "en") == "Queued"
    assert state_text(replace(queued, queue_position=0), "en") == "Queued · next"
    assert state_text(replace(queued, queue_position=3), "en") == "Queued · position 3"
    assert state_text(replace(JOB, state="running", queue_position=3), "en") == "Running"


def test_an_unknown_status_is_shown_as_it_came() -> None:
    """Even one with braces in it."""
    running = replace(JOB, state="running")
    assert state_text(replace(running, status="in_progress"), "en") == "Running"
    assert state_text(replace(running, status="warm{ing}"), "en") == "Running · RunComfy says “warm{ing}”"


# --- problems by phase


def test_the_phase_is_how_far_the_job_came() -> None:
    """What may be promised depends on whether RunComfy accepted the job and whether the result is known."""
    assert phase_of(UNSENT) == "submit"
    assert phase_of(ACCEPTED) == "poll"
    assert phase_of(replace(ACCEPTED, state="saving")) == "download"
    assert phase_of(replace(ENDED, problem="media")) == "download"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_problem_has_a_text_in_every_phase(problem: str, language: str) -> None:
    """Whatever the ledger stores, people read what it means; no placeholder stays open."""
    for job in (UNSENT, ACCEPTED, replace(ACCEPTED, state="saving"), ENDED, replace(ENDED, detail="{x}")):
        for key_fingerprint in (None, "fingerprint"):
            for for_owner in (True, False):
                affected = replace(job, problem=problem, key_fingerprint=key_fingerprint)
                text = text_of(affected, language, for_owner=for_owner)
                assert text
                assert not list(placeholders(text.replace("{x}", "")))


def placeholders(text: str) -> Iterator[str]:
    yield from (name for _, name, _, _ in Formatter().parse(text) if name is not None)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_job_that_was_never_accepted_does_not_promise_to_keep_checking(problem: str) -> None:
    """ "We keep checking" is false for a job that RunComfy never got; what is true is that nothing was billed."""
    for for_owner in (True, False):
        text = text_of(replace(UNSENT, problem=problem), for_owner=for_owner)
        assert "keep" not in text
        assert "Nothing was" in text


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_job_that_has_ended_does_not_promise_to_keep_checking(problem: str) -> None:
    """Nobody should wait for something that will not happen by itself."""
    assert not re.search("keep|resumes|continues", text_of(replace(ENDED, problem=problem)))


@pytest.mark.parametrize("problem", ["transport", "rate_limit", "protocol", "auth", "from a newer version"])
def test_an_accepted_job_is_said_to_be_safe(problem: str) -> None:
    """It is paid for: people must know that it is not lost, and not pay again."""
    text = text_of(replace(ACCEPTED, problem=problem))
    assert "Nothing was" not in text
    assert re.search("keep checking|is safe", text)


def test_the_texts_of_the_common_problems() -> None:
    """What happened, what it means for money, in one or two short sentences."""
    submit = {problem: text_of(replace(UNSENT, problem=problem)) for problem in ("transport", "rate_limit", "balance")}
    assert submit == {
        "transport": "Couldn't reach RunComfy. Nothing was sent or billed.",
        "rate_limit": "RunComfy is busy. Nothing was sent.",
        "balance": "Your RunComfy balance is empty. Nothing was billed.",
    }
    assert text_of(replace(UNSENT, problem="balance"), for_owner=False).startswith("This page is out of credit.")
    outputs = tuple(Output(index, "image", str(index), "damaged" if index == 3 else "kept") for index in range(4))
    partly = text_of(replace(ENDED, problem="media", outputs=outputs, detail="Output 0 of job 7872d606"))
    assert partly == "Some images couldn't be downloaded. They're safe at RunComfy. 3 of 4 images saved."


def test_the_reason_of_the_service_is_part_of_the_text() -> None:
    """Whoever was declined must read why, to change the prompt."""
    failed = replace(ENDED, problem="failed_at_service")
    assert text_of(failed) == "RunComfy couldn't create this image."
    assert text_of(replace(failed, detail="no {people}")) == "RunComfy declined this request: no {people}"


def test_problems_in_the_code_have_texts_of_their_own() -> None:
    """A problem that is written as a literal in the code is found here."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("dreamina_ui/**/*.py"))
    written = set(re.findall(r"""problem["']?\s*[=:]\s*"(\w+)\"""", code))
    keyed = {match[1] for key in languages()["en"] if (match := re.match(r"problem_[a-z]+?_(\w+)", key))}
    assert written >= PROGRAM_PROBLEMS
    assert written - {"submit_unclear"} <= keyed


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_problem_text_belongs_to_a_problem(language: str) -> None:
    """A text that no problem leads to is never read."""
    ends = ("", "_own_key", "_visitor", "_reason")
    phases, problems = ("submit", "poll", "download"), [*PROBLEMS, "ended"]
    names = {f"problem_{phase}_{problem}{end}" for phase in phases for problem in problems for end in ends}
    assert {key for key in languages()[language] if key.startswith("problem_")} <= names


# --- actions


@pytest.mark.parametrize(
    ("job", "for_owner", "action"),
    [
        (replace(UNSENT, problem="transport"), True, "try_again"),
        (replace(UNSENT, problem="rate_limit"), False, "try_again"),
        (replace(UNSENT, problem="not_sent"), True, "try_again"),
        (replace(UNSENT, problem="balance"), True, "add_funds"),
        (replace(UNSENT, problem="balance"), False, "use_own_key"),
        (replace(UNSENT, problem="balance", key_fingerprint="k"), False, "add_funds"),
        (replace(UNSENT, problem="auth"), True, "try_again"),
        (replace(UNSENT, problem="auth"), False, "use_own_key"),
        (replace(UNSENT, problem="auth", key_fingerprint="k"), True, "use_own_key"),
        (replace(UNSENT, problem="refused"), True, "edit_prompt"),
        (replace(ENDED, problem="failed_at_service"), True, "edit_prompt"),
        (replace(ENDED, problem="media"), True, "retry_download"),
        (replace(ENDED, problem="no_files"), False, "retry_download"),
        (replace(ENDED, problem="not_found"), True, "retry_download"),
        (replace(ENDED, problem="foreign"), True, "none"),
        (replace(ACCEPTED, problem="transport"), True, "none"),
        (replace(ACCEPTED, problem="key_needed", key_fingerprint="k"), False, "use_own_key"),
        (replace(ACCEPTED, state="saving", problem="disk"), True, "none"),
        (replace(JOB, state="submit_unclear", problem="submit_unclear"), True, "none"),
        (replace(JOB, state="cancelled"), True, "none"),
        (replace(ACCEPTED, state="done"), True, "none"),
    ],
)  # fmt: skip
def test_each_problem_offers_the_one_action_that_helps(job: Job, for_owner: bool, action: Action) -> None:
    """One primary button; "Try again" only where nothing was accepted."""
    assert action_of(job, for_owner=for_owner) == action


@pytest.mark.parametrize("problem", PROBLEMS)
def test_nothing_that_was_accepted_can_be_tried_again(problem: str) -> None:
    """A second submit of an accepted job is a second bill."""
    for state in get_args(State):
        job = replace(ACCEPTED, state=state, problem=problem)
        assert action_of(job, for_owner=True) != "try_again"


# --- cancel and the rest


def test_a_job_without_a_problem_has_no_message() -> None:
    """Texts that are always there are not read."""
    for state in ("submitting", "queued", "running", "saving", "done"):
        assert text_of(replace(JOB, state=state)) == ""


def test_a_lost_response_says_what_it_may_cost() -> None:
    """The person decides about a second submit, and must know."""
    text = text_of(replace(JOB, state="submit_unclear", problem="submit_unclear"))
    assert "may be running and billed" in text
    assert "before you send it again" in text


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"state": "cancelled"}, "never sent. Nothing was billed"),
        ({"state": "cancelled", "request_id": "r"}, "at RunComfy"),
        ({"state": "queued", "cancel_requested_at": 5.0}, "Canceling…"),
        ({"state": "running", "cancel_requested_at": 5.0, "cancel_outcome": "too_late"}, "You keep the images"),
        ({"state": "queued", "cancel_requested_at": 5.0, "cancel_outcome": "unconfirmed"}, "Couldn't confirm"),
        ({"state": "done", "cancel_requested_at": 5.0, "finished_at": 4.0}, "finished before"),
        ({"state": "done", "cancel_requested_at": 5.0, "finished_at": 9.0, "cancel_outcome": "too_late"}, "Too late"),
    ],
)
def test_a_cancel_has_an_honest_outcome(changes: dict[str, Any], part: str) -> None:
    """Canceled, too late and unconfirmed are three different bills."""
    assert part in text_of(replace(JOB, **changes))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_message_does_not_repeat_the_state(language: str) -> None:
    """ "Canceled. Canceled." says nothing twice."""
    confirmed = replace(JOB, state="cancelled", request_id="r", cancel_outcome="cancelled")
    for job in (confirmed, replace(JOB, state="cancelled"), replace(JOB, state="cancelled", request_id="r")):
        assert not text_of(job, language).startswith(state_text(job, language))
    assert text_of(confirmed, language) == ""


def test_a_job_of_another_api_says_where_it_continues() -> None:
    """It is not lost; it waits for the API it belongs to."""
    waiting = replace(JOB, state="running", api_origin="sandbox")
    assert "sandbox" in text_of(waiting)
    assert text_of(replace(waiting, state="done")) == ""


@pytest.mark.parametrize("language", LANGUAGES)
def test_any_job_can_be_described(language: str) -> None:
    """No combination of state, problem and cancel breaks a page or leaves a placeholder open."""
    outputs = (Output(0, "image", "k", "kept"), Output(1, "image", "l", "damaged"))
    for state in get_args(State):
        for problem in (None, "transport", "new"):
            for outcome in (None, *get_args(Outcome)):
                for asked_at in (None, 5.0):
                    for finished_at in (None, 4.0, 6.0):
                        job = replace(
                            JOB, state=state, problem=problem, detail="{x}" if problem else None, outputs=outputs,
                            cancel_outcome=outcome, cancel_requested_at=asked_at, finished_at=finished_at,
                            queue_position=3, status="warming_up",
                        )  # fmt: skip
                        text = message(job, "another", language) + state_text(job, language)
                        assert not list(placeholders(text.replace("{x}", "")))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_shows_internals(language: str) -> None:
    """People read what happened, not job ids, paths or names of fields."""
    for key, text in languages()[language].items():
        if key.startswith(("problem_", "message_")):
            assert not re.search(r"\{(job_id|detail|path)", text), key
    assert translate(language, "problem_poll_failed_at_service_reason", reason="x").count("x") == 1
