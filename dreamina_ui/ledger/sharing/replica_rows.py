"""The tables `replicas` and `duties`, and which replica follows which job.

A replica is one of several programs that share a ledger. It is alive while it renews its lease, `replicas.seen_at`, by
the clock of the database. Whatever belongs to a dead one, or to none, any other may take.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from dreamina_ui.ledger import job_rows
from dreamina_ui.ledger.job import ACTIVE, Job
from dreamina_ui.ledger.tables import duties, jobs, replicas
from dreamina_ui.ledger.transaction import Reader, Transaction

# Written out, so that PostgreSQL sees that its index `jobs_active` has these rows.
_IS_ACTIVE = sa.text(f"jobs.state IN ({', '.join(repr(state) for state in sorted(ACTIVE))})")
_TAKE_DUTY = sa.text(
    "INSERT INTO duties (name, replica_id, held_until) VALUES (:name, :replica_id, :held_until) "
    "ON CONFLICT (name) DO UPDATE SET replica_id = excluded.replica_id, held_until = excluded.held_until "
    "WHERE duties.replica_id = excluded.replica_id OR duties.held_until < :now"
)


# From one to the next by the index, not past the jobs of all.
_OWNERS = sa.text(
    f"WITH RECURSIVE owners(replica_id) AS (SELECT MIN(jobs.replica_id) FROM jobs WHERE {_IS_ACTIVE} UNION ALL "  # noqa: S608
    f"SELECT (SELECT MIN(jobs.replica_id) FROM jobs WHERE {_IS_ACTIVE} AND jobs.replica_id > owners.replica_id) "
    "FROM owners WHERE owners.replica_id IS NOT NULL) SELECT replica_id FROM owners WHERE replica_id IS NOT NULL"
)


class Claimable(NamedTuple):
    """Which jobs a replica can follow.

    Attributes:
        dead: the replicas whose jobs are free, as they are not alive.
        api_origins: the APIs that it uses.
        key_fingerprints: visitors' own keys that it has.
        of_owner: whether it follows jobs that the owner pays for.
    """

    dead: Sequence[str]
    api_origins: Sequence[str]
    key_fingerprints: Sequence[str]
    of_owner: bool = True

    def condition(self) -> sa.ColumnElement[bool]:
        is_free = jobs.c.replica_id.is_(None) | jobs.c.replica_id.in_(self.dead)
        has_own_key = jobs.c.key_fingerprint.in_(self.key_fingerprints)
        has_key = has_own_key | jobs.c.key_fingerprint.is_(None) if self.of_owner else has_own_key
        return sa.and_(_IS_ACTIVE, is_free, has_key, jobs.c.api_origin.in_(self.api_origins))


def register(transaction: Transaction, replica_id: str, now: float, role: str) -> None:
    """Write down a new replica; those of the role `web` are not counted when jobs are divided."""
    transaction.connection.execute(replicas.insert().values(replica_id=replica_id, seen_at=now, role=role))


def renew(transaction: Transaction, replica_id: str, now: float, lease_s: float) -> bool:
    """Renew a lease; False if it has ended: others may have taken what belonged to the replica."""
    is_alive = (replicas.c.replica_id == replica_id) & (replicas.c.seen_at >= now - lease_s)
    return bool(transaction.connection.execute(replicas.update().where(is_alive).values(seen_at=now)).rowcount)


def end_lease(transaction: Transaction, replica_id: str) -> None:
    """Let others take at once what still belongs to a replica."""
    transaction.connection.execute(replicas.update().where(replicas.c.replica_id == replica_id).values(seen_at=0.0))


def dead_owners(reader: Reader, since: float) -> list[str]:
    """The replicas that jobs belong to and that were not seen at `since` or later."""
    owners = list(reader.connection.execute(_OWNERS).scalars())
    alive = alive_replicas(reader, since)  # read later: one that is new here has no job yet that was read
    return [owner for owner in owners if owner not in alive]


def alive_replicas(reader: Reader, since: float) -> set[str]:
    """The replicas that were last seen at a moment or later."""
    query = sa.select(replicas.c.replica_id).where(replicas.c.seen_at >= since)
    return set(reader.connection.execute(query).scalars())


def has_claimable(reader: Reader, claimable: Claimable) -> bool:
    """Whether there is a job to take."""
    query = sa.select(jobs.c.job_id).where(claimable.condition()).limit(1)
    return reader.connection.execute(query).first() is not None


def claim(transaction: Transaction, replica_id: str, claimable: Claimable, since: float) -> list[str]:
    """Take a fair share of the jobs that are free, so that the first one to look does not take all.

    Args:
        since: who was seen then or later shares them.

    Returns:
        The job_ids.
    """
    is_alive = (replicas.c.seen_at >= since) & (replicas.c.role != "web")
    alive = sa.select(sa.func.count()).select_from(replicas).where(is_alive)
    active = sa.select(sa.func.count()).select_from(jobs).where(_IS_ACTIVE)
    numbers: list[Any] = [alive, active, active.where(jobs.c.replica_id == replica_id)]
    replica_count, job_count, own_count = (transaction.connection.execute(query).scalar_one() for query in numbers)
    room = max(1, -(-job_count // max(1, replica_count)) - own_count)
    free = sa.select(jobs.c.job_id).where(claimable.condition()).limit(room).with_for_update(skip_locked=True)
    job_ids = list(transaction.connection.execute(free).scalars())
    taken = jobs.update().where(jobs.c.job_id.in_(sa.bindparam("job_ids", expanding=True)))
    if job_ids:
        transaction.connection.execute(taken.values(replica_id=replica_id), {"job_ids": job_ids})
    return job_ids


def own_versions(reader: Reader, replica_id: str, api_origins: Sequence[str]) -> list[tuple[str, int]]:
    """The active jobs of a replica, oldest first: their job_ids and versions."""
    is_own = (jobs.c.replica_id == replica_id) & jobs.c.api_origin.in_(api_origins)
    query = sa.select(jobs.c.job_id, jobs.c.version).where(_IS_ACTIVE, is_own).order_by(jobs.c.created_at)
    return [(job_id, version) for job_id, version in reader.connection.execute(query)]


def forget_dead(transaction: Transaction, before: float) -> None:
    """Delete the replicas that were last seen before a moment."""
    transaction.connection.execute(replicas.delete().where(replicas.c.seen_at < before))


def arm(transaction: Transaction, job_id: str, replica_id: str, armed_at: float) -> Job | None:
    """Take the right to send a job, which exists once; repeated with the same `armed_at`, it is the same right.

    Returns:
        The job as it is now; None if it is not this replica's to send.
    """
    is_free = jobs.c.armed_at.is_(None) | (jobs.c.armed_at == armed_at)
    is_mine = (jobs.c.job_id == job_id) & (jobs.c.replica_id == replica_id) & (jobs.c.state == "submitting")
    update = jobs.update().where(is_mine, is_free).values(armed_at=armed_at)
    is_armed = bool(transaction.connection.execute(update).rowcount)
    return job_rows.read_job(transaction, job_id) if is_armed else None


def disarm(transaction: Transaction, job_id: str, armed_at: float) -> bool:
    """Give back the right to send a job that was not used: anybody may take the job now; False if others decided."""
    is_mine = (jobs.c.job_id == job_id) & (jobs.c.armed_at == armed_at) & (jobs.c.state == "submitting")
    update = jobs.update().where(is_mine).values(armed_at=None, replica_id=None)
    return bool(transaction.connection.execute(update).rowcount)


def release(transaction: Transaction, replica_id: str) -> None:
    """Leave a replica's jobs to the others, except those that are being sent."""
    is_sent = (jobs.c.state == "submitting") & jobs.c.armed_at.is_not(None)
    update = jobs.update().where(jobs.c.replica_id == replica_id, _IS_ACTIVE, ~is_sent)
    transaction.connection.execute(update.values(replica_id=None))


def duty(reader: Reader, name: str) -> tuple[str, float] | None:
    """Which replica has a duty, and until when; None if none ever had."""
    row = reader.connection.execute(sa.select(duties).where(duties.c.name == name)).first()
    return (row.replica_id, row.held_until) if row else None


def take_duty(transaction: Transaction, name: str, replica_id: str, now: float, held_until: float) -> bool:
    """Take what one replica does for all, or keep it; False if another one has it."""
    values = {"name": name, "replica_id": replica_id, "now": now, "held_until": held_until}
    return bool(transaction.connection.execute(_TAKE_DUTY, values).rowcount)


def leave_duties(transaction: Transaction, replica_id: str) -> None:
    """Let others take a replica's duties at once."""
    transaction.connection.execute(duties.delete().where(duties.c.replica_id == replica_id))
