"""Why a request was refused, as text in the reader's language or for a program."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone

from dreamina_ui.errors import (
    ApiError,
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
    PriceError,
    RequestConflictError,
    RequesterError,
    StateError,
    StoppedError,
    StorageError,
    TransportError,
    shorten,
)
from dreamina_ui.models.schema import Model
from dreamina_ui.web.i18n.job_texts import Action
from dreamina_ui.web.i18n.translate import FALLBACK, field_texts, number, translate

_ERROR_KEYS: dict[type[DreaminaError], str] = {
    BlockedError: "error_shut_out",
    LedgerError: "error_ledger",
    DiskError: "error_disk",
    StorageError: "error_storage",
    FilesUnreachableError: "error_files_unreachable",
    JobNotFoundError: "error_job_not_found",
    RequesterError: "error_other_requester",
    StateError: "error_move",
    KeyNeededError: "error_key_needed",
}
_ACTIONS: dict[type[DreaminaError], Action] = {
    InputError: "edit_prompt",
    BlockedWordError: "edit_prompt",
    KeyNeededError: "use_own_key",
    LedgerError: "try_again",
    DiskError: "try_again",
    StorageError: "try_again",
    TransportError: "try_again",
}


def field_titles(model: Model, language: str) -> dict[str, str]:
    """The titles of a model's fields in the form, by schema key."""
    return {field.key: field_texts(field, language)[0] for field in model.fields}


def rule_text(exc: InputError, language: str) -> str:
    """The rule that an input breaks, such as `must be at most 1`."""
    text = translate(language, f"rule_{exc.rule}", limit=exc.limit)
    return text or translate(language, "rule_other", rule=exc.rule, limit=exc.limit)


def error_text(
    exc: DreaminaError, language: str, titles: Mapping[str, str] | None = None, *, for_owner: bool = False
) -> str:
    """Why a request was refused, for the person who made it.

    Args:
        titles: the titles of the fields in the form, by schema key.
        for_owner: whether the owner reads it, whose token pays.
    """
    if isinstance(exc, InputError):
        field = _field_name(exc.field, titles or {}, language)
        return translate(language, "error_input", field=field, rule=rule_text(exc, language))
    if isinstance(exc, LimitError):
        key = "error_limit_later" if exc.until else "error_limit_soon"
        return translate(language, key, **_limit_facts(exc, language))
    if isinstance(exc, BatchError):
        input_text = error_text(exc.exc, language, titles) if exc.exc else ""
        text = input_text or translate(language, f"error_plan_{exc.rule}", most=exc.most)
        return translate(language, "error_plan_line", line=exc.line, text=text) if exc.line else text
    if isinstance(exc, StoppedError):
        key = f"error_stopped_{exc.reason}"
        return (translate(language, f"{key}_for_owner") if for_owner else "") or translate(language, key)
    if isinstance(exc, RequestConflictError):
        return translate(language, "error_press_conflict", press_id=exc.press_id)
    if isinstance(exc, BlockedWordError):
        return translate(language, "error_forbidden_word", word=exc.word)
    if isinstance(exc, ApiError):
        texts = (translate(language, f"problem_{phase}_{exc.kind}") for phase in ("submit", "poll"))
        return next(filter(None, texts), str(exc))
    error_key = _ERROR_KEYS.get(type(exc))
    return translate(language, error_key, detail=str(exc)) if error_key else str(exc)


def error_action(exc: DreaminaError, *, for_owner: bool = False) -> Action:
    """The one action that helps after a refusal; nothing was sent, so trying again never pays twice."""
    if isinstance(exc, StoppedError) and exc.reason != "owner":
        if not for_owner:
            return "use_own_key"
        return "add_funds" if exc.reason == "balance" else "try_again"
    return _ACTIONS.get(type(exc), "none")


def program_error_text(exc: DreaminaError) -> str:
    """Why a program's call was refused, in English: it sees no form, so it needs the choices and the header."""
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
        field = _field_name(exc.field, titles, language)
        facts = {"field": field, "value": shorten(exc.value), "rule": rule_text(exc, language)}
    return translate(language, f"batch_paused_{exc.kind}", **facts) or str(exc)


def _field_name(path: str, titles: Mapping[str, str], language: str) -> str:
    """What the form calls a field, such as `Scale`; with the number of the entry in a list, such as `Images #2`."""
    if path in titles:
        return titles[path]
    key, _, entry = path.partition(".")
    if key not in titles:
        return path
    if entry.isdecimal():
        return translate(language, "error_input_entry", field=titles[key], number=int(entry) + 1)
    return f"{titles[key]} ({path})"


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
