"""Shared pages: one image, or a board, for whoever has an unguessable URL, until that is revoked.

A page needs no login and no cookie, and says the same to everybody. What it shows is named by aliases that mean
nothing elsewhere: who has the page has no key of a file or a job. Deleting an image, or the board, ends it as well.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dreamina_ui.errors import InputError
from dreamina_ui.ledger.job import Job, Output
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.personal import board_rows, share_rows
from dreamina_ui.ledger.personal.share_rows import Share

__all__ = ["Share", "SharedFile", "Shares"]

MAX_SHARES = 500
MAX_SHOWN = 200
"""How many images of a board its page shows: the newest."""

_ID_BYTES = 18


@dataclass(frozen=True)
class SharedFile:
    """An image of a shared page, with the name that it has there."""

    alias: str
    job: Job
    output: Output


class Shares:
    """Makes, lists and ends shared pages; every method may raise LedgerError.

    Args:
        clock: gives the time, in seconds since 1970.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._ledger = ledger
        self._clock = clock

    def share_file(self, visitor_id: str, file_key: str, scope: str | None, *, shows_prompt: bool) -> Share | None:
        """Share an image; a page that the visitor has made of it stays, and only what it tells changes.

        Args:
            scope: whose files it may be, as `Permissions.scope`; None for everybody's.

        Returns:
            None if there is no such image, or it is not theirs.

        Raises:
            InputError: the visitor shares too many.
        """
        match = self._ledger.output_by_key(file_key)
        if match is None or not _is_shown(match[1]) or scope not in (None, match[0].visitor_id):
            return None
        return self._put(visitor_id, file_key, None, shows_prompt=shows_prompt)

    def share_board(self, visitor_id: str, board_id: str, *, shows_prompt: bool) -> Share | None:
        """As `share_file`, for one of the visitor's boards."""
        with self._ledger.reading() as reader:
            if board_rows.read_board(reader, board_id, visitor_id) is None:
                return None
        return self._put(visitor_id, None, board_id, shows_prompt=shows_prompt)

    def of_visitor(self, visitor_id: str | None) -> list[Share]:
        """A visitor's shares, newest first; None for everybody's."""
        with self._ledger.reading() as reader:
            return share_rows.shares_of_visitor(reader, visitor_id, MAX_SHARES)

    def share_of(self, visitor_id: str, *, file_key: str | None = None, board_id: str | None = None) -> Share | None:
        """A visitor's share of an image or of a board, if there is one."""
        with self._ledger.reading() as reader:
            return share_rows.share_of(reader, visitor_id, file_key, board_id)

    def revoke(self, share_ids: Sequence[str], visitor_id: str | None) -> int:
        """End pages and all URLs of their images at once; returns how many there were. None for everybody's."""
        with self._ledger.writing() as transaction:
            return share_rows.delete_shares(transaction, share_ids, visitor_id)

    def read(self, share_id: str, limit: int = MAX_SHOWN) -> tuple[Share, str, list[SharedFile]] | None:
        """A page: its share, the board's name or "", and its images; None if there is none, or nothing to show.

        Args:
            limit: how many images of a board.
        """
        with self._ledger.reading() as reader:
            share = share_rows.read_share(reader, share_id)
            if share is None:
                return None
            board = board_rows.read_board(reader, share.board_id) if share.board_id else None
            keys = board_rows.files_of_board(reader, board.board_id, limit) if board else [share.file_key or ""]
        matches = [match for key in keys if (match := self._ledger.output_by_key(key)) and _is_shown(match[1])]
        files = [SharedFile(_alias(share_id, output.file_key), job, output) for job, output in matches]
        return (share, board.name if board else "", files) if files else None

    def file(self, share_id: str, alias: str) -> SharedFile | None:
        """An image of a page by its alias there; None if there is none, or no longer."""
        with self._ledger.reading() as reader:
            share = share_rows.read_share(reader, share_id)
            if share is None:
                return None
            keys = (
                board_rows.files_of_board(reader, share.board_id, MAX_SHOWN)
                if share.board_id
                else [share.file_key or ""]
            )
        key = next((key for key in keys if hmac.compare_digest(_alias(share_id, key).encode(), alias.encode())), None)
        match = self._ledger.output_by_key(key) if key else None
        return SharedFile(alias, *match) if match and _is_shown(match[1]) else None

    def _put(self, visitor_id: str, file_key: str | None, board_id: str | None, *, shows_prompt: bool) -> Share:
        with self._ledger.writing() as transaction:
            share = share_rows.share_of(transaction, visitor_id, file_key, board_id)
            if share is not None:
                share_rows.show_prompt(transaction, share.share_id, shows_prompt=shows_prompt)
                return share_rows.read_share(transaction, share.share_id) or share
            count = share_rows.count_shares(transaction, visitor_id)
            if count >= MAX_SHARES:
                raise InputError("shares", "maxItems", MAX_SHARES, count)
            share_id = secrets.token_urlsafe(_ID_BYTES)
            share = Share(share_id, visitor_id, file_key, board_id, shows_prompt, self._clock())
            share_rows.insert_share(transaction, share)
            return share


def _is_shown(output: Output) -> bool:
    return output.state == "kept" and output.deleted_at is None


def _alias(share_id: str, file_key: str) -> str:
    return hmac.new(share_id.encode(), file_key.encode(), hashlib.sha256).hexdigest()[:24]
