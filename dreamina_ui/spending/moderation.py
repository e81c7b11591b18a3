"""What the owner changed while the program runs: a stop, limits, who is shut out, forbidden words.

It is kept in the ledger, survives a restart, and is read in the very transaction that writes a job's row: what was
changed holds for the next row, also for presses that are under way.
"""

from __future__ import annotations

import logging
import math
import re
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from dreamina_ui.errors import (
    ApiError,
    BlockedError,
    BlockedWordError,
    InputError,
    LedgerError,
    ResponseError,
    StoppedError,
)
from dreamina_ui.ledger.job import Job
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.tables import controls
from dreamina_ui.spending.limits import IN_USD, Limits

log = logging.getLogger(__name__)

MAX_WORDS = 500
MAX_WORD_CHARACTERS = 100
MAX_LIMIT = 1e9

# Scripts that put no spaces between words, or glue endings to them: there a word is found wherever it stands.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
# What is drawn as nothing and is of no category of its own. Source: Unicode, Default_Ignorable_Code_Point.
_UNSEEN = re.compile(r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_LETTER = re.compile(rf"[^\W_{_UNSPACED}]")

# Built once: it stands between every press and the ledger's one writer.
_CONCERNING = (
    sa.select(controls)
    .where(
        ((controls.c.kind == "stop") & controls.c.name.in_(sa.bindparam("origins", expanding=True)))
        | ((controls.c.kind == "visitor") & (controls.c.name == sa.bindparam("visitor_id")))
        | ((controls.c.kind == "address") & (controls.c.name == sa.bindparam("address")))
        | (controls.c.kind == "word")
    )
    .order_by(controls.c.name)
)


@dataclass(frozen=True)
class Stop:
    """Why no new job is taken, and since when.

    Attributes:
        reason: `owner`; or, where the program stopped by itself, `auth` for a refused token and `balance` for an empty
            account.
        since: seconds since 1970.
    """

    reason: str
    since: float


@dataclass(frozen=True)
class Block:
    """A visitor or an address, by the hash that the ledger knows it by, that may start no job."""

    kind: Literal["visitor", "address"]
    name: str
    since: float


@dataclass(frozen=True)
class Rules:
    """All that the owner changed, and the stops that the program made."""

    stops: tuple[Stop, ...]
    block: tuple[Block, ...]
    words: tuple[str, ...]


class Moderation:
    """Keeps the owner's changes and checks jobs against them; the limits are checked by `limits.MoneyGuard`.

    Args:
        ledger: where they are kept.
        clock: gives the time, in seconds since 1970.

    Every method that changes something may raise LedgerError; then nothing has changed.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.time) -> None:
        self._ledger = ledger
        self._clock = clock

    def check(self, connection: sa.Connection, job: Job) -> None:
        """Refuse a job that the owner does not want; call it in the transaction that writes the row.

        Raises:
            StoppedError, ShutOutError, ForbiddenWordError: why.
        """
        origins = ["", job.api_origin] if _is_on_owners_token(job) else [""]
        of_job = {"origins": origins, "visitor_id": job.visitor_id, "address": job.address}
        rows = connection.execute(_CONCERNING, of_job).all()
        for row in rows:
            if row.kind == "stop":
                raise StoppedError(row.value)
        if any(row.kind != "word" for row in rows):
            raise BlockedError
        texts = [plain(text) for text in _texts(job.inputs)]
        for row in rows:
            if any(holds_word(text, plain(row.name)) for text in texts):
                raise BlockedWordError(row.name)

    def stopped(self, connection: sa.Connection, api_origin: str | None) -> str | None:
        """Why no new job is taken, as `Stop.reason`; None if jobs are taken.

        Args:
            api_origin: where the owner's token would pay; None for a visitor's key, which only the owner stops.
        """
        is_stop = (controls.c.kind == "stop") & controls.c.name.in_(["", api_origin or ""])
        reason: str | None = connection.execute(sa.select(controls.c.value).where(is_stop)).scalars().first()
        return reason

    def rules(self, connection: sa.Connection) -> Rules:
        """What holds now."""
        rows = connection.execute(sa.select(controls).order_by(controls.c.set_at, controls.c.name)).all()
        return Rules(
            stops=tuple(Stop(row.value, row.set_at) for row in rows if row.kind == "stop"),
            block=tuple(Block(row.kind, row.name, row.set_at) for row in rows if row.kind in ("visitor", "address")),
            words=tuple(row.name for row in rows if row.kind == "word"),
        )

    def stop(self) -> None:
        """Take no new job, whoever pays for it; those that are written down already go on."""
        if self._put("stop", "", "owner"):
            log.warning("New jobs are stopped by the owner")

    def resume(self) -> None:
        """Take new jobs again, whoever stopped them."""
        with self._ledger.writing() as connection:
            connection.execute(controls.delete().where(controls.c.kind == "stop"))
        log.warning("New jobs are taken again")

    def on_refusal(self, job: Job, exc: ApiError) -> None:
        """Stop new jobs at the owner's expense if the service refuses the owner's token, or has no balance left.

        Args:
            job: what was submitted or asked for.
            fault: how the service answered.
        """
        # A refusal of one request alone stops nobody: it may be another account's, or one whose words a firewall before
        # the service does not like, and no stranger's prompt may stop everybody.
        if not isinstance(exc, ResponseError) or exc.scope not in ("token", "balance") or not _is_on_owners_token(job):
            return
        try:
            with self._ledger.reading() as connection:
                known = connection.execute(_one("stop", job.api_origin)).first()
            if known is None and self._put("stop", job.api_origin, exc.kind):
                log.warning("New jobs are stopped until the owner lets them go on: %s", exc)
        except LedgerError as refused:
            log.error("New jobs should stop (%s), and that could not be written: %s", exc, refused)

    def forget_refused_token(self, api_origin: str) -> None:
        """Lift a stop because of a refused token: the token is read at start only, so it may be another one now."""
        with self._ledger.writing() as connection:
            here = (controls.c.kind == "stop") & (controls.c.name == api_origin) & (controls.c.value == "auth")
            connection.execute(controls.delete().where(here))

    def change_limits(self, changes: Mapping[str, Any]) -> None:
        """Set limits by the names of `limits.Limits`; None brings back what the environment says.

        Raises:
            InputError: no such limit, or an impossible number; nothing has changed.
        """
        for name, value in changes.items():
            _check_limit(name, value)
        with self._ledger.writing() as connection:
            for name, value in changes.items():
                connection.execute(controls.delete().where(controls.c.kind == "limit", controls.c.name == name))
                if value is not None:
                    row = {"kind": "limit", "name": name, "value": f"{value:.12g}", "set_at": self._clock()}
                    connection.execute(controls.insert().values(**row))
        log.info("Limits changed by the owner: %s", dict(changes))

    def block(self, kind: str, name: str, *, out: bool) -> None:
        """Let a visitor or an address start no job any more, or again.

        Args:
            kind: `visitor` or `address`.
            name: the hash that the ledger knows it by, 32 hex digits; `person-` before those of a login.

        Raises:
            InputError: this can be neither.
        """
        if kind not in ("visitor", "address"):
            raise InputError("kind", "enum", ["visitor", "address"], kind)
        if not re.fullmatch(r"(person-)?[0-9a-f]{32}", name):
            raise InputError(kind, "format", "short name's whole hash", name)
        if out:
            self._put(kind, name, None)
        else:
            with self._ledger.writing() as connection:
                connection.execute(controls.delete().where(controls.c.kind == kind, controls.c.name == name))
        log.info("%s %s is %s by the owner", kind.capitalize(), name[:-24], "shut out" if out else "let in")

    def block_words(self, words: Sequence[Any]) -> None:
        """Let no text of a job hold any of these words; they take the place of those before.

        Raises:
            InputError: one of them is no word, or there are too many; nothing has changed.
        """
        if len(words) > MAX_WORDS:
            raise InputError("words", "maxItems", MAX_WORDS, len(words))
        found: dict[str, str] = {}
        for word in words:
            if not isinstance(word, str) or not _is_unicode(word):
                raise InputError("words", "type", "string", word)
            if len(word) > MAX_WORD_CHARACTERS:
                raise InputError("words", "maxLength", MAX_WORD_CHARACTERS, word)
            if plain(word):
                found.setdefault(plain(word), " ".join(word.split()))
        now = self._clock()
        with self._ledger.writing() as connection:
            connection.execute(controls.delete().where(controls.c.kind == "word"))
            for word in sorted(set(found.values())):
                connection.execute(controls.insert().values(kind="word", name=word, set_at=now))
        log.info("%d words are forbidden by the owner", len(found))

    def _put(self, kind: str, name: str, value: str | None) -> bool:
        """Write a row unless there is one; returns whether it is new."""
        with self._ledger.writing() as connection:
            if connection.execute(_one(kind, name)).first():
                return False
            connection.execute(controls.insert().values(kind=kind, name=name, value=value, set_at=self._clock()))
        return True


def plain(text: str) -> str:
    """A text as words are compared: compatibility forms unified, case folded, nothing invisible, single spaces."""
    for _ in range(2):  # folding the case can undo the first form
        text = unicodedata.normalize("NFKC", _visible(text)).casefold()
    return " ".join(_visible(text).split())


def _visible(text: str) -> str:
    return "".join(each for each in _UNSEEN.sub("", text) if unicodedata.category(each) != "Cf")


def holds_word(text: str, word: str) -> bool:
    """Whether a text holds a word as a whole; both as `plain` gives them.

    Where a script puts no spaces between words, the word is found wherever it stands.
    """
    start = text.find(word)
    while start >= 0:
        end = start + len(word)
        joined_before = start > 0 and _LETTER.match(text[start - 1]) and _LETTER.match(word[0])
        joined_behind = end < len(text) and _LETTER.match(text[end]) and _LETTER.match(word[-1])
        if not joined_before and not joined_behind:
            return True
        start = text.find(word, start + 1)
    return False


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _one(kind: str, name: str) -> sa.Select[Any]:
    return sa.select(controls).where(controls.c.kind == kind, controls.c.name == name)


def _is_on_owners_token(job: Job) -> bool:
    """Whether the owner pays for a job: only such a one can tell of the owner's token, and is stopped with it."""
    return job.key_fingerprint is None


def _check_limit(name: str, value: Any) -> None:
    if name not in Limits.__dataclass_fields__:
        raise InputError(name, "unknown", None, value)
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(name, "type", "number", value)
    if name not in IN_USD and value != int(value):
        raise InputError(name, "type", "integer", value)
    if value < 0:
        raise InputError(name, "minimum", 0, value)
    if value > MAX_LIMIT:
        raise InputError(name, "maximum", f"{MAX_LIMIT:.0f}", value)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
