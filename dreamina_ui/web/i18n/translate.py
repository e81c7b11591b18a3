"""States and errors as text, in each language; one file per language, no Gradio."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any

from dreamina_ui.errors import (
    BatchError,
    BlockedError,
    BlockedWordError,
    DiskError,
    DreaminaError,
    InputError,
    JobNotFoundError,
    KeyNeededError,
    LedgerError,
    LimitError,
    PriceError,
    StateError,
    StoppedError,
    shorten,
)
from dreamina_ui.ledger.job import Job, state_of
from dreamina_ui.models.schema import Model

LANGUAGES_FOLDER = Path(__file__).parent / "languages"
FALLBACK = "en"

SERVER_WORDS = (
    "message_", "problem_", "own_problem_", "error_", "rule_", "field_", "owner_", "batch_count_", "batch_paused_",
)  # fmt: skip
"""Prefixes of words that only the server or the owner's view says; the page's script gets all others."""


@cache
def languages() -> Mapping[str, Mapping[str, str]]:
    """Every language's texts by key, by language code."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(LANGUAGES_FOLDER.glob("*.json"))}


@cache
def page_words(language: str) -> bytes:
    """What the page's script says in a language, as JSON; English where the language lacks a text."""
    words = {**languages()[FALLBACK], **languages()[language]}
    told = {key: text for key, text in words.items() if not key.startswith(SERVER_WORDS)}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def pick_language(accept_language: str | None) -> str:
    """The best language we have for an `Accept-Language` header, such as `ja,en;q=0.8`.

    Whoever reads any form of a language gets the one we have: `zh-TW` leads to `zh-CN`, not to English.
    """
    wishes = []
    for place, wish in enumerate((accept_language or "")[:500].replace(" ", "").split(",")):
        code, _, quality = wish.partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        if weight > 0:  # 0 means: not this one
            wishes.append((-weight, place, code.lower()))
    for _, _, code in sorted(wishes):
        for known in languages():
            if code.split("-")[0] == known.split("-")[0]:
                return known
    return FALLBACK


class _Texts(Formatter):
    """Fills texts in as a language writes numbers; `{count:job|jobs}` is the first form for one, the other for more.

    The page's scripts read the same texts. None of our languages has more than these two forms (CLDR, plural rules).
    """

    def __init__(self, language: str) -> None:
        self._language = language

    def format_field(self, value: Any, format_spec: str) -> Any:
        one, bar, others = format_spec.partition("|")
        if bar:
            return one if value == 1 else others
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return number(self._language, value) if is_number else super().format_field(value, format_spec)


def translate(language: str, key: str, **values: Any) -> str:
    """The text of a key with its values filled in; English where a language lacks it, `""` where all do."""
    text = languages()[language].get(key) or languages()[FALLBACK].get(key, "")
    return _Texts(language).vformat(text, (), values) if values else text


def number(language: str, value: float, digits: int | None = None) -> str:
    """A number as the language writes it, such as `0,5`; with as many digits behind the mark as wanted."""
    grouping = "," if abs(value) >= 10_000 else ""  # from here on every one of our languages groups
    text = f"{value:{grouping}{'.10g' if digits is None else f'.{digits}f'}}"
    return text if translate(language, "decimal_mark") == "." else text.translate(_MARKS)


def file_size(language: str, size_bytes: int) -> str:
    """A size as people say it, such as `1,2 MB` or `310 kB`; a unit is a thousand of the one before."""
    least, unit, digits = next(each for each in _UNITS if size_bytes >= each[0])
    return f"{number(language, size_bytes / (least or 1), digits)}\u00a0{unit}"


_MARKS = str.maketrans(",.", ".,")
_UNITS = ((1e9, "GB", 1), (1e6, "MB", 1), (1e3, "kB", 0), (0, "B", 0))


def state_text(job: Job, language: str) -> str:
    """A job's state in words, such as `In the queue · position 3`."""
    parts = [translate(language, f"state_{job.state}")]
    if job.state == "queued" and job.queue_position is not None:
        key = "queue_position" if job.queue_position else "queue_next"
        parts.append(translate(language, key, position=job.queue_position))
    if job.state in ("queued", "running") and job.status and state_of(job.status) is None:
        parts.append(translate(language, "strange_status", status=job.status))
    return " · ".join(parts)


def message(job: Job, api_origin: str, language: str) -> str:
    """What there is to know about a job beyond its state: the problem, the answer to a cancel, what to do; or `""`.

    The service's own words, and ours for operators, stand in `job.detail`; they are English.
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
        parts.append(own or translate(language, f"problem_{job.problem}") or translate(language, "problem_api"))
    if job.state == "failed" and (kept := sum(output.state == "kept" for output in job.outputs)):
        parts.append(translate(language, "message_partly", kept=kept, total=len(job.outputs)))
    if job.state not in ("cancelled", "submit_unclear") and job.cancel_requested_at:
        answers = {None: "asked", "too_late": "too_late", "unconfirmed": "unconfirmed"}
        ended = job.finished_at is not None and job.finished_at < job.cancel_requested_at
        waits = job.problem == KeyNeededError.kind and not job.is_settled
        key = "too_late_done" if ended else "later" if waits else answers.get(job.cancel_outcome, "asked")
        parts.append(translate(language, f"message_cancel_{key}"))
    return " ".join(parts)


def field_titles(model: Model, language: str) -> dict[str, str]:
    """What the form calls a model's fields, by schema key."""
    words = languages()[language]
    return {field.key: words.get(f"field_{field.parameter}_title", field.title) for field in model.fields}


def rule_text(exc: InputError, language: str) -> str:
    """The rule that an input breaks, such as `must be at most 1`."""
    known = translate(language, f"rule_{exc.rule}", limit=exc.limit)
    return known or translate(language, "rule_other", rule=exc.rule, limit=exc.limit)


def error_text(exc: DreaminaError, language: str, titles: Mapping[str, str] | None = None) -> str:
    """What to tell a person whose request failed.

    Args:
        titles: names of fields as the form shows them, by schema key.
    """
    if isinstance(exc, InputError):
        named = exc.field if exc.field in (titles or {}) else exc.field.partition(".")[0]
        title = (titles or {}).get(named)
        field = f"{title} ({exc.field})" if title and title != exc.field else exc.field
        return translate(language, "error_input", field=field, rule=rule_text(exc, language), value=shorten(exc.value))
    if isinstance(exc, LimitError):
        return translate(
            language, "error_limit_later" if exc.until else "error_limit_soon", **_limit_facts(exc, language)
        )
    if isinstance(exc, BatchError):
        inner = error_text(exc.exc, language, titles) if exc.exc else ""
        text = inner or translate(language, f"error_plan_{exc.rule}", most=exc.most)
        return translate(language, "error_plan_line", line=exc.line, text=text) if exc.line else text
    if isinstance(exc, StoppedError):
        return translate(language, f"error_stopped_{exc.reason}")
    if isinstance(exc, BlockedWordError):
        return translate(language, "error_forbidden_word", word=exc.word)
    if isinstance(exc, BlockedError):
        return translate(language, "error_shut_out")
    keys = {LedgerError: "ledger", DiskError: "disk", JobNotFoundError: "job_not_found", StateError: "move"}
    keys[KeyNeededError] = "key_needed"
    key = keys.get(type(exc))
    return translate(language, f"error_{key}", detail=str(exc)) if key else str(exc)


def program_error_text(exc: DreaminaError) -> str:
    """What to tell a program whose call failed, in English: it sees no form, so it needs the choices and the header."""
    if isinstance(exc, InputError) and exc.rule == "enum" and isinstance(exc.limit, list | tuple):
        choices = InputError(exc.field, "enum_choices", ", ".join(map(str, exc.limit)), exc.value)
        return error_text(choices, FALLBACK)
    if isinstance(exc, KeyNeededError):
        return translate(FALLBACK, "error_key_needed_header")
    return error_text(exc, FALLBACK)


def pause_text(exc: DreaminaError, language: str, titles: Mapping[str, str]) -> str:
    """Why the program paused a batch, and what lets it go on; `titles` as for `error_text`."""
    facts = _limit_facts(exc, language) if isinstance(exc, LimitError) else {}
    if isinstance(exc, PriceError):
        amounts = {"was": exc.was_usd, "now": exc.now_usd, "left": exc.left_usd}
        facts = {name: _money(language, amount) for name, amount in amounts.items()}
    if isinstance(exc, InputError):
        key = exc.field.partition(".")[0]
        facts = {"field": titles.get(key, key), "value": shorten(exc.value), "rule": rule_text(exc, language)}
    return translate(language, f"batch_paused_{exc.kind}", **facts) or str(exc)


def _money(language: str, usd: float) -> str:
    """An amount with two digits behind the mark, or as many more as it has, up to four."""
    digits = max(2, len(f"{usd:.4f}".rstrip("0").partition(".")[2]))
    return translate(language, "money", amount=number(language, usd, digits))


def _limit_facts(exc: LimitError, language: str) -> dict[str, str]:
    until = exc.until and datetime.fromtimestamp(exc.until, timezone.utc)
    is_money = exc.limit.startswith("usd_")
    most = _money(language, exc.most) if is_money else number(language, exc.most)
    when = translate(language, "moment", time=until) if until else ""
    return {"limit": translate(language, f"limit_{exc.limit}"), "most": most, "time": when}
