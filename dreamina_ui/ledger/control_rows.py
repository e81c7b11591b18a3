"""The tables `controls` and `secrets`: what the owner set for the whole installation, and its random secrets."""

from __future__ import annotations

import secrets as random_secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from dreamina_ui.ledger.job import Job
from dreamina_ui.ledger.tables import controls, secrets
from dreamina_ui.ledger.transaction import Prepared, Reader, Transaction

ControlKind = Literal["stop", "limit", "visitor", "address", "word", "name", "model"]

# Built once: it is part of every admission, and benchmarks/README.md has the figures.
_CONCERNING_JOB = Prepared(
    sa.select(controls)
    .where(
        ((controls.c.kind == "stop") & controls.c.name.in_([sa.literal_column("''"), sa.bindparam("stop")]))
        | ((controls.c.kind == "visitor") & (controls.c.name == sa.bindparam("visitor_id")))
        | ((controls.c.kind == "address") & (controls.c.name == sa.bindparam("client_hash")))
        | (controls.c.kind == "word")
    )
    .order_by(controls.c.name)
)
_OF_KIND = Prepared(sa.select(controls.c.name, controls.c.value).where(controls.c.kind == sa.bindparam("kind")))


@dataclass(frozen=True)
class Control:
    """One row: a stop by API origin ("" for all), a limit by name, a blocked visitor or IP address, a blocked word,
    a visitor's name, or a model of the service that visitors may use.

    Attributes:
        value: a stop's reason, a limit's number or `none`, or what the owner calls a visitor; None for the others.
        set_at: seconds since 1970.
    """

    kind: str
    name: str
    value: str | None
    set_at: float


def controls_of_job(reader: Reader, job: Job, stop: str = "") -> list[Control]:
    """The stop of everything and of this name, the blocks of a job's visitor and IP address, and all blocked words."""
    return [Control(*row) for row in _CONCERNING_JOB.rows(reader, _concerning(job, stop))]


def send_controls_of_job(transaction: Transaction, job: Job, stop: str) -> None:
    """Send ahead what `controls_of_job` reads."""
    _CONCERNING_JOB.send(transaction, _concerning(job, stop))


def _concerning(job: Job, stop: str) -> dict[str, str | None]:
    return {"stop": stop, "visitor_id": job.visitor_id, "client_hash": job.client_hash}


def all_controls(reader: Reader) -> list[Control]:
    """Every row, the oldest first."""
    query = sa.select(controls).order_by(controls.c.set_at, controls.c.name)
    return [_control(row) for row in reader.connection.execute(query)]


def values_of_kind(reader: Reader, kind: ControlKind) -> dict[str, str]:
    """The values of a kind's rows, by name."""
    remembered = reader.remembered if isinstance(reader, Transaction) else {}
    if kind not in remembered:
        rows = _OF_KIND.rows(reader, {"kind": kind})
        remembered[kind] = {name: value for name, value in rows if value is not None}
    values: dict[str, str] = remembered[kind]
    return values


def send_values_of_kind(transaction: Transaction, kind: ControlKind) -> None:
    """Send ahead what `values_of_kind` reads."""
    _OF_KIND.send(transaction, {"kind": kind})


def names_of_kind(reader: Reader, kind: ControlKind) -> list[str]:
    """The names of a kind's rows, also of those without a value."""
    return [name for name, _ in _OF_KIND.rows(reader, {"kind": kind})]


def has_control(reader: Reader, kind: ControlKind, name: str) -> bool:
    """Whether there is such a row."""
    query = sa.select(controls.c.name).where(controls.c.kind == kind, controls.c.name == name)
    return reader.connection.execute(query).first() is not None


def insert_control(
    transaction: Transaction, kind: ControlKind, name: str, value: str | None = None, *, set_at: float
) -> bool:
    """Write a row unless there is one; returns whether it is new."""
    if has_control(transaction, kind, name):
        return False
    transaction.forget()
    transaction.connection.execute(controls.insert().values(kind=kind, name=name, value=value, set_at=set_at))
    return True


def delete_control(transaction: Transaction, kind: ControlKind, name: str, *, value: str | None = None) -> None:
    """Delete a row, if it is there; with `value`, only if that is its value."""
    rows = (controls.c.kind == kind) & (controls.c.name == name)
    if value is not None:
        rows &= controls.c.value == value
    transaction.forget()
    transaction.connection.execute(controls.delete().where(rows))


def delete_kind(transaction: Transaction, kind: ControlKind) -> None:
    """Delete all rows of a kind."""
    transaction.forget()
    transaction.connection.execute(controls.delete().where(controls.c.kind == kind))


def replace_kind(transaction: Transaction, kind: ControlKind, names: Iterable[str], *, set_at: float) -> None:
    """Put rows with these names in the place of all rows of a kind."""
    delete_kind(transaction, kind)
    rows = [{"kind": kind, "name": name, "set_at": set_at} for name in names]
    if rows:
        transaction.connection.execute(controls.insert(), rows)


def read_or_create_secret(transaction: Transaction, name: str) -> bytes:
    """32 random bytes, created at the first call and the same ever after."""
    query = sa.select(secrets.c.value).where(secrets.c.name == name)
    value = transaction.connection.execute(query).scalar()
    if value is None:
        value = random_secrets.token_hex(32)
        transaction.connection.execute(secrets.insert().values(name=name, value=value))
    return bytes.fromhex(value)


def _control(row: sa.Row[tuple[str, str, str | None, float]]) -> Control:
    return Control(row.kind, row.name, row.value, row.set_at)
