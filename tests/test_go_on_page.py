"""What one does with pictures that are there: what they cost, compare two, go on from one; in a real Chromium."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone

from playwright.sync_api import Page, expect

from dreamina_ui.ui.wording import say
from tests import test_library_page, test_page
from tests.shelf import Shelf

browser, open_page, open_library = test_page.browser, test_page.open_page, test_library_page.open_library
OpenPage = Callable[..., Page]


# --- what it cost


def test_the_costs_are_shown_as_bars_and_as_a_table(shelf: Shelf, open_library: OpenPage) -> None:
    """Whoever pays sees where it goes, with ears or eyes; what is unknown is said to be, and play money is no money."""
    now = time.time()
    shelf.add("told", cost_usd=0.5, created_at=now)
    shelf.add("told, too", cost_usd=0.25, created_at=now - 40 * 86400)
    shelf.add("not told", created_at=now)
    shelf.add("played", cost_usd=0.03, created_at=now, api_origin="sandbox")
    page = open_library()
    page.get_by_text(say("en", "costs"), exact=True).click()
    money, play = page.locator("[data-purse=money]"), page.locator("[data-purse=play]")
    unknown = say("en", "costs_unknown", count=1)
    expect(money.locator(".costs-total")).to_have_text(f"{say('en', 'costs_total', usd='$0.75', jobs=2)} · {unknown}")
    expect(play).to_contain_text(say("en", "costs_play"))
    expect(play.locator(".costs-total")).to_contain_text("$0.03")
    expect(money.locator(".costs-slot")).to_have_count(30)
    assert money.locator(".costs-bar").last.evaluate("bar => bar.offsetHeight > 50")
    expect(money.locator(".costs-slot").last).to_contain_text("?")
    money.get_by_text(say("en", "costs_table")).click()
    day = f"{datetime.fromtimestamp(now, timezone.utc):%b} {datetime.fromtimestamp(now, timezone.utc).day}"
    expect(money.get_by_role("row", name=f"{day} $0.50 2 1")).to_be_visible()
    money.get_by_role("button", name=say("en", "costs_months")).click()
    expect(money.locator(".costs-slot")).to_have_count(12)
    assert sum(money.locator(".costs-bar").evaluate_all("bars => bars.map(bar => bar.offsetHeight > 20)")) == 2
