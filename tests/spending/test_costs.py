"""The sums of costs: every dollar once, in the right budget, and an unknown cost is not zero."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests

from dreamina_ui.ledger.job import SANDBOX_ORIGIN
from dreamina_ui.ledger.ledger import Ledger
from dreamina_ui.spending.costs import Costs, CostTotal
from dreamina_ui.web.auth.visitor import VISITOR_COOKIE, visitor_id
from tests.support.browser import AppProcess, Visitor
from tests.support.databases import Engine
from tests.support.harness import MODEL_ID
from tests.support.library_rows import NOON, LibraryRows, add_rows, make_job

DAY_S = 86400.0


@pytest.fixture
def rows(tmp_path: Path, engine: Engine) -> Iterator[LibraryRows]:
    made = LibraryRows(tmp_path)
    yield made
    made.ledger.close()


@pytest.fixture
def costs(rows: LibraryRows) -> Costs:
    return Costs(rows.ledger)


def test_costs_are_added_by_day_month_and_model(rows: LibraryRows, costs: Costs) -> None:
    """Who pays every day wants to see where it goes; days begin at midnight UTC."""
    midnight = NOON - NOON % DAY_S
    other = "google/nano-banana-2-lite/text-to-image"
    add_rows(
        rows.ledger,
        [
            make_job(cost_usd=0.25, created_at=midnight - 0.001),
            make_job(cost_usd=0.5, created_at=midnight),
            make_job(cost_usd=1.0, created_at=midnight + DAY_S - 0.001, model_id=other),
            make_job(cost_usd=2.0, created_at=midnight - 40 * DAY_S),
        ],
    )
    budget = costs.read("v", all_of_owner=False)["money"]
    assert budget.total == CostTotal(3.75, 4, 0)
    assert budget.days == {
        "2026-10-09": CostTotal(2.0, 1),
        "2026-11-17": CostTotal(0.25, 1),
        "2026-11-18": CostTotal(1.5, 2),
    }
    assert budget.months == {"2026-10": CostTotal(2.0, 1), "2026-11": CostTotal(1.75, 3)}
    assert budget.models == {MODEL_ID: CostTotal(2.75, 3), other: CostTotal(1.0, 1)}


def test_a_missing_cost_is_unknown_and_not_zero(rows: LibraryRows, costs: Costs) -> None:
    """A sum that leaves something out says so; what was refused or taken back cost nothing and is not in it."""
    add_rows(
        rows.ledger,
        [
            make_job(cost_usd=0.5, request_id="a"),
            make_job(cost_usd=0.0, request_id="b"),
            make_job(request_id="c"),
            make_job(state="failed", request_id="d"),
            make_job(state="submit_unclear"),
            make_job(state="running", request_id="e"),
            make_job(state="failed"),
            make_job(state="cancelled", request_id="f"),
        ],
    )
    assert costs.read("v", all_of_owner=False)["money"].total == CostTotal(0.5, 2, 4)


def test_play_money_is_separate(rows: LibraryRows, costs: Costs) -> None:
    """The sandbox's prices were paid by nobody."""
    add_rows(rows.ledger, [make_job(cost_usd=9.0, api_origin=SANDBOX_ORIGIN), make_job(cost_usd=1.0)])
    purses = costs.read("v", all_of_owner=False)
    assert (purses["money"].total.usd, purses["play"].total.usd) == (1.0, 9.0)


def test_each_sees_what_is_theirs(rows: LibraryRows, costs: Costs) -> None:
    """A visitor sees no other's spending; the owner sees what the owner pays, and not what visitors pay themselves."""
    add_rows(
        rows.ledger,
        [
            make_job(cost_usd=1.0, visitor_id="alice"),
            make_job(cost_usd=2.0, visitor_id="alice", key_fingerprint="k"),
            make_job(cost_usd=4.0, visitor_id="bob", key_fingerprint="l"),
            make_job(cost_usd=8.0, visitor_id=None),
            make_job(cost_usd=16.0, visitor_id="owner", key_fingerprint="m"),
        ],
    )

    def read(visitor: str | None, *, is_owner: bool) -> tuple[float, float]:
        budget = costs.read(visitor, all_of_owner=is_owner)["money"]
        return budget.total.usd, budget.own_key.usd

    assert read("alice", is_owner=False) == (3.0, 2.0)
    assert read("bob", is_owner=False) == (4.0, 4.0)
    assert read(None, is_owner=False) == (0.0, 0.0)
    assert read("owner", is_owner=True) == (25.0, 16.0), "an owner who gave a key of their own pays with it, too"


def test_a_shared_page_tells_strangers_nothing(shared: AppProcess) -> None:
    """What the owner spends is the owner's business."""
    alice, bob = Visitor(shared), Visitor(shared)
    me = visitor_id(f"{VISITOR_COOKIE}={alice.cookie(VISITOR_COOKIE)[1]}")
    with closing(Ledger(shared.data / "ledger.sqlite3")) as ledger:
        add_rows(ledger, [make_job(cost_usd=7.0, visitor_id=me)])

    def ask(http: requests.Session) -> dict[str, object]:
        response = http.get(f"{shared.url}/dreamina/costs", timeout=10).json()
        return {"is_owner": response["is_owner"], "usd": response["money"]["total"]["usd"]}

    assert ask(alice.http) == {"is_owner": False, "usd": 7.0}
    assert ask(bob.http) == {"is_owner": False, "usd": 0.0}
    assert ask(requests.Session()) == {"is_owner": False, "usd": 0.0}
    foreign = alice.http.get(f"{shared.url}/dreamina/costs", headers={"Sec-Fetch-Site": "cross-site"}, timeout=10)
    assert foreign.status_code == 403
