"""The tables `boards` and `board_files`: named sets of a visitor's images, in the order that the visitor gave them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dreamina_ui.ledger.tables import board_files, boards, jobs, outputs
from dreamina_ui.ledger.transaction import Reader, Transaction

_KEYS_PER_QUERY = 500
_IS_SHOWN = (outputs.c.state == "kept") & outputs.c.deleted_at.is_(None)
_ADD_FILE = sa.text(
    "INSERT INTO board_files (board_id, file_key, added_at) VALUES (:board_id, :file_key, :added_at) "
    "ON CONFLICT (board_id, file_key) DO NOTHING"
)


@dataclass(frozen=True)
class Board:
    """One row; `files` is how many images it has that nobody deleted."""

    board_id: str
    visitor_id: str
    name: str
    files: int = 0


def boards_of_visitor(reader: Reader, visitor_id: str) -> list[Board]:
    """A visitor's boards, in their order."""
    shown = board_files.join(outputs, (outputs.c.file_key == board_files.c.file_key) & _IS_SHOWN)
    counts = sa.select(board_files.c.board_id, sa.func.count().label("files")).select_from(shown)
    counted = counts.where(board_files.c.board_id.in_(_ids_of(visitor_id))).group_by(board_files.c.board_id).subquery()
    query = (
        sa.select(boards.c.board_id, boards.c.visitor_id, boards.c.name, sa.func.coalesce(counted.c.files, 0))
        .select_from(boards.outerjoin(counted, counted.c.board_id == boards.c.board_id))
        .where(boards.c.visitor_id == visitor_id)
        .order_by(boards.c.position, boards.c.board_id)
    )
    return [Board(*row) for row in reader.connection.execute(query)]


def read_board(reader: Reader, board_id: str, visitor_id: str | None = None) -> Board | None:
    """One board, without its count; None if there is none, or it is not this visitor's."""
    query = sa.select(boards.c.board_id, boards.c.visitor_id, boards.c.name).where(boards.c.board_id == board_id)
    if visitor_id is not None:
        query = query.where(boards.c.visitor_id == visitor_id)
    row = reader.connection.execute(query).first()
    return Board(*row) if row else None


def insert_board(transaction: Transaction, board: Board, created_at: float) -> None:
    """Write a new board, which becomes the visitor's last one."""
    last = sa.select(sa.func.max(boards.c.position)).where(boards.c.visitor_id == board.visitor_id)
    position = (transaction.connection.execute(last).scalar() or 0) + 1
    values = {"board_id": board.board_id, "visitor_id": board.visitor_id, "name": board.name, "position": position}
    transaction.connection.execute(boards.insert(), {**values, "created_at": created_at})


def rename_board(transaction: Transaction, board_id: str, name: str) -> None:
    """Give a board another name."""
    transaction.connection.execute(boards.update().where(boards.c.board_id == board_id).values(name=name))


def order_boards(transaction: Transaction, visitor_id: str, board_ids: Sequence[str]) -> None:
    """Put a visitor's boards in this order; those that are not named stand behind, as they stood."""
    known = [board.board_id for board in boards_of_visitor(transaction, visitor_id)]
    wanted = [board_id for board_id in dict.fromkeys(board_ids) if board_id in known]
    for position, board_id in enumerate([*wanted, *(other for other in known if other not in wanted)], 1):
        update = boards.update().where(boards.c.board_id == board_id).values(position=position)
        transaction.connection.execute(update)


def delete_board(transaction: Transaction, board_id: str) -> None:
    """Remove a board; its images stay where they are."""
    transaction.connection.execute(board_files.delete().where(board_files.c.board_id == board_id))
    transaction.connection.execute(boards.delete().where(boards.c.board_id == board_id))


def add_files(transaction: Transaction, board_id: str, file_keys: Sequence[str], added_at: float) -> None:
    """Put files on a board; those that are there already stay."""
    rows = [{"board_id": board_id, "file_key": file_key, "added_at": added_at} for file_key in file_keys]
    if rows:
        transaction.connection.execute(_ADD_FILE, rows)


def remove_files(transaction: Transaction, board_id: str, file_keys: Sequence[str]) -> None:
    """Take files off a board."""
    for some in _in_parts(file_keys):
        where = (board_files.c.board_id == board_id) & board_files.c.file_key.in_(some)
        transaction.connection.execute(board_files.delete().where(where))


def count_files(reader: Reader, board_id: str) -> int:
    """How many files a board has, also deleted ones."""
    query = sa.select(sa.func.count()).select_from(board_files).where(board_files.c.board_id == board_id)
    return int(reader.connection.execute(query).scalar_one())


def files_of_board(reader: Reader, board_id: str, limit: int) -> list[str]:
    """The file keys of a board that nobody deleted, newest image first."""
    tables = board_files.join(outputs, (outputs.c.file_key == board_files.c.file_key) & _IS_SHOWN).join(
        jobs, jobs.c.job_id == outputs.c.job_id
    )
    query = sa.select(board_files.c.file_key).select_from(tables).where(board_files.c.board_id == board_id)
    ordered = query.order_by(jobs.c.created_at.desc(), jobs.c.job_id.desc(), outputs.c.output_index).limit(limit)
    return list(reader.connection.execute(ordered).scalars())


def boards_of_files(reader: Reader, visitor_id: str | None, file_keys: Sequence[str]) -> dict[str, list[str]]:
    """Which of a visitor's boards have these files: board_ids by file key. None for everybody's."""
    by_key: dict[str, list[str]] = {}
    for some in _in_parts(file_keys):
        query = sa.select(board_files.c.file_key, board_files.c.board_id).where(board_files.c.file_key.in_(some))
        if visitor_id is not None:
            query = query.where(board_files.c.board_id.in_(_ids_of(visitor_id)))
        for file_key, board_id in reader.connection.execute(query):
            by_key.setdefault(file_key, []).append(board_id)
    return by_key


def keys_in_scope(reader: Reader, file_keys: Sequence[str], visitor_id: str | None) -> list[str]:
    """Those file keys of stored files that a visitor may use, each once and in their order; None for everybody's."""
    known: set[str] = set()
    for some in _in_parts(file_keys):
        query = sa.select(outputs.c.file_key).where(outputs.c.file_key.in_(some), outputs.c.state == "kept")
        if visitor_id is not None:
            query = query.join(jobs, jobs.c.job_id == outputs.c.job_id).where(jobs.c.visitor_id == visitor_id)
        known.update(reader.connection.execute(query).scalars())
    return [file_key for file_key in dict.fromkeys(file_keys) if file_key in known]


def is_on_board(board_id: str) -> sa.ColumnElement[bool]:
    """Outputs that a board has."""
    return outputs.c.file_key.in_(sa.select(board_files.c.file_key).where(board_files.c.board_id == board_id))


def _ids_of(visitor_id: str) -> sa.Select[Any]:
    return sa.select(boards.c.board_id).where(boards.c.visitor_id == visitor_id)


def _in_parts(file_keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(file_keys), _KEYS_PER_QUERY):
        yield file_keys[start : start + _KEYS_PER_QUERY]
