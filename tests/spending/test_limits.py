"""The money guard: no crowd of requests passes a limit by one, and what was not spent is given back."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dreamina_ui.errors import LimitError
from dreamina_ui.ledger.job import Job
from dreamina_ui.settings import Settings
from dreamina_ui.spending.limits import (
    CAUTIOUS,
    CAUTIOUS_IN_SANDBOX,
    IN_USD,
    MAX_FILES,
    Limits,
    SpendingGuard,
    day_end,
    month_end,
)
from dreamina_ui.web.http import client_ip_hash
from dreamina_ui.wiring import limits as limits_of
from tests.support.bad_server import ScriptedResponse, json_response
from tests.support.databases import Engine
from tests.support.harness import INPUTS, MODEL_ID, Harness, ScriptedApi


@pytest.fixture
def limited(tmp_path: Path, service: ScriptedApi, engine: Engine) -> Iterator[Harness]:
    """Started job services whose jobs stay in the queue; each test sets `harness.guard.limits`."""
    made = Harness(tmp_path / "data", service.server.url)
    service.status("in_queue")
    # One request_id for all jobs would be refused by the ledger: leave every submit unanswered.
    service.accept(ScriptedResponse(silent=True))
    made.start()
    yield made
    made.close()


_numbers = itertools.count()


def press(harness: Harness, count: int = 1, **more: Any) -> list[Job]:
    """Press so often, each time with another prompt: the same one again at once would be a double click."""
    prompts = [f"prompt {next(_numbers)}" for _ in range(count)]
    return [harness.jobs.generate(MODEL_ID, INPUTS | {"prompt": prompt}, **more) for prompt in prompts]


def test_two_hundred_requests_at_once_never_pass_a_limit_by_one(limited: Harness) -> None:
    """A crowd behind a shared link must not cost more than the owner allowed."""
    limited.guard.limits = Limits(per_day=17)
    made: list[Job] = []
    refused: list[LimitError] = []
    gate = threading.Barrier(200)

    def press_once(number: int) -> None:
        gate.wait()
        try:
            made.append(limited.jobs.generate(MODEL_ID, {"prompt": str(number)}, visitor_id=f"v{number}"))
        except LimitError as exc:
            refused.append(exc)

    threads = [threading.Thread(target=press_once, args=(number,)) for number in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (17, 183)
    assert len(limited.ledger.unfinished(limited.origin)) == 17


def test_a_refused_request_leaves_nothing_behind(limited: Harness, service: ScriptedApi) -> None:
    """No row, no folder, no POST."""
    limited.guard.limits = Limits(at_once=0)
    with pytest.raises(LimitError, match="Nothing was submitted"):
        press(limited)
    assert service.posts == 0
    assert [path for path in (limited.folder / "media").glob("*/*")] == []


def test_each_visitor_has_a_separate_budget(limited: Harness) -> None:
    """One greedy visitor must not use up what others may do."""
    limited.guard.limits = Limits(visitor_per_day=2)
    press(limited, 2, visitor_id="a")
    with pytest.raises(LimitError) as caught:
        press(limited, 1, visitor_id="a")
    assert (caught.value.limit, caught.value.until) == ("visitor_per_day", day_end(limited.clock()))
    press(limited, 2, visitor_id="b")
    assert limited.spending.quota("a").jobs_today == 0
    assert limited.spending.quota("new").jobs_today == 2


def test_cleared_cookies_refill_no_budget(limited: Harness) -> None:
    """The client IP address counts, whatever visitor it claims to be; a program without a cookie too."""
    limited.guard.limits = Limits(visitor_at_once=5, address_at_once=2)
    press(limited, 1, visitor_id="a", client_hash="home")
    press(limited, 1, client_hash="home")
    with pytest.raises(LimitError) as caught:
        press(limited, 1, visitor_id="c", client_hash="home")
    assert caught.value.limit == "address_at_once"
    press(limited, 1, visitor_id="c", client_hash="elsewhere")


def test_a_day_later_there_is_room_again(limited: Harness) -> None:
    """A limit per day does not last forever."""
    limited.guard.limits = Limits(visitor_per_day=1)
    press(limited, 1, visitor_id="a")
    limited.clock.advance(86_400)
    press(limited, 1, visitor_id="a")


def test_a_refused_submit_is_given_back(harness: Harness, service: ScriptedApi) -> None:
    """What the service did not take must not count."""
    service.accept(json_response({"error_code": 422001, "message": "no"}, 422))
    harness.start()
    harness.guard.limits = Limits(per_day=1)
    harness.wait(press(harness)[0].job_id, "failed")
    assert press(harness, 1, visitor_id="again")


def test_a_cancelled_job_is_given_back(harness: Harness, service: ScriptedApi) -> None:
    """A cancelled job cost nothing."""
    service.status("cancelled")
    harness.start()
    harness.guard.limits = Limits(per_day=1)
    harness.wait(press(harness)[0].job_id, "cancelled")
    service.accept(json_response({"request_id": "r-2"}))
    assert press(harness, 1, visitor_id="again")


@pytest.mark.parametrize("who", ["visitor_id", "client_hash"])
def test_jobs_that_cost_nothing_do_not_fill_the_ledger_forever(
    harness: Harness, service: ScriptedApi, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """To press and cancel all day costs nothing, and each row stays."""
    monkeypatch.setattr("dreamina_ui.spending.limits.REQUESTS_PER_JOB", 3)
    service.accept(json_response({"error_code": 422001, "message": "no"}, 422))
    harness.start()
    harness.guard.limits = Limits(visitor_per_day=1) if who == "visitor_id" else Limits(address_per_day=1)
    for _ in range(3):
        harness.wait(press(harness, 1, **{who: "a"})[0].job_id, "failed")
    with pytest.raises(LimitError) as caught:
        press(harness, 1, **{who: "a"})
    assert caught.value.until is not None
    assert press(harness, 1, **{who: "b"})
    harness.clock.advance(86_400)
    assert press(harness, 1, **{who: "a"})


def test_an_unclear_job_counts(harness: Harness, service: ScriptedApi) -> None:
    """It may be billed."""
    service.accept(ScriptedResponse(hang_up=True))
    harness.start()
    harness.guard.limits = Limits(per_day=1)
    harness.wait(press(harness)[0].job_id, "submit_unclear")
    with pytest.raises(LimitError):
        press(harness, 1, visitor_id="again")


def test_money_is_reserved_at_the_highest_price_and_settled_with_the_cost(
    harness: Harness, service: ScriptedApi
) -> None:
    """Until the service tells the cost, the worst is assumed; then the truth counts."""
    harness.start()
    harness.guard.limits = Limits(usd_per_day=0.2)
    harness.guard.set_price(MODEL_ID, 0.03, None)
    service.completes()  # costs 0.03
    job = harness.wait(press(harness)[0].job_id, "done")
    assert (job.reserved_usd, job.cost_usd) == pytest.approx((0.03 * MAX_FILES, 0.03))
    service.status("in_queue")
    service.accept(ScriptedResponse(silent=True))
    press(harness, 1, visitor_id="b")  # 0.03 + 0.12
    with pytest.raises(LimitError) as caught:
        press(harness, 1, visitor_id="c")  # + 0.12 would be 0.27
    assert caught.value.limit == "usd_per_day"
    single = {"prompt": "one", "force_single": True}
    assert harness.jobs.generate(MODEL_ID, single, visitor_id="d").reserved_usd == pytest.approx(0.03)


def test_a_limit_in_money_that_is_known_to_be_reached_needs_no_price(limited: Harness) -> None:
    """A service may tell costs and no price: then a job may pass the limit, and not one after the other forever."""
    limited.guard.limits = Limits(usd_per_day=0.05)
    for cost_usd in (0.03, 0.02):
        limited.ledger.change(press(limited)[0].job_id, cost_usd=cost_usd)
    with pytest.raises(LimitError, match="usd_per_day"):
        press(limited)


def test_the_month_has_a_limit_of_its_own(limited: Harness) -> None:
    """Thirty careful days may still be too much."""
    limited.guard.limits = Limits(usd_per_month=0.13)
    limited.guard.set_price(MODEL_ID, 0.03, None)
    press(limited)
    with pytest.raises(LimitError) as caught:
        press(limited, 1, visitor_id="b")
    assert caught.value.until == month_end(limited.clock())


def test_the_price_comes_from_the_api(tmp_path: Path, service: ScriptedApi) -> None:
    """The owner need not know it."""
    harness = Harness(tmp_path / "data", service.server.url)
    harness.guard.limits = Limits(usd_per_day=1.0)
    service.price(json_response({"base_price_usd": 0.05, "price_unit": "image"}))
    harness.start()
    while not harness.guard.prices:
        threading.Event().wait(0.002)
    assert harness.guard.expected_usd(MODEL_ID, {"force_single": True}) == 0.05
    harness.close()


def test_a_sandbox_job_counts_for_no_limit_of_runcomfy(limited: Harness) -> None:
    """Play money is no money."""
    press(limited, 1, visitor_id="a")
    guard = SpendingGuard(Limits(per_day=1), "https://model-api.runcomfy.net")
    with limited.ledger.writing() as transaction:
        job = replace(limited.ledger.unfinished(limited.origin)[0], api_origin="https://model-api.runcomfy.net")
        guard.enforce_limits(transaction, job)


def test_cautious_limits_hold_where_strangers_spend_the_owners_money(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who shares a link without reading further must be able to sleep."""
    monkeypatch.setenv("RUNCOMFY_API_TOKEN", "t")
    assert limits_of(Settings()) == Limits()
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    assert limits_of(Settings()) == CAUTIOUS
    monkeypatch.setenv("DREAMINA_USD_PER_DAY", "3")
    assert limits_of(Settings()) == replace(CAUTIOUS, usd_per_day=3.0)
    monkeypatch.delenv("RUNCOMFY_API_TOKEN")
    assert limits_of(Settings()) == replace(CAUTIOUS_IN_SANDBOX, usd_per_day=3.0)
    monkeypatch.delenv("GRADIO_SERVER_NAME")
    assert limits_of(Settings()) == Limits(usd_per_day=3.0)
    assert all(value is not None for name, value in vars(CAUTIOUS_IN_SANDBOX).items() if name not in IN_USD)


def test_a_person_with_many_ipv6_networks_has_few_budgets(limited: Harness) -> None:
    """A provider gives each customer 256 or 65,536 networks of the size that counts as one client."""
    limited.guard.limits = Limits(address_per_day=2)

    def accepted(hosts: list[str]) -> int:
        count = 0
        for number, host in enumerate(hosts):
            with suppress(LimitError):
                client_hash = client_ip_hash(host)
                limited.jobs.generate(MODEL_ID, {"prompt": host}, visitor_id=f"v{number}", client_hash=client_hash)
                count += 1
        return count

    assert accepted(["2001:db8:1:1::1"] * 3) == 2
    assert accepted([f"2001:db8:1:{number:x}::1" for number in range(2, 9)]) == 2, "the /56 has twice as much"
    assert accepted([f"2001:db8:1:{number:x}00::1" for number in range(1, 12)]) == 4, "the /48 four times"
    assert accepted(["2001:db8:2:1::1", "198.51.100.1"]) == 2, "others have their own"
