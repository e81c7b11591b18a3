"""Create is made for looking: the newest job is large, the older ones are justified rows, a failure is one slim row."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from playwright.sync_api import FloatRect, Locator, Page, expect

from dreamina_ui.web.i18n.translate import translate
from tests.support.bad_server import json_response
from tests.support.browser import HeldSandbox, ScriptedApp
from tests.support.page import OpenPage, card, expect_state, press_generate

WINDOW = {"width": 1440, "height": 900}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
UNDER_TABS = """list => [...list.children].filter(node => {
    const box = node.getBoundingClientRect();
    const [y, x] = [box.top + box.height / 2, box.left + box.width / 2];
    const bounds = list.getBoundingClientRect();
    return y > bounds.top && y < bounds.bottom && y >= 0 && !list.contains(document.elementFromPoint(x, y));
}).length"""


def box_of(node: Locator) -> FloatRect:
    box = node.bounding_box()
    assert box
    return box


def complete(scripted: ScriptedApp, page: Page, prompt: str, count: int, size: tuple[int, int]) -> Locator:
    """Generate `count` images of one size; gives the job."""
    service = scripted.service()
    service.completes(*(service.picture(f"{service.request_id}-{index}.png", size) for index in range(count)))
    job = press_generate(page, prompt)
    expect_state(job, "done")
    expect(job.locator("img")).to_have_count(count)
    return job


def test_the_newest_result_is_large_and_the_older_ones_fill_their_rows(
    scripted: ScriptedApp, open_page: OpenPage
) -> None:
    """People come to look at images: 40 % of the window for the newest, no hole, equal heights in a row."""
    page = open_page(scripted.app, viewport=WINDOW)
    three = complete(scripted, page, "three of a kind", 3, (400, 300))
    boxes = [box_of(tile) for tile in three.locator(".tile").all()]
    assert sum(box["width"] * box["height"] for box in boxes) > 0.4 * 1440 * 900
    around = box_of(three.locator(".outputs"))
    assert max(box["y"] + box["height"] for box in boxes) - min(box["y"] for box in boxes) <= 0.81 * 900 + 1
    assert sum(box["width"] * box["height"] for box in boxes) > 0.8 * around["height"] * (boxes[0]["width"] * 1.5)
    complete(scripted, page, "an older one", 1, (400, 300))
    newest = complete(scripted, page, "the newest", 1, (640, 360))
    image = box_of(newest.locator(".tile"))
    assert image["width"] * image["height"] > 0.4 * 1440 * 900
    row = [box_of(tile) for tile in page.locator(".feed .tile").all()]
    assert len(row) == 4
    assert all(abs(first["height"] - second["height"]) < 1.5 for first, second in pairwise(row))
    expect(page.locator(".feed .day").first).to_have_text("Today")
    squares = complete(scripted, page, "four squares", 4, (64, 64))
    images = [box_of(image) for image in squares.locator("img").all()]
    assert sum(box["width"] * box["height"] for box in images) > 0.4 * 1440 * 900


def test_a_long_prompt_can_be_read(held: HeldSandbox, revisit: OpenPage) -> None:
    """No prompt is cut without a way to read the rest."""
    page = revisit(held.app)
    text = "a long prompt " * 30
    job = press_generate(page, text.strip())
    prompt = job.locator(".prompt")
    before = box_of(prompt)["height"]
    job.get_by_role("button", name=translate("en", "show_prompt")).click()
    assert box_of(prompt)["height"] > 2 * before
    job.locator("button.cancel").click()
    expect_state(job, "cancelled")


def test_as_many_skeletons_as_images_while_a_job_runs(held: HeldSandbox, open_page: OpenPage) -> None:
    """Nothing jumps when the images come, and a cancel says what is true: it was asked for."""
    page = open_page(held.app, viewport=WINDOW)
    page.locator("#field-force_single input").uncheck()
    job = press_generate(page, "four images")
    expect(job.locator(".tile.skeleton")).to_have_count(4)
    first = box_of(job.locator(".tile").first)
    assert abs(first["width"] - first["height"]) < 2
    job.locator("button.cancel").click()
    expect_state(job, "cancelled")
    expect(job).to_have_class("job slim")


def test_a_failure_is_one_slim_row_with_the_one_button_that_helps(scripted: ScriptedApp, revisit: OpenPage) -> None:
    """What happened, what it means for money, one button; the details in English are below a fold."""
    page = revisit(scripted.app, viewport=WINDOW)
    service = scripted.service()
    service.accept(json_response({"error_code": 400002, "message": "InsufficientResources"}, 402))
    job = press_generate(page, "without money")
    expect_state(job, "failed")
    assert box_of(job)["height"] < 140
    expect(job.locator(".message")).to_have_text(translate("en", "problem_submit_balance"))
    expect(job.get_by_role("link", name=translate("en", "add_funds"))).to_be_visible()
    expect(job.get_by_role("button", name=translate("en", "try_again"))).to_be_visible()
    expect(job.locator(".detail")).to_be_hidden()
    job.locator(".fold summary").click()
    expect(job.locator(".detail")).to_contain_text("InsufficientResources")


def test_one_tab_stop_leads_into_the_images_and_arrows_through_them(scripted: ScriptedApp, revisit: OpenPage) -> None:
    """19 Tabs to an image are 18 too many; what is done with the mouse is done by a key."""
    page = revisit(scripted.app, viewport=WINDOW)
    job = complete(scripted, page, "by arrows", 4, (40, 40))
    images = job.locator(".tile > .open")
    assert images.evaluate_all("nodes => nodes.filter(node => node.tabIndex === 0).length") == 1
    images.first.focus()
    page.keyboard.press("ArrowRight")
    expect(images.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(images.nth(3)).to_be_focused()
    page.keyboard.press("s")
    expect(job.locator(".tile").nth(3).locator(".star")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Tab")
    assert not page.evaluate("document.activeElement.matches('.tile > .open, .tile-actions *')")


def test_an_open_list_lies_above_the_tabs(held: HeldSandbox, revisit: OpenPage) -> None:
    """In a low window the list opens upward, over the header: its first entries could not be chosen."""
    page = revisit(held.app, viewport={"width": 1280, "height": 720})
    page.locator("#field-size input").click()
    listbox = page.locator("[role=listbox]")
    expect(listbox).to_be_visible()
    assert listbox.evaluate(UNDER_TABS) == 0


def test_on_a_phone_the_settings_are_a_sheet(held: HeldSandbox, open_page: OpenPage) -> None:
    """The window is for the images; Escape and a tap beside it close the sheet."""
    page = open_page(held.app, **PHONE)
    size, toggle = page.locator("#field-size input"), page.locator("#toggle-sheet")
    expect(size).to_be_hidden()
    toggle.click()
    expect(size).to_be_visible()
    page.keyboard.press("Escape")
    expect(size).to_be_hidden()
    expect(toggle).to_be_focused()
    for target in page.locator("#form button:visible, #top :is(select, summary):visible, [role=tab]:visible").all():
        assert box_of(target)["height"] >= 44, target.inner_text()


def test_undo_stays_when_something_else_is_said(scripted: ScriptedApp, open_page: OpenPage) -> None:
    """Deleted files are kept for ten minutes: the next note must not take the way back."""
    page = open_page(scripted.app, permissions=["clipboard-read", "clipboard-write"], viewport=WINDOW)
    job = complete(scripted, page, "deleted by mistake", 2, (40, 40))
    undo = page.locator("#dreamina-note").get_by_role("button", name=translate("en", "undo"))
    page.evaluate(
        "import(document.querySelector('#dreamina-main').src.replace('main.js', 'core/actions.js'))"
        ".then(({remove}) => remove([document.querySelector('.stage .tile').dataset.file]))"
    )
    expect(job.locator(".tile")).to_have_count(1)
    job.get_by_role("button", name=translate("en", "more_actions")).click()
    page.get_by_role("menuitem", name=translate("en", "copy_prompt")).click()
    expect(page.locator("#dreamina-note")).to_contain_text(translate("en", "prompt_copied"))
    undo.click()
    expect(card(page, "deleted by mistake").locator(".tile")).to_have_count(2)
