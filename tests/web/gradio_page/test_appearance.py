"""The page's look: everybody can read, reach and use it, and its states are designed, not left over."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from dreamina_ui.web.i18n.translate import translate
from tests.support.axe import expect_no_findings
from tests.support.browser import OWNER_PASSWORD, AppProcess, HeldSandbox
from tests.support.page import (
    TITLES,
    OpenPage,
    await_form,
    cancel_all,
    cancel_button,
    expect_state,
    press_generate,
    prompt_box,
)

FIRST_VISIT_BYTES = 460_000
COLLECT = """() => { window.said = []; const live = document.getElementById("job-status");
    new MutationObserver(() => said.push(live.textContent)).observe(live, {childList: true, characterData: true}); }"""


def test_axe_finds_nothing_serious_on_the_page(app: AppProcess, open_page: OpenPage) -> None:
    """Who sees little, hears the page or uses no mouse makes pictures here, too."""
    page = open_page(app)
    dialog = page.get_by_role("dialog")
    expect(page.locator("#examples button")).to_have_count(6)
    expect_no_findings(page)
    expect_state(press_generate(page, "looked at"), "done")
    page.get_by_label(TITLES["size"]).click()
    expect_no_findings(page)
    page.keyboard.press("Escape")
    for box in page.locator("#form summary").all():
        box.click()
    expect_no_findings(page)
    page.get_by_role("tab", name=translate("en", "batch")).click()
    expect(page.locator("#batch .batch-start button")).to_be_enabled()
    expect_no_findings(page)
    page.locator("#batch .batch-start button").click()
    expect(page.locator("#batch .batch-image").first).to_be_visible()
    expect_no_findings(page)
    page.get_by_role("tab", name=translate("en", "tab_library")).click()
    tile = page.locator("#library .tile").first
    expect(tile).to_be_visible()  # what comes moves the rest
    page.get_by_text(translate("en", "costs"), exact=True).click()
    expect(page.locator(".costs-purse")).to_be_visible()
    expect_no_findings(page)
    tile.click()
    expect(dialog.locator(".position")).to_be_focused()
    expect_no_findings(page)


def test_axe_finds_nothing_serious_in_dialogs(app: AppProcess, open_page: OpenPage) -> None:
    """A dialog hides all else from whoever hears the page."""
    page = open_page(app)
    expect_state(press_generate(page, "in a dialog"), "done")

    def check(name: str) -> None:
        dialog = page.locator(f"dialog.{name}")
        expect(dialog).to_be_visible()
        expect_no_findings(page, f"dialog.{name}")
        dialog.get_by_role("button", name=translate("en", "close"), exact=True).click()
        expect(dialog).to_be_hidden()

    page.locator("dreamina-stage .more").focus()
    page.keyboard.press("?")
    check("key-help")
    for tool in ("history", "presets", "wildcards"):
        page.locator(".prompt-tools:visible").get_by_role("button", name=translate("en", f"prompt_{tool}")).click()
        check("prompt-dialog")
    page.locator("#choose-model").click()
    check("chooser")
    page.locator("dreamina-stage .tile > .open").first.click()
    expect(page.locator("dialog.viewer .position")).to_be_focused()
    for key, name in (("b", "choose-board"), ("l", "share")):
        page.keyboard.press(key)
        check(f"studio-dialog.{name}")
    page.keyboard.press("i")
    expect(page.locator("dialog.viewer .info-actions")).to_be_visible()
    check("viewer")
    page.get_by_role("tab", name=translate("en", "tab_library")).click()
    for text, name in (("shares", "shares"), ("history", "history")):
        page.get_by_role("button", name=translate("en", text), exact=True).click()
        check(f"studio-dialog.{name}")


def test_axe_finds_nothing_serious_on_the_owners_pages(shared: AppProcess, open_page: OpenPage) -> None:
    """The owner may be one of them."""
    page = open_page(shared)
    page.goto(f"{shared.url}/dreamina/sign-in?next=owner")
    expect_no_findings(page)
    page.locator("input[type=password]").fill(OWNER_PASSWORD)
    page.get_by_role("button", name=translate("en", "sign_in")).click()
    expect(page.locator(".switch")).to_be_visible()
    expect_no_findings(page)


def test_a_first_visit_begins_with_examples(held: HeldSandbox, open_page: OpenPage) -> None:
    """An empty page teaches nothing; a click fills in the form and costs nothing, and all of it loads quickly."""
    sizes: list[int] = []

    def count_bytes(page: Page) -> None:
        tool = page.context.new_cdp_session(page)
        tool.send("Network.enable")
        tool.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))

    page = open_page(held.app, count_bytes, alone=True, locale="ja-JP")
    examples = page.locator("#examples button")
    expect(examples).to_have_count(6)
    expect(page.locator("#examples")).to_contain_text(translate("ja", "examples_about"))
    for index, picture in enumerate(page.locator("#examples img").all(), start=1):
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
        expect(examples.nth(index - 1)).to_have_text(translate("ja", f"example_{index}"))
    assert sum(sizes) < FIRST_VISIT_BYTES
    examples.nth(2).focus()
    page.keyboard.press("Enter")
    expect(prompt_box(page)).to_have_value(translate("ja", "example_3"))
    expect(page.locator("#dreamina-note")).to_contain_text(translate("ja", "settings_taken"))
    assert translate("ja", "example_3") not in [item["inputs"]["prompt"] for item in held.requests()]
    press_generate(page, "もう始めた人")
    expect(page.locator("#examples")).to_be_hidden()
    page.get_by_role("button", name=translate("ja", "examples")).click()
    expect(examples).to_have_count(6)
    cancel_all_in_japanese(page)


def cancel_all_in_japanese(page: Page) -> None:
    for job in page.locator(".job").all():
        cancel_button(job, "ja").click()
        expect_state(job, "cancelled", "ja")


def test_the_form_gets_out_of_the_way_and_stays_there(held: HeldSandbox, open_page: OpenPage) -> None:
    """Who looks at pictures has the whole width for them, tomorrow as well; nothing is bought out of sight."""
    page = open_page(held.app)
    press = page.locator("#toggle-form")
    expect(press).to_have_attribute("aria-expanded", "true")
    press.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#form")).to_be_hidden()
    page.reload()
    expect(press).to_have_text(translate("en", "show_form"))
    expect(page.locator("#form")).to_be_hidden()
    page.keyboard.press("Control+Enter")
    press.click()
    await_form(page)
    expect(page.locator("#form")).to_be_visible()
    expect(page.locator(".job")).to_have_count(0)
    prompt_box(page).focus()
    expect(prompt_box(page)).to_have_css("outline-style", "solid")


def test_on_a_phone_generate_is_always_at_hand_and_covers_nothing(held: HeldSandbox, open_page: OpenPage) -> None:
    """The prompt stands beside Generate, above the tabs: nobody scrolls back up for the next one."""
    phone: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    page = open_page(held.app, **phone)
    job = press_generate(page, "far down")
    expect_state(job, "queued")
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.locator("#generate").click(trial=True)
    bar, last = page.locator("#form").bounding_box(), job.bounding_box()
    tabs, prompt = page.get_by_role("tablist").bounding_box(), prompt_box(page).bounding_box()
    assert bar
    assert last
    assert tabs
    assert prompt
    assert bar["y"] + bar["height"] == pytest.approx(tabs["y"], abs=2)
    assert tabs["y"] + tabs["height"] == pytest.approx(844, abs=2)
    assert prompt["y"] > bar["y"]
    assert last["y"] + last["height"] <= bar["y"]
    page.get_by_role("tab", name=translate("en", "tab_library")).click()
    expect(page.locator("#press")).to_be_hidden()
    page.get_by_role("tab", name=translate("en", "tab_create")).click()
    cancel_all(page)


def test_each_state_of_a_job_is_announced_once(held: HeldSandbox, revisit: OpenPage) -> None:
    """A screen reader announces what happened, and not each step in the queue or of a bar."""
    page = revisit(held.app)
    older = press_generate(page, "the one before")
    expect_state(older, "queued")
    page.evaluate(COLLECT)
    job = press_generate(page, "listened to")
    words = job.locator(".state > span").first
    expect(words).to_have_text(re.compile(translate("en", "queue_position", position=r"\d+")))
    index = words.inner_text()
    cancel_button(older).click()
    expect(words).not_to_have_text(index)
    held.begin()
    expect_state(job, "running")
    assert job.locator(".outputs").evaluate("node => parseFloat(getComputedStyle(node).animationDuration)") < 0.01
    held.finish()
    expect_state(job, "done")
    said = [text for text in page.evaluate("said") if text.startswith("listened to")]
    for state in ("queued", "running", "done"):
        assert sum(translate("en", f"state_{state}") in text for text in said) == 1, said
    assert len(said) <= 5, said


def test_a_browser_without_a_network_shows_it_calmly(held: HeldSandbox, revisit: OpenPage) -> None:
    """The work continues at the server; the page says so on every tab and finds back by itself."""
    page = revisit(held.app)
    note = page.get_by_text(translate("en", "offline"))
    page.get_by_role("tab", name=translate("en", "tab_library")).click()
    page.context.set_offline(True)
    expect(note).to_be_in_viewport()
    page.context.set_offline(False)
    expect(note).to_be_hidden()


def test_who_has_nothing_left_reads_it_before_generating(held: HeldSandbox, open_page: OpenPage) -> None:
    """Nobody writes a long prompt for a refusal: the form says at once when there is room again, or who stopped it."""
    limit = translate("en", "limit_visitor_per_day")
    stopped = translate("en", "error_limit_later", limit=limit, most=20, time="12:00 AM")
    left = {"jobs_today": 0, "renewed_at": 1_800_000_000, "stopped": stopped, "can_generate": False, "is_owner": False}

    def serve_quota(route: Route) -> None:
        route.fulfill(json=left, headers={"X-Dreamina-UI": "1"})

    page = open_page(held.app, lambda page: page.route("**/dreamina/left*", serve_quota))
    note = page.locator("#left-today.stopped")
    expect(note).to_have_text(stopped)
    expect(page.locator("#generate")).to_be_disabled()
    assert note.evaluate("node => getComputedStyle(node).backgroundColor") != "rgba(0, 0, 0, 0)"
    left |= {"stopped": translate("en", "error_stopped_owner")}
    page.reload()
    expect(note).to_have_text(translate("en", "error_stopped_owner"))
    expect(page.locator("#generate")).to_be_disabled()
    left |= {"jobs_today": 17, "stopped": "", "can_generate": True}
    page.reload()
    expect(page.locator("#left-today")).to_have_text(translate("en", "left_today", count=17))
    expect(page.locator("#generate")).to_be_enabled()
