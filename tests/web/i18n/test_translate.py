"""Every state, problem and error has its words, in every language."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from string import Formatter
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dreamina_ui import errors
from dreamina_ui.errors import DreaminaError, InputError, LimitError
from dreamina_ui.ledger.job import Job, Outcome, Output, State
from dreamina_ui.models.schema import MODELS_FOLDER, load_models
from dreamina_ui.spending.limits import Limits
from dreamina_ui.web.i18n import translate as wording
from dreamina_ui.web.i18n.translate import (
    LANGUAGES_FOLDER,
    error_text,
    file_size,
    languages,
    message,
    number,
    page_words,
    pick_language,
    program_error_text,
    state_text,
    translate,
)

ROOT = Path(__file__).parents[3]
HERE = "https://model-api.runcomfy.net"
JOB = Job(job_id="j", model_id="m", api_origin=HERE, inputs={"prompt": "fox"}, created_at=1.0, updated_at=1.0)
OWN_PROBLEMS = {"no_files", "not_sent", "not_ready", "gave_up", "incomplete", "file_unavailable"}
DYNAMIC = (
    "state_", "problem_", "own_problem_", "unsent_problem_", "message_", "error_", "rule_", "field_", "limit_",
    "owner_limit_", "owner_stop_", "batch_count_", "batch_paused_", "batch_notice_", "example_",
)  # fmt: skip
LANGUAGES = sorted(path.stem for path in LANGUAGES_FOLDER.glob("*.json"))


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def tree(kind: type[DreaminaError]) -> Iterator[type[DreaminaError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from tree(child)


# --- the languages' files


def test_every_language_says_the_same_things() -> None:
    """A text that is missing in one language appears in English in the middle of the page."""
    assert LANGUAGES == ["de", "en", "es", "ja", "ko", "zh-CN"]
    words = {language: {key for key in languages()[language] if not key.startswith("field_")} for language in LANGUAGES}
    for language in LANGUAGES:
        assert words[language] ^ words["en"] == set(), f"{language} differs from en"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_has_the_same_placeholders_as_in_english(language: str) -> None:
    """One misspelt placeholder breaks the page for everyone who reads that language."""
    for key, text in languages()[language].items():
        if key in languages()["en"]:
            assert placeholders(text) == placeholders(languages()["en"][key]), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_or_given_twice(language: str) -> None:
    """JSON keeps the last of two keys, and nobody sees that the first is gone."""
    pairs = json.loads((LANGUAGES_FOLDER / f"{language}.json").read_text("utf-8"), object_pairs_hook=list)
    keys = [key for key, _ in pairs]
    assert sorted(set(keys)) == sorted(keys)
    assert all(isinstance(text, str) and text.strip() == text != "" for _, text in pairs)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_of_a_model_is_translated_and_no_other(language: str) -> None:
    """Titles and help come from the schema, in English; a translation of a field that is gone is never shown."""
    known = {
        f"field_{field.parameter}_{part}"
        for model in load_models(MODELS_FOLDER, ROOT / "examples" / "models").values()
        for field in model.fields
        for part, text in (("title", field.title), ("help", field.help))
        if text
    }
    assert {key for key in languages()[language] if key.startswith("field_")} == (set() if language == "en" else known)


def test_every_text_is_used() -> None:
    """Words that nobody shows are words that translators write for nothing."""
    sources = [*ROOT.glob("*.py"), *ROOT.glob("dreamina_ui/**/*.py"), *ROOT.glob("dreamina_ui/web/static/*.js")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    used = set(re.findall(r"\w+", code)) | {"pending_output", "damaged_output"}  # {output.state}_output
    unused = {key for key in languages()["en"] if key not in used and not key.startswith(DYNAMIC)}
    assert unused == set()


# --- everything that can happen has its words


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_state_has_its_words(language: str) -> None:
    """A card without a state is a riddle."""
    texts = {state_text(replace(JOB, state=state), language) for state in get_args(State)}
    assert len(texts) == len(get_args(State))
    assert "" not in texts


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_problem_has_its_words(language: str) -> None:
    """Whatever kind of error the ledger stores, people read what it means."""
    roots = (errors.ApiError, errors.MediaError, errors.JobFailedError, errors.InputError, errors.KeyNeededError)
    stored = {kind.kind for root in roots for kind in tree(root)} | OWN_PROBLEMS
    assert {key for key in languages()[language] if key.startswith("problem_")} == {
        f"problem_{each}" for each in stored
    }
    for problem in stored:
        text = message(replace(JOB, state="failed", problem=problem, request_id="r-1"), HERE, language)
        assert text == languages()[language][f"problem_{problem}"]
    unheard_of = message(replace(JOB, state="failed", problem="new"), HERE, language)
    assert unheard_of == languages()[language]["problem_api"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("problem", ["transport", "rate_limit"])
def test_a_job_that_never_began_is_not_said_to_be_asked_about(problem: str, language: str) -> None:
    """ "We keep asking" is true of a job that the service took, and of no other."""
    unsent = message(replace(JOB, state="failed", problem=problem), HERE, language)
    assert unsent == languages()[language][f"unsent_problem_{problem}"]
    assert message(replace(JOB, problem=problem, state="queued", request_id="r-1"), HERE, language) != unsent


def test_problems_in_the_code_are_problems_with_words() -> None:
    """A problem that is written as a text in the code is found here."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("dreamina_ui/**/*.py"))
    written = set(re.findall(r"""problem["']?\s*[=:]\s*"(\w+)\"""", code))
    assert written >= OWN_PROBLEMS
    assert {f"problem_{problem}" for problem in written} <= set(languages()["en"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_any_job_can_be_put_into_words(language: str) -> None:
    """No combination of state, problem and cancel breaks a page, and no placeholder is left open."""
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
                        assert not placeholders(text.replace("{x}", ""))


# --- states


def test_the_place_in_the_queue_is_told() -> None:
    """Zero before us is "next", and nothing known is nothing said."""
    queued = replace(JOB, state="queued", status="in_queue")
    assert state_text(queued, "en") == "In the queue"
    assert state_text(replace(queued, queue_position=0), "en") == "In the queue · next in line"
    assert state_text(replace(queued, queue_position=3), "en") == "In the queue · position 3"
    assert state_text(replace(JOB, state="running", queue_position=3), "en") == "Running"


def test_a_status_nobody_has_heard_of_is_shown_as_it_came() -> None:
    """Also one with braces in it."""
    running = replace(JOB, state="running")
    assert state_text(replace(running, status="in_progress"), "en") == "Running"
    assert state_text(replace(running, status="warm{ing}"), "en") == "Running · the service says “warm{ing}”"


# --- messages


def test_a_quiet_job_says_nothing() -> None:
    """Words that are always there are not read."""
    for state in ("submitting", "queued", "running", "saving", "done"):
        assert message(replace(JOB, state=state), HERE, "en") == ""


def test_a_lost_answer_is_told_with_what_it_may_cost() -> None:
    """The person decides about a second submit, and must know."""
    text = message(replace(JOB, state="submit_unclear", problem="submit_unclear"), HERE, "en")
    assert "may be billed" in text
    assert "not sent again by itself" in text


@pytest.mark.parametrize(
    ("news", "part"),
    [
        ({"state": "cancelled"}, "before it was sent. Nothing was billed"),
        ({"state": "cancelled", "request_id": "r", "cancel_outcome": "cancelled"}, "The service confirmed it"),
        ({"state": "cancelled", "request_id": "r"}, "The service says"),
        ({"state": "queued", "cancel_requested_at": 5.0}, "waiting for the service's answer"),
        ({"state": "running", "cancel_requested_at": 5.0, "cancel_outcome": "too_late"}, "will be kept"),
        ({"state": "queued", "cancel_requested_at": 5.0, "cancel_outcome": "unconfirmed"}, "could not be confirmed"),
        ({"state": "done", "cancel_requested_at": 5.0, "finished_at": 4.0}, "already ended"),
        ({"state": "done", "cancel_requested_at": 5.0, "finished_at": 9.0, "cancel_outcome": "too_late"}, "Too late"),
    ],
)
def test_a_cancel_has_an_honest_answer(news: dict[str, Any], part: str) -> None:
    """Cancelled, too late and unconfirmed are three different bills."""
    assert part in message(replace(JOB, **news), HERE, "en")


def test_a_job_of_another_api_says_where_it_goes_on() -> None:
    """It is not lost; it waits for the API it belongs to."""
    waiting = replace(JOB, state="running", api_origin="sandbox")
    assert "sandbox" in message(waiting, HERE, "en")
    assert message(replace(waiting, state="done"), HERE, "en") == ""


def test_a_failure_says_how_much_was_kept() -> None:
    """Three of four pictures are worth showing."""
    outputs = tuple(Output(n, "image", str(n), "damaged" if n == 3 else "kept") for n in range(4))
    text = message(replace(JOB, state="failed", problem="media", outputs=outputs), HERE, "en")
    assert "3 of 4 files are here" in text


# --- errors


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", [errors.LedgerError, errors.DiskError, errors.JobNotFoundError, errors.StateError])
def test_errors_of_a_press_are_told_in_the_readers_language(kind: type[DreaminaError], language: str) -> None:
    """Who pressed must know whether anything was sent."""
    text = error_text(kind("no space {left}"), language)
    assert text
    assert text.replace("no space {left}", "") in languages()[language][f"error_{_key(kind)}"].replace("{detail}", "")


def _key(kind: type[DreaminaError]) -> str:
    return {errors.LedgerError: "ledger", errors.DiskError: "disk", errors.StateError: "move"}.get(
        kind, "job_not_found"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_limit_is_told_with_its_number_and_when_it_ends(language: str) -> None:
    """Who is stopped wants to know by what, and whether to wait a minute or a day."""
    names = {*Limits.__dataclass_fields__, "own_key_at_once"}
    assert {key for key in languages()[language] if key.startswith("limit_")} == {f"limit_{name}" for name in names}
    for name in names:
        later = error_text(LimitError(name, 20, 1795392000.0), language)
        assert languages()[language][f"limit_{name}"] in later
        assert number(language, 20, 2 if name.startswith("usd_") else None) in later
        assert translate(language, "moment", time=datetime.fromtimestamp(1795392000.0, timezone.utc)) in later
        assert error_text(LimitError(name, 20, None), language) != later


def test_a_limit_in_money_is_told_as_money() -> None:
    """Five dollars are not five jobs; when it ends is told as the reader's language writes a time."""
    later = error_text(LimitError("usd_per_day", 5, 1795392000.0), "en")
    assert "the limit of $5.00 is reached" in later
    assert "from 2026-11-23 00:00 UTC" in later


@pytest.mark.parametrize(
    ("language", "limit", "time", "decimal"),
    [
        ("en", "$2.50", "2026-11-23 14:30 UTC", "0.5"), ("ja", "$2.50", "2026/11/23 14:30 UTC", "0.5"),
        ("zh-CN", "US$2.50", "2026/11/23 14:30 UTC", "0.5"), ("ko", "US$2.50", "2026. 11. 23. 14:30 UTC", "0.5"),
        ("es", "2,50 US$", "23/11/2026, 14:30 UTC", "0,5"), ("de", "2,50 $", "23.11.2026, 14:30 Uhr UTC", "0,5"),
    ],
)  # fmt: skip
def test_money_times_and_numbers_are_written_as_the_language_writes_them(
    language: str, limit: str, time: str, decimal: str
) -> None:
    """Two and a half dollars are not twenty-five, and the third of April is not the fourth of March."""
    later = error_text(LimitError("usd_per_day", 2.5, 1795444200.0), language)
    assert limit in later
    assert time in later
    assert f" {decimal}" in " " + error_text(InputError("scale", "maximum", 0.5, 2), language).replace("：", " ")
    assert number(language, 1.25, 1) == decimal.replace("0", "1").replace("5", "2")


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_is_not_told_as_many(language: str) -> None:
    """ "1 jobs" reads as if nobody had looked; Chinese, Japanese and Korean have one form for all."""
    one, more = (translate(language, "batch_jobs", count=count) for count in (1, 2))
    assert (one.replace("1", "2") == more) == (language in ("ja", "ko", "zh-CN"))
    assert translate(language, "batch_jobs", count=0) == more.replace("2", "0")
    assert not placeholders(one + more)


def test_a_rule_speaks_of_one_entry() -> None:
    """The edit model's first rule is about one picture."""
    assert "at least 1 entry." in error_text(InputError("image_urls", "minItems", 1, []), "en")
    assert "mindestens 1 Eintrag haben." in error_text(InputError("image_urls", "minItems", 1, []), "de")


@pytest.mark.parametrize(
    ("language", "written"),
    [("en", "12,345.6"), ("ja", "12,345.6"), ("de", "12.345,6"), ("es", "12.345,6")],
)
def test_a_long_number_is_grouped(language: str, written: str) -> None:
    """As the page's scripts write it."""
    assert number(language, 12345.6) == written
    assert written[:-2] in translate(language, "batch_jobs", count=12345)


@pytest.mark.parametrize(
    ("size_bytes", "english", "german"),
    [
        (0, "0 B", "0 B"), (999, "999 B", "999 B"), (4_400, "4 kB", "4 kB"), (310_000, "310 kB", "310 kB"),
        (1_250_000, "1.2 MB", "1,2 MB"), (12_345_678_901, "12.3 GB", "12,3 GB"),
    ],
)  # fmt: skip
def test_a_small_file_is_not_nothing(size_bytes: int, english: str, german: str) -> None:
    """A picture of 40 kB is no picture of 0.0 MB."""
    assert file_size("en", size_bytes) == english.replace(" ", "\u00a0")  # never on two lines
    assert file_size("de", size_bytes) == german.replace(" ", "\u00a0")


def test_another_error_speaks_for_itself() -> None:
    """Its own English words are better than none."""
    assert error_text(errors.BalanceError("No balance {left}.", status_code=402), "ja") == "No balance {left}."


def test_a_refused_input_is_named_as_the_form_names_it() -> None:
    """People know "Scale", programs know `scale`."""
    exc = InputError("width×height", "enum", ["a", "b"], "{c}")
    assert error_text(exc, "en", {"width×height": "Size"}).startswith("Size (width×height): must be one of the choices")
    assert "{c}" in error_text(exc, "en")
    assert error_text(InputError("scale", "maximum", 1, 2), "ja", {"scale": "スケール"}) == (
        "スケール (scale)：1 以下にしてください。入力値：2。何も送信していません。"
    )


def test_a_program_reads_the_choices_and_the_header() -> None:
    """It sees no form: the list of choices and the name of the header are all it has."""
    enum = InputError("width×height", "enum", ["2048x2048(1:1)", "4096x4096(1:1)"], "big")
    assert program_error_text(enum).startswith(
        "width×height: must be one of: 2048x2048(1:1), 4096x4096(1:1). Given: 'b"
    )
    assert "X-RunComfy-Token" in program_error_text(errors.KeyNeededError("Job 12 waits."))
    assert program_error_text(errors.StoppedError("owner")) == languages()["en"]["error_stopped_owner"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_any_broken_rule_can_be_told(language: str) -> None:
    """Also one that has no words of its own."""
    for rule in ("maximum", "multipleOf", "const", "pattern", "nobody-knows"):
        text = error_text(InputError("scale", rule, "{limit}", "x" * 10_000), language)
        assert len(text) < 400
        assert text.startswith("scale")


# --- which language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"), ("", "en"), ("ja", "ja"), ("ja-JP", "ja"), ("JA-jp", "ja"), ("en-US,en;q=0.9", "en"),
        ("ja,en;q=0.8", "ja"), ("en;q=0.8,ja", "ja"), ("en;q=0.8, ja;q=0.9", "ja"), ("en; q=0.8, ja; q=0.9", "ja"),
        ("it,fr;q=0.9,ja;q=0.1", "ja"), ("fr", "en"), ("*", "en"), ("jav", "en"),
        ("es-MX,es;q=0.9", "es"), ("de-AT", "de"), ("ko-KR", "ko"), ("zh", "zh-CN"), ("zh-CN", "zh-CN"),
        ("zh-SG", "zh-CN"), ("zh-Hans", "zh-CN"), ("zh-Hant-HK", "zh-CN"), ("zh-TW,en;q=0.9", "zh-CN"),
        ("ja;q=0", "en"), ("ja;q=0, fr", "en"), ("ja;q=x,en", "en"), (";;;,,,q=", "en"), ("x" * 100_000 + ",ja", "en"),
    ],
)  # fmt: skip
def test_the_browsers_wishes_choose_the_language(header: str | None, language: str) -> None:
    """Nobody should have to look for a switch."""
    assert pick_language(header) == language


def test_the_page_is_sent_its_own_words_and_english_where_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first visit is quick, and a half-translated page works."""
    known = {"en": {"a": "one", "b": "two", "error_x": "for the server"}, "xx": {"a": "uno"}}
    monkeypatch.setattr(wording, "languages", lambda: known)
    assert json.loads(page_words.__wrapped__("xx")) == {"a": "uno", "b": "two"}


@settings(deadline=None, derandomize=True)
@given(st.text() | st.text("jaen;q=0.19-, *nif"))
def test_any_header_gives_a_language(header: str) -> None:
    """A header comes from outside."""
    assert pick_language(header) in LANGUAGES


def test_a_text_without_a_translation_is_english_and_an_unknown_one_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-translated page still works."""
    monkeypatch.setattr(wording, "languages", lambda: {"en": {"a": "one {n}", "b": "{raw}"}, "xx": {"a": ""}})
    assert translate("xx", "a", n="{b}") == "one {b}"
    assert translate("xx", "b") == "{raw}"
    assert translate("xx", "c", n=1) == ""
