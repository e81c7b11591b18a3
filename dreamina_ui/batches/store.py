"""Batches in the ledger: jobs to be, in order, each of which becomes a job at most once.

A planned job is marked as sent in the very transaction that writes its job's row: whenever the program dies, it is
either still planned or a job. Nothing here sends anything; `sender` does.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from dreamina_ui.batches.expansion import MAX_JOBS
from dreamina_ui.errors import BatchError, DreaminaError, JobNotFoundError, PriceError, StateError, pack, unpack
from dreamina_ui.ledger.job import SETTLED, Job
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.ledger.tables import batch_items as items
from dreamina_ui.ledger.tables import batches, jobs
from dreamina_ui.spending.accounts import Account
from dreamina_ui.spending.moderation import Moderation

MAX_WAITING = {"visitor_id": MAX_JOBS, "address": 5 * MAX_JOBS}
"""How many jobs of one visitor, and from one client address, may wait to be sent: strangers cannot fill the disk."""

KEPT_EMPTY = 30
"""How many ended batches of one visitor or address are kept from which nothing was sent: they cost nothing to make."""

_NOT_SENT = (jobs.c.state == "failed") & jobs.c.request_id.is_(None) & jobs.c.problem.not_in(("refused", "input"))
_TROUBLE = (jobs.c.state == "submit_unclear") | _NOT_SENT
"""Jobs that tell of more than themselves; the service refuses one for its inputs, and the next may be fine."""


@dataclass(frozen=True)
class Refusal:
    """A job to be that could not become one, and why."""

    inputs: Mapping[str, Any]
    problem: DreaminaError


@dataclass(frozen=True)
class Batch:
    """A snapshot of one batch.

    Attributes:
        state: `running`, `paused`, or `ended` once nothing waits to be sent.
        problem: why the program paused it; None if a person did.
        key_fingerprint: as of a job: whose key pays.
        created_at, changed_at: seconds since 1970; `changed_at` is that of its state.
        price_usd: what a person agreed that one file may cost; None if nobody knew.
        counts: how many jobs are `waiting`, `running`, `done`, `failed`, `unclear`, `cancelled`, `refused`; cancelled
            ones were never sent, or the service confirmed it.
        refusals: those refused, in order.
    """

    batch_id: str
    visitor_id: str
    address: str | None
    model_id: str
    api_origin: str
    key_fingerprint: str | None
    state: str
    problem: DreaminaError | None
    created_at: float
    changed_at: float
    price_usd: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()


@dataclass(frozen=True)
class QueuedItem:
    """The next job to be of a running batch.

    Attributes:
        under_way: how many of the batch's jobs are not at rest.
        in_trouble: whether jobs that were sent since it runs could not be sent, or are unclear.
    """

    batch: Batch
    position: int
    inputs: Mapping[str, Any]
    under_way: int
    in_trouble: bool


class BatchStore:
    """Keeps batches; every method may raise LedgerError, and then nothing has changed.

    Args:
        controls: are asked before a batch is taken at all.
        clock: gives the time, in seconds since 1970.

    Attributes:
        news: set when there may be something to send.
    """

    def __init__(self, ledger: Ledger, controls: Moderation, clock: Callable[[], float]) -> None:
        self.news = threading.Event()
        self._ledger = ledger
        self._controls = controls
        self._clock = clock

    def begin(
        self,
        model_id: str,
        planned: Sequence[Mapping[str, Any]],
        *,
        visitor_id: str,
        account: Account,
        token: str,
        address: str | None = None,
        price_usd: float | None = None,
    ) -> Batch:
        """Write a batch down, to be sent from now on.

        Args:
            planned: checked inputs of each job to be.
            account: who pays.
            token: made by the browser for this one start: the same once more is the same batch.
            address: a hash of the client's address, for limits.
            price_usd: what one file costs by the table that the person saw.

        Raises:
            PlanError: too much is waiting already.
            StoppedError, ShutOutError, ForbiddenWordError: the owner does not want it.
        """
        now = self._clock()
        batch_id = hashlib.sha256(json.dumps([visitor_id, token]).encode()).hexdigest()[:32]
        row: dict[str, Any] = {"visitor_id": visitor_id, "address": address, "model_id": model_id}
        row |= {"api_origin": account.api_origin, "key_fingerprint": account.key_fingerprint}
        with self._ledger.writing() as connection:
            if not connection.execute(_one(batch_id)).first():
                first = Job(job_id="", inputs=planned[0], created_at=now, updated_at=now, **row)
                self._controls.check(connection, first)
                for name, most in MAX_WAITING.items():
                    if _waiting(connection, name, row[name]) + len(planned) > most:
                        raise BatchError("waiting", most=most)
                    _forget_empty(connection, name, row[name])
                times = {"created_at": now, "changed_at": now}
                row |= {"batch_id": batch_id, "state": "running", "price_usd": price_usd}
                connection.execute(batches.insert().values(**row, **times))
                each = [
                    {"batch_id": batch_id, "position": place, "inputs": json.dumps(dict(inputs)), "state": "planned"}
                    for place, inputs in enumerate(planned)
                ]
                connection.execute(items.insert(), each)
        self.news.set()
        return self.batch(batch_id)

    def batch(self, batch_id: str) -> Batch:
        """Read one batch; raises JobNotFoundError."""
        found = self._read(batches.c.batch_id == batch_id, 1)
        if not found:
            raise JobNotFoundError(f"No batch {batch_id[:64]!r} is known here.")
        return found[0]

    def recent(self, visitor_id: str, limit: int = 30) -> list[Batch]:
        """A visitor's batches, those first that are not ended, then newest first."""
        return self._read(batches.c.visitor_id == visitor_id, limit)

    def pause(self, batch_id: str, problem: DreaminaError | None = None) -> None:
        """Send nothing more of a running batch until a person lets it go on; what was sent goes on."""
        kept = json.dumps(pack(problem)) if problem else None
        with self._ledger.writing() as connection:
            self._move(connection, batch_id, "running", state="paused", problem=kept)

    def resume(self, batch_id: str) -> None:
        """Let a paused batch go on; if a price paused it, at that price."""
        with self._ledger.writing() as connection:
            kept = connection.execute(sa.select(batches.c.problem).where(batches.c.batch_id == batch_id)).scalar()
            problem = unpack(json.loads(kept)) if kept else None
            agreed = {"price_usd": problem.now_usd} if isinstance(problem, PriceError) else {}
            self._move(connection, batch_id, "paused", state="running", problem=None, **agreed)
        self.news.set()

    def cancel(self, batch_id: str) -> int:
        """Cancel all that was not sent; what was goes on. Returns how many jobs will never be sent."""
        mine = (items.c.batch_id == batch_id) & (items.c.state == "planned")
        with self._ledger.writing() as connection:
            count = connection.execute(items.update().where(mine).values(state="cancelled", inputs="{}")).rowcount
            self._end_if_done(connection, batch_id)
        return count

    def refuse(self, what: QueuedItem, problem: DreaminaError) -> None:
        """Note that a planned job cannot become one; the others may."""
        with self._ledger.writing() as connection:
            connection.execute(_planned(what).values(state="refused", problem=json.dumps(pack(problem))))
            self._end_if_done(connection, what.batch.batch_id)

    def waiting(self, batch_id: str) -> list[Mapping[str, Any]]:
        """The inputs of all jobs that are still to be sent, in order."""
        mine = (items.c.batch_id == batch_id) & (items.c.state == "planned")
        with self._ledger.reading() as connection:
            rows = connection.execute(sa.select(items.c.inputs).where(mine).order_by(items.c.position)).scalars()
            return [json.loads(inputs) for inputs in rows]

    def mark_sent(self, connection: sa.Connection, what: QueuedItem, job: Job) -> None:
        """Note that a planned job becomes this one; call it in the transaction that writes the job's row.

        Raises:
            MoveError: it is not planned any more, or its batch is paused: the job must not be written.
        """
        batch_id = what.batch.batch_id
        running = connection.execute(_one(batch_id).where(batches.c.state == "running")).first()
        if not running or not connection.execute(_planned(what).values(state="sent", job_id=job.job_id)).rowcount:
            raise StateError(f"Batch {batch_id[:8]} does not send its job {what.position} now.")
        self._end_if_done(connection, batch_id)

    def next_ones(self, since: float) -> list[QueuedItem]:
        """The next job to be of every running batch, the oldest batch first.

        Args:
            since: trouble of jobs made before then counts no more, in seconds since 1970.
        """
        first = sa.select(items.c.batch_id, sa.func.min(items.c.position).label("position"))
        nexts = first.where(items.c.state == "planned").group_by(items.c.batch_id).subquery()
        query = (
            sa.select(batches, items.c.position, items.c.inputs)
            .join(nexts, nexts.c.batch_id == batches.c.batch_id)
            .join(items, (items.c.batch_id == batches.c.batch_id) & (items.c.position == nexts.c.position))
            .where(batches.c.state == "running")
            .order_by(batches.c.created_at, batches.c.batch_id)
        )
        is_new = (jobs.c.created_at >= batches.c.changed_at) & (jobs.c.created_at >= since)
        sent = (
            sa.select(
                batches.c.batch_id,
                sa.func.sum(sa.cast(jobs.c.state.not_in(SETTLED), sa.Integer)).label("under_way"),
                sa.func.sum(sa.cast(is_new & _TROUBLE, sa.Integer)).label("in_trouble"),
            )
            .join(items, items.c.batch_id == batches.c.batch_id)
            .join(jobs, jobs.c.job_id == items.c.job_id)
            .where(batches.c.state == "running")
            .group_by(batches.c.batch_id)
        )
        with self._ledger.reading() as connection:
            rows = connection.execute(query).mappings().all()
            seen = {row.batch_id: row for row in connection.execute(sent)} if rows else {}
        return [
            QueuedItem(
                _batch_of(row),
                row["position"],
                json.loads(row["inputs"]),
                under_way=seen[row["batch_id"]].under_way if row["batch_id"] in seen else 0,
                in_trouble=bool(seen[row["batch_id"]].in_trouble) if row["batch_id"] in seen else False,
            )
            for row in rows
        ]

    def _read(self, where: sa.ColumnElement[bool], limit: int) -> list[Batch]:
        order = (batches.c.state == "ended", batches.c.created_at.desc(), batches.c.batch_id)
        with self._ledger.reading() as connection:
            rows = connection.execute(sa.select(batches).where(where).order_by(*order).limit(limit)).mappings().all()
            ours = items.c.batch_id.in_([row["batch_id"] for row in rows])
            grouped = (items.c.batch_id, items.c.state, jobs.c.state)
            counting = (
                sa.select(items.c.batch_id, items.c.state, jobs.c.state, sa.func.count())
                .outerjoin(jobs, jobs.c.job_id == items.c.job_id)
                .where(ours)
                .group_by(*grouped)
            )
            counted = connection.execute(counting).all()
            refusing = sa.select(items).where(ours, items.c.state == "refused").order_by(items.c.position)
            refused = connection.execute(refusing).mappings().all()
        found: dict[str, dict[str, int]] = {row["batch_id"]: {} for row in rows}
        for batch_id, state, job_state, count in counted:
            name = _count_name(state, job_state)
            found[batch_id][name] = found[batch_id].get(name, 0) + count
        refusals = {
            row["batch_id"]: tuple(
                Refusal(json.loads(each["inputs"]), unpack(json.loads(each["problem"])))
                for each in refused
                if each["batch_id"] == row["batch_id"]
            )
            for row in rows
        }
        return [_batch_of(row, found[row["batch_id"]], refusals[row["batch_id"]]) for row in rows]

    def _move(self, connection: sa.Connection, batch_id: str, only_in: str, **values: Any) -> None:
        here = (batches.c.batch_id == batch_id) & (batches.c.state == only_in)
        connection.execute(batches.update().where(here).values(**values, changed_at=self._clock()))

    def _end_if_done(self, connection: sa.Connection, batch_id: str) -> None:
        planned = sa.exists().where(items.c.batch_id == batch_id, items.c.state == "planned")
        done = (batches.c.batch_id == batch_id) & ~planned
        ended = {"state": "ended", "problem": None, "changed_at": self._clock()}
        connection.execute(batches.update().where(done).values(**ended))


def _one(batch_id: str) -> sa.Select[Any]:
    return sa.select(batches.c.batch_id).where(batches.c.batch_id == batch_id)


def _planned(what: QueuedItem) -> sa.Update:
    here = (items.c.batch_id == what.batch.batch_id) & (items.c.position == what.position)
    return items.update().where(here, items.c.state == "planned")


def _waiting(connection: sa.Connection, name: str, value: str | None) -> int:
    """How many jobs wait in the batches of one visitor or address; none for an address that is not known."""
    mine = sa.select(sa.func.count()).join(batches, batches.c.batch_id == items.c.batch_id)
    mine = mine.where(batches.c[name] == value, batches.c.state != "ended", items.c.state == "planned")
    return int(connection.execute(mine.select_from(items)).scalar_one())


def _forget_empty(connection: sa.Connection, name: str, value: str | None) -> None:
    """Delete the oldest of those ended batches of a visitor or address that never became a job.

    One with a job stays for ever: its start, should it come again, must find it.
    """
    sent = sa.exists().where(items.c.batch_id == batches.c.batch_id, items.c.state == "sent")
    mine = sa.select(batches.c.batch_id).where(batches.c[name] == value, batches.c.state == "ended", ~sent)
    surplus = mine.order_by(batches.c.created_at.desc()).offset(KEPT_EMPTY)
    connection.execute(batches.delete().where(batches.c.batch_id.in_(surplus)))


def _count_name(state: str, job_state: str | None) -> str:
    if state != "sent":
        return "waiting" if state == "planned" else state
    if job_state in ("done", "failed", "cancelled"):
        return str(job_state)
    return "unclear" if job_state == "submit_unclear" else "running"


def _batch_of(
    row: Mapping[Any, Any], counts: Mapping[str, int] | None = None, refusals: tuple[Refusal, ...] = ()
) -> Batch:
    names = [name for name in Batch.__dataclass_fields__ if name not in ("problem", "counts", "refusals")]
    problem = unpack(json.loads(row["problem"])) if row["problem"] else None
    return Batch(
        **{name: row[batches.c[name].name] for name in names}, problem=problem, counts=counts or {}, refusals=refusals
    )
