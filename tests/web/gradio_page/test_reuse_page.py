"""What people do with existing images: see costs, compare two, start from one; in a real Chromium."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from urllib.parse import urlencode

from playwright.sync_api import Page, expect

from dreamina_ui.web.i18n.translate import translate
from tests.support.browser import AppProcess, HeldSandbox
from tests.support.harness import MODEL_ID
from tests.support.library_page import note
from tests.support.library_rows import LibraryRows
from tests.support.page import TITLES, OpenPage, await_form, card, expect_state, press_generate, prompt_box, wait_on

VISIBILITY = """hidden => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
}"""
GROUND = "node => getComputedStyle(node).backgroundColor"
RECORD = """window.__notified = [];
    window.Notification = class extends Notification {
        constructor(title, options) { super(title, options); window.__notified.push(`${title}: ${options.body}`); }
    };"""


# --- costs


def test_the_costs_are_shown_as_bars_and_as_a_table(rows: LibraryRows, open_library: OpenPage) -> None:
    """Whoever pays sees where it goes, with ears or eyes; what is unknown is said to be, and play money is no money."""
    now = time.time()
    rows.add("told", cost_usd=0.5, created_at=now)
    rows.add("told, too", cost_usd=0.25, created_at=now - 40 * 86400)
    rows.add("not told", created_at=now)
    rows.add("not told, and nothing else that day", created_at=now - 5 * 86400)
    rows.add("played", cost_usd=0.03, created_at=now, api_origin="sandbox")
    page = open_library()
    page.get_by_text(translate("en", "costs"), exact=True).click()
    money, play = page.locator("[data-purse=money]"), page.locator("[data-purse=play]")
    unknown = translate("en", "costs_unknown", count=2)
    expect(money.locator(".costs-total")).to_have_text(
        f"{translate('en', 'costs_total', usd='$0.75', jobs=2)} · {unknown}"
    )
    expect(play).to_contain_text(translate("en", "costs_play"))
    expect(play.locator(".costs-total")).to_contain_text("$0.03")
    expect(money.locator(".costs-slot")).to_have_count(30)
    assert money.locator(".costs-bar").last.evaluate("bar => bar.offsetHeight > 50")
    expect(money.locator(".costs-slot").last).to_contain_text("?")
    quiet = money.locator(".costs-slot").nth(24).get_attribute("title") or ""
    assert translate("en", "costs_unknown", count=1) in quiet
    assert "$0" not in quiet, "what nobody knows is not nothing"
    money.get_by_text(translate("en", "costs_table")).click()
    day = f"{datetime.fromtimestamp(now, timezone.utc):%b} {datetime.fromtimestamp(now, timezone.utc).day}"
    expect(money.get_by_role("row", name=f"{day} $0.50 2 1")).to_be_visible()
    money.get_by_role("button", name=translate("en", "costs_months")).click()
    expect(money.locator(".costs-slot")).to_have_count(12)
    assert sum(money.locator(".costs-bar").evaluate_all("bars => bars.map(bar => bar.offsetHeight > 20)")) == 2
    page.emulate_media(forced_colors="active")
    assert money.locator(".costs-bar").last.evaluate(GROUND) != money.evaluate(GROUND)


# --- two pictures compared


# --- from one job to the next


def test_a_card_leads_on_and_starts_nothing(app: AppProcess, open_page: OpenPage) -> None:
    """Again, another size, a link for a friend: each is one click, and only Generate costs money."""
    page = open_page(app, permissions=["clipboard-read", "clipboard-write"])
    first = press_generate(page, "a fox & <b>a hen</b>")
    second = press_generate(page, "another fox")
    expect_state(first, "done")
    expect_state(second, "done")
    before = app.count_jobs()

    def press(key: str) -> None:
        first.get_by_role("button", name=translate("en", "more_actions"), exact=True).press("Enter")
        page.get_by_role("menuitem", name=translate("en", key), exact=True).click()

    prompt_box(page).fill("half a thought")
    press("again")
    expect(page.locator("#form")).to_be_focused()
    expect(prompt_box(page)).to_have_value("a fox & <b>a hen</b>")
    undo = note(page).get_by_role("button", name=translate("en", "undo"))
    assert undo.evaluate("node => getComputedStyle(node).backgroundColor") == "rgba(0, 0, 0, 0)", "it can be read"
    undo.click()
    expect(prompt_box(page)).to_have_value("half a thought")
    press("another_size")
    expect(page.locator("#field-size input")).to_be_focused()
    expect(prompt_box(page)).to_have_value("a fox & <b>a hen</b>")
    star = first.get_by_role("button", name=f"{translate('en', 'favourite')}: 1")
    star.click()
    expect(star).to_have_attribute("aria-pressed", "true")
    press("copy_link")
    expect(note(page)).to_contain_text(translate("en", "link_copied"))
    link = page.evaluate("navigator.clipboard.readText()")
    page.reload()
    await_form(page)
    expect(star).to_have_attribute("aria-pressed", "true")
    prompt_box(page).fill("typed since")
    page.goto(link)
    expect(prompt_box(page)).to_have_value("a fox & <b>a hen</b>")
    assert app.count_jobs() == before


def test_a_link_fills_the_form_with_what_is_possible(held: HeldSandbox, open_page: OpenPage) -> None:
    """Anybody can write a link: it starts nothing, runs nothing, and takes away nothing that was typed."""
    page = open_page(held.app)
    before = held.app.count_jobs()
    prompt_box(page).fill("what I had typed")
    markup = "<img src=x onerror='window.__pwned=1'>"
    wishes = {"model": MODEL_ID, "prompt": markup + "🦊" * 800, "size": markup, "scale": "7", "force_single": "false"}
    page.goto(f"{held.app.url}/#{urlencode(wishes | {markup: '1'})}")
    reported = page.locator("#link-note")
    for text in (
        translate("en", "link_cut", field="prompt", limit=800),
        translate("en", "link_refused", field="size", value=markup),
        translate("en", "link_refused", field="scale", value="7"),
        translate("en", "link_ignored", names=markup),
    ):
        expect(reported).to_contain_text(text)
    expect(prompt_box(page)).to_have_value((markup + "🦊" * 800)[:800])
    expect(page.get_by_label(TITLES["force_single"])).not_to_be_checked()
    expect(page.locator("#field-scale input[type=number]")).to_have_value("0.5")
    expect(page.locator("img[src=x]")).to_have_count(0)
    assert "#" not in page.url
    page.reload()
    reported.get_by_role("button", name=translate("en", "link_restore")).click()
    expect(prompt_box(page)).to_have_value("what I had typed")
    expect(reported).to_have_count(0)
    page.goto(f"{held.app.url}/#model=nobody/has-it&prompt=x")
    expect(note(page)).to_contain_text("nobody/has-it")
    page.goto(f"{held.app.url}/?prompt=a+plain+one")
    expect(prompt_box(page)).to_have_value("a plain one")
    assert held.app.count_jobs() == before


# --- who looks elsewhere


def test_the_title_and_one_notification_tell_that_a_job_is_done(held: HeldSandbox, open_page: OpenPage) -> None:
    """One looks elsewhere while a picture is made; two open tabs do not tell it twice."""
    page = open_page(
        held.app, lambda page: page.context.add_init_script(RECORD), alone=True, permissions=["notifications"]
    )
    expect_state(press_generate(page, "seen by nobody"), "queued")
    expect(page).to_have_title("(1) Dreamina UI")
    page.get_by_label(translate("en", "notify")).check()
    other = page.context.new_page()
    other.goto(held.app.url)
    expect_state(card(other, "seen by nobody"), "queued")
    for tab in (page, other):
        tab.evaluate(VISIBILITY, True)
    held.begin()
    held.finish()

    def is_notified() -> bool:
        for tab in (page, other):
            tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            tab.wait_for_timeout(100)
        return all("seen by nobody" in tab.title() for tab in (page, other))

    wait_on(page, is_notified)
    assert page.title() == f"✓ {translate('en', 'state_done')} - seen by nobody"
    wait_on(page, lambda: bool(notified(page) + notified(other)))
    page.wait_for_timeout(400)
    assert notified(page) + notified(other) == [f"{translate('en', 'state_done')}: seen by nobody"]
    page.evaluate(VISIBILITY, False)
    expect(page).to_have_title("Dreamina UI")
    expect_state(press_generate(page, "seen by me"), "queued")
    held.begin()
    held.finish()
    expect_state(card(page, "seen by me"), "done")
    assert len(notified(page) + notified(other)) == 1
    other.close()


def notified(page: Page) -> list[str]:
    result: list[str] = page.evaluate("window.__notified")
    return result
