"""What the owner changed while the program runs: a stop, limits, blocked visitors and IP addresses, blocked words.

It is stored in the ledger, survives a restart, and is read in the very transaction that writes a job's row: a change
holds for the next row, also for requests that are in progress.
"""

from __future__ import annotations

import logging
import math
import re
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from dreamina_ui.errors import (
    ApiError,
    BlockedError,
    BlockedWordError,
    InputError,
    LedgerError,
    ResponseError,
    StoppedError,
)
from dreamina_ui.ledger.control_rows import (
    ControlKind,
    all_controls,
    controls_of_job,
    delete_control,
    delete_kind,
    has_control,
    insert_control,
    replace_kind,
    send_controls_of_job,
    values_of_kind,
)
from dreamina_ui.ledger.job import Job
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.transaction import Reader, Transaction
from dreamina_ui.spending.limits import IN_USD, NO_LIMIT, Limits

log = logging.getLogger(__name__)

MAX_WORDS = 500
MAX_WORD_CHARACTERS = 100
MAX_NAME_CHARACTERS = 60
MAX_LIMIT = 1e9

# Scripts that put no spaces between words, or attach endings to them: there a word matches anywhere.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
# What is drawn as nothing and is of no category of its own. Source: Unicode, Default_Ignorable_Code_Point.
_INVISIBLE = re.compile(r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_LETTER = re.compile(rf"[^\W_{_UNSPACED}]")


BlockKind = Literal["visitor", "address"]
_BLOCK_KINDS: tuple[BlockKind, ...] = ("visitor", "address")


@dataclass(frozen=True)
class Stop:
    """Why no new job is accepted, and since when.

    Attributes:
        reason: `owner`; or, where the program stopped by itself, `auth` for a refused token and `balance` for an empty
            account.
        since: seconds since 1970.
    """

    reason: str
    since: float


@dataclass(frozen=True)
class Block:
    """A visitor or an IP address, by the hash that the ledger knows it by, that may start no job."""

    kind: BlockKind
    name: str
    since: float


@dataclass(frozen=True)
class Rules:
    """All that the owner changed, and the stops that the program made; `names` are visitors' names by visitor_id."""

    stops: tuple[Stop, ...]
    blocks: tuple[Block, ...]
    words: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=dict)


class Moderation:
    """Stores the owner's changes and enforces them; `limits.SpendingGuard` enforces the limits among them.

    Args:
        ledger: where they are stored.
        clock: the time in seconds since 1970.
        is_shared: whether strangers reach the page. Only then does a refused token or an empty balance stop new jobs;
            the person at their own machine sees it on each job, and the next job asks again.

    Every method that changes something may raise LedgerError; then nothing has changed.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.time, *, is_shared: bool = True) -> None:
        self._ledger = ledger
        self._clock = clock
        self._is_shared = is_shared

    def send_reads(self, transaction: Transaction, job: Job) -> None:
        """Send ahead what `enforce_moderation` reads."""
        send_controls_of_job(transaction, job, _stop_of(job))

    def enforce_moderation(self, transaction: Reader, job: Job) -> None:
        """Refuse a job that the owner does not want; call it in the transaction that writes the row.

        Raises:
            StoppedError, BlockedError, BlockedWordError: why.
        """
        controls = controls_of_job(transaction, job, _stop_of(job))
        for control in controls:
            if control.kind == "stop":
                raise StoppedError(control.value or "owner")
        if any(control.kind != "word" for control in controls):
            raise BlockedError
        if not controls:
            return
        for text in _texts(job.inputs):
            if words := matching_words(text, (control.name for control in controls)):
                raise BlockedWordError(words[0])

    def stop_reason(self, reader: Reader, api_origin: str | None) -> str | None:
        """Why no new job is accepted, as `Stop.reason`; None if jobs are accepted.

        Args:
            api_origin: where the owner's token would pay; None for a visitor's key, which only the owner stops.
        """
        reasons = values_of_kind(reader, "stop")
        return next((reasons[name] for name in ("", api_origin or "") if name in reasons), None)

    def rules(self, reader: Reader) -> Rules:
        """What holds now."""
        controls = all_controls(reader)
        return Rules(
            stops=tuple(Stop(row.value or "owner", row.set_at) for row in controls if row.kind == "stop"),
            blocks=tuple(
                Block(kind, row.name, row.set_at) for row in controls for kind in _BLOCK_KINDS if row.kind == kind
            ),
            words=tuple(row.name for row in controls if row.kind == "word"),
            names={row.name: row.value or "" for row in controls if row.kind == "name"},
        )

    def stop(self) -> None:
        """Accept no new job, whoever pays for it; those that have a row already continue."""
        if self._put("stop", "", "owner"):
            log.warning("New jobs are stopped by the owner")

    def resume(self) -> None:
        """Accept new jobs again, whoever stopped them."""
        with self._ledger.writing() as transaction:
            delete_kind(transaction, "stop")
        log.warning("New jobs are accepted again")

    def on_refusal(self, job: Job, exc: ApiError) -> None:
        """Stop new jobs at the owner's expense if the service refuses the owner's token, or has no balance left.

        Args:
            job: what was submitted or polled.
            exc: how the service answered.
        """
        # A refusal of one request alone stops nobody: it may be another account's, or one whose words a firewall of the
        # service rejects, and no stranger's prompt may stop everybody.
        if not isinstance(exc, ResponseError) or exc.scope not in ("token", "balance") or not _is_on_owners_token(job):
            return
        if not self._is_shared:
            return
        try:
            with self._ledger.reading() as reader:
                is_stopped = has_control(reader, "stop", job.api_origin)
            if not is_stopped and self._put("stop", job.api_origin, exc.kind):
                log.warning("New jobs are stopped until the owner resumes: %s", exc)
        except LedgerError as ledger_error:
            log.error("New jobs should stop (%s), and that could not be written: %s", exc, ledger_error)

    def lift_outdated_stop(self, api_origin: str) -> None:
        """Lift a stop that a start makes outdated.

        The token is read at start only, so it may be another one now; and what stopped a shared page does not stop the
        same page at one's own machine.
        """
        with self._ledger.writing() as transaction:
            delete_control(transaction, "stop", api_origin, value="auth" if self._is_shared else None)

    def lift_refusal_stop(self, transaction: Transaction, job: Job) -> None:
        """Lift a stop that a refused token or an empty balance made, in the transaction that writes the owner's job.

        If the service refuses that job as well, the stop is back; one that the owner made stays.
        """
        if _is_on_owners_token(job):
            delete_control(transaction, "stop", job.api_origin)

    def change_limits(self, changes: Mapping[str, Any]) -> None:
        """Set limits by the names of `limits.Limits`; None restores the value of the environment, `none` is no limit.

        Raises:
            InputError: no such limit, or an impossible number; nothing has changed.
        """
        for name, value in changes.items():
            _validate_limit(name, value)
        with self._ledger.writing() as transaction:
            for name, value in changes.items():
                delete_control(transaction, "limit", name)
                if value is not None:
                    insert_control(transaction, "limit", name, _limit_text(value), set_at=self._clock())
        log.info("Limits changed by the owner: %s", dict(changes))

    def block(self, kind: str, name: str) -> None:
        """Let a visitor or an IP address start no more jobs.

        Args:
            kind: `visitor` or `address`.
            name: the hash that the ledger knows it by, 32 hex digits; `person-` before those of a login.

        Raises:
            InputError: this can be neither.
        """
        self._put(_validate_block(kind, name), name, None)
        log.info("%s %s is blocked by the owner", kind.capitalize(), name[:-24])

    def unblock(self, kind: str, name: str) -> None:
        """Let a visitor or an IP address start jobs again; the arguments and errors are those of `block`."""
        with self._ledger.writing() as transaction:
            delete_control(transaction, _validate_block(kind, name), name)
        log.info("%s %s is unblocked by the owner", kind.capitalize(), name[:-24])

    def name_visitor(self, visitor_id: str, name: Any) -> None:
        """Give a visitor a name, which only the owner sees; without visible characters, take it away.

        Raises:
            InputError: this is no visitor_id, or no name.
        """
        _validate_block("visitor", visitor_id)
        if not isinstance(name, str) or not _is_unicode(name):
            raise InputError("name", "type", "string", name)
        if len(name) > MAX_NAME_CHARACTERS:
            raise InputError("name", "maxLength", MAX_NAME_CHARACTERS, name)
        with self._ledger.writing() as transaction:
            delete_control(transaction, "name", visitor_id)
            if normalize(name):
                insert_control(transaction, "name", visitor_id, " ".join(name.split()), set_at=self._clock())

    def visitor_names(self) -> Mapping[str, str]:
        """What the owner calls visitors, by visitor_id."""
        with self._ledger.reading() as reader:
            return values_of_kind(reader, "name")

    def block_words(self, words: Sequence[Any]) -> None:
        """Refuse every job with one of these words in a text; they replace those before.

        Raises:
            InputError: one of them is no word, or there are too many; nothing has changed.
        """
        if len(words) > MAX_WORDS:
            raise InputError("words", "maxItems", MAX_WORDS, len(words))
        by_form: dict[str, str] = {}
        for word in words:
            if not isinstance(word, str) or not _is_unicode(word):
                raise InputError("words", "type", "string", word)
            if len(word) > MAX_WORD_CHARACTERS:
                raise InputError("words", "maxLength", MAX_WORD_CHARACTERS, word)
            if normalize(word):
                by_form.setdefault(normalize(word), " ".join(word.split()))
        with self._ledger.writing() as transaction:
            replace_kind(transaction, "word", sorted(set(by_form.values())), set_at=self._clock())
        log.info("%d words are blocked by the owner", len(by_form))

    def _put(self, kind: ControlKind, name: str, value: str | None) -> bool:
        """Write a row unless there is one; returns whether it is new."""
        with self._ledger.writing() as transaction:
            return insert_control(transaction, kind, name, value, set_at=self._clock())


def normalize(text: str) -> str:
    """How texts are compared: compatibility forms unified, case folded, nothing invisible, single spaces."""
    for _ in range(2):  # folding the case can undo the first form
        text = unicodedata.normalize("NFKC", _visible(text)).casefold()
    return " ".join(_visible(text).split())


def _visible(text: str) -> str:
    return "".join(character for character in _INVISIBLE.sub("", text) if unicodedata.category(character) != "Cf")


def contains_word(text: str, word: str) -> bool:
    """Whether a text contains a word as a whole; both as `normalize` returns them.

    Where a script puts no spaces between words, the word matches anywhere.
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


def matching_words(text: str, words: Iterable[str]) -> list[str]:
    """Those of some words for which a job with this text would be refused."""
    normalized = normalize(text)
    return [word for word in words if normalize(word) and contains_word(normalized, normalize(word))]


def _limit_text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.12g}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _stop_of(job: Job) -> str:
    """The name of the stop that concerns a job, besides that of everything."""
    return job.api_origin if _is_on_owners_token(job) else ""


def _is_on_owners_token(job: Job) -> bool:
    """Whether the owner pays for a job: only such a job tells about the owner's token, and is stopped with it."""
    return job.key_fingerprint is None


def _validate_block(name: str, value: str) -> BlockKind:
    kind = next((kind for kind in _BLOCK_KINDS if kind == name), None)
    if kind is None:
        raise InputError("kind", "enum", list(_BLOCK_KINDS), name)
    if not re.fullmatch(r"(person-)?[0-9a-f]{32}", value):
        raise InputError(kind, "format", "32 hex digits", value)
    return kind


def _validate_limit(name: str, value: Any) -> None:
    if name not in Limits.__dataclass_fields__:
        raise InputError(name, "unknown", None, value)
    if value is None or value == NO_LIMIT:
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
