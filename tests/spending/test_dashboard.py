"""The dashboard adds up: it shows what the limits count and what the service billed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from dreamina_ui.ledger.report_queries import Spending
from dreamina_ui.spending.dashboard import (
    MAX_CLIENT_HASHES,
    MAX_GROUP_JOBS,
    MAX_IMAGES,
    MAX_VISITORS,
    Dashboard,
    read_dashboard,
)
from dreamina_ui.spending.limits import Limits, SpendingGuard
from dreamina_ui.spending.moderation import Moderation
from tests.support.databases import Engine
from tests.support.harness import MODEL_ID
from tests.support.library_rows import NOON, ORIGIN, LibraryRows, add_rows, make_job

DAY_S = 86_400
A, B, HOME, WORK = ("a" * 32, "b" * 32, "c" * 32, "d" * 32)


class Books:
    """A ledger that a test fills, and the overview of it."""

    def __init__(self, folder: Path) -> None:
        self.rows = LibraryRows(folder)
        self.controls = Moderation(self.rows.ledger, self.rows.clock)
        self.guard = SpendingGuard(Limits(), ORIGIN)

    def add(self, count: int = 1, **fields: Any) -> None:
        add_rows(self.rows.ledger, [make_job(**fields) for _ in range(count)])

    def read(self) -> Dashboard:
        with self.rows.ledger.reading() as reader:
            return read_dashboard(reader, self.guard, self.controls.rules(reader), [MODEL_ID], NOON)

    def used(self) -> dict[str, float]:
        return {limit.name: limit.used for limit in self.read().limits}


@pytest.fixture
def books(tmp_path: Path, engine: Engine) -> Iterator[Books]:
    made = Books(tmp_path)
    yield made
    made.rows.ledger.close()


def test_an_empty_ledger_has_an_overview(books: Books) -> None:
    """The owner looks on the first day too."""
    result = books.read()
    assert result.today == result.month == Spending(0, 0, 0.0, 0.0, 0, 0.0, 0)
    assert (result.visitor_summaries, result.error_groups, result.visitors, result.states) == ((), (), 0, {})
    assert {limit.used for limit in result.limits} == {0}


def test_money_is_shown_as_billed_expected_and_unknown(books: Books) -> None:
    """An owner who reads only one sum does not know how true it is."""
    books.add(2, cost_usd=0.03, reserved_usd=0.12)
    books.add(1, reserved_usd=0.12, state="running")
    books.add(1)
    books.add(1, cost_usd=0.5, created_at=NOON - 2 * DAY_S)
    books.add(1, cost_usd=9.0, created_at=NOON - 40 * DAY_S)
    books.add(1, reserved_usd=0.12, state="cancelled")
    books.add(1, reserved_usd=0.12, state="failed")
    result = books.read()
    today = Spending(
        jobs=4, billed_jobs=2, billed_usd=0.06, foreseen_usd=0.24, open_jobs=1, open_usd=0.12, unknown_jobs=1
    )
    assert asdict(result.today) == pytest.approx(asdict(today))
    assert (result.month.jobs, result.month.billed_usd) == pytest.approx((5, 0.56))
    with books.rows.ledger.reading() as reader:
        spent = books.guard.spent_usd(reader, NOON - 3 * DAY_S)
    assert books.used()["usd_per_month"] == pytest.approx(spent), "the page and the guard count alike"


def test_each_limit_tells_what_is_used_of_it(books: Books) -> None:
    """Of visitors and IP addresses, whoever used the most: that is who is stopped next."""
    books.guard.limits = Limits(per_day=20, at_once=5)
    books.controls.change_limits({"per_day": 7})
    books.add(3, visitor_id=A, client_hash=HOME)
    books.add(2, visitor_id=A, client_hash=WORK, state="queued", request_id=None)
    books.add(1, visitor_id=B, client_hash=HOME, state="running")
    books.add(5, visitor_id=B, client_hash=HOME, created_at=NOON - 3 * DAY_S)
    used = books.used()
    assert (used["visitor_per_day"], used["visitor_at_once"]) == (5, 2)
    assert (used["address_per_day"], used["address_at_once"]) == (4, 2)
    assert (used["per_day"], used["at_once"]) == (6, 3)
    limits = {limit.name: (limit.most, limit.at_start) for limit in books.read().limits}
    assert (limits["per_day"], limits["at_once"], limits["usd_per_day"]) == ((7, 20), (5, 5), (None, None))


def test_visitors_stand_with_their_jobs_money_and_ip_addresses(books: Books) -> None:
    """To shut somebody out, the owner must see who it is; programs without a cookie count too."""
    books.add(2, visitor_id=A, client_hash=HOME, cost_usd=0.03, created_at=NOON - 2 * DAY_S)
    books.add(1, visitor_id=A, client_hash=WORK, reserved_usd=0.12)
    books.add(3, visitor_id=None, client_hash=HOME, created_at=NOON - 60)
    first, second = books.read().visitor_summaries
    assert (first.visitor_id, first.jobs, first.jobs_today) == (A, 3, 1)
    assert first.usd == pytest.approx(0.18)
    assert (first.last_at, first.client_hashes) == (NOON, (WORK, HOME))
    assert (second.visitor_id, second.jobs, second.client_hashes) == (None, 3, (HOME,))
    assert books.read().visitors == 1


def test_jobs_on_a_visitors_own_key_are_seen_and_cost_the_owner_nothing(books: Books) -> None:
    """They count for no limit; but who misuses the page is seen."""
    books.add(2, visitor_id=A, cost_usd=5.0, key_fingerprint="m", problem="auth")
    result = books.read()
    assert (result.today.jobs, books.used()["per_day"]) == (0, 0)
    assert (result.visitor_summaries[0].jobs, result.visitor_summaries[0].usd, result.states) == (2, 0.0, {"done": 2})
    assert [group.count for group in result.error_groups] == [2]


def test_errors_of_one_kind_stand_together_newest_first_without_a_prompt(books: Books) -> None:
    """Five hundred lines of one outage hide the other error; a whole job_id is a key, a prompt its visitor's."""
    failed = {"prompt": "a secret wish", "state": "failed"}
    outage = [
        make_job(**failed, problem="transport", detail=f"no answer after {at} s", updated_at=NOON + at)
        for at in range(8)
    ]
    add_rows(books.rows.ledger, [*outage, make_job(**failed, problem="refused", updated_at=NOON + 3)])
    books.add(1, prompt="a secret wish")
    first, second = books.read().error_groups
    assert (first.problem, first.detail, first.count) == ("transport", "no answer after 7 s", 8)
    assert (first.first_at, first.last_at, len(first.jobs)) == (NOON, NOON + 7, MAX_GROUP_JOBS)
    assert (second.problem, second.count) == ("refused", 1)
    assert {len(job) for job in first.jobs} == {8}
    assert "secret" not in repr(books.read())


def test_a_visitor_stands_with_a_name_and_the_last_images(books: Books) -> None:
    """Hashes tell nobody apart; images do, and a name that the owner gave."""
    files = [b"one", b"two"]
    for at in range(4):
        books.rows.add(files=files, visitor_id=A, created_at=NOON - at)
    books.controls.name_visitor(A, "  Aunt   Ida ")
    result = books.read()
    (summary,) = result.visitor_summaries
    assert len(summary.images) == MAX_IMAGES
    assert len({image.file_key for image in summary.images}) == MAX_IMAGES
    assert result.rules.names == {A: "Aunt Ida"}
    books.controls.name_visitor(A, " ")
    assert books.read().rules.names == {}


def test_a_crowd_is_cut_to_the_latest(books: Books) -> None:
    """A page with ten thousand visitors helps nobody, and takes long."""
    crowd = [
        make_job(visitor_id=f"{number % 150:032x}", client_hash=f"{number:032x}", created_at=NOON - number)
        for number in range(1500)
    ]
    add_rows(books.rows.ledger, crowd)
    result = books.read()
    assert result.visitors == 150
    assert [summary.visitor_id for summary in result.visitor_summaries] == [
        f"{number:032x}" for number in range(MAX_VISITORS)
    ]
    assert {len(summary.client_hashes) for summary in result.visitor_summaries} == {MAX_CLIENT_HASHES}


def test_a_limit_in_money_that_cannot_hold_is_reported(books: Books) -> None:
    """Until a price is known, or the limit is gone."""
    assert not books.read().price_is_missing
    books.controls.change_limits({"usd_per_day": 5})
    assert books.read().price_is_missing
    books.guard.set_price(MODEL_ID, 0.03, None)
    assert not books.read().price_is_missing
