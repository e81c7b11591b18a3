"""A whole day's work without a pointer, in a real Chromium."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from dreamina_ui.web.i18n.translate import translate
from tests.support.browser import HeldSandbox
from tests.support.page import OpenPage, card, expect_state, prompt_box

MAX_TABS = 40


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus."""
    for _ in range(MAX_TABS):
        if target.evaluate("node => node === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{MAX_TABS} Tabs did not lead to {target}")


def test_the_work_of_a_day_needs_no_pointer(held: HeldSandbox, open_page: OpenPage) -> None:
    """Many work by keyboard because they like to, others because they must: no step of it may need a mouse."""
    page = open_page(held.app, viewport={"width": 1440, "height": 900})
    press = page.keyboard.press

    # A prompt and its settings, and a job.
    press("/")
    expect(prompt_box(page)).to_be_focused()
    page.keyboard.type("a lighthouse at dawn")
    press("Control+Enter")
    lighthouse = card(page, "a lighthouse at dawn")
    expect_state(lighthouse, "queued")
    held.begin()
    held.finish()
    expect_state(lighthouse, "done")

    # A second thought: the job is canceled before it runs.
    tab_to(page, prompt_box(page))
    press("Control+A")
    page.keyboard.type("a mistake")
    press("Control+Enter")
    mistake = card(page, "a mistake")
    cancel = mistake.get_by_role("button", name=translate("en", "cancel"), exact=True)
    expect(cancel).to_be_visible()
    tab_to(page, cancel)
    press("Enter")
    expect_state(mistake, "cancelled")

    # The old prompt again, without typing it.
    tab_to(page, prompt_box(page))
    press("Control+A")
    press("Delete")
    press("Alt+ArrowUp")
    press("Alt+ArrowUp")
    expect(prompt_box(page)).to_have_value("a lighthouse at dawn")

    # The image: large, to 100 %, with its facts, a star, and back to where one was.
    tile = lighthouse.locator(".tile > .open")
    tab_to(page, tile)
    press("Enter")
    viewer = page.locator("dialog.viewer")
    expect(viewer.locator(".position")).to_contain_text("1 / 1")
    press("1")
    expect(viewer.locator(".position")).to_contain_text("100%")
    press("i")
    expect(viewer.get_by_label(translate("en", "viewer_info"), exact=True).first).to_be_visible()
    press("s")
    press("Escape")
    expect(viewer).to_be_hidden()
    expect(tile).to_be_focused()
    expect(lighthouse.locator(".star")).to_have_attribute("aria-pressed", "true")

    # Another job with the same settings costs money: its button is reached and pressed like any other.
    rerun = lighthouse.get_by_role("button", name=translate("en", "rerun"), exact=True)
    tab_to(page, rerun)
    press("Enter")
    expect(page.locator(".job").filter(has_text="a lighthouse at dawn")).to_have_count(2)
    expect(page.locator(".job[data-state=queued]")).to_have_count(1)  # the service has it
    held.begin()
    held.finish()

    # The library: found, opened, deleted, and restored.
    press("g")
    press("l")
    press("/")  # before the tab is there
    search = page.locator("#library input[type=search]")
    expect(search).to_be_focused()
    page.keyboard.type("lighthouse")
    images = page.locator("#library li[data-file-key] .tile")
    expect(images).to_have_count(2)
    tab_to(page, page.locator("#library li[data-file-key] .tile[tabindex='0']"))
    press("End")
    expect(images.nth(1)).to_be_focused()
    press("Enter")
    expect(viewer.locator(".position")).to_contain_text("2 / 2")
    press("Delete")
    expect(images).to_have_count(1)
    undo = page.get_by_role("button", name=translate("en", "undo"))
    tab_to(page, undo)
    press("Enter")
    expect(images).to_have_count(2)

    # Every key is listed where it is asked for.
    press("?")
    listed = page.get_by_role("dialog", name=translate("en", "key_title"))
    expect(listed).to_be_visible()
    press("Escape")
    expect(listed).to_be_hidden()
