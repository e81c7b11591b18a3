"""Several jobs at once, in a real Chromium: the table first, then a few at a time, paused and cancelled honestly."""

from __future__ import annotations

import re

from playwright.sync_api import APIResponse, Route, expect

from dreamina_ui.web.i18n.translate import translate
from tests.support.browser import SMALL, HeldSandbox
from tests.web.gradio_page.test_page import OpenPage, open_page

__all__ = ["open_page"]  # fixtures

PHONE = {"width": 390, "height": 844}
BATCHES_URL = re.compile(r"/dreamina/batches(\?|$)")


def test_a_batch_is_shown_before_it_is_sent_and_can_be_paused_and_cancelled(
    held: HeldSandbox, open_page: OpenPage
) -> None:
    """Many jobs are many bills: a person sees them all first, and keeps a hand on the tap. On a phone, by keyboard."""
    page = open_page(held.app, viewport=PHONE)
    before = len(held.requests())
    page.locator("#toggle-sheet").press("Enter")
    page.locator("#batch summary").press("Enter")
    prompts = page.get_by_label(translate("en", "batch_prompts"))
    prompts.fill("a {red fox")
    page.get_by_label(translate("en", "batch_repeats")).fill("2")
    show = page.get_by_role("button", name=translate("en", "batch_table"))
    show.press("Enter")
    reported = translate("en", "error_plan_line", line=1, text=translate("en", "error_plan_unclosed"))
    expect(page.locator("#batch [role=alert]")).to_have_text(reported)
    expect(prompts).to_be_focused()
    prompts.fill("a {red|blue} fox\na bear")
    page.locator("#batch fieldset").get_by_label("1024 × 1024").check()
    page.get_by_label("Scale", exact=True).and_(page.locator("#batch input")).fill("0.25 0.75")
    show.press("Enter")
    table = page.get_by_role("dialog")
    expect(table.get_by_role("row")).to_have_count(1 + 12)
    expect(table.get_by_role("row").nth(12)).to_contain_text("a bear")
    expect(table.get_by_role("row").nth(12)).to_contain_text("0.75")
    expect(table.get_by_role("heading")).to_contain_text(translate("en", "batch_jobs", count=12))
    expect(table.get_by_role("heading")).to_contain_text(translate("en", "batch_price", price="$0.36"))
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.keyboard.press("Escape")
    expect(show).to_be_focused()
    assert len(held.requests()) == before, "a look at the table sends nothing"

    show.press("Enter")
    start = table.get_by_role("button", name=translate("en", "batch_start", count=12))
    expect(table.get_by_role("heading")).to_be_focused()
    expect(start).to_be_enabled()
    start.press("Enter")
    strip = page.locator("#batches .batch")
    expect(strip).to_contain_text(translate("en", "batch_count_running", count=2))
    expect(strip).to_contain_text(translate("en", "batch_count_waiting", count=10))
    expect(page.locator(".job").filter(has_text="a red fox")).to_have_count(2)
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
    expect(strip.get_by_role("button", name=translate("en", "close"))).to_be_hidden()


def test_the_table_names_the_odd_lines_before_anything_is_sent(held: HeldSandbox, open_page: OpenPage) -> None:
    """Two blank lines of a pasted text were once two paid jobs."""
    page = open_page(held.app, viewport=PHONE)
    page.locator("#toggle-sheet").press("Enter")
    page.locator("#batch summary").press("Enter")
    page.get_by_label(translate("en", "batch_prompts")).fill("a red fox\n\u200b\nfirst\u2028second")
    page.get_by_role("button", name=translate("en", "batch_table")).press("Enter")
    table = page.get_by_role("dialog")
    expect(table.get_by_role("row")).to_have_count(1 + 2)
    notices = table.get_by_role("note")
    expect(notices.get_by_role("heading")).to_have_text(translate("en", "batch_notices"))
    expect(notices.get_by_role("listitem")).to_have_count(2)
    expect(notices).to_contain_text("<U+200B>")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_an_old_response_does_not_undo_a_click(held: HeldSandbox, open_page: OpenPage) -> None:
    """The button that was pressed would come back, and who works by keyboard would lose the place."""
    page = open_page(held.app)
    page.locator("#batch summary").press("Enter")
    page.get_by_label(translate("en", "batch_prompts")).fill("late\nlater\nlatest")
    page.get_by_role("button", name=translate("en", "batch_table")).press("Enter")
    start = page.get_by_role("button", name=translate("en", "batch_start", count=3))
    expect(start).to_be_enabled()
    start.press("Enter")
    strip = page.locator("#batches .batch")
    expect(strip).to_contain_text(translate("en", "batch_count_running", count=2))

    late: list[tuple[Route, APIResponse]] = []
    page.route(BATCHES_URL, lambda route: late.append((route, route.fetch())), times=1)
    page.evaluate("void document.querySelector('dreamina-batches').refresh()")
    while not late:
        page.wait_for_timeout(10)
    strip.get_by_role("button", name=translate("en", "batch_pause"), exact=True).press("Enter")
    go_on = strip.get_by_role("button", name=translate("en", "batch_continue"))
    expect(go_on).to_be_focused()
    (route, response) = late[0]
    with page.expect_request_finished(lambda request: bool(BATCHES_URL.search(request.url)) and not request.failure):
        route.fulfill(response=response)
    with page.expect_response(BATCHES_URL):
        page.evaluate("void document.querySelector('dreamina-batches').refresh()")
    expect(strip).to_contain_text(translate("en", "batch_paused"))
    expect(go_on).to_be_focused()
    strip.get_by_role("button", name=translate("en", "batch_cancel")).click()
    strip.get_by_role("button", name=translate("en", "batch_cancel_sure", count=1)).click()
    expect(strip).to_contain_text(translate("en", "batch_count_cancelled", count=1))
