"""The table `catalogs`: the models that each service had when it was asked last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dreamina_ui.ledger.tables import catalogs
from dreamina_ui.ledger.transaction import Reader, Transaction


@dataclass(frozen=True)
class StoredCatalog:
    """The models of one service as JSON objects, and when they were read, in seconds since 1970."""

    models: tuple[dict[str, Any], ...]
    read_at: float


def read_catalog(reader: Reader, api_origin: str) -> StoredCatalog | None:
    """What is stored of a service; None if nothing is, or it cannot be read."""
    query = sa.select(catalogs.c.models, catalogs.c.read_at).where(catalogs.c.api_origin == api_origin)
    row = reader.connection.execute(query).first()
    if row is None:
        return None
    try:
        models = json.loads(row.models)
    except ValueError:
        return None
    return StoredCatalog(tuple(models), row.read_at) if isinstance(models, list) else None


def read_time(reader: Reader, api_origin: str) -> float | None:
    """When a service's models were read, in seconds since 1970."""
    query = sa.select(catalogs.c.read_at).where(catalogs.c.api_origin == api_origin)
    at = reader.connection.execute(query).scalar()
    return None if at is None else float(at)


def store_catalog(
    transaction: Transaction, api_origin: str, models: Sequence[dict[str, Any]], *, read_at: float
) -> None:
    """Replace what is stored of a service."""
    # Escaped: PostgreSQL takes no NUL in a text.
    text = json.dumps(models, separators=(",", ":"))
    transaction.connection.execute(catalogs.delete().where(catalogs.c.api_origin == api_origin))
    transaction.connection.execute(catalogs.insert().values(api_origin=api_origin, models=text, read_at=read_at))
