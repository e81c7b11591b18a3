"""Reads the service's list of models and the balance of an account; nothing in either is trusted to be as documented.

Source: RunComfy Model API, the catalog and the balance as the service's own clients read them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dreamina_ui.api.model_api import Balance, CatalogEntry, Price
from dreamina_ui.api.redaction import Redactor
from dreamina_ui.api.responses import parse_usd

PAGE_SIZE = 100
"""Models in a response: with their schemas, more could exceed what is read of one response."""

MAX_PAGES = 50
BALANCE_PATH = "/prod/v2/balance"
MAX_LABELS = 20
_MICRODOLLARS = 1_000_000


def page_path(offset: int) -> str:
    """The path of one page of the catalog."""
    return f"/v1/models?include_schema=true&limit={PAGE_SIZE}&offset={offset}"


def entries_of(body: Mapping[str, Any], redactor: Redactor) -> Iterator[CatalogEntry]:
    """The models of a page; what has no id that could be one is left out."""
    given = body.get("models")
    for entry in given if isinstance(given, list) else ():
        if isinstance(entry, Mapping) and (parsed := _entry(entry, redactor)):
            yield parsed


def price_of(body: Mapping[str, Any], redactor: Redactor) -> Price:
    """What a model costs and takes."""
    schema = body.get("input_schema")
    return Price(
        base_price_usd=parse_usd(body.get("base_price_usd")),
        price_unit=redactor.line(body.get("price_unit"), 60),
        pricing_note=redactor.line(body.get("pricing_note"), 300),
        input_schema=schema if isinstance(schema, dict) else None,
    )


def balance_of(body: Mapping[str, Any], redactor: Redactor) -> Balance | None:
    """The balance in a response; None if there is none in it."""
    amount = _amount(body.get("balance_usd"))
    if amount is None:
        micro = _amount(body.get("balance_microdollars"))
        amount = None if micro is None else micro / _MICRODOLLARS
    return None if amount is None else Balance(amount, redactor.line(body.get("currency"), 10) or "USD")


def _amount(value: Any) -> float | None:
    """An amount, which may be less than nothing: an account can owe."""
    if isinstance(value, str) and value.strip().startswith("-"):
        owed = parse_usd(value.strip()[1:])
    elif type(value) in (int, float) and value < 0:
        owed = parse_usd(-value)
    else:
        return parse_usd(value)
    return None if owed is None else -owed


def _entry(entry: Mapping[str, Any], redactor: Redactor) -> CatalogEntry | None:
    model_id = entry.get("model_id")
    if not isinstance(model_id, str) or not 0 < len(model_id) <= 200 or not model_id.isprintable():
        return None
    return CatalogEntry(
        model_id=model_id,
        title=redactor.line(entry.get("display_name"), 120) or model_id,
        kind=redactor.line(entry.get("kind"), 40),
        categories=_labels(entry.get("categories"), redactor),
        description=redactor.line(entry.get("description"), 500) or "",
        price=price_of(entry, redactor),
        required_inputs=_labels(entry.get("required_inputs"), redactor),
    )


def _labels(value: Any, redactor: Redactor) -> tuple[str, ...]:
    given = value[:MAX_LABELS] if isinstance(value, list) else []
    texts = (redactor.line(text, 80) for text in given if isinstance(text, str))
    return tuple(text for text in texts if text)
