"""Boards: a visitor's named sets of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from dreamina_ui.errors import InputError
from dreamina_ui.ledger.job import new_id
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.personal import board_rows, share_rows
from dreamina_ui.ledger.personal.board_rows import Board
from dreamina_ui.ledger.transaction import Transaction
from dreamina_ui.models.text import is_blank

__all__ = ["Board", "Boards"]

MAX_BOARDS = 200
MAX_FILES = 5000
MAX_NAME_CHARACTERS = 60


class Boards:
    """Reads and changes boards; every method may raise LedgerError.

    Args:
        clock: gives the time, in seconds since 1970.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._clock = clock

    def of_visitor(self, visitor_id: str) -> list[Board]:
        """A visitor's boards with their counts, in their order."""
        with self._ledger.reading() as reader:
            return board_rows.boards_of_visitor(reader, visitor_id)

    def of_files(self, visitor_id: str | None, file_keys: Sequence[str]) -> dict[str, list[str]]:
        """Which of a visitor's boards have these files: board_ids by file key. None for everybody's."""
        with self._ledger.reading() as reader:
            return board_rows.boards_of_files(reader, visitor_id, file_keys)

    def board(self, board_id: str, visitor_id: str | None = None) -> Board | None:
        """One board, without its count; None if there is none, or it is not this visitor's."""
        with self._ledger.reading() as reader:
            return board_rows.read_board(reader, board_id, visitor_id)

    def files(self, board_id: str, limit: int = MAX_FILES) -> list[str]:
        """The file keys of a board that nobody deleted, newest image first."""
        with self._ledger.reading() as reader:
            return board_rows.files_of_board(reader, board_id, limit)

    def create(self, visitor_id: str, name: Any, file_keys: Sequence[str] = (), scope: str | None = "") -> Board:
        """Make a visitor's new board, which becomes their last one.

        Args:
            file_keys: what is put on it at once.
            scope: whose files they may be, as `Permissions.scope`; None for everybody's.

        Raises:
            InputError: this is no name, or the visitor has too many boards.
        """
        board = Board(new_id(), visitor_id, _validated(name))
        with self._ledger.writing() as transaction:
            count = len(board_rows.boards_of_visitor(transaction, visitor_id))
            if count >= MAX_BOARDS:
                raise InputError("boards", "maxItems", MAX_BOARDS, count)
            board_rows.insert_board(transaction, board, self._clock())
            files = self._add(transaction, board, file_keys, scope)
        return replace(board, files=files)

    def rename(self, board: Board, name: Any) -> Board:
        """Give a board another name.

        Raises:
            InputError: this is no name.
        """
        renamed = replace(board, name=_validated(name))
        with self._ledger.writing() as transaction:
            board_rows.rename_board(transaction, board.board_id, renamed.name)
        return renamed

    def order(self, visitor_id: str, board_ids: Sequence[str]) -> None:
        """Put a visitor's boards in this order; those that are not named stand behind, as they stood."""
        with self._ledger.writing() as transaction:
            board_rows.order_boards(transaction, visitor_id, board_ids)

    def delete(self, board: Board) -> None:
        """Remove a board, and end its shares; its images stay where they are."""
        with self._ledger.writing() as transaction:
            share_rows.delete_shares_of(transaction, board_id=board.board_id)
            board_rows.delete_board(transaction, board.board_id)

    def add(self, board: Board, file_keys: Sequence[str], scope: str | None) -> int:
        """Put files on a board; returns how many of them it has now. `scope` is as for `create`.

        Raises:
            InputError: there would be too many.
        """
        with self._ledger.writing() as transaction:
            return self._add(transaction, board, file_keys, scope)

    def remove(self, board: Board, file_keys: Sequence[str]) -> None:
        """Take files off a board."""
        with self._ledger.writing() as transaction:
            board_rows.remove_files(transaction, board.board_id, file_keys)

    def _add(self, transaction: Transaction, board: Board, file_keys: Sequence[str], scope: str | None) -> int:
        files = board_rows.keys_in_scope(transaction, file_keys, scope)
        board_rows.add_files(transaction, board.board_id, files, self._clock())
        count = board_rows.count_files(transaction, board.board_id)
        if count > MAX_FILES:
            raise InputError("files", "maxItems", MAX_FILES, count)
        return len(files)


def _validated(name: Any) -> str:
    """A board's name with single spaces; raises InputError for what is none."""
    if not isinstance(name, str) or not name.isprintable():
        raise InputError("name", "type", "string", name if isinstance(name, str) else None)
    if len(name) > MAX_NAME_CHARACTERS:
        raise InputError("name", "maxLength", MAX_NAME_CHARACTERS, name[:MAX_NAME_CHARACTERS])
    if is_blank(name):
        raise InputError("name", "minLength", 1, name)
    return " ".join(name.split())
