"""The table `prices`: what each model costs at each API, as one of several servers has read it last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from dreamina_ui.ledger.tables import prices
from dreamina_ui.ledger.transaction import Reader, Transaction

_STORE = sa.text(
    "INSERT INTO prices (api_origin, model_id, price, read_at) VALUES (:api_origin, :model_id, :price, :read_at) "
    "ON CONFLICT (api_origin, model_id) DO UPDATE SET price = excluded.price, read_at = excluded.read_at"
)


def read_price(reader: Reader, api_origin: str, model_id: str) -> tuple[dict[str, Any], float] | None:
    """What is stored of a model's price, as a JSON object, and when it was read, in seconds since 1970."""
    query = sa.select(prices.c.price, prices.c.read_at).where(
        prices.c.api_origin == api_origin, prices.c.model_id == model_id
    )
    row = reader.connection.execute(query).first()
    return (json.loads(row.price), float(row.read_at)) if row else None


def store_price(
    transaction: Transaction, api_origin: str, model_id: str, price: Mapping[str, Any], *, read_at: float
) -> None:
    """Replace what is stored of a model's price."""
    # Escaped: PostgreSQL takes no NUL in a text.
    values = {"api_origin": api_origin, "model_id": model_id, "price": json.dumps(price), "read_at": read_at}
    transaction.connection.execute(_STORE, values)
