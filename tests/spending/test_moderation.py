"""The owner's controls: what the owner says holds for the next row, and a restart forgets none of it."""

from __future__ import annotations

import itertools
import logging
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dreamina_ui.errors import BlockedError, BlockedWordError, InputError, LimitError, StoppedError
from dreamina_ui.ledger.job import Job
from dreamina_ui.spending.limits import Limits
from dreamina_ui.spending.moderation import MAX_WORDS, contains_word, normalize
from dreamina_ui.web.auth.visitor import person_id
from tests.support.bad_server import ScriptedResponse, json_response
from tests.support.harness import INPUTS, MODEL_ID, Harness, ScriptedApi

VISITOR, HOME = "a" * 32, "b" * 32
REVOKED = json_response({"error_code": 401001, "message": "who?"}, 401)
NO_BALANCE = json_response({"error_code": 400002, "message": "no balance"}, 402)

_numbers = itertools.count()


def press(harness: Harness, prompt: str = "", **more: Any) -> Job:
    """Press Generate; without a prompt, with one that is new: the same one at once would be a double click."""
    return harness.jobs.generate(MODEL_ID, INPUTS | {"prompt": prompt or f"prompt {next(_numbers)}"}, **more)


def reasons(harness: Harness) -> list[str]:
    """Why new jobs are stopped."""
    with harness.ledger.reading() as reader:
        return [stop.reason for stop in harness.moderation.rules(reader).stops]


@pytest.fixture
def quiet(harness: Harness, service: ScriptedApi) -> Harness:
    """Started job services whose submits get no response."""
    service.accept(ScriptedResponse(silent=True))
    harness.start()
    return harness


# --- the stop


def test_a_stop_holds_at_once_and_until_the_owner_says_so(quiet: Harness) -> None:
    """The owner who sees something wrong has one switch, and it is no wish."""
    quiet.moderation.stop()
    with pytest.raises(StoppedError, match="Nothing was submitted"):
        press(quiet)
    quiet.restart()
    with pytest.raises(StoppedError):
        press(quiet)
    quiet.moderation.resume()
    press(quiet)


def test_a_stop_leaves_no_row_behind_it(quiet: Harness) -> None:
    """Also for presses under way: after the switch no job is written any more, and none that was is taken back."""
    made: list[Job] = []
    refused: list[StoppedError] = []
    written_at_stop: list[int] = []
    gate = threading.Barrier(41)

    def generate_one(number: int) -> None:
        gate.wait()
        try:
            made.append(press(quiet, visitor_id=f"v{number}"))
        except StoppedError as exc:
            refused.append(exc)

    threads = [threading.Thread(target=generate_one, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    gate.wait()
    quiet.moderation.stop()
    written_at_stop.append(len(quiet.ledger.unfinished(quiet.origin)))
    for thread in threads:
        thread.join()
    assert len(made) + len(refused) == 40
    assert len(quiet.ledger.unfinished(quiet.origin)) == written_at_stop[0] == len(made)


def test_submitting_again_is_stopped_too(harness: Harness, service: ScriptedApi) -> None:
    """There is no way around the switch."""
    service.accept(ScriptedResponse(hang_up=True))
    harness.start()
    job = harness.wait(press(harness).job_id, "submit_unclear")
    harness.moderation.stop()
    with pytest.raises(StoppedError):
        harness.jobs.submit_again(job.job_id, may_charge_twice=True)
    assert harness.reader.job(job.job_id).archived_at is None, "it still waits for its decision"
    assert service.posts == 1


@pytest.mark.parametrize("response", [REVOKED, NO_BALANCE])
def test_at_ones_own_machine_a_refusal_pauses_nothing(
    harness: Harness, service: ScriptedApi, response: ScriptedResponse
) -> None:
    """Who tops up the balance or repairs the token presses Generate again, and needs no switch on another page."""
    harness.is_shared = False
    harness.rebuild()
    service.accept(response, response, json_response({"request_id": "r-1"}))
    service.completes()
    harness.start()
    for _ in range(2):
        assert harness.wait(press(harness).job_id).state == "failed"
    assert reasons(harness) == []
    assert harness.wait(press(harness).job_id).state == "done"
    assert service.posts == 3


@pytest.mark.parametrize("response", [REVOKED, NO_BALANCE])
def test_a_stop_of_a_shared_page_ends_when_the_page_is_no_longer_shared(
    harness: Harness, service: ScriptedApi, response: ScriptedResponse
) -> None:
    """Otherwise the person at the machine would look for a switch that is not meant for them."""
    service.accept(response, json_response({"request_id": "r-1"}))
    harness.start()
    harness.wait(press(harness).job_id, "failed")
    assert len(reasons(harness)) == 1
    harness.is_shared = False
    harness.restart()
    assert reasons(harness) == []
    press(harness)


@pytest.mark.parametrize("response", [REVOKED, NO_BALANCE])
def test_the_owners_next_job_lifts_the_stop_and_is_sent(
    harness: Harness, service: ScriptedApi, response: ScriptedResponse
) -> None:
    """One click after the top-up, not five clicks on two pages; visitors can generate again, too."""
    service.accept(response, json_response({"request_id": "r-1"}))
    service.completes()
    harness.start()
    harness.wait(press(harness).job_id, "failed")
    with pytest.raises(StoppedError):
        press(harness)
    assert harness.wait(press(harness, lifts_stop=True).job_id).state == "done"
    assert reasons(harness) == []
    press(harness)


def test_a_stop_comes_back_if_the_owners_job_is_refused_as_well(harness: Harness, service: ScriptedApi) -> None:
    """Visitors' jobs must not fail one after the other while the owner tries."""
    service.accept(NO_BALANCE, NO_BALANCE)
    harness.start()
    harness.wait(press(harness).job_id, "failed")
    assert harness.wait(press(harness, lifts_stop=True).job_id).problem == "balance"
    with pytest.raises(StoppedError):
        press(harness)
    assert service.posts == 2


def test_the_owners_job_lifts_no_stop_of_the_owner(harness: Harness, service: ScriptedApi) -> None:
    """Who stopped the page on purpose starts it again on purpose."""
    harness.start()
    harness.moderation.stop()
    with pytest.raises(StoppedError):
        press(harness, lifts_stop=True)
    assert (reasons(harness), service.posts) == (["owner"], 0)


def test_a_refused_request_of_the_owner_leaves_the_stop(harness: Harness, service: ScriptedApi) -> None:
    """The stop ends in the transaction that writes the job's row: without a row there is no change."""
    service.accept(NO_BALANCE)
    harness.start()
    harness.wait(press(harness).job_id, "failed")
    harness.moderation.block_words(["fox"])
    with pytest.raises(BlockedWordError):
        press(harness, prompt="a fox", lifts_stop=True)
    assert reasons(harness) == ["balance"]


@pytest.mark.parametrize(("response", "reason"), [(REVOKED, "auth"), (NO_BALANCE, "balance")])
def test_one_refused_submit_stops_all_that_follow(
    harness: Harness, service: ScriptedApi, response: ScriptedResponse, reason: str
) -> None:
    """Instead of failing visitor after visitor."""
    service.accept(response)
    harness.start()
    harness.wait(press(harness).job_id, "failed")
    for _ in range(3):
        with pytest.raises(StoppedError, match=f"reason: {reason}"):
            press(harness)
    assert (reasons(harness), service.posts) == ([reason], 1)
    service.accept(json_response({"request_id": "r-2"}))
    harness.moderation.resume()
    press(harness)


def test_the_log_names_what_the_owner_changed(
    harness: Harness, service: ScriptedApi, caplog: pytest.LogCaptureFixture
) -> None:
    """Who runs it on a server reads the log, not the page."""
    service.accept(REVOKED)
    harness.start()
    logger = "dreamina_ui.spending.moderation"
    with caplog.at_level(logging.WARNING, logger):
        harness.wait(press(harness).job_id, "failed")
    records = [record.getMessage() for record in caplog.records if record.name == logger]
    assert ["New jobs are stopped" in text for text in records] == [True]


def test_a_token_refused_while_jobs_run_stops_new_ones_and_no_other(harness: Harness, service: ScriptedApi) -> None:
    """What is paid for continues as soon as the token is good again; new jobs wait for the owner."""
    service.status(json_response({"error_code": 401001}, 401))
    harness.start()
    job = press(harness)
    harness.wait(job.job_id, lambda job: job.problem == "auth")
    with pytest.raises(StoppedError):
        press(harness)
    service.completes()
    assert harness.wait(job.job_id).state == "done"
    assert reasons(harness) == ["auth"], "the owner lets them go on, not a look that went well"


@pytest.mark.parametrize(
    "response",
    [json_response({"error_code": 403001}, 403), ScriptedResponse(403)],
    ids=["foreign request", "403 without a code"],
)
def test_a_request_of_another_account_stops_nobody(
    harness: Harness, service: ScriptedApi, response: ScriptedResponse
) -> None:
    """One wrong request id must not close the page."""
    service.status(response)
    harness.start()
    job = press(harness)
    harness.wait(job.job_id, lambda job: job.problem is not None)
    assert reasons(harness) == []


def test_a_refused_prompt_stops_nobody(harness: Harness, service: ScriptedApi) -> None:
    """Firewalls before a service answer 403 to some words; no stranger must close the page with one of them."""
    service.accept(ScriptedResponse(403, b"<html>blocked</html>"))
    harness.start()
    harness.wait(press(harness, "<script>").job_id, "failed")
    assert reasons(harness) == []


def test_a_restart_tries_the_token_anew_but_not_the_empty_account(harness: Harness, service: ScriptedApi) -> None:
    """A token is read at start only, so it may be another; a balance is filled without a restart."""
    service.accept(REVOKED)
    harness.start()
    harness.wait(press(harness).job_id, "failed")
    harness.restart()
    assert reasons(harness) == []
    service.accept(NO_BALANCE)
    harness.wait(press(harness).job_id, "failed")
    harness.restart()
    assert reasons(harness) == ["balance"]


def test_an_empty_account_does_not_stop_another_api(harness: Harness, service: ScriptedApi) -> None:
    """Without the token, the same folder runs on the sandbox, which costs nothing."""
    service.accept(NO_BALANCE)
    harness.start()
    harness.wait(press(harness).job_id, "failed")
    harness.origin = "sandbox"
    service.accept(ScriptedResponse(silent=True))
    harness.restart()
    press(harness)


# --- limits


def test_two_hundred_requests_at_once_never_pass_a_changed_limit_by_one(quiet: Harness) -> None:
    """What the owner sets at run time holds like what was set at start, and wins over it."""
    quiet.guard.limits = Limits(per_day=150)
    quiet.moderation.change_limits({"per_day": 13})
    outcomes: list[float | None] = []
    gate = threading.Barrier(200)

    def generate_one(number: int) -> None:
        gate.wait()
        try:
            press(quiet, visitor_id=f"v{number}")
            outcomes.append(None)
        except LimitError as exc:
            outcomes.append(exc.most)

    threads = [threading.Thread(target=generate_one, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (outcomes.count(None), outcomes.count(13)) == (13, 187)


def test_a_changed_limit_survives_a_restart_and_can_be_given_back(quiet: Harness) -> None:
    """The environment's word counts again as soon as the owner wants it."""
    quiet.moderation.change_limits({"visitor_per_day": 0, "usd_per_day": 2.5})
    quiet.restart()
    assert quiet.spending.limits() == Limits(visitor_per_day=0, usd_per_day=2.5)
    assert quiet.spending.quota(VISITOR).jobs_today == 0
    quiet.moderation.change_limits({"visitor_per_day": None})
    assert quiet.spending.limits() == Limits(usd_per_day=2.5)
    assert quiet.spending.quota(VISITOR).jobs_today is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("per_day", -1), ("per_day", 1.5), ("per_day", "7"), ("per_day", True), ("per_day", float("nan")),
        ("usd_per_day", float("inf")), ("usd_per_month", 1e10), ("per_year", 1), ("described", 1), ("per_day", [1]),
    ],
)  # fmt: skip
def test_an_impossible_limit_is_refused_by_name_and_changes_nothing(quiet: Harness, name: str, value: Any) -> None:
    """A slip of the finger must not lift the budget."""
    with pytest.raises(InputError) as caught:
        quiet.moderation.change_limits({"at_once": 1, name: value})
    assert caught.value.field == name
    assert quiet.spending.limits() == Limits()


def test_a_limit_in_money_set_at_run_time_asks_for_the_price(harness: Harness, service: ScriptedApi) -> None:
    """Without a price it could not hold."""
    harness.start()
    harness.moderation.change_limits({"usd_per_day": 1})
    service.price(json_response({"base_price_usd": 0.05}))
    harness.spending.refresh_prices()
    while not harness.guard.prices:
        threading.Event().wait(0.002)
    assert harness.guard.expected_usd(MODEL_ID, {"force_single": True}) == 0.05


@pytest.mark.parametrize(
    "response", [json_response({"price_unit": "image"}), ScriptedResponse(404)], ids=["none told", "no response"]
)
def test_a_limit_in_money_without_a_price_is_reported_at_start(
    harness: Harness, service: ScriptedApi, response: ScriptedResponse, caplog: pytest.LogCaptureFixture
) -> None:
    """The owner must not sleep on a limit that cannot hold."""
    harness.guard.limits = Limits(usd_per_day=1.0)
    service.price(response)
    harness.start()
    while "limits in USD cannot hold" not in caplog.text:
        threading.Event().wait(0.002)
    assert "DREAMINA_PRICE_USD" in caplog.text


def test_a_price_that_was_unknown_at_start_is_asked_for_again(harness: Harness, service: ScriptedApi) -> None:
    """A service that is down for a minute must not leave the budget open until the next restart."""
    harness.guard.limits = Limits(usd_per_day=1.0)
    service.price(*[ScriptedResponse(503)] * 6, json_response({"base_price_usd": 0.05}))
    harness.start()
    while not harness.guard.prices:
        threading.Event().wait(0.002)
    assert harness.guard.expected_usd(MODEL_ID, {"force_single": True}) == 0.05


# --- who is blocked


def test_a_visitor_and_an_ip_address_are_blocked_and_unblocked(quiet: Harness) -> None:
    """The owner can end it with one guest without ending it with all."""
    controls = quiet.moderation
    controls.block("visitor", VISITOR)
    controls.block("address", HOME)
    quiet.restart()
    controls = quiet.moderation
    with pytest.raises(BlockedError):
        press(quiet, visitor_id=VISITOR)
    with pytest.raises(BlockedError):
        press(quiet, client_hash=HOME)
    press(quiet, visitor_id="c" * 32, client_hash="d" * 32)
    press(quiet, visitor_id=HOME, client_hash=VISITOR)
    controls.unblock("visitor", VISITOR)
    press(quiet, visitor_id=VISITOR)
    controls.block("visitor", person_id("login", "bob"))
    with pytest.raises(BlockedError):
        press(quiet, visitor_id=person_id("login", "bob"))


@pytest.mark.parametrize(("kind", "name"), [("visitor", ""), ("visitor", "A" * 32), ("word", VISITOR), ("stop", HOME)])
def test_only_a_visitor_or_an_ip_address_can_be_blocked(quiet: Harness, kind: str, name: str) -> None:
    """What comes from a request writes no other control."""
    with pytest.raises(InputError):
        quiet.moderation.block(kind, name)


# --- words


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("fox", "A Red FOX, in snow"), ("FOX", "fox"), ("fox", "snow_fox"), ("fox", "ｆｏｘ in full width"),
        ("fox", "f\u200bo\u00adx unseen"), ("red fox", "a red\n  fox"), ("straße", "STRASSE"), ("café", "cafe\u0301"),
        ("fox", "f\ufe0fo\u115f\u3164x unseen"), ("café", "cafe\u034f\u0301"),
        ("狐", "雪の中の赤い狐が走る"), ("キツネ", "赤いｷﾂﾈです"), ("fox", "赤いfoxが走る"), ("여우", "붉은 여우를"),
        ("#fox", "see #fox"), ("c++", "c++ code"), ("ﬁg", "a fig"),
    ],
)  # fmt: skip
def test_a_forbidden_word_is_found(quiet: Harness, word: str, text: str) -> None:
    """However it is written."""
    quiet.moderation.block_words(["unrelated", word])
    with pytest.raises(BlockedWordError) as caught:
        press(quiet, prompt=text)
    assert caught.value.word == word
    assert "unrelated" not in str(caught.value)


@pytest.mark.parametrize(("word", "text"), [("fox", "a foxglove"), ("fox", "firefox"), ("fox", "fox2")])
def test_a_part_of_a_word_is_no_word(quiet: Harness, word: str, text: str) -> None:
    """Who forbids "ass" has nothing against grass."""
    quiet.moderation.block_words([word])
    press(quiet, prompt=text)


@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_every_word_is_found_between_spaces(word: str, text: str) -> None:
    """No word can be set that is never found."""
    if normalize(word):
        assert contains_word(normalize(f"{text} {word} {text}"), normalize(word))


def test_words_take_the_place_of_those_before(quiet: Harness) -> None:
    """The list on the owner's page is the list that holds; what means the same stands once."""
    controls = quiet.moderation
    controls.block_words(["fox", "狐"])
    controls.block_words(["  Two   words ", "two words", "", "\u200b"])
    with quiet.ledger.reading() as reader:
        assert controls.rules(reader).words == ("Two words",)
    press(quiet, prompt="fox")


@pytest.mark.parametrize("words", [[7], ["\ud800"], ["x" * 101], ["x"] * (MAX_WORDS + 1), [None]])
def test_what_is_no_word_is_refused(quiet: Harness, words: list[Any]) -> None:
    """Nothing half."""
    quiet.moderation.block_words(["stays"])
    with pytest.raises(InputError) as caught:
        quiet.moderation.block_words(words)
    assert caught.value.field == "words"
    with quiet.ledger.reading() as reader:
        assert quiet.moderation.rules(reader).words == ("stays",)
