"""The viewer's promises, in a real Chromium on a real app: every image as large as possible, by keys and by fingers."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from dreamina_ui.web.i18n.translate import translate
from tests.support.axe import expect_no_findings
from tests.support.browser import ScriptedApp
from tests.support.harness import png
from tests.support.library_page import dialog_button, note, tile, tiles
from tests.support.library_rows import NOON, LibraryRows
from tests.support.page import OpenPage, press_generate, prompt_box, wait_on
from tests.support.touch import Touch

WIDE = (2000, 857)
SCREENS: dict[str, dict[str, Any]] = {
    "laptop": {"viewport": {"width": 1440, "height": 900}},
    "large": {"viewport": {"width": 2560, "height": 1440}, "locale": "ja-JP", "color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "is_mobile": True,
        "has_touch": True,
        "device_scale_factor": 1,
    },
}
PHONE = SCREENS["phone"]
RECORD_SHARES = """() => {
    window.shared = [];
    navigator.canShare = () => true;
    navigator.share = async ({ files }) => {
        window.shared.push(...files.map((file) => `${file.type} ${file.size > 0}`));
    };
}"""
BOX = "node => { const box = node.getBoundingClientRect(); return [box.x, box.y, box.width, box.height]; }"


def viewer(page: Page) -> Locator:
    return page.locator("dialog.viewer")


def position(page: Page) -> Locator:
    return viewer(page).locator(".position > [aria-hidden]")


def image(page: Page) -> Locator:
    """The image that is looked at, as it is placed in the window."""
    return viewer(page).locator(".pane.current .frame")


def box_of(node: Locator) -> tuple[float, float, float, float]:
    x, y, width, height = node.evaluate(BOX)
    return x, y, width, height


def await_copy(page: Page, *names: str) -> None:
    """Wait until the image is shown from one of these copies."""
    pane = viewer(page).locator(".pane.current")
    wait_on(page, lambda: pane.get_attribute("data-copy") in names)


# --- large, at once


@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
def test_an_image_is_as_large_as_the_window_allows(
    rows: LibraryRows, open_library: OpenPage, screen: dict[str, Any]
) -> None:
    """People come to look at images: one click shows one large, and everybody can use what is around it."""
    rows.add("a wide sea", files=[png(WIDE), png(WIDE)])
    page = open_library(**screen)
    tiles(page).first.click()
    await_copy(page, "preview", "screen")
    width, height = screen["viewport"]["width"], screen["viewport"]["height"]
    largest = min(width / WIDE[0], height / WIDE[1])
    _, _, shown_width, shown_height = box_of(image(page))
    assert shown_width * shown_height >= 0.85 * (largest * WIDE[0]) * (largest * WIDE[1])
    assert position(page).inner_text().startswith("1 / 2 · ")
    expect(viewer(page).locator(".position")).to_be_focused()
    expect_no_findings(page, "dialog.viewer")
    page.keyboard.press("i")
    expect(viewer(page).locator(".info-prompt")).to_have_text("a wide sea")
    expect_no_findings(page, "dialog.viewer")
    page.keyboard.press("c")
    expect(viewer(page).locator("figure")).to_have_count(2)
    expect_no_findings(page, "dialog.viewer")
    if screen.get("has_touch"):
        sizes = viewer(page).locator("button:visible").evaluate_all(f"nodes => nodes.map({BOX})")
        assert all(min(size[2:]) >= 44 for size in sizes), sizes
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_click_shows_100_percent_there_and_the_zoom_stays(rows: LibraryRows, open_library: OpenPage) -> None:
    """Whether an image is sharp shows at one pixel per pixel; the same spot of its sibling is one key away."""
    rows.add("a wide sea", files=[png((3000, 1286)), png((3000, 1286), "teal")], created_at=NOON)
    rows.add("something else", created_at=NOON + 1)
    page = open_library(**SCREENS["laptop"])
    tile(page, "a wide sea").click()
    await_copy(page, "screen")
    x, _, width, height = box_of(image(page))
    image(page).click(position={"x": width * 0.75, "y": height / 2})
    expect(position(page)).to_have_text("2 / 3 · 100%")
    await_copy(page, "original")
    wait_on(page, lambda: box_of(image(page))[2:] == (3000, 1286))
    left, top, zoomed_width, _ = box_of(image(page))
    assert (x + width * 0.75 - left) / zoomed_width == pytest.approx(0.75, abs=0.01)
    page.mouse.move(700, 400)
    page.mouse.down()
    page.mouse.move(760, 430, steps=3)
    page.mouse.up()
    assert box_of(image(page))[:2] == pytest.approx((left + 60, top + 30), abs=1)
    page.keyboard.press("ArrowRight")
    expect(position(page)).to_have_text("3 / 3 · 100%")
    assert box_of(image(page)) == pytest.approx((left + 60, top + 30, 3000, 1286), abs=1)
    page.mouse.wheel(0, -300)
    wait_on(page, lambda: box_of(image(page))[2] > 3500)
    page.keyboard.press("0")
    wait_on(page, lambda: box_of(image(page))[2] == pytest.approx(width, abs=1))
    page.keyboard.press("ArrowUp")
    expect(position(page)).to_contain_text("1 / 3")
    assert box_of(image(page))[2] < 900, "another image is shown as a whole"


def test_the_next_image_is_there_before_it_is_asked_for(rows: LibraryRows, open_library: OpenPage) -> None:
    """On a slow line nobody waits between two images."""
    rows.add("a walk", files=[png(WIDE, color) for color in ("tomato", "teal", "gold")])
    page = open_library(**SCREENS["laptop"])
    tile(page, "a walk", 1).click()
    await_copy(page, "screen")
    neighbor = viewer(page).locator(".pane:not(.current)")
    wait_on(page, lambda: neighbor.get_attribute("data-copy") == "screen")
    held: list[Route] = []
    page.route("**/dreamina/files/**", lambda route: held.append(route))
    page.keyboard.press("ArrowRight")
    expect(position(page)).to_contain_text("2 / 3")
    await_copy(page, "screen")
    for route in held:
        route.continue_()


def test_a_damaged_image_says_so_and_can_be_tried_again(rows: LibraryRows, open_library: OpenPage) -> None:
    """A black window explains nothing; a moment later the file may be there."""
    rows.add("hard to get", files=[png(WIDE)])
    page = open_library(**SCREENS["laptop"])
    page.route(
        "**/dreamina/files/**",
        lambda route: route.abort() if "thumbnail" not in route.request.url else route.continue_(),
    )
    tile(page, "hard to get").click()
    trouble = viewer(page).locator(".trouble")
    expect(trouble).to_contain_text(translate("en", "viewer_failed"))
    page.unroute("**/dreamina/files/**")
    trouble.get_by_role("button", name=translate("en", "try_again")).click()
    expect(trouble).to_have_count(0)
    await_copy(page, "screen")


# --- keys


def test_every_key_does_what_the_list_says(rows: LibraryRows, open_library: OpenPage) -> None:
    """Who reviews a hundred images keeps the hands on the keys, and finds them listed."""
    job = rows.add("keyed", files=[png(WIDE), png(WIDE)], created_at=NOON + 1)
    rows.add("older", created_at=NOON)
    page = open_library(**SCREENS["laptop"])
    tile(page, "keyed").focus()
    page.keyboard.press("Enter")
    star = viewer(page).locator(".tool-star")
    page.keyboard.press("s")
    expect(star).to_have_attribute("aria-pressed", "true")
    assert rows.ledger.job(job.job_id).outputs[0].favorite_at is not None
    page.keyboard.press("Shift+?")
    list_of_keys = page.locator("dialog.key-help")
    expect(list_of_keys).to_contain_text(translate("en", "key_next_job"))
    expect_no_findings(page, "dialog.viewer")
    list_of_keys.get_by_role("switch").uncheck()
    page.keyboard.press("Escape")
    expect(list_of_keys).to_have_count(0)
    page.keyboard.press("s")
    page.keyboard.press("ArrowDown")
    expect(position(page)).to_contain_text("3 / 3")
    assert rows.ledger.job(job.job_id).outputs[0].favorite_at is not None, "single keys are off"
    page.keyboard.press("Shift+?")
    expect(list_of_keys).to_have_count(0)
    page.evaluate("localStorage.clear()")
    page.keyboard.press("ArrowUp")
    with page.expect_download():
        page.keyboard.press("d")
    page.keyboard.press("Delete")
    expect(note(page)).to_contain_text(translate("en", "deleted", count=1))
    expect(position(page)).to_contain_text("1 / 2")
    note(page).get_by_role("button", name=translate("en", "undo")).click()
    expect(position(page)).to_contain_text("/ 3")
    page.keyboard.press("r")
    expect(viewer(page)).to_be_hidden()
    expect(prompt_box(page)).to_have_value("keyed")


def test_a_held_key_does_nothing_in_the_viewer(rows: LibraryRows, open_library: OpenPage) -> None:
    """The Enter that opened an image is not the one that zooms it."""
    rows.add("held", files=[png(WIDE)])
    page = open_library(**SCREENS["laptop"])
    tile(page, "held").focus()
    for _ in range(3):  # Chromium repeats a key that is down already
        page.keyboard.down("Enter")
    expect(viewer(page)).to_be_visible()
    for _ in range(3):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    await_copy(page, "screen")
    expect(position(page)).not_to_contain_text("100%")


def test_the_open_image_survives_a_reload_and_back_closes_it(rows: LibraryRows, open_library: OpenPage) -> None:
    """A reload costs nothing, and Back does not leave the app."""
    rows.add("first", created_at=NOON + 1)
    rows.add("second", created_at=NOON)
    page = open_library(**SCREENS["laptop"])
    tile(page, "first").click()
    page.keyboard.press("ArrowRight")
    expect(viewer(page)).to_have_attribute("aria-label", translate("en", "picture_alt", number=1, prompt="second"))
    page.reload()
    expect(viewer(page)).to_have_attribute("aria-label", translate("en", "picture_alt", number=1, prompt="second"))
    page.go_back()
    expect(viewer(page)).to_be_hidden()
    expect(tile(page, "second")).to_be_visible()
    tile(page, "second").click()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Escape")
    expect(viewer(page)).to_be_hidden()
    expect(tile(page, "first")).to_be_focused()


def test_keys_lead_everywhere_and_leave_typing_alone(
    library_app: ScriptedApp, rows: LibraryRows, open_page: OpenPage
) -> None:
    """The whole page is within reach of two keys, an old prompt of one, and a letter in a prompt is a letter."""
    library_app.service().completes()
    page = open_page(library_app.app)
    press_generate(page, "an old prompt")
    prompt_box(page).fill("g l /")
    page.keyboard.press("g")
    page.keyboard.press("l")
    expect(prompt_box(page)).to_have_value("g l /gl")
    page.keyboard.press("Alt+ArrowUp")
    expect(prompt_box(page)).to_have_value("an old prompt")
    page.keyboard.press("Alt+ArrowDown")
    expect(prompt_box(page)).to_have_value("g l /gl")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("g")
    page.keyboard.press("l")
    search = page.locator("#library input[type=search]")
    expect(search).to_be_visible()
    page.keyboard.press("/")
    expect(search).to_be_focused()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("g")
    page.keyboard.press("c")
    expect(prompt_box(page)).to_be_visible()
    page.keyboard.press("/")
    expect(prompt_box(page)).to_be_focused()


# --- several images


def test_four_images_are_compared_under_one_view(rows: LibraryRows, open_library: OpenPage) -> None:
    """The best of four shows at the same spot of all of them, one key away."""
    rows.add("four", files=[png(WIDE, color) for color in ("tomato", "teal", "gold", "navy")])
    page = open_library(**SCREENS["laptop"])
    tile(page, "four", 3).click()
    page.keyboard.press("c")
    frames = viewer(page).locator("figure .frame")
    expect(frames).to_have_count(4)
    page.keyboard.press("1")
    expect(position(page)).to_contain_text("100%")
    wait_on(page, lambda: all(box_of(frame)[2] == WIDE[0] for frame in frames.all()))
    box = viewer(page).locator("figure .pane").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    page.mouse.wheel(0, -200)
    wait_on(page, lambda: len({round(box_of(frame)[2]) for frame in frames.all()} - {WIDE[0]}) == 1)
    for _ in range(2):
        viewer(page).locator("figcaption").last.get_by_role("button", name=translate("en", "compare_remove")).click()
    line = viewer(page).get_by_role("slider", name=translate("en", "compare_line"))
    line.focus()
    page.keyboard.press("End")
    expect(line).to_have_attribute("aria-valuetext", "100%")
    page.keyboard.press("Escape")
    expect(position(page)).to_contain_text("3 / 4")


# --- fingers


def test_fingers_do_what_they_do_in_a_gallery(rows: LibraryRows, open_library: OpenPage) -> None:
    """Swipe, pinch, double tap, pull down: nobody reads a manual on a phone."""
    rows.add("touched", files=[png(WIDE), png(WIDE)])
    page = open_library(**PHONE)
    touch = Touch(page)
    tile(page, "touched").tap()
    await_copy(page, "preview")
    touch.swipe((330, 420), (60, 425))
    expect(position(page)).to_contain_text("2 / 2")
    touch.swipe((60, 420), (330, 425))
    expect(position(page)).to_contain_text("1 / 2")
    fitted = box_of(image(page))[2]
    touch.pinch((195, 420), 100, 250)
    wait_on(page, lambda: box_of(image(page))[2] > 2 * fitted)
    left = box_of(image(page))[0]
    touch.swipe((250, 420), (200, 420))
    wait_on(page, lambda: box_of(image(page))[0] < left - 30)
    expect(position(page)).to_contain_text("1 / 2")
    page.wait_for_timeout(400)  # a tap right after is part of a double tap
    touch.double_tap((195, 420))
    wait_on(page, lambda: box_of(image(page))[2] == pytest.approx(fitted, abs=1))
    touch.swipe((195, 300), (200, 640))
    expect(viewer(page)).to_be_hidden()
    touch.hold(center_of(tile(page, "touched", 2)))
    expect(tile(page, "touched", 2)).to_have_attribute("aria-pressed", "true")
    expect(viewer(page)).to_be_hidden()


def center_of(node: Locator) -> tuple[float, float]:
    x, y, width, height = box_of(node)
    return x + width / 2, y + height / 2


def test_a_phone_shares_the_image_itself(library_app: ScriptedApp, rows: LibraryRows, open_library: OpenPage) -> None:
    """One image for a friend is two taps, and no URL of this machine; a link is one entry further."""
    rows.add("for a friend")
    page = open_library(**PHONE)
    page.evaluate(RECORD_SHARES)
    tile(page, "for a friend").tap()
    viewer(page).locator(".tool-share").tap()
    wait_on(page, lambda: page.evaluate("window.shared") == ["image/png true"])
    viewer(page).locator(".tool-info").tap()
    viewer(page).get_by_role("button", name=translate("en", "share_link_create")).tap()
    expect(page.get_by_role("button", name=translate("en", "share_create"))).to_be_visible()


# --- what is no image


def test_a_job_without_files_is_shown_as_what_it_is(rows: LibraryRows, open_library: OpenPage) -> None:
    """Nobody looks at a black window and wonders: the state and the way on are there."""
    rows.add("gone wrong", files=0, state="failed", problem="failed_at_service", detail="a reason")
    page = open_library(**SCREENS["laptop"])
    tiles(page).first.click()
    expect(viewer(page).locator(".file-tile")).to_contain_text("gone wrong")
    expect(viewer(page).locator(".info")).to_contain_text("a reason")
    expect_no_findings(page, "dialog.viewer")
    dialog_button(page, "close").click()
    expect(viewer(page)).to_be_hidden()
