"""The table `shares`: pages that show one image, or a board, to whoever has their unguessable URL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dreamina_ui.ledger.tables import outputs, shares
from dreamina_ui.ledger.transaction import Reader, Transaction

_IS_SHOWN = (outputs.c.state == "kept") & outputs.c.deleted_at.is_(None)


@dataclass(frozen=True)
class Share:
    """One row.

    Attributes:
        share_id: the unguessable part of the URL.
        visitor_id: who shared it.
        file_key, board_id: what is shown; one of them is None.
        shows_prompt: whether the page tells the prompt.
        created_at: seconds since 1970.
    """

    share_id: str
    visitor_id: str
    file_key: str | None
    board_id: str | None
    shows_prompt: bool
    created_at: float


def insert_share(transaction: Transaction, share: Share) -> None:
    """Write a new share."""
    transaction.connection.execute(shares.insert(), {**vars(share), "shows_prompt": int(share.shows_prompt)})


def read_share(reader: Reader, share_id: str) -> Share | None:
    """One share; None if there is none, or no longer."""
    return _first(reader, sa.select(shares).where(shares.c.share_id == share_id))


def share_of(reader: Reader, visitor_id: str, file_key: str | None, board_id: str | None) -> Share | None:
    """A visitor's share of an image or of a board, if there is one."""
    target = shares.c.file_key == file_key if board_id is None else shares.c.board_id == board_id
    return _first(reader, sa.select(shares).where(target, shares.c.visitor_id == visitor_id).limit(1))


def shares_of_visitor(reader: Reader, visitor_id: str | None, limit: int) -> list[Share]:
    """A visitor's shares, newest first; None for everybody's. Those of deleted images are left out."""
    tables = shares.outerjoin(outputs, (outputs.c.file_key == shares.c.file_key) & _IS_SHOWN)
    query = sa.select(*shares.columns).select_from(tables)
    query = query.where(shares.c.file_key.is_(None) | outputs.c.file_key.is_not(None))
    if visitor_id is not None:
        query = query.where(shares.c.visitor_id == visitor_id)
    rows = reader.connection.execute(query.order_by(shares.c.created_at.desc(), shares.c.share_id).limit(limit))
    return [_share(row) for row in rows.mappings()]


def count_shares(reader: Reader, visitor_id: str) -> int:
    """How many shares a visitor has."""
    query = sa.select(sa.func.count()).select_from(shares).where(shares.c.visitor_id == visitor_id)
    return int(reader.connection.execute(query).scalar_one())


def show_prompt(transaction: Transaction, share_id: str, *, shows_prompt: bool) -> None:
    """Say whether a share's page tells the prompt."""
    update = shares.update().where(shares.c.share_id == share_id).values(shows_prompt=int(shows_prompt))
    transaction.connection.execute(update)


def delete_shares(transaction: Transaction, share_ids: Sequence[str], visitor_id: str | None) -> int:
    """End shares, 1000 at most; returns how many there were. None for everybody's."""
    query = shares.delete().where(shares.c.share_id.in_(share_ids))
    if visitor_id is not None:
        query = query.where(shares.c.visitor_id == visitor_id)
    return transaction.connection.execute(query).rowcount


def delete_shares_of(transaction: Transaction, *, file_key: str | None = None, board_id: str | None = None) -> None:
    """End all shares of an image or of a board."""
    where = shares.c.file_key == file_key if board_id is None else shares.c.board_id == board_id
    transaction.connection.execute(shares.delete().where(where))


def _first(reader: Reader, query: sa.Select[Any]) -> Share | None:
    row = reader.connection.execute(query).mappings().first()
    return _share(row) if row else None


def _share(row: sa.RowMapping) -> Share:
    return Share(**{**row, "shows_prompt": bool(row["shows_prompt"])})
