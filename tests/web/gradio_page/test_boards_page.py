"""Boards, ratings, and shared links, in a real Chromium on a real app."""

from __future__ import annotations

import requests
from playwright.sync_api import expect

from dreamina_ui.web.auth.visitor import VISITOR_COOKIE, new_visitor_secret
from dreamina_ui.web.i18n.translate import translate
from tests.support.browser import ScriptedApp
from tests.support.library_page import note, tile, tiles
from tests.support.library_rows import NOON, LibraryRows
from tests.support.page import OpenPage, wait_on


def text(key: str, **values: object) -> str:
    return translate("en", key, **values)


def test_a_board_is_made_by_one_drag_and_is_part_of_the_url(rows: LibraryRows, open_library: OpenPage) -> None:
    """A project begins with the image in hand, and a reload or a link leads back to it."""
    rows.add("a red fox", created_at=NOON)
    rows.add("a whale", created_at=NOON + 1)
    page = open_library()
    tile(page, "a red fox").drag_to(page.locator("#library .rail .add"))
    row = page.locator("#library .board")
    expect(row).to_have_text(f"{text('board_new')}1")
    tile(page, "a whale").drag_to(row.get_by_role("button").first)
    expect(row).to_have_text(f"{text('board_new')}2")
    row.get_by_role("button").last.click()
    page.get_by_role("menuitem", name=text("board_rename")).click()
    page.get_by_label(text("board_name")).fill("Animals")
    page.keyboard.press("Enter")
    expect(row).to_have_text("Animals2")
    rows.add("elsewhere", created_at=NOON + 2)
    row.get_by_role("button").first.click()
    expect(tiles(page)).to_have_count(2)
    assert "board=" in page.url
    page.reload()
    expect(row.get_by_role("button").first).to_have_attribute("aria-current", "true")
    expect(tiles(page)).to_have_count(2)


def test_keys_put_an_image_on_a_board_and_rate_it(rows: LibraryRows, open_library: OpenPage) -> None:
    """Whoever reviews two hundred images does it with one hand on the keyboard."""
    rows.add("a red fox", created_at=NOON)
    page = open_library()
    tile(page, "a red fox").focus()
    page.keyboard.press("b")
    page.get_by_label(text("board_name")).fill("Foxes")
    page.keyboard.press("Enter")
    expect(page.locator("#library .board")).to_have_text("Foxes1")
    page.keyboard.press("Shift+Digit4")
    expect(page.locator("#library .rated")).to_have_text("4 / 5")
    page.keyboard.press("Enter")
    viewer = page.locator("dialog.viewer")
    expect(viewer).to_be_visible()
    page.keyboard.press("Shift+Digit2")
    expect(page.locator("#library .rated")).to_have_text("2 / 5")
    page.keyboard.press("Shift+Digit2")
    expect(page.locator("#library .rated")).to_be_hidden()
    page.keyboard.press("b")
    box = page.get_by_role("checkbox", name="Foxes")
    expect(box).to_be_checked()
    box.press("Space")
    expect(note(page)).to_contain_text(text("board_removed", name="Foxes"))
    page.keyboard.press("Escape")
    expect(viewer).to_be_visible()


def test_a_friend_sees_a_shared_image_until_the_link_is_revoked(
    rows: LibraryRows, open_library: OpenPage, library_app: ScriptedApp
) -> None:
    """An image reaches a friend in two actions, and can be taken back in one."""
    rows.add("a red fox", created_at=NOON)
    page = open_library()
    tile(page, "a red fox").click()
    page.keyboard.press("l")
    page.get_by_role("button", name=text("share_create")).click()
    link = page.get_by_label(text("share_link"), exact=True).input_value()
    friends = [{}, {VISITOR_COOKIE: new_visitor_secret()}]
    assert [requests.get(link, cookies=cookies, timeout=10).status_code for cookies in friends] == [200, 200]
    friend = page.context.new_page()
    friend.goto(link)
    image = friend.locator("figure img")
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
    expect(friend.locator("body")).not_to_contain_text("fox")
    page.get_by_label(text("share_prompt")).check()
    wait_on(page, lambda: "a red fox" in requests.get(link, timeout=10).text)
    friend.reload()
    expect(friend.locator(".prompt")).to_have_text("a red fox")
    friend.get_by_role("link", name=text("shared_try")).click()
    expect(friend.locator("#form textarea").first).to_have_value("a red fox")
    page.get_by_role("button", name=text("share_revoke")).click()
    expect(page.get_by_role("button", name=text("share_create"))).to_be_visible()
    assert [requests.get(link, cookies=cookies, timeout=10).status_code for cookies in friends] == [404, 404]
    assert library_app.app.url in link
