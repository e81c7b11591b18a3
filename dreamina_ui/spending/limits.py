"""What may be spent: limits on jobs and money, enforced in the very transaction that writes a job's row.

The row is the reservation: it counts from before the POST, at the expected price; once the service reports the cost, at
that; and no longer when the job was refused or cancelled. So two requests at the same moment cannot both be the last.
Days and months are UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from dreamina_ui.errors import LimitError
from dreamina_ui.ledger.budget_rows import (
    Usage,
    active_jobs_of_key,
    day_of,
    micro_usd,
    read_usage_of_network,
    read_usages,
    read_usages_and_spent,
    send_usages_and_spent,
    spent_micro_usd,
)
from dreamina_ui.ledger.control_rows import send_values_of_kind, values_of_kind
from dreamina_ui.ledger.job import Job, networks_of
from dreamina_ui.ledger.transaction import Reader, Transaction
from dreamina_ui.models.units import JobUnits, asked_files, asked_seconds

IN_USD = ("usd_per_day", "usd_per_month")
NO_LIMIT = "none"
"""What the owner puts in the place of a limit of the environment, to have none."""

MAX_FILES = 4
"""How many files a job is billed for at most unless it asks for a single one; the service reports no number."""

PER_FILE = ("image", "output", "picture")
"""Units of a price that say what a job costs, by its number of files."""

PER_SECOND = ("second", "sec", "s")
"""Units of a price that say what a job costs where its inputs or its schema say how long it is."""

REQUESTS_PER_JOB = 10
"""How many requests a visitor and a client have for each of their jobs per day: refused and cancelled jobs are free,
and their rows stay."""

OWN_KEY_AT_ONCE = 20
"""How many jobs of a visitor's own key run at once: they cost the owner nothing, but others need threads, too."""


@dataclass(frozen=True)
class Limits:
    """How much is allowed; None is no limit.

    Attributes:
        visitor_at_once, visitor_per_day: jobs of one visitor.
        address_at_once, address_per_day: jobs from one client IP address: clearing cookies refills no budget.
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
    def in_jobs(self) -> bool:
        """Whether there is a limit on jobs."""
        return any(value is not None for name, value in vars(self).items() if name not in IN_USD)

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

CAUTIOUS_IN_SANDBOX = Limits(
    visitor_at_once=4,
    visitor_per_day=60,
    address_at_once=12,
    address_per_day=200,
    at_once=20,
    per_day=500,
)
"""What holds by default when strangers can reach a page on the sandbox: it costs no money, but CPU time and disk."""


PRESETS = {
    "private": Limits(),
    "friends": Limits(
        visitor_at_once=4,
        visitor_per_day=50,
        address_at_once=8,
        address_per_day=100,
        at_once=20,
        per_day=300,
        usd_per_day=20.0,
        usd_per_month=200.0,
    ),
    "public": CAUTIOUS,
}
"""What the owner can choose with one click: for a page of one's own, for people one knows, and for strangers."""


@dataclass(frozen=True)
class Quota:
    """What a visitor may still do today.

    Attributes:
        jobs_today: how many jobs are left; None for no limit.
        renewed_at: when the day ends, in seconds since 1970.
        jobs_per_day: the limit itself; None for none.
        stopped: why no new job is accepted, as `moderation.Stop.reason`; None if jobs are accepted.
    """

    jobs_today: int | None
    renewed_at: float
    jobs_per_day: int | None = None
    stopped: str | None = None


class SpendingGuard:
    """Enforces limits.

    Args:
        limits: what is allowed at start; the owner may change it, see `moderation`.
        api_origin: only jobs of this API count, and none that a visitor's own key pays for.
        price_usd: what one file costs where the API does not say; None if nobody knows.

    Attributes:
        prices: what an API says that a model costs in USD, and the unit that this is for, such as `image` or `second`;
            by the API's origin and model_id.
    """

    def __init__(self, limits: Limits, api_origin: str, price_usd: float | None = None) -> None:
        self.limits = limits
        self.prices: dict[tuple[str, str], tuple[float, str]] = {}
        self._units: dict[str, JobUnits] = {}
        self._price_usd = price_usd
        self.api_origin = api_origin

    def limits_now(self, reader: Reader) -> Limits:
        """What is allowed now: the limits of the start, and what the owner changed since."""
        changed: dict[str, Any] = {
            name: None if value == NO_LIMIT else float(value) if name in IN_USD else int(value)
            for name, value in values_of_kind(reader, "limit").items()
        }
        return replace(self.limits, **changed)

    def set_price(self, model_id: str, price_usd: float, unit: str | None, api_origin: str | None = None) -> None:
        """Store what an API, the owner's or another, says that one `unit` costs."""
        self.prices[api_origin or self.api_origin, model_id] = price_usd, (unit or PER_FILE[0]).lower()

    def set_catalog_price(self, model_id: str, price_usd: float, unit: str | None, units: JobUnits) -> None:
        """Store what the owner's API says that one `unit` costs, and how many a job of this model makes at most."""
        self._units[model_id] = units
        self.set_price(model_id, price_usd, unit)

    def price(self, model_id: str, api_origin: str | None = None) -> tuple[float, str] | None:
        """What one unit costs in USD at an API, the owner's or another, and the unit; None if it is not known."""
        is_owners = api_origin in (None, self.api_origin)
        known = None if self._price_usd is None or not is_owners else (self._price_usd, PER_FILE[0])
        return self.prices.get((api_origin or self.api_origin, model_id), known)

    def file_usd(self, model_id: str, api_origin: str | None = None) -> float | None:
        """What one file costs; None if that is not known, or the price is for something else, such as a second."""
        price = self.price(model_id, api_origin)
        return price[0] if price and price[1] in PER_FILE else None

    def expected_usd(self, model_id: str, inputs: Mapping[str, Any], api_origin: str | None = None) -> float | None:
        """What a job is expected to cost at most, for its files or its seconds; None if that is not known.

        Without it limits in USD cannot hold.
        """
        price, units = self.price(model_id, api_origin), self._units.get(model_id)
        if price is None:
            return None
        files = asked_files(inputs) or (units and units.files) or MAX_FILES
        if units is None or price[1] not in PER_SECOND:
            return price[0] * files
        seconds = asked_seconds(inputs) or units.seconds
        return None if seconds is None else price[0] * files * seconds

    def send_reads(self, transaction: Transaction, job: Job) -> None:
        """Send ahead what `enforce_limits` reads."""
        if job.key_fingerprint is None:
            send_values_of_kind(transaction, "limit")
            send_usages_and_spent(
                transaction,
                self.api_origin,
                day_of(month_start(job.created_at)),
                day_of(job.created_at),
                visitor_id=job.visitor_id,
                client_hash=job.client_hash,
            )

    def enforce_limits(self, transaction: Transaction, job: Job, *, spare: int = 0) -> None:
        """Refuse a job that would exceed a limit; call it in the transaction that writes the row.

        Args:
            spare: how many slots to leave free where a limit on jobs at once has more than one.

        Raises:
            LimitError: which limit, and when to come back.
        """
        if job.key_fingerprint is not None:
            if active_jobs_of_key(transaction, job.key_fingerprint) >= OWN_KEY_AT_ONCE:
                raise LimitError("own_key_at_once", OWN_KEY_AT_ONCE, None)
            return
        limits, day = self.limits_now(transaction), day_of(job.created_at)
        if not (limits.in_jobs or limits.in_usd):
            return
        first_day = day_of(month_start(job.created_at))
        usages, (today, month) = read_usages_and_spent(
            transaction, self.api_origin, first_day, day, visitor_id=job.visitor_id, client_hash=job.client_hash
        )
        if limits.in_jobs:
            until = day_end(job.created_at)
            if job.visitor_id is not None:
                _enforce_jobs(
                    "visitor_", usages["visitor"], limits.visitor_at_once, limits.visitor_per_day, spare, until
                )
            if job.client_hash is not None:
                _enforce_jobs(
                    "address_", usages["address"], limits.address_at_once, limits.address_per_day, spare, until
                )
                for beginning, factor in networks_of(job.client_hash)[1:]:
                    usage = read_usage_of_network(transaction, self.api_origin, day, beginning)
                    at_once, per_day = (
                        most and factor * most for most in (limits.address_at_once, limits.address_per_day)
                    )
                    _enforce_jobs("address_", usage, at_once, per_day, spare, until)
            _enforce_jobs("", usages["installation"], limits.at_once, limits.per_day, spare, until)
        if limits.in_usd:
            _enforce_usd("usd_per_day", today, limits.usd_per_day, job, day_end(job.created_at))
            _enforce_usd("usd_per_month", month, limits.usd_per_month, job, month_end(job.created_at))

    def spent_usd(self, reader: Reader, since: float) -> float:
        """USD that jobs created on the day of `since` (UTC) or later cost the owner, or are expected to cost."""
        return spent_micro_usd(reader, self.api_origin, day_of(since), day_of(since))[1] / 1_000_000

    def quota(self, reader: Reader, visitor_id: str, now: float) -> Quota:
        """What a visitor may still do today."""
        most = self.limits_now(reader).visitor_per_day
        if most is None:
            return Quota(None, day_end(now))
        made = read_usages(reader, self.api_origin, day_of(now), visitor_id=visitor_id)["visitor"].made
        return Quota(max(0, most - made), day_end(now), most)


def _enforce_jobs(
    prefix: str, usage: Usage, at_once: int | None, per_day: int | None, spare: int, until: float
) -> None:
    """Raise LimitError if a budget has no room for one more job."""
    if at_once is not None and usage.active >= max(at_once - spare, min(at_once, 1)):
        raise LimitError(f"{prefix}at_once", at_once, None)
    if per_day is None:
        return
    is_crowded = bool(prefix) and usage.requested >= per_day * REQUESTS_PER_JOB
    if usage.made >= per_day or is_crowded:
        raise LimitError(f"{prefix}per_day", per_day, until)


def _enforce_usd(name: str, spent: int, most: float | None, job: Job, until: float) -> None:
    """Raise LimitError if there is no money left for one more job; `spent` in millionths of a USD."""
    if most is None:
        return
    if job.reserved_usd is None:  # only once the limit is known to be reached: costs are reported afterwards
        is_reached = spent >= micro_usd(most)
    else:
        is_reached = spent + micro_usd(job.reserved_usd) > micro_usd(most)
    if is_reached:
        raise LimitError(name, most, until)


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
