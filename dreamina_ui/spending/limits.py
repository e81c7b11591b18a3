"""What may be spent: limits on jobs and money, checked in the very transaction that writes a job's row.

The row is the reservation: it counts from before the POST, at the price expected; once the service tells the cost, at
that; and no longer when the job was refused or cancelled. So two presses at the same moment cannot both be the last.
Days and months are those of UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import sqlalchemy as sa

from dreamina_ui.errors import LimitError
from dreamina_ui.ledger.job import SETTLED, Job
from dreamina_ui.ledger.tables import controls, jobs

IN_USD = ("usd_per_day", "usd_per_month")
MAX_FILES = 4
"""How many files a job is expected to cost at most that does not ask for a single one; the service tells no number."""


PER_FILE = ("image", "output", "picture")
"""Units of a price by which it is known what a job costs; a price for a second says nothing before."""

SINGLE_KEY = "force_single"
"""The input that asks for a single file."""

PRESSES_PER_JOB = 10
"""How many presses a visitor and an address have for each of their jobs per day: refused and cancelled jobs are free,
and their rows stay."""

OWN_KEY_AT_ONCE = 20
"""How many jobs of one visitor's own key go on at once: they cost the owner nothing, and others need threads, too."""


@dataclass(frozen=True)
class Limits:
    """How much is allowed; None is no limit.

    Attributes:
        visitor_at_once, visitor_per_day: jobs of one visitor.
        address_at_once, address_per_day: jobs from one client address: cleared cookies refill no purse.
        at_once, per_day: jobs of the whole installation.
        usd_per_day, usd_per_month: money of the whole installation.
    """

    visitor_at_once: int | None = None
    visitor_per_day: int | None = None
    address_at_once: int | None = None
    address_per_day: int | None = None
    at_once: int | None = None
    per_day: int | None = None
    usd_per_day: float | None = None
    usd_per_month: float | None = None

    @property
    def in_usd(self) -> bool:
        """Whether there is a limit in USD, which needs a price to hold."""
        return any(getattr(self, name) is not None for name in IN_USD)

    def described(self) -> str:
        """The limits that hold, in one line, or `none`."""
        parts = [f"{name} {value:g}" for name, value in vars(self).items() if value is not None]
        return ", ".join(parts) or "none"


CAUTIOUS = Limits(
    visitor_at_once=2,
    visitor_per_day=20,
    address_at_once=6,
    address_per_day=60,
    at_once=10,
    per_day=200,
    usd_per_day=10.0,
    usd_per_month=100.0,
)
"""What holds by default when strangers can reach a page on which the owner's token pays."""


@dataclass(frozen=True)
class Quota:
    """What a visitor may still do today.

    Attributes:
        jobs_today: how many jobs are left; None for no limit.
        renewed_at: when the day ends, in seconds since 1970.
        stopped: why no new job is taken, as `controls.Stop.reason`; None if jobs are taken.
    """

    jobs_today: int | None
    renewed_at: float
    stopped: str | None = None


class SpendingGuard:
    """Checks limits.

    Args:
        limits: what is allowed at start; the owner may change it, see `controls`.
        api_origin: only jobs of this API count, and none that a visitor's own key pays for.
        price_usd: what one file costs where the API does not say; None if nobody knows.

    Attributes:
        prices: what an API says that a model costs in USD, and the unit that this is for, such as `image` or `second`;
            by the API's origin and model_id.
    """

    def __init__(self, limits: Limits, api_origin: str, price_usd: float | None = None) -> None:
        self.limits = limits
        self.prices: dict[tuple[str, str], tuple[float, str]] = {}
        self._price_usd = price_usd
        self._api_origin = api_origin

    def limits_now(self, connection: sa.Connection) -> Limits:
        """What is allowed now: the limits of the start, and what the owner changed since."""
        changed: dict[str, Any] = {
            name: float(value) if name in IN_USD else int(value) for name, value in connection.execute(_CHANGED_LIMITS)
        }
        return replace(self.limits, **changed)

    def learn_price(self, model_id: str, price_usd: float, unit: str | None, api_origin: str | None = None) -> None:
        """Note what an API, the owner's or another, says that one `unit` costs."""
        self.prices[api_origin or self._api_origin, model_id] = price_usd, (unit or PER_FILE[0]).lower()

    def price(self, model_id: str, api_origin: str | None = None) -> tuple[float, str] | None:
        """What one unit costs in USD at an API, the owner's or another, and the unit; None if it is not known."""
        is_owners = api_origin in (None, self._api_origin)
        known = None if self._price_usd is None or not is_owners else (self._price_usd, PER_FILE[0])
        return self.prices.get((api_origin or self._api_origin, model_id), known)

    def file_usd(self, model_id: str, api_origin: str | None = None) -> float | None:
        """What one file costs; None if that is not known, or the price is for something else, such as a second."""
        price = self.price(model_id, api_origin)
        return price[0] if price and price[1] in PER_FILE else None

    def expected_usd(self, model_id: str, inputs: Mapping[str, Any], api_origin: str | None = None) -> float | None:
        """What a job is expected to cost at most, a unit for each file; None if the price is not known.

        Without it limits in USD cannot hold.
        """
        price = self.price(model_id, api_origin)
        files = 1 if inputs.get(SINGLE_KEY) is True else MAX_FILES
        return None if price is None else price[0] * files

    def check(self, connection: sa.Connection, job: Job, *, spare: int = 0) -> None:
        """Refuse a job that would pass a limit; call it in the transaction that writes the row.

        Args:
            spare: how many places to leave free where a limit on jobs at once has more than one.

        Raises:
            LimitError: which limit, and when to come back.
        """
        if job.key_fingerprint is not None:
            if (
                connection.execute(_OF_KEY_GOING_ON, {"key_fingerprint": job.key_fingerprint}).scalar_one()
                >= OWN_KEY_AT_ONCE
            ):
                raise LimitError("own_key_at_once", OWN_KEY_AT_ONCE, None)
            return
        limits, now = self.limits_now(connection), job.created_at
        purses = [
            ("visitor_", job.visitor_id, limits.visitor_at_once, limits.visitor_per_day),
            ("address_", job.address, limits.address_at_once, limits.address_per_day),
            ("", job.api_origin, limits.at_once, limits.per_day),
        ]
        for prefix, owner, at_once, per_day in purses:
            if owner is None:
                continue
            if at_once is not None and self._count(connection, _ACTIVE[prefix], owner) >= (
                max(at_once - spare, min(at_once, 1))
            ):
                raise LimitError(f"{prefix}at_once", at_once, None)
            if per_day is not None and self._count(connection, _MADE[prefix], owner, day_start(now)) >= per_day:
                raise LimitError(f"{prefix}per_day", per_day, day_end(now))
            pressed = self._count(connection, _PRESSED[prefix], owner, day_start(now)) if prefix and per_day else 0
            if per_day and pressed >= per_day * PRESSES_PER_JOB:
                raise LimitError(f"{prefix}per_day", per_day, day_end(now))
        for name, most, since, until in (
            ("usd_per_day", limits.usd_per_day, day_start(now), day_end(now)),
            ("usd_per_month", limits.usd_per_month, month_start(now), month_end(now)),
        ):
            if most is None:
                continue
            spent = self.spent_usd(connection, since)
            is_reached = spent >= most if job.reserved_usd is None else spent + job.reserved_usd > most + 1e-9
            if is_reached:  # without a price only once it is known to be: costs are told afterwards
                raise LimitError(name, most, until)

    def spent_usd(self, connection: sa.Connection, since: float) -> float:
        """USD that jobs made at `since` or later cost, or are expected to cost."""
        amount = sa.func.coalesce(jobs.c.cost_usd, jobs.c.reserved_usd, 0.0)
        query = sa.select(sa.func.coalesce(sa.func.sum(amount), 0.0)).where(counts_since(since), self.ours)
        return float(connection.execute(query).scalar_one())

    def left(self, connection: sa.Connection, visitor_id: str, now: float) -> Quota:
        """What a visitor may still do today."""
        most = self.limits_now(connection).visitor_per_day
        if most is None:
            return Quota(None, day_end(now))
        made = self._count(connection, _MADE["visitor_"], visitor_id, day_start(now))
        return Quota(max(0, most - made), day_end(now))

    @property
    def ours(self) -> sa.ColumnElement[bool]:
        """Jobs that the owner pays for."""
        return (jobs.c.api_origin == self._api_origin) & jobs.c.key_fingerprint.is_(None)

    def _count(self, connection: sa.Connection, query: sa.Select[Any], owner: str, since: float | None = None) -> int:
        values = {"api_origin": self._api_origin, "owner": owner} | ({} if since is None else {"since": since})
        return int(connection.execute(query, values).scalar_one())


def counts_since(since: float | sa.BindParameter[float]) -> sa.ColumnElement[bool]:
    """Jobs that count: a refused one was never accepted, and a cancelled one counts only if it cost something."""
    refused = (jobs.c.state == "failed") & jobs.c.request_id.is_(None)
    given_back = (jobs.c.state == "cancelled") & (sa.func.coalesce(jobs.c.cost_usd, 0.0) == 0.0)
    return (jobs.c.created_at >= since) & ~refused & ~given_back


def _counting(*where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(sa.func.count()).select_from(jobs).where(*where)


# Built once: they stand between every press and the ledger's one writer.
_CHANGED_LIMITS = sa.select(controls.c.name, controls.c.value).where(controls.c.kind == "limit")
_OF_KEY_GOING_ON = _counting(jobs.c.key_fingerprint == sa.bindparam("key_fingerprint"), jobs.c.state.not_in(SETTLED))
_PURSES = {"visitor_": jobs.c.visitor_id, "address_": jobs.c.address, "": jobs.c.api_origin}
_OF_PURSE = {
    prefix: _counting(
        jobs.c.api_origin == sa.bindparam("api_origin"),
        jobs.c.key_fingerprint.is_(None),
        column == sa.bindparam("owner"),
    )
    for prefix, column in _PURSES.items()
}
_ACTIVE = {prefix: query.where(jobs.c.state.not_in(SETTLED)) for prefix, query in _OF_PURSE.items()}
_PRESSED = {prefix: query.where(jobs.c.created_at >= sa.bindparam("since")) for prefix, query in _OF_PURSE.items()}
_MADE = {prefix: query.where(counts_since(sa.bindparam("since"))) for prefix, query in _OF_PURSE.items()}


def _midnight(now: float) -> datetime:
    return datetime.fromtimestamp(now, timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)


def day_start(now: float) -> float:
    return _midnight(now).timestamp()


def day_end(now: float) -> float:
    return (_midnight(now) + timedelta(days=1)).timestamp()


def month_start(now: float) -> float:
    return _midnight(now).replace(day=1).timestamp()


def month_end(now: float) -> float:
    return (_midnight(now).replace(day=1) + timedelta(days=32)).replace(day=1).timestamp()
