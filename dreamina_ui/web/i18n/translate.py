"""Job states and errors as text in each language; one JSON file per language."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

from dreamina_ui.api.status_words import phase_of
from dreamina_ui.errors import (
    BatchError,
    BlockedError,
    BlockedWordError,
    DiskError,
    DreaminaError,
    FilesUnreachableError,
    InputError,
    JobNotFoundError,
    KeyNeededError,
    LedgerError,
    LimitError,
    PressConflictError,
    PriceError,
    StateError,
    StoppedError,
    shorten,
)
from dreamina_ui.ledger.job import Job
from dreamina_ui.models.schema import Model

LANGUAGES_FOLDER = Path(__file__).parent / "languages"
FALLBACK = "en"

SERVER_KEY_PREFIXES = (
    "message_", "problem_", "own_problem_", "unsent_problem_", "error_", "rule_", "field_", "owner_",
    "batch_count_", "batch_paused_", "batch_notice_",
)  # fmt: skip
"""Prefixes of texts that only the server or the admin page uses; the page's scripts get all others."""


@cache
def languages() -> Mapping[str, Mapping[str, str]]:
    """Every language's texts by key, by language code."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(LANGUAGES_FOLDER.glob("*.json"))}


@cache
def page_words(language: str) -> bytes:
    """The texts of the page's scripts in a language, as JSON; English where the language lacks a text."""
    words = {**languages()[FALLBACK], **languages()[language]}
    page_texts = {key: text for key, text in words.items() if not key.startswith(SERVER_KEY_PREFIXES)}
    return json.dumps(page_texts, ensure_ascii=False, separators=(",", ":")).encode()


def pick_language(accept_language: str | None) -> str:
    """The best available language for an `Accept-Language` header, such as `ja,en;q=0.8`.

    Any variant of a language gets the one we have: `zh-TW` leads to `zh-CN`, not to English.
    """
    preferences = []
    for index, preference in enumerate((accept_language or "")[:500].replace(" ", "").split(",")):
        code, _, quality = preference.partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        if weight > 0:  # 0 excludes a language
            preferences.append((-weight, index, code.lower()))
    for _, _, code in sorted(preferences):
        for known in languages():
            if code.split("-")[0] == known.split("-")[0]:
                return known
    return FALLBACK


class _LocalFormatter(Formatter):
    """Fills in placeholders with numbers as a language writes them.

    `{count:job|jobs}` is the first form for 1 and the second for any other number. The page's scripts format the same
    texts. None of our languages has more than these two plural forms (CLDR plural rules, whole numbers).
    """

    def __init__(self, language: str) -> None:
        self._language = language

    def format_field(self, value: Any, format_spec: str) -> Any:
        singular, separator, plural = format_spec.partition("|")
        if separator:
            return singular if value == 1 else plural
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return number(self._language, value) if is_number else super().format_field(value, format_spec)


def translate(language: str, key: str, **values: Any) -> str:
    """The text of a key with its values filled in; English if the language lacks it, `""` if every language does."""
    text = languages()[language].get(key) or languages()[FALLBACK].get(key, "")
    return _LocalFormatter(language).vformat(text, (), values) if values else text


def number(language: str, value: float, digits: int | None = None) -> str:
    """A number as the language writes it, such as `0,5`; `digits` fixes the number of decimal places."""
    grouping = "," if abs(value) >= 10_000 else ""  # every one of our languages groups digits from here on
    text = f"{value:{grouping}{'.10g' if digits is None else f'.{digits}f'}}"
    return text if translate(language, "decimal_mark") == "." else text.translate(_MARKS)


def file_size(language: str, size_bytes: int) -> str:
    """A readable file size, such as `1,2 MB` or `310 kB`, in decimal units."""
    unit_bytes, unit, digits = next(row for row in _UNITS if size_bytes >= row[0])
    return f"{number(language, size_bytes / (unit_bytes or 1), digits)}\u00a0{unit}"


_MARKS = str.maketrans(",.", ".,")
_UNITS = ((1e9, "GB", 1), (1e6, "MB", 1), (1e3, "kB", 0), (0, "B", 0))


def state_text(job: Job, language: str) -> str:
    """A job's state in words, such as `Queued · position 3`."""
    parts = [translate(language, f"state_{job.state}")]
    if job.state == "queued" and job.queue_position is not None:
        key = "queue_position" if job.queue_position else "queue_next"
        parts.append(translate(language, key, position=job.queue_position))
    if job.state in ("queued", "running") and job.status and phase_of(job.status) is None:
        parts.append(translate(language, "strange_status", status=job.status))
    return " · ".join(parts)


def message(job: Job, api_origin: str, language: str) -> str:
    """What a person should know about a job beyond its state: the problem, the outcome of a cancel; or `""`.

    The service's own words and details for operators are in `job.detail`, in English.
    """
    parts: list[str] = []
    if job.state == "submit_unclear":
        parts.append(translate(language, "message_submit_unclear"))
    elif job.state == "cancelled":
        key = "cancelled_unsent" if not job.request_id else "cancelled" if job.cancel_outcome else "cancelled_elsewhere"
        parts.append(translate(language, f"message_{key}"))
    elif not job.is_settled and job.api_origin != api_origin:
        parts.append(translate(language, "message_other_api", origin=job.api_origin))
    if job.problem and job.state != "submit_unclear":
        own = translate(language, f"own_problem_{job.problem}") if job.key_fingerprint else ""
        if job.state == "failed" and not job.request_id:  # nobody keeps asking: it never began
            own = own or translate(language, f"unsent_problem_{job.problem}")
        parts.append(own or translate(language, f"problem_{job.problem}") or translate(language, "problem_api"))
    if job.state == "failed" and (stored := sum(output.state == "kept" for output in job.outputs)):
        parts.append(translate(language, "message_partly", kept=stored, total=len(job.outputs)))
    if job.state not in ("cancelled", "submit_unclear") and job.cancel_requested_at:
        outcomes = {None: "asked", "too_late": "too_late", "unconfirmed": "unconfirmed"}
        had_ended = job.finished_at is not None and job.finished_at < job.cancel_requested_at
        needs_key = job.problem == KeyNeededError.kind and not job.is_settled
        key = "too_late_done" if had_ended else "later" if needs_key else outcomes.get(job.cancel_outcome, "asked")
        parts.append(translate(language, f"message_cancel_{key}"))
    return " ".join(parts)


def field_titles(model: Model, language: str) -> dict[str, str]:
    """The titles of a model's fields in the form, by schema key."""
    words = languages()[language]
    return {field.key: words.get(f"field_{field.parameter}_title", field.title) for field in model.fields}


_ERROR_KEYS: dict[type[DreaminaError], str] = {
    LedgerError: "ledger",
    DiskError: "disk",
    FilesUnreachableError: "files_unreachable",
    JobNotFoundError: "job_not_found",
    StateError: "move",
    KeyNeededError: "key_needed",
}


def rule_text(exc: InputError, language: str) -> str:
    """The rule that an input breaks, such as `must be at most 1`."""
    text = translate(language, f"rule_{exc.rule}", limit=exc.limit)
    return text or translate(language, "rule_other", rule=exc.rule, limit=exc.limit)


def error_text(exc: DreaminaError, language: str, titles: Mapping[str, str] | None = None) -> str:
    """Why a request was refused, for the person who made it.

    Args:
        titles: the titles of the fields in the form, by schema key.
    """
    if isinstance(exc, InputError):
        key = exc.field if exc.field in (titles or {}) else exc.field.partition(".")[0]
        title = (titles or {}).get(key)
        field = f"{title} ({exc.field})" if title and title != exc.field else exc.field
        return translate(language, "error_input", field=field, rule=rule_text(exc, language), value=shorten(exc.value))
    if isinstance(exc, LimitError):
        return translate(
            language, "error_limit_later" if exc.until else "error_limit_soon", **_limit_facts(exc, language)
        )
    if isinstance(exc, BatchError):
        input_text = error_text(exc.exc, language, titles) if exc.exc else ""
        text = input_text or translate(language, f"error_plan_{exc.rule}", most=exc.most)
        return translate(language, "error_plan_line", line=exc.line, text=text) if exc.line else text
    if isinstance(exc, StoppedError):
        return translate(language, f"error_stopped_{exc.reason}")
    if isinstance(exc, PressConflictError):
        return translate(language, "error_press_conflict", press_id=exc.press_id)
    if isinstance(exc, BlockedWordError):
        return translate(language, "error_forbidden_word", word=exc.word)
    if isinstance(exc, BlockedError):
        return translate(language, "error_shut_out")
    suffix = _ERROR_KEYS.get(type(exc))
    return translate(language, f"error_{suffix}", detail=str(exc)) if suffix else str(exc)


def program_error_text(exc: DreaminaError) -> str:
    """What to tell a program whose call failed, in English: it sees no form, so it needs the choices and the header."""
    if isinstance(exc, InputError) and exc.rule == "enum" and isinstance(exc.limit, list | tuple):
        choices = InputError(exc.field, "enum_choices", ", ".join(map(str, exc.limit)), exc.value)
        return error_text(choices, FALLBACK)
    if isinstance(exc, KeyNeededError):
        return translate(FALLBACK, "error_key_needed_header")
    return error_text(exc, FALLBACK)


def pause_text(exc: DreaminaError, language: str, titles: Mapping[str, str]) -> str:
    """Why the program paused a batch, and how to resume it; `titles` as for `error_text`."""
    facts = _limit_facts(exc, language) if isinstance(exc, LimitError) else {}
    if isinstance(exc, PriceError):
        amounts = {"was": exc.was_usd, "now": exc.now_usd, "left": exc.left_usd}
        facts = {name: _money(language, amount) for name, amount in amounts.items()}
    if isinstance(exc, InputError):
        key = exc.field.partition(".")[0]
        facts = {"field": titles.get(key, key), "value": shorten(exc.value), "rule": rule_text(exc, language)}
    return translate(language, f"batch_paused_{exc.kind}", **facts) or str(exc)


def _money(language: str, usd: float) -> str:
    """An amount with two decimal places, or up to four if it has them."""
    digits = max(2, len(f"{usd:.4f}".rstrip("0").partition(".")[2]))
    return translate(language, "money", amount=number(language, usd, digits))


def _limit_facts(exc: LimitError, language: str) -> dict[str, str]:
    until = exc.until and datetime.fromtimestamp(exc.until, timezone.utc)
    is_money = exc.limit.startswith("usd_")
    most = _money(language, exc.most) if is_money else number(language, exc.most)
    when = translate(language, "moment", time=until) if until else ""
    return {"limit": translate(language, f"limit_{exc.limit}"), "most": most, "time": when}
