"""A job is our row for one request to generate; it exists before the service knows of it.

This module has its states, the transitions between them, and the object that programs get.
All times are UTC, in seconds since 1970.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

from dreamina_ui.errors import InputError

SANDBOX_ORIGIN = "sandbox"
"""The `api_origin` of the embedded sandbox, whose port changes at every start; its prices are play money."""

IMPORT_ORIGIN = "import"
"""The `api_origin` of jobs that were made elsewhere: nobody asks about them, and they cost nothing here."""

State = Literal["submitting", "submit_unclear", "queued", "running", "saving", "done", "failed", "cancelled"]
Outcome = Literal["cancelled", "too_late", "unconfirmed"]

TRANSITIONS: Mapping[str, frozenset[str]] = {
    "submitting": frozenset({"queued", "submit_unclear", "failed", "cancelled"}),
    "submit_unclear": frozenset({"queued", "failed"}),
    "queued": frozenset({"running", "saving", "failed", "cancelled"}),
    "running": frozenset({"queued", "saving", "failed", "cancelled"}),
    "saving": frozenset({"queued", "running", "done", "failed", "cancelled"}),
    "done": frozenset(),
    "failed": frozenset({"saving"}),
    "cancelled": frozenset(),
}
"""Which states may follow which. `submit_unclear -> failed` is a server that was away and knows that nothing was
accepted; `failed -> saving` is "fetch again"; `saving -> queued` is a service that took back
its `completed`. A job may always move to the state it is in: that changes its fields only."""

TERMINAL = frozenset({"done", "failed", "cancelled"})
SETTLED = TERMINAL | {"submit_unclear"}
"""States in which nothing happens until a person acts: streams end here."""

ACTIVE = frozenset(TRANSITIONS) - SETTLED
"""All other states, in which a job uses a slot of its budgets."""

ARCHIVABLE = SETTLED - {"done"}
"""States of jobs that are archived as a whole; files of a job that is done are deleted one by one."""

LOST_AFTER_S = 3600.0
"""After so long in the queue or running, a person may give a job up; no image takes that long."""

IPV6_MARK = "f6"
"""The beginning of the hash of an IPv6 address. It may also be that of another one, whose networks are it alone."""

MAX_INPUT_CHARACTERS = 20_000
"""How long the values of a job's inputs may be together, as JSON; some models limit no text."""

MAX_DETAIL_CHARACTERS = 2000
"""How much of an error's text a row stores."""

INPUT_SCHEME = "dreamina-input:"
"""The beginning of what stands in a job's inputs for an image that a visitor gave; its key follows."""

_PRESS_ID = re.compile(r"[!-~]{1,200}")
_INPUT_KEY = re.compile(rf"{INPUT_SCHEME}([0-9a-f]{{32}})")


@dataclass(frozen=True)
class Output:
    """One file of a job's result.

    Attributes:
        index: its index in the result, images first, from 0.
        kind: `image` if it has previews, `video`, or `file` for all else; until it is stored, as the service calls it.
        file_key: 128 random bits; the unguessable part of its URL on our server.
        state: `pending`, `kept` (stored), `damaged`, or `deleted` once its files are gone.
        width, height: pixels of the original; None for a video or a file that is not stored.
        sha256: of the original, lower-case hex.
        note: what is wrong with a damaged file, why a deleted one was deleted, or how many bytes of a pending one had
            come at its newest early preview.
        deleted_at: when a person deleted it; until its files are gone, that can be undone.
        rating: 1 to 5; None without one.
        colors: which colors an image has, as bits (`media.decoding.colors`); None if nobody has looked yet.
    """

    index: int
    kind: str
    file_key: str
    state: str = "pending"
    file_name: str | None = None
    media_type: str | None = None
    format: str | None = None
    width: int | None = None
    height: int | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    note: str | None = None
    favorite_at: float | None = None
    deleted_at: float | None = None
    rating: int | None = None
    colors: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A snapshot of one row of the ledger.

    Attributes:
        api_origin: the API that the job belongs to; no other one is asked about it.
        press_id: what the caller named this request to generate; one requester's same id is the same job.
        size: the size choice among the inputs, such as `2048x2048(1:1)`, or None.
        status: the service's last status, in its spelling.
        queue_position: the service's count; None outside the queue.
        problem: `kind` of the error that explains the state or the delay, or None.
        detail: that error's text, in English, or None.
        reserved_usd: what the job was expected to cost at most when it was created; None if nobody knew.
        client_hash: a hash of the client's IP address, for limits; None if it is not known.
        key_fingerprint: identifies the visitor's own key that pays for the job; None if the owner pays.
        cancel_outcome: the last outcome of Cancel, or None.
        archived_at: when a person archived the job; it stays in the ledger.
        replica_id: of several servers that share the ledger, the one that follows the job; None if none does, or if
            there is one server only.
        armed_at: when that server took the right to send it; None if it may not have been sent, or if there is one
            server only.
        version: grows with each change of the others.
    """

    job_id: str
    model_id: str
    api_origin: str
    inputs: Mapping[str, Any]
    created_at: float
    updated_at: float
    visitor_id: str | None = None
    press_id: str | None = None
    size: str | None = None
    state: State = "submitting"
    status: str | None = None
    queue_position: int | None = None
    request_id: str | None = None
    problem: str | None = None
    detail: str | None = None
    cost_usd: float | None = None
    reserved_usd: float | None = None
    client_hash: str | None = None
    key_fingerprint: str | None = None
    cancel_requested_at: float | None = None
    cancel_outcome: Outcome | None = None
    accepted_at: float | None = None
    started_at: float | None = None
    completed_at: float | None = None
    finished_at: float | None = None
    archived_at: float | None = None
    replica_id: str | None = None
    armed_at: float | None = None
    version: int = 1
    outputs: tuple[Output, ...] = field(default=())

    @property
    def requester(self) -> str:
        """Who asked, as `requester_of` names them."""
        return requester_of(self.visitor_id, self.key_fingerprint, self.client_hash)

    @property
    def is_settled(self) -> bool:
        return self.state in SETTLED

    @property
    def cost_is_unknown(self) -> bool:
        """Whether the job has ended and may have cost something, and the service did not say what."""
        is_refused = self.state == "failed" and self.request_id is None
        return self.is_settled and self.cost_usd is None and not is_refused and self.state != "cancelled"

    def may_be_lost(self, now: float, *, is_polled: bool = True) -> bool:
        """Whether the job was accepted, is not settled, and waits for what may never come: a person may give it up.

        Args:
            is_polled: whether this program asks about the job; of another API's job nobody does.
        """
        if self.is_settled or not self.request_id:
            return False
        takes_long = now - (self.accepted_at or self.created_at) >= LOST_AFTER_S
        return bool(self.problem) or takes_long or not is_polled

    def elapsed_s(self, now: float) -> float:
        """Seconds from its creation to its end, or until `now`."""
        return max(0.0, (self.finished_at or now) - self.created_at)


@dataclass(frozen=True)
class FinishedRun:
    """How long the service ran one job."""

    job_id: str
    model_id: str
    size: str | None
    seconds: float


def validate_press_id(text: str) -> str:
    """Return what a caller names a request, if it can be a `press_id`: 1 to 200 visible ASCII characters.

    Raises:
        InputError: it cannot be one.
    """
    if not _PRESS_ID.fullmatch(text):
        raise InputError("press_id", "format", "1 to 200 visible ASCII characters", text[:200])
    return text


def requester_of(visitor_id: str | None, key_fingerprint: str | None, client_hash: str | None) -> str:
    """Who asked, in whose scope a `press_id` is unique: a visitor, else an own key, a client IP address, or the owner.

    A program has no visitor. Its key counts before its IP address, so that it may repeat a request from elsewhere.
    """
    if visitor_id is not None:
        return visitor_id
    if key_fingerprint is not None:
        return f"key:{key_fingerprint}"
    return "owner" if client_hash is None else f"ip:{client_hash}"


def networks_of(client_hash: str) -> tuple[tuple[str, int], ...]:
    """The networks that a client counts for.

    Returns:
        `(beginning of the hash, how many times a client's limit the network has)`: of an IPv6 address for the /64, the
        /56 and the /48; otherwise the IP address alone.
    """
    if not client_hash.startswith(IPV6_MARK):
        return ((client_hash, 1),)
    return ((client_hash, 1), (client_hash[:24], 2), (client_hash[:16], 4))


def limit_input_length(inputs: Mapping[str, Any]) -> None:
    """Refuse inputs that take too much room in a row, whatever their model allows.

    Raises:
        InputError: they are longer than `MAX_INPUT_CHARACTERS`; its field is the longest.
    """
    lengths = {key: len(json.dumps(value)) for key, value in inputs.items()}
    if sum(lengths.values()) > MAX_INPUT_CHARACTERS:
        longest = max(lengths, key=lambda key: lengths[key])
        raise InputError(longest, "maxLength", MAX_INPUT_CHARACTERS, inputs[longest])


def input_key(value: Any) -> str | None:
    """The key of the given image that a value stands for; None if it stands for itself."""
    match = _INPUT_KEY.fullmatch(value) if isinstance(value, str) else None
    return match[1] if match else None


def input_keys(inputs: Any) -> list[str]:
    """The keys of all given images in some inputs, at any depth, each once."""
    if isinstance(inputs, Mapping):
        inputs = list(inputs.values())
    if isinstance(inputs, list | tuple):
        return list(dict.fromkeys(key for value in inputs for key in input_keys(value)))
    key = input_key(inputs)
    return [key] if key else []


def new_id() -> str:
    """128 random bits as 32 hex digits."""
    return secrets.token_hex(16)


def iso(moment: float | None) -> str | None:
    """Seconds since 1970 as ISO 8601 in UTC, such as `2026-11-22T12:00:00.000Z`."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
