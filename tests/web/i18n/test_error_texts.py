"""Why a request was refused, in the reader's language, short and without internals."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from dreamina_ui import errors
from dreamina_ui.errors import BatchError, DreaminaError, InputError, LimitError, StoppedError
from dreamina_ui.spending.limits import Limits
from dreamina_ui.web.i18n.error_texts import error_action, error_text, pause_text, program_error_text
from dreamina_ui.web.i18n.translate import languages, number, translate

LANGUAGES = sorted(languages())
RESET_AT = 1795392000.0  # 2026-11-23 00:00 UTC


def test_an_empty_prompt_is_a_short_sentence() -> None:
    """Neither the field's key nor what was given helps anybody here."""
    exc = InputError("prompt", "required", None, "")
    assert error_text(exc, "en", {"prompt": "Prompt"}) == "Prompt is required."
    assert error_text(exc, "de", {"prompt": "Prompt"}) == "Prompt ist erforderlich."
    assert error_text(BatchError("input", line=3, exc=exc), "en", {"prompt": "Prompt"}) == "Line 3: Prompt is required."


def test_a_limit_of_the_admin_page_does_not_speak_of_sending() -> None:
    """Nothing is ever sent there."""
    assert error_text(InputError("usd_per_day", "minimum", 0, -5), "en") == "usd_per_day must be at least 0."


def test_an_input_is_named_as_the_form_names_it() -> None:
    """People know "Scale", programs know `scale`; in a list the number of the entry matters."""
    titles = {"width×height": "Aspect ratio", "image_urls": "Input images", "settings": "Settings"}
    texts = {
        field: error_text(InputError(field, "enum", ["a", "b"], "{c}"), "en", titles)
        for field in ("width×height", "image_urls.1", "settings.mode", "unknown.0")
    }
    assert texts == {
        "width×height": "Aspect ratio must be one of the choices.",
        "image_urls.1": "Input images #2 must be one of the choices.",
        "settings.mode": "Settings (settings.mode) must be one of the choices.",
        "unknown.0": "unknown.0 must be one of the choices.",
    }
    exc = InputError("scale", "maximum", 1, 2)
    assert error_text(exc, "ja", {"scale": "スケール"}) == "スケール：1 以下にしてください。"


@pytest.mark.parametrize("language", LANGUAGES)
def test_any_broken_rule_has_a_text(language: str) -> None:
    """Even a rule that this program does not know."""
    for rule in ("maximum", "multipleOf", "const", "pattern", "unheard-of"):
        text = error_text(InputError("scale", rule, "{limit}", "x" * 10_000), language)
        assert len(text) < 400
        assert text.startswith("scale")


def test_a_rule_has_a_form_for_one() -> None:
    """The edit model's first rule is about one image."""
    exc = InputError("image_urls", "minItems", 1, [])
    assert error_text(exc, "en").endswith("at least 1 entry.")
    assert error_text(exc, "de").endswith("mindestens 1 Eintrag haben.")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (errors.LedgerError, "error_ledger"),
        (errors.DiskError, "error_disk"),
        (errors.JobNotFoundError, "error_job_not_found"),
        (errors.StateError, "error_move"),
        (errors.KeyNeededError, "error_key_needed"),
    ],
)
def test_errors_are_reported_in_the_readers_language(kind: type[DreaminaError], key: str, language: str) -> None:
    """The person must know whether anything was sent."""
    assert error_text(kind("no space {left}"), language) == translate(language, key, detail="no space {left}")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("exc", "key"),
    [
        (errors.TransportError("POST https://… ConnectTimeout"), "problem_submit_transport"),
        (errors.BalanceError("400002 InsufficientResources", status_code=402), "problem_submit_balance"),
        (errors.RequestNotFoundError("404001", status_code=404), "problem_poll_not_found"),
    ],
)
def test_errors_of_the_service_are_reported_without_internals(exc: DreaminaError, key: str, language: str) -> None:
    """Error numbers and class names belong in the log."""
    assert error_text(exc, language) == languages()[language][key]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_limit_is_reported_with_its_number_and_when_it_ends(language: str) -> None:
    """People want to know which limit it is, and whether to wait a minute or a day."""
    names = {*Limits.__dataclass_fields__, "own_key_at_once"}
    assert {key for key in languages()[language] if key.startswith("limit_")} == {f"limit_{name}" for name in names}
    for name in names:
        later = error_text(LimitError(name, 20, RESET_AT), language)
        assert languages()[language][f"limit_{name}"] in later
        assert number(language, 20, 2 if name.startswith("usd_") else None) in later
        assert translate(language, "moment", time=datetime.fromtimestamp(RESET_AT, timezone.utc)) in later
        assert error_text(LimitError(name, 20, None), language) != later


def test_a_budget_is_reported_as_money() -> None:
    """Five dollars are not five jobs."""
    later = error_text(LimitError("usd_per_day", 5, RESET_AT), "en")
    assert later == "Daily budget: limit of $5.00 reached. Try again after 2026-11-23 00:00 UTC."


@pytest.mark.parametrize(
    ("language", "limit", "time", "decimal"),
    [
        ("en", "$2.50", "2026-11-23 14:30 UTC", "0.5"), ("ja", "$2.50", "2026/11/23 14:30 UTC", "0.5"),
        ("zh-CN", "US$2.50", "2026/11/23 14:30 UTC", "0.5"), ("ko", "US$2.50", "2026. 11. 23. 14:30 UTC", "0.5"),
        ("es", "2,50 US$", "23/11/2026, 14:30 UTC", "0,5"), ("de", "2,50 $", "23.11.2026, 14:30 Uhr UTC", "0,5"),
    ],
)  # fmt: skip
def test_money_times_and_numbers_follow_the_language(language: str, limit: str, time: str, decimal: str) -> None:
    """Two and a half dollars are not twenty-five, and the third of April is not the fourth of March."""
    later = error_text(LimitError("usd_per_day", 2.5, 1795444200.0), language)
    assert limit in later
    assert time in later
    assert f" {decimal}" in " " + error_text(InputError("scale", "maximum", 0.5, 2), language).replace("：", " ")
    assert number(language, 1.25, 1) == decimal.replace("0", "1").replace("5", "2")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", ["auth", "balance"])
def test_a_pause_reads_differently_for_the_owner_and_for_visitors(reason: str, language: str) -> None:
    """The owner can add funds; visitors can use a key of their own."""
    exc = StoppedError(reason)
    assert error_text(exc, language, for_owner=True) == languages()[language][f"error_stopped_{reason}_for_owner"]
    assert error_text(exc, language) == languages()[language][f"error_stopped_{reason}"]
    assert error_text(StoppedError("owner"), language, for_owner=True) == languages()[language]["error_stopped_owner"]


@pytest.mark.parametrize(
    ("exc", "for_owner", "action"),
    [
        (StoppedError("balance"), True, "add_funds"),
        (StoppedError("auth"), True, "try_again"),
        (StoppedError("balance"), False, "use_own_key"),
        (StoppedError("owner"), False, "none"),
        (InputError("prompt", "required", None, ""), False, "edit_prompt"),
        (errors.BlockedWordError("x"), False, "edit_prompt"),
        (errors.KeyNeededError("x"), False, "use_own_key"),
        (errors.LedgerError("x"), False, "try_again"),
        (LimitError("per_day", 1, RESET_AT), False, "none"),
        (errors.BlockedError(), False, "none"),
    ],
)
def test_each_refusal_offers_the_one_action_that_helps(exc: DreaminaError, for_owner: bool, action: str) -> None:
    """One primary button beside the text."""
    assert error_action(exc, for_owner=for_owner) == action


def test_a_program_gets_the_choices_and_the_header() -> None:
    """It sees no form: the list of choices and the name of the header are all it has."""
    enum = InputError("width×height", "enum", ["2048x2048(1:1)", "4096x4096(1:1)"], "big")
    assert program_error_text(enum) == "width×height must be one of: 2048x2048(1:1), 4096x4096(1:1)."
    assert "X-RunComfy-Token" in program_error_text(errors.KeyNeededError("Job 12 waits."))
    assert program_error_text(StoppedError("owner")) == languages()["en"]["error_stopped_owner"]


def test_a_paused_batch_names_the_input_and_its_value() -> None:
    """All jobs of the batch need that file; the person must know which one it is."""
    exc = InputError("image_urls.0", "address_login", None, "https://a.example/x.png")
    assert pause_text(exc, "en", {"image_urls": "Input images"}) == (
        "Paused. Input images #1: 'https://a.example/x.png' requires a sign-in. Fix it, then resume."
    )
