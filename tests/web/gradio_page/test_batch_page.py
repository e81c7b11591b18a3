"""Several jobs at once, in a real Chromium: all of them first, then a few at a time, in the same rows and columns."""

from __future__ import annotations

import re

from playwright.sync_api import APIResponse, Locator, Page, Route, expect

from dreamina_ui.web.i18n.translate import translate
from tests.support.browser import SMALL, HeldSandbox
from tests.support.page import OpenPage

PHONE = {"width": 390, "height": 844}
BATCHES_URL = re.compile(r"/dreamina/batches/\w+(\?|$)")


def open_batch(page: Page) -> Locator:
    """Show the tab, and return the field of the prompts."""
    page.get_by_role("tab", name=translate("en", "batch")).click()
    expect(page.locator("#batch-repeats")).to_be_visible()
    return page.get_by_label(translate("en", "batch_prompts"))


def start_button(page: Page, count: int) -> Locator:
    return page.get_by_role("button", name=translate("en", "batch_start", count=count))


def test_a_batch_is_shown_before_it_is_sent_and_can_be_paused_and_cancelled(
    held: HeldSandbox, open_page: OpenPage
) -> None:
    """Many jobs are many bills: a person sees them all first, and keeps a hand on the tap. On a phone, by keyboard."""
    page = open_page(held.app, viewport=PHONE)
    before = len(held.requests())
    prompts = open_batch(page)
    prompts.fill("a {red fox")
    page.get_by_label(translate("en", "batch_repeats")).fill("2")
    reported = translate("en", "error_plan_line", line=1, text=translate("en", "error_plan_unclosed"))
    expect(page.locator("#batch [role=alert]")).to_have_text(reported)
    prompts.fill("a {red|blue} fox\na bear")
    page.locator("#batch fieldset").get_by_label("1024 × 1024").check()
    page.get_by_label("Scale", exact=True).and_(page.locator("#batch input")).fill("0.25 0.75")
    matrix = page.get_by_role("region", name=translate("en", "batch_matrix"))
    expect(matrix.get_by_role("rowheader")).to_have_text(["a red fox", "a blue fox", "a bear"])
    expect(matrix.get_by_role("columnheader")).to_have_count(1 + 4)
    expect(matrix.get_by_role("columnheader").nth(4)).to_contain_text("0.75")
    expect(matrix.get_by_role("cell")).to_have_count(12)
    start = start_button(page, 12)
    expect(start).to_contain_text(translate("en", "batch_price", price="$0.36"))
    expect(page.locator("#batch .batch-total")).to_contain_text(translate("en", "batch_time", time=""))
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.get_by_role("button", name="Scale", exact=True).press("Enter")
    expect(matrix.get_by_role("rowheader")).to_have_count(6)
    assert len(held.requests()) == before, "a look at the jobs sends nothing"

    expect(start).to_be_enabled()
    start.press("Enter")
    strip = page.locator("#batch .batch:visible")
    expect(strip).to_contain_text(translate("en", "batch_count_running", count=2))
    expect(strip).to_contain_text(translate("en", "batch_count_waiting", count=10))
    expect(page.locator("#batch td[data-state=queued], #batch td[data-state=running]")).to_have_count(2)
    sent = held.requests()[before:]
    assert [(item["inputs"]["width×height"], item["inputs"]["scale"]) for item in sent] == [(SMALL, 0.25)] * 2
    strip.get_by_role("button", name=translate("en", "batch_pause"), exact=True).press("Enter")
    expect(strip).to_contain_text(translate("en", "batch_paused"))
    expect(strip.get_by_role("button", name=translate("en", "batch_continue"))).to_be_focused()
    page.reload()
    expect(strip).to_contain_text(translate("en", "batch_paused"))
    strip.get_by_role("button", name=translate("en", "batch_continue")).click()
    strip.get_by_role("button", name=translate("en", "batch_cancel")).click()
    strip.get_by_role("button", name=translate("en", "batch_cancel_sure", count=10)).click()
    expect(page.locator("#dreamina-note")).to_have_text(translate("en", "batch_not_sent", count=10))
    expect(strip).to_contain_text(translate("en", "batch_count_cancelled", count=10))
    assert len(held.requests()) == before + 2
    expect(page.locator("#batch td[data-state=cancelled]")).to_have_count(10)


def test_the_jobs_are_shown_with_the_odd_lines_before_anything_is_sent(held: HeldSandbox, open_page: OpenPage) -> None:
    """Two blank lines of a pasted text were once two paid jobs."""
    page = open_page(held.app, viewport=PHONE)
    open_batch(page).fill("a red fox\n\u200b\nfirst\u2028second")
    expect(page.locator("#batch").get_by_role("rowheader")).to_have_count(2)
    notices = page.locator("#batch").get_by_role("note")
    expect(notices.get_by_role("heading")).to_have_text(translate("en", "batch_notices"))
    expect(notices.get_by_role("listitem")).to_have_count(2)
    expect(notices).to_contain_text("<U+200B>")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_an_old_response_does_not_undo_a_click(held: HeldSandbox, open_page: OpenPage) -> None:
    """The button that was pressed would come back, and who works by keyboard would lose the place."""
    page = open_page(held.app)
    open_batch(page).fill("late\nlater\nlatest")
    start = start_button(page, 3)
    expect(start).to_be_enabled()
    start.press("Enter")
    strip = page.locator("#batch .batch:visible")
    expect(strip).to_contain_text(translate("en", "batch_count_running", count=2))

    late: list[tuple[Route, APIResponse]] = []
    page.route(BATCHES_URL, lambda route: late.append((route, route.fetch())), times=1)
    page.evaluate("void document.querySelector('dreamina-batch').refresh()")
    while not late:
        page.wait_for_timeout(10)
    strip.get_by_role("button", name=translate("en", "batch_pause"), exact=True).press("Enter")
    go_on = strip.get_by_role("button", name=translate("en", "batch_continue"))
    expect(go_on).to_be_focused()
    (route, response) = late[0]
    with page.expect_request_finished(lambda request: bool(BATCHES_URL.search(request.url)) and not request.failure):
        route.fulfill(response=response)
    with page.expect_response(BATCHES_URL):
        page.evaluate("void document.querySelector('dreamina-batch').refresh()")
    expect(strip).to_contain_text(translate("en", "batch_paused"))
    expect(go_on).to_be_focused()
    strip.get_by_role("button", name=translate("en", "batch_cancel")).click()
    strip.get_by_role("button", name=translate("en", "batch_cancel_sure", count=1)).click()
    expect(strip).to_contain_text(translate("en", "batch_count_cancelled", count=1))
